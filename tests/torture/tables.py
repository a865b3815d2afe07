"""Tables of events and of annotations, as spreadsheet programs, scripts and people spoil them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

from fedn_lightning.datasets import read
from fedn_lightning.events import Corpus
from lookalikes.movies import numbered, write_movie
from torture import damage
from torture.running import Case, Ended, run

Rows = list[list[str]]

ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "latin-1", "cp1252")
BAD_CELLS = (
    "", "abc", "NaN", "inf", "-inf", "1e999", "=A1+1", "2024-03-01", "01:30", "0x10", "1 000", "1.234,5", "5-10",
    "#REF!", "None", "\x1b[31m", "9" * 5000, "5;6", '"', "'5", "1_0", "\u0661\u0662", "5 frames", "true", "--5", "+",
)  # fmt: skip
"""What stands where a number should, and is none."""
ODD_NAMES = (
    "../../x", "/etc/passwd", "a\0b", "x" * 300, "<script>alert(1)</script>", "a" + chr(0x308), "CON", ".", "..",
    "a/b", "a\nb", "\u202eabc", "", " ", "7", "007", "[red]x[/red]", "%s", "{0}", "\U0001f600",
)  # fmt: skip
"""Names that a table can hold although no subject and no video is called so."""


def to_text(rows: Rows, delimiter: str = ",", newline: str = "\n", quote: bool = False) -> str:
    """A table as text; cells are quoted where they must be."""

    def cell(text: str) -> str:
        needs = quote or any(mark in text for mark in (delimiter, '"', "\n"))
        return '"' + text.replace('"', '""') + '"' if needs else text

    return newline.join(delimiter.join(map(cell, row)) for row in rows) + newline


def other_form(rows: Rows, rng: Random) -> tuple[bytes, str]:
    """The same table as another program writes it: encoding, separator, line ends, quotes, order, empty rows."""
    encoding, delimiter = rng.choice(ENCODINGS), rng.choice(",;\t|")
    newline, quote = rng.choice(("\n", "\r\n", "\r")), rng.random() < 0.3
    rows = [list(row) for row in rows]
    done = []
    if rng.random() < 0.3:
        order = rng.sample(range(len(rows[0])), len(rows[0]))
        rows, done = [[row[k] for k in order] for row in rows], [*done, "other order"]
    if rng.random() < 0.3:
        rows, done = [[f" {cell} " for cell in row] for row in rows], [*done, "spaces"]
    if rng.random() < 0.3:
        rows[0], done = [name.upper() for name in rows[0]], [*done, "capitals"]
    if rng.random() < 0.3:
        rows.insert(rng.randint(1, len(rows)), [""] * len(rows[0]))
        done.append("empty row")
    if rng.random() < 0.2:
        rows, done = [[*row, f"more {n}"] for n, row in enumerate(rows)], [*done, "another column"]
    text = to_text(rows, delimiter, newline, quote)
    if rng.random() < 0.2:
        text, done = text.rstrip(newline), [*done, "no last line end"]
    what = f"{encoding}, {delimiter!r}, {newline!r}{', quoted' if quote else ''}"
    return text.encode(encoding), ", ".join([what, *done])


def bad_cell(rows: Rows, rng: Random, columns: Sequence[str], values: Sequence[str]) -> tuple[bytes, str, int]:
    """The table with one cell that cannot be, what it is, and its row in the file."""
    rows = [list(row) for row in rows]
    number, column, value = rng.randrange(1, len(rows)), rng.choice(columns), rng.choice(values)
    rows[number][rows[0].index(column)] = value
    return to_text(rows).encode(), f"{column} {value[:40]!r} in row {number + 1}", number + 1


def bad_shape(rows: Rows, rng: Random) -> tuple[bytes, str, int]:
    """The table with a row that is too short or too long, a column twice or without its name."""
    rows = [list(row) for row in rows]
    number = rng.randrange(1, len(rows))
    kind = rng.choice(("short row", "long row", "no header", "column twice", "column without name", "open quote"))
    if kind == "short row":
        del rows[number][rng.randrange(len(rows[number])) :]
        rows[number] = rows[number] or ["x"]
    elif kind == "long row":
        rows[number].insert(rng.randrange(len(rows[number])), "7")
    elif kind == "no header":
        del rows[0]
    elif kind == "column twice":
        rows = [[*row, "onset" if not n else "1"] for n, row in enumerate(rows)]
    elif kind == "column without name":
        rows[0][rng.randrange(len(rows[0]))] = ""
    text = to_text(rows)
    if kind == "open quote":
        place = rng.randrange(text.index("\n") + 1, len(text))
        text = text[:place] + '"' + text[place:]
    return text.encode(), f"{kind}, row {number + 1}", number + 1


def cut(rows: Rows, rng: Random) -> tuple[bytes, str]:
    """The table without its end. A cut behind a row, or in a row's last cell, leaves a whole table: not made."""
    text = to_text(rows)
    while True:
        place = rng.randrange(1, len(text))
        last = text[:place].rpartition("\n")[2]
        if 0 < last.count(",") < len(rows[0]) - 1 or (last and "," not in last):
            return text[:place].encode(), f"cut at byte {place}"


class EventTables:
    """Predictions, truths and the list of videos, read by `fedn evaluate`."""

    name, count, short = "event table", 90, 12

    def __init__(self, shop: Path) -> None:
        rng = Random(1)
        subjects = [("anna", "one"), ("anna", "two"), ("ben", "one"), ("07", "talk")]
        self.tables: dict[str, Rows] = {
            "videos": [["subject", "video", "n_frames", "fps"], *([s, v, "900", "30"] for s, v in subjects)],
            "truth": [["subject", "video", "onset", "offset", "type", "emotion"]],
            "predictions": [["subject", "video", "onset", "offset", "type", "emotion", "score"]],
        }
        for subject, video in subjects:
            for onset in range(40, 800, 250):
                kind, emotion = rng.choice(("macro", "micro")), rng.choice(("negative", "positive", "surprise"))
                end = onset + (12 if kind == "micro" else 45)
                self.tables["truth"].append([subject, video, str(onset), str(end), kind, emotion])
                shift, score = rng.randint(-6, 6), f"{rng.uniform(0.2, 1):.3f}"
                self.tables["predictions"].append(
                    [subject, video, str(onset + shift), str(end + shift), kind, emotion, score]
                )
        self.reference = self._score(self._write(shop, {}), shop)

    def _write(self, home: Path, changed: dict[str, bytes]) -> list[str]:
        """The tables in a folder, some of them changed, and the command that scores them."""
        home.mkdir(parents=True, exist_ok=True)
        words = ["evaluate", "--json", "--threshold", "0.5"]
        for name, rows in self.tables.items():
            (home / f"{name}.csv").write_bytes(changed.get(name, to_text(rows).encode()))
            words += [f"--{name}", f"{name}.csv"]
        return words

    def _score(self, words: list[str], home: Path) -> Any:
        ended = run(words, home)
        assert ended.code == 0, ended.err
        return ended.json()

    def make(self, number: int, rng: Random, home: Path) -> Case:
        """A case; every third is another form, which must give the same numbers or be refused."""
        table = rng.choice(list(self.tables))
        rows, row = self.tables[table], 0
        columns = ["n_frames", "fps"] if table == "videos" else ["onset", "offset", *["score"] * (table[0] == "p")]
        draw = number % 6
        if draw in (0, 1):
            data, what = other_form(rows, rng)
        elif draw == 2:
            data, what, row = bad_cell(rows, rng, columns, BAD_CELLS)
        elif draw == 3:
            data, what, row = bad_cell(rows, rng, ["subject", "video"], ODD_NAMES)
        elif draw == 4:
            data, what, row = bad_shape(rows, rng)
        else:
            data, what = (
                cut(rows, rng)
                if rng.random() < 0.5
                else (rng.choice(damage.BYTES)(to_text(rows).encode(), rng), "bytes")
            )
        words = self._write(home, {table: data})
        lenient = bool(row) and rng.random() < 0.3
        return Case(
            f"{table}: {what}", [*words, *["--lenient"] * lenient], home, self._judge(what, row if lenient else 0)
        )

    def _judge(self, what: str, aside: int) -> Callable[[Ended], str | None]:
        def judge(ended: Ended) -> str | None:
            found = ended.json()
            if found == self.reference or what == "bytes":  # a changed digit is a number like any other
                return None
            if aside and re.search(r'"set_aside": \[\s*{', ended.out):
                return None
            return None if ended.err.strip() else "another answer, without a word"

        return judge


class OwnCorpus:
    """`annotations.csv` beside videos, read by `fedn data check`."""

    name, count, short = "own annotations", 70, 8
    ROWS = (
        "subject,video,onset,apex,offset,type,emotion",
        "anna,one,10,14,20,micro,positive",
        "anna,one,30,45,60,macro,negative",
        "anna,two,5,9,15,micro,surprise",
        "ben,one,40,50,80,macro,positive",
    )

    def __init__(self, shop: Path) -> None:
        self.videos = shop / "videos"
        for key in ("anna/one", "anna/two", "ben/one"):
            write_movie(self.videos / f"{key}.avi", map(numbered, range(90)), codec="mjpeg")
        self.rows = [line.split(",") for line in self.ROWS]
        self.reference = _events(self._write(shop, to_text(self.rows).encode()))

    def _write(self, home: Path, table: bytes) -> Path:
        home.mkdir(parents=True, exist_ok=True)
        (home / "annotations.csv").write_bytes(table)
        if not (home / "videos").exists():
            (home / "videos").symlink_to(self.videos)
        return home

    def make(self, number: int, rng: Random, home: Path) -> Case:
        """A case; times in seconds or milliseconds are among them."""
        row, same = 0, False
        draw = number % 7
        if draw in (0, 1):
            (data, what), same = other_form(self.rows, rng), True
        elif draw == 2:
            data, what, row = bad_cell(self.rows, rng, ["onset", "offset"], BAD_CELLS)
        elif draw == 3:
            data, what, row = bad_cell(self.rows, rng, ["subject", "video", "type"], ODD_NAMES)
        elif draw == 4:
            data, what, row = bad_shape(self.rows, rng)
        elif draw == 5:
            data, what = cut(self.rows, rng)
        else:
            data, what = self._other_unit(rng)
        self._write(home, data)
        return Case(what, ["data", "check", ".", "--dataset", "csv", "--json"], home, self._judge(home, row, same))

    def _other_unit(self, rng: Random) -> tuple[bytes, str]:
        factor, unit = rng.choice(((1 / 30, "seconds"), (1000 / 30, "milliseconds"), (200 / 30, "frames at 200 fps")))
        changed = [[f"{float(c) * factor:.3f}" if 2 <= k <= 4 else c for k, c in enumerate(r)] for r in self.rows[1:]]
        return to_text([self.rows[0], *changed]).encode(), unit

    def _judge(self, home: Path, row: int, same: bool) -> Callable[[Ended], str | None]:
        def judge(ended: Ended) -> str | None:
            told = ended.json()
            if not told["ready"]:
                return None if ended.code == 1 else "not ready, with exit code 0"
            if ended.code == 1:
                return "ready, with exit code 1"
            found = _events(home)
            missing = [event for event in self.reference if event not in found]
            rows = {repair["row"] for repair in told["repairs"]}
            if found == self.reference or (not same and len(found) == len(self.reference) and row in rows):
                return None
            return f"ready, but {json.dumps(missing)} became something else"

        return judge


def _events(root: Path) -> list[list[Any]]:
    """What the reader takes from a corpus."""
    return events_of(read("csv", str(root), unusable_rows="drop"))


def events_of(corpus: Corpus) -> list[list[Any]]:
    """The expressions as plain values, without the row they stand in."""
    return sorted([e.video_key, e.start, e.end, e.type, e.emotion] for e in corpus.expressions)
