"""SAMM Long Videos: 147 grey videos of 30 subjects at 200 fps.

Yap et al., "SAMM Long Videos: a spontaneous facial micro- and macro-expressions dataset", FG 2020.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, get_args

from fedn_lightning.datasets.base import Annotation, RepairLog
from fedn_lightning.datasets.release import find_parents, find_table, matching, not_found, open_folder, read_table
from fedn_lightning.events import ExpressionType, Video
from fedn_lightning.utils.text import as_number, as_text, check_choice

NAME = "SAMM Long Videos"
SOURCE = "It is released by Manchester Metropolitan University after a licence agreement: http://www2.docm.mmu.ac.uk/STAFF/M.Yap/dataset.php."
FPS = 200.0
TABLE_ENDINGS = ("longvideos_v3_release.xlsx", "longvideos_v2_release.xlsx", "longvideos_v1_release.xlsx")
"""Versions of the annotation, the newest first; the newest that is there is read."""

EMOTION_TABLE = "micro_facs_codes_v2.xlsx"
EMOTION_SHEET = "MICRO_ONLY"
COLUMNS = ("Subject", "Filename", "Onset", "Apex", "Offset", "Type", "Action Units")
VIDEO_FOLDER = r"\d{3}_\d+"

Fractions = Literal["half_up", "keep"]
ZeroOnset = Literal["keep", "drop"]


def read_samm_lv(
    root: str, log: RepairLog, fractions: Fractions = "half_up", zero_onset: ZeroOnset = "keep"
) -> tuple[list[Video], list[Annotation]]:
    """Reads SAMM Long Videos as it was unpacked.

    Args:
        root: folder with `SAMM_longvideos/006_1/006_1_0001.jpg` and so on and `SAMM_LongVideos_V3_Release.xlsx` (or an
            older version). `SAMM_Micro_FACS_Codes_v2.xlsx` of the SAMM release gives the emotions; without it there
            are none.
        log: collects repairs, and what cannot be used.
        fractions: about 150 macro rows have fractional frames: `half_up` rounds them, `keep` takes them as they are.
        zero_onset: 10 very long macro rows begin at frame 0 (1 in version 3): `keep` (from the first frame) or `drop`.

    Returns:
        Subjects `006`, videos `006_1`. Micro-expressions have the estimated emotion of SAMM, joined by file name (its
        frame numbers are shifted per video); macro-expressions have none.

    Raises:
        CorpusNotFoundError: if the workbook or the videos are not there.
        AnnotationError: if the workbook is not the release's, or a row cannot be used.
        ConfigError: if a policy does not exist.
    """
    check_choice("fractions", fractions, get_args(Fractions))
    check_choice("zero_onset", zero_onset, get_args(ZeroOnset))
    table = find_table(root, *TABLE_ENDINGS)
    if table is None:
        raise not_found(NAME, root, "workbook named SAMM_LongVideos_V3_Release.xlsx (or V1, V2)", SOURCE)
    videos = _videos(root, log)
    return list(videos.values()), list(_annotations(table, videos, _emotions(root), log, fractions, zero_onset))


def _videos(root: str, log: RepairLog) -> dict[str, Video]:
    """The folders `006_1` of frames, by name."""
    parents = find_parents(root, VIDEO_FOLDER)
    if not parents:
        raise not_found(NAME, root, "folders of frames (SAMM_longvideos/006_1/006_1_0001.jpg)", SOURCE)
    found = (open_folder("samm_lv", p.name[:3], p.name, p, FPS, log) for p in matching(parents[0], VIDEO_FOLDER))
    return {video.name: video for video in found if video}


def _emotions(root: str) -> dict[str, str]:
    """Estimated emotion by file name of the expression, `006_1_2`; empty without SAMM's own workbook."""
    table = find_table(root, EMOTION_TABLE)
    if table is None:
        return {}
    rows = read_table(table, EMOTION_SHEET, ("Filename", "Estimated Emotion"))
    return {as_text(cells["filename"]): as_text(cells["estimated emotion"]).lower() for _, cells in rows}


def _annotations(
    table: Path,
    videos: dict[str, Video],
    emotions: dict[str, str],
    log: RepairLog,
    fractions: Fractions,
    zero_onset: ZeroOnset,
) -> Iterator[Annotation]:
    """The rows whose video is there."""
    for number, cells in read_table(table, 0, COLUMNS):
        name = as_text(cells["filename"])
        video = videos.get(re.sub(r"_\d+$", "", name))
        kind = _type(as_text(cells["type"]))
        frames = [as_number(cells[column]) for column in ("onset", "apex", "offset")]
        onset, apex, offset = frames
        if video is None or kind is None or onset is None or apex is None or offset is None:
            why = "there is no usable video for it" if video is None else "type or frames are not as expected"
            log.unusable(str(table), number, why, ", ".join(as_text(cells[c.lower()]) for c in COLUMNS[1:6]))
            continue
        if fractions == "half_up" and any(f != int(f) for f in (onset, apex, offset)):
            before = f"onset {onset:g}, apex {apex:g}, offset {offset:g}"
            onset, apex, offset = (float(math.floor(f + 0.5)) for f in (onset, apex, offset))
            after = f"onset {onset:g}, apex {apex:g}, offset {offset:g}"
            log.repaired(str(table), number, "fractions=half_up", before, after)
        if onset == 0:
            after = "dropped" if zero_onset == "drop" else "onset 1"
            log.repaired(str(table), number, f"zero_onset={zero_onset}", "onset 0", after)
            if zero_onset == "drop":
                continue
        if apex <= 0:
            log.repaired(str(table), number, "apex -1 is unknown", f"apex {apex:g}", "apex unknown")
        yield Annotation(
            file=str(table),
            row=number,
            video=video,
            onset=max(onset, 1.0),
            apex=apex if apex > 0 else None,
            offset=offset if offset > 0 else None,
            type=kind,
            emotion=emotions.get(name, "") if kind == "micro" else "",
            action_units=as_text(cells["action units"]),
        )


def _type(text: str) -> ExpressionType | None:
    """`Macro` or `Micro - 1/2` (the halves count how sure the coders were).

    >>> _type("Macro"), _type("Micro - 1/2"), _type("")
    ('macro', 'micro', None)
    """
    word = text.lower()
    return "macro" if word.startswith("macro") else "micro" if word.startswith("micro") else None
