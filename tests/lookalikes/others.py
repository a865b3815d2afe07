"""Writes look-alikes of SAMM Long Videos, CAS(ME)^3 and SMIC-E-HS with their quirks, without a single real row."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import openpyxl

from lookalikes.movies import numbered, write_frames


def write_sheet(path: Path, title: str, rows: Iterable[Sequence[object]]) -> None:
    """A workbook of one sheet."""
    path.parent.mkdir(parents=True, exist_ok=True)
    book = openpyxl.Workbook()
    book.active.title = title
    for row in rows:
        book.active.append(list(row))
    book.save(path)


SAMM_HEADER = [
    *("Subject", "Filename", "Inducement Code", "Onset", "Apex", "Offset", "Duration", "Type", "Action Units", "Notes")
]
SAMM_ROWS: list[list[object]] = [
    ["006", "006_1_1", 1, 5, 20, 60, "=F11-D11+1", "Macro", "12", ""],
    ["006", "006_1_2", 1, 10, 15, 24, "=F12-D12+1", "Micro - 1/2", "4", ""],
    ["006", "006_1_3", 1, 30.5, 40, 50.25, "=F13-D13+1", "Macro", "6+12", ""],
    ["010", "010_2_1", 2, 0, 20, 70, "=F14-D14+1", "Macro", "1+2", "starts before the video"],
    ["010", "010_2_2", 2, 60, -1, 75, "=F15-D15+1", "Micro - 1", "7", ""],
    ["010", "010_2_3", 2, 50, 60, 95, "=F16-D16+1", "Macro", "", "ends after the video"],
]


def write_samm(root: Path, rows: Sequence[Sequence[object]] = SAMM_ROWS, version: int = 3, frames: int = 80) -> Path:
    """SAMM Long Videos: notes above a header in row 10, and SAMM's own workbook of emotions."""

    notes: list[list[object]] = [[f"note {n}"] for n in range(1, 10)]
    write_sheet(root / f"SAMM_LongVideos_V{version}_Release.xlsx", "Sheet1", [*notes, SAMM_HEADER, *rows])
    codes = [["", f"{n}"] for n in range(13)]
    codes += [["Subject", "Filename", "Onset Frame", "Estimated Emotion"], ["006", "006_1_2", 4711, "Anger "]]
    codes += [["010", "010_2_2", 17, "Other"], ["011", "011_1_1", 1, "Fear"]]
    write_sheet(root / "SAMM_Micro_FACS_Codes_v2.xlsx", "MICRO_ONLY", codes)
    for name in ("006_1", "010_2", "011_3"):
        write_frames(root / "SAMM_longvideos" / name, map(numbered, range(frames)), name + "_{:04d}.jpg")
    return root


CASME3_HEADER = ["Subject", "Filename", "Onset", "Apex", "Offset", "AU", "Expression type", "Objective class"]
CASME3_ROWS = [
    ["spNO.1", "a", "12", "15", "20", "4", "Micro-expression", "IV"],
    ["spNO.1", "a", "20", "25", "40", "12", "Macro-expression", "I"],
    ["spNO.1", "j", "5", "8", "0", "1+2", "Macro-expression", "II"],
    ["spNO.2", "a", "3", "20", "15", "4", "Macro-expression", "IV"],
    ["spNO.2", "a", "1", "9", "30", "4", "Micro-expression", "VII"],
]


def write_casme3(root: Path, rows: Sequence[Sequence[str]] = CASME3_ROWS) -> Path:
    """CAS(ME)^3 part A: text cells, folders that start above 0, miss frames, or have a capital name."""
    write_sheet(root / "CAS(ME)3_part_A_v2.xlsx", "AU+Emotion", [CASME3_HEADER, *rows])
    labels = [["Subject", "Filename", "Onset", "Apex", "Offset", "AU", "Objective class", "emotion"]]
    labels += [
        ["spNO.1", "a", "12", "15", "20", "4", "IV", "disgust"],
        ["spNO.2", "a", "1", "9", "30", "4", "VII", "Others"],
    ]
    write_sheet(root / "cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx", "label", labels)
    base = root / "part_A" / "data" / "part_A"
    for folder, first in (("spNO.1/a", 10), ("spNO.1/J", 0), ("spNO.2/a", 0)):
        write_frames(base / folder / "color", map(numbered, range(40)), "{}.jpg", first)
        (base / folder / "depth").mkdir(exist_ok=True)
    for number in (24, 25):
        (base / "spNO.1" / "a" / "color" / f"{number}.jpg").unlink()
    return root


def write_smic(root: Path) -> Path:
    """SMIC-E-HS: images numbered by a running index, and remarks below the table."""
    rows: list[list[object]] = [
        ["Subject", "Filename", "OnsetF", "OffsetF", "TotalMF", "FirstF", "LastF", "TotalVL", "Emotion"],
        ["s1", "s1_ne_01", 1010, 1030, 21, 1001, 1040, 40, "negative"],
        ["s1", "s1_sur_02", 2005, 2035, 31, 2001, 2040, 40, "surprise"],
        [],
        ["Remarks: frames are capture indices.", "", "", ""],
    ]
    write_sheet(root / "SMIC-HS-E_annotation.xlsx", "Sheet1", rows)
    for name, first in (("s01_ne_01", 1001), ("s01_sur_02", 2001)):
        write_frames(root / "HS" / "s01" / name, map(numbered, range(40)), "image{:06d}.jpg", first)
    return root
