"""SMIC-E-HS: 157 long clips of 16 subjects at 100 fps, with one micro-expression each.

Li et al., "A spontaneous micro-expression database: inducement, collection and baseline", FG 2013 (extended clips).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from fedn_lightning.datasets.base import Annotation, RepairLog
from fedn_lightning.datasets.release import find_parents, find_table, matching, not_found, open_folder, read_table
from fedn_lightning.events import Video
from fedn_lightning.utils.text import as_number, as_text

NAME = "SMIC-E-HS"
SOURCE = "It is released by the University of Oulu after a licence agreement: https://www.oulu.fi/cmvs/node/41319."
FPS = 100.0
TABLE_ENDINGS = ("hs-e_annotation.xlsx",)
COLUMNS = ("Subject", "Filename", "OnsetF", "OffsetF", "FirstF", "LastF", "Emotion")
SUBJECT_FOLDER, CLIP_FOLDER = r"s\d+", r"s\d+_[a-z]+_\d+"
EMOTIONS = {"ne": "negative", "po": "positive", "sur": "surprise", "su": "surprise"}

_CLIP = re.compile(r"s?0*(\d+)_([a-z]+)_0*(\d+)", re.IGNORECASE)


def read_smic(root: str, log: RepairLog) -> tuple[list[Video], list[Annotation]]:
    """Reads SMIC-E-HS as it was unpacked.

    Args:
        root: folder with `HS/s01/s01_ne_01/image000001.jpg` and so on and `SMIC-HS-E_annotation.xlsx`.
        log: collects what cannot be used.

    Returns:
        Subjects `s01`, videos `s01_ne_01`. Frames are counted from the clip's start: the release numbers images and
        annotations by a running index of the capture, whose value at the start is the column FirstF.

    Raises:
        CorpusNotFoundError: if the workbook or the videos are not there.
        AnnotationError: if the workbook is not the release's, or a row cannot be used.
    """
    table = find_table(root, *TABLE_ENDINGS)
    if table is None:
        raise not_found(NAME, root, "workbook named SMIC-HS-E_annotation.xlsx", SOURCE)
    videos = _videos(root, log)
    return list(videos.values()), list(_annotations(table, videos, log))


def clip_id(name: str) -> tuple[int, str, int] | None:
    """What identifies a clip whatever the padding of its numbers; None if it is not a clip's name.

    >>> clip_id("s01_ne_01"), clip_id("s1_ne_1"), clip_id("note")
    ((1, 'ne', 1), (1, 'ne', 1), None)
    """
    found = _CLIP.fullmatch(name.strip())
    return (int(found.group(1)), found.group(2).lower(), int(found.group(3))) if found else None


def _videos(root: str, log: RepairLog) -> dict[tuple[int, str, int], Video]:
    """The folders `s01/s01_ne_01` of frames."""
    parents = find_parents(root, CLIP_FOLDER)
    if not parents:
        raise not_found(NAME, root, "folders of frames (HS/s01/s01_ne_01/image000001.jpg)", SOURCE)
    videos = {}
    for parent in parents:
        for folder in matching(parent, CLIP_FOLDER):
            key, subject = clip_id(folder.name), folder.name.partition("_")[0].lower()
            video = open_folder("smic", subject, folder.name, folder, FPS, log)
            if key and video:
                videos[key] = video
    return videos


def _annotations(table: Path, videos: dict[tuple[int, str, int], Video], log: RepairLog) -> Iterator[Annotation]:
    """The rows of clips; the remarks below the table are none."""
    for number, cells in read_table(table, 0, COLUMNS):
        key = clip_id(as_text(cells["filename"]))
        if key is None:
            if as_number(cells["onsetf"]) is not None:
                log.unusable(str(table), number, "its file name is no clip's", as_text(cells["filename"]))
            continue
        video = videos.get(key)
        onset, offset, first = (as_number(cells[column]) for column in ("onsetf", "offsetf", "firstf"))
        if video is None or onset is None or offset is None or first is None:
            why = "there is no usable video for it" if video is None else "its frames must be numbers"
            log.unusable(str(table), number, why, ", ".join(as_text(cells[c.lower()]) for c in COLUMNS))
            continue
        word = as_text(cells["emotion"]).lower()
        shift = video.first_frame - first
        yield Annotation(
            file=str(table),
            row=number,
            video=video,
            onset=onset + shift,
            apex=None,
            offset=offset + shift,
            type="micro",
            emotion=EMOTIONS.get(word or key[1], word),
        )
