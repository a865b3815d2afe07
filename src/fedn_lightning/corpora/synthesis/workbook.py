"""Writes CAS(ME)^2's annotation workbook: three sheets without header rows, which readers open by position."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import astuple
from datetime import datetime
from pathlib import Path
from typing import Final

from fedn_lightning.corpora.synthesis.annotation import AnnotationRow
from fedn_lightning.corpora.synthesis.casting import Scene
from fedn_lightning.corpora.synthesis.presets import MATERIALS

WORKBOOK_NAME: Final = "CAS(ME)^2code_final.xlsx"
"""File name of the annotation in the release."""

_DATE: Final = datetime(2000, 1, 1)  # any fixed one: equal corpora are equal files


def write_workbook(path: Path, rows: Sequence[AnnotationRow], scenes: Sequence[Scene]) -> None:
    """Writes the three sheets.

    Sheet 0 holds the annotation rows; sheet 1 (naming rule 1) `folder number, folder name, subject number`, once for
    every video, so that rows repeat; sheet 2 (naming rule 2) the elicitation code, as text with its leading zero, and
    its name. Equal arguments give equal bytes.

    Args:
        path: the file to write; it appears at once or not at all.
        rows: annotation rows.
        scenes: all videos.
    """
    import openpyxl

    book = openpyxl.Workbook()
    book.properties.created = book.properties.modified = _DATE
    book.properties.creator = "fedn data synth"
    annotation = book.active
    annotation.title = "Sheet1"
    for row in rows:
        annotation.append(astuple(row))
    subjects = book.create_sheet("naming rule1")
    for scene in scenes:
        subjects.append([scene.folder, f"s{scene.folder}", scene.subject])
    materials = book.create_sheet("naming rule2")
    for code, material in MATERIALS.items():
        materials.append([code, material])
    partial = path.with_name(f".{path.name}.partial")
    book.save(partial)
    _forget_time(partial)
    partial.replace(path)


def _forget_time(path: Path) -> None:
    """Rewrites a zipped file with one fixed date: openpyxl stamps the members with the time of writing."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    stamp = _DATE.strftime("%Y-%m-%dT%H:%M:%SZ").encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            if name == "docProps/core.xml":  # openpyxl sets `modified` anew when saving
                content = _set_modified(content, stamp)
            archive.writestr(zipfile.ZipInfo(name, _DATE.timetuple()[:6]), content, zipfile.ZIP_DEFLATED)


def _set_modified(content: bytes, stamp: bytes) -> bytes:
    head, _, rest = content.partition(b"<dcterms:modified")
    tag, _, tail = rest.partition(b">")
    return head + b"<dcterms:modified" + tag + b">" + stamp + tail[tail.index(b"<") :]
