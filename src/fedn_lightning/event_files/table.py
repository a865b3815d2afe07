"""A CSV file as blocks of rows with their row numbers."""

from __future__ import annotations

import csv
import itertools
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from fedn_lightning.errors import PredictionFileError

_BLOCK = 20_000


class Table:
    """A CSV file as a header and blocks of rows, its troubles turned into sentences.

    Attributes:
        path: the file.
        header: column names, stripped, lower case.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = path
        self.header: list[str] = []

    def __enter__(self) -> Table:
        try:
            self._stream = Path(self.path).open(newline="", encoding="utf-8-sig")
        except OSError as error:
            msg = f"{self.path} cannot be read: {error.strerror or error}."
            raise PredictionFileError(msg) from error
        self._reader = csv.reader(self._stream)
        self.header = [name.strip().lower() for name in next(self._rows(), ([], 0))[0]]
        if not self.header:
            self._stream.close()
            msg = f"{self.path} is empty; its first row must name the columns."
            raise PredictionFileError(msg)
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def blocks(self) -> Iterator[tuple[list[list[str]], list[int]]]:
        """Blocks of rows with their row numbers; blank rows are passed over."""
        rows = self._rows()
        while block := list(itertools.islice(rows, _BLOCK)):
            yield [row for row, _ in block], [line for _, line in block]

    def _rows(self) -> Iterator[tuple[list[str], int]]:
        try:
            for row in self._reader:
                if row:
                    yield row, self._reader.line_num
        except (csv.Error, UnicodeDecodeError) as error:
            msg = f"{self.path}, after row {self._reader.line_num}: this is not CSV text in UTF-8 ({error})."
            raise PredictionFileError(msg) from error


def require(header: Sequence[str], required: Sequence[str], path: str) -> dict[str, int]:
    """Positions of the required columns.

    Raises:
        PredictionFileError: if one is missing.
    """
    missing = [name for name in required if name not in header]
    if missing:
        hint = " Separate columns by commas." if len(header) == 1 and len(header[0]) > 20 else ""
        msg = f"{path} lacks the column {', '.join(missing)}; its first row has {', '.join(header)}.{hint}"
        raise PredictionFileError(msg)
    return {name: header.index(name) for name in required}


def same_width(row: Sequence[str], width: int) -> None:
    """Refuses a row that is not as wide as the header.

    Raises:
        ValueError: with the reason.
    """
    if len(row) != width:
        msg = f"it has {len(row)} cells, the first row has {width}"
        raise ValueError(msg)


def number(text: str, column: str) -> float:
    """A finite number.

    Raises:
        ValueError: with the reason, naming the column.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        msg = f"the {column} {text!r} is not a number"
        raise ValueError(msg)
    return value
