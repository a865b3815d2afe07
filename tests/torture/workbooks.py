"""Workbooks of the releases, damaged as files and cell by cell, read by `fedn data check`."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import openpyxl

from fedn_lightning.datasets import read
from lookalikes.casme2 import write_casme2
from lookalikes.others import write_casme3, write_samm, write_smic
from torture import damage
from torture.running import Case, Ended
from torture.tables import ODD_NAMES, events_of

RELEASES: dict[str, tuple[Callable[[Path], Path], str]] = {
    "casme2": (lambda root: write_casme2(root, frames=60), "CAS(ME)^2code_final.xlsx"),
    "samm_lv": (write_samm, "SAMM_LongVideos_V3_Release.xlsx"),
    "casme3": (write_casme3, "CAS(ME)3_part_A_v2.xlsx"),
    "smic": (write_smic, "SMIC-HS-E_annotation.xlsx"),
}
"""What writes a look-alike of each release, and the workbook that is damaged."""

BAD_CELLS: tuple[Any, ...] = (
    "", "abc", "=A1", "=1/0", "#REF!", datetime.date(2024, 3, 1), datetime.time(1, 30), True, -5, 1e300, 12.75,
    "12 frames", "1_0", "\u0661\u0662", "x" * 32_000, "<script>alert(1)</script>", "../../x", "a\nb", 0, *ODD_NAMES[:2],
)  # fmt: skip


class Workbooks:
    """Each release's main workbook."""

    name, count, short = "workbook", 80, 8

    def __init__(self, shop: Path) -> None:
        self.roots = {name: write(shop / name) for name, (write, _) in RELEASES.items()}
        self.references = {name: self._events(name, root) for name, root in self.roots.items()}

    @staticmethod
    def _events(name: str, root: Path) -> list[list[Any]]:
        return events_of(read(name, str(root), unusable_rows="drop"))

    def make(self, number: int, rng: Random, home: Path) -> Case:
        """A case of each release in turn; every fourth changes the form alone."""
        name = list(RELEASES)[number % len(RELEASES)]
        workbook = RELEASES[name][1]
        home.mkdir(parents=True)
        for path in self.roots[name].iterdir():
            (home / path.name).symlink_to(path)
        (home / workbook).unlink()
        source, row, same = self.roots[name] / workbook, 0, False
        draw = number // len(RELEASES) % 4
        if draw == 0:
            (home / workbook).write_bytes(rng.choice(damage.BYTES)(source.read_bytes(), rng))
            what = "bytes"
        elif draw == 1:
            what, same = self._other_form(source, home / workbook, rng), True
        elif draw == 2 and rng.random() < 0.3:
            what = self._no_workbook(source, home / workbook, rng)
        else:
            what, row = self._bad_cell(source, home / workbook, rng)
        words = ["data", "check", ".", "--dataset", name, "--json"]
        return Case(f"{name}: {what}", words, home, self._judge(name, home, row, same))

    @staticmethod
    def _other_form(source: Path, target: Path, rng: Random) -> str:
        """Numbers as text, text with spaces, empty rows at the end, comments, merged cells behind the table."""
        book = openpyxl.load_workbook(source)
        sheet = book.worksheets[0]
        what = rng.choice(("numbers as text", "spaces", "empty rows", "comment", "another column", "another sheet"))
        for row in sheet.iter_rows():
            for cell in row:
                if what == "numbers as text" and isinstance(cell.value, int | float):
                    cell.value = str(cell.value)
                elif what == "spaces" and isinstance(cell.value, str) and not cell.value.startswith("="):
                    cell.value = f" {cell.value}  "
        if what == "empty rows":
            for number in range(1, 4):
                sheet.cell(sheet.max_row + number, 1).value = " "
        elif what == "another column":
            sheet.cell(1, sheet.max_column + 5).value = "remarks"
        elif what == "another sheet":
            book.create_sheet("notes").append(["my notes"])
        elif what == "comment":
            sheet.cell(1, 1).comment = openpyxl.comments.Comment("see there", "me")
        book.save(target)
        return what

    @staticmethod
    def _bad_cell(source: Path, target: Path, rng: Random) -> tuple[str, int]:
        book = openpyxl.load_workbook(source)
        sheet = book.worksheets[0]
        filled = [cell for row in sheet.iter_rows() for cell in row if cell.value is not None]
        cell, value = rng.choice(filled), rng.choice(BAD_CELLS)
        try:
            cell.value = value
        except openpyxl.utils.exceptions.IllegalCharacterError:
            cell.value = None
        book.save(target)
        return f"{cell.coordinate} is {str(value)[:30]!r}", cell.row

    @staticmethod
    def _no_workbook(source: Path, target: Path, rng: Random) -> str:
        what = rng.choice(("CSV", "HTML", "encrypted", "folder", "no sheet content"))
        if what == "folder":
            target.mkdir()
        elif what == "no sheet content":
            openpyxl.Workbook().save(target)
        else:
            start = {"CSV": b"Subject,Filename\n1,a\n", "HTML": b"<html><table><tr><td>1</table>"}
            target.write_bytes(start.get(what, bytes.fromhex("d0cf11e0a1b11ae1") + bytes(600)))
        return what

    def _judge(self, name: str, home: Path, row: int, same: bool) -> Callable[[Ended], str | None]:
        def judge(ended: Ended) -> str | None:
            told = ended.json()
            if told["ready"] != (ended.code == 0):
                return f"ready is {told['ready']}, with exit code {ended.code}"
            found, wanted = self._events(name, home), self.references[name]
            rows = {repair["row"] for repair in told["repairs"]} | {r["row"] for r in told["faults"]}
            if (
                found == wanted
                or not told["ready"]
                or (row and not same and (row in rows or len(found) == len(wanted)))
            ):
                return None
            lost = [event for event in wanted if event not in found]
            return f"ready, but {lost} became {[event for event in found if event not in wanted]}"

        return judge
