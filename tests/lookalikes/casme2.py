"""Writes look-alikes of CAS(ME)^2: its folders, its workbook and its quirks, without a single real row."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import openpyxl

from lookalikes.movies import numbered, write_frames, write_movie

MATERIALS = {"disgust1": "0101", "disgust2": "0102", "anger1": "0401", "anger2": "0402", "happy1": "0502"}

VIDEOS = {
    "s15": ["15_0101disgustingteeth", "15_0401girlcrashing"],
    "s16": ["16_0502unnyfarting"],
    # A video of subject 23 under another subject's folder, as in the release.
    "s19": ["19_0101disgustingteeth", "23_0502funnyerrors"],
    "s23": ["23_0101disgustingteeth"],
}
FRAMES = 60

# subject, material, onset, apex, offset, action units, expert emotion, type, self-reported emotion
ROWS: list[list[object]] = [
    [1, "disgust1_1", 3, 7, 12, 4, "negative", "macro-expression", "disgust"],
    [1, "disgust1_2", 20, 24, 0, "4+10", "negative", "macro-expression", "disgust"],
    [1, "anger1_1", 5, 9, 14, "4+7", "Negative ", "micro-expression", "anger"],
    [2, "happy1_1", 10, 0, 40, "6+12", "positive", "macro-expression", "happyiness"],
    [4, "happy1_1", 11, 30, 25, 12, "others", "macro-expression", "helpless"],
    [4, "happy1_2", 22, 26, 33, 14, "others", "micro-expression", "sadness"],
    [3, "disgust1_1", 1, 20, 60, "1+2", "surprise", "macro-expression", "surprise"],
]
SUBJECTS = [[15, "s15", 1], [16, "s16", 2], [19, "s19", 3], [19, "s19", 3], [23, "s23", 4]]


def write_workbook(path: Path, rows: Sequence[Sequence[object]] = ROWS) -> None:
    """The workbook: three sheets without headers."""
    path.parent.mkdir(parents=True, exist_ok=True)
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(list(row))
    for title, table in (("naming rule1", SUBJECTS), ("naming rule2", [[c, m] for m, c in MATERIALS.items()])):
        sheet = book.create_sheet(title)
        for line in table:
            sheet.append(line)
    book.save(path)


def write_casme2(
    root: Path, kind: str = "rawvideo", rows: Sequence[Sequence[object]] = ROWS, frames: int = FRAMES
) -> Path:
    """A small CAS(ME)^2 in one of its three forms; returns `root`."""
    write_workbook(root / "CAS(ME)^2code_final.xlsx", rows)
    images = [numbered(i) for i in range(frames)]
    for subject, stems in VIDEOS.items():
        for stem in stems:
            if kind == "rawvideo":
                write_movie(root / kind / subject / f"{stem}.avi", images, codec="mjpeg")
            elif kind == "rawpic":
                write_frames(root / kind / subject / stem, images)
            else:
                write_frames(root / "longVideoFaceCropped" / subject / stem, images, "img_{}.jpg")
    return root
