"""Delimited text as spreadsheet programs write it: comma, semicolon or tab, UTF-8 or UTF-16, empty rows."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

DELIMITERS = (",", ";", "\t")


def open_table(path: str | Path) -> TextIO:
    """Opens a table as text, in the encoding that its first bytes tell.

    Raises:
        OSError: if it cannot be read.
    """
    with Path(path).open("rb") as file:
        begin = file.read(4)
    # Excel's "Unicode text" is UTF-16 with a mark, its "CSV UTF-8" has a mark too.
    utf16 = begin[:2] in (b"\xff\xfe", b"\xfe\xff") or (len(begin) > 1 and 0 in begin[:2])
    encoding = "utf-8-sig" if not utf16 else "utf-16" if begin[:1] in (b"\xff", b"\xfe") else "utf-16-le"
    return Path(path).open(newline="", encoding=encoding)


def find_delimiter(line: str) -> str:
    r"""The delimiter of a header: the one that stands in it most often; a comma if none does.

    >>> find_delimiter("subject;video;onset"), find_delimiter("a\tb"), find_delimiter("a,b"), find_delimiter("sep=;")
    (';', '\t', ',', ';')
    """
    return max(DELIMITERS, key=line.count)


def repeated_name(header: Sequence[str]) -> str | None:
    """The first column name that stands twice in a header; None if each stands once.

    >>> repeated_name(["video", "onset", "", "", "onset"]), repeated_name(["onset", "offset"])
    ('onset', None)
    """
    return next((name for name in header if name and header.count(name) > 1), None)


def check_cells(cells: Sequence[str], header: Sequence[str]) -> None:
    """Refuses a row that is not as wide as the header, or that has a value in a column without a name.

    The first column may have no name: pandas writes its row numbers there. Empty cells at the end count for nothing.

    Raises:
        ValueError: with the reason.
    """
    extra = [cell for cell in cells[len(header) :] if cell.strip()]
    if len(cells) < len(header) or extra:
        msg = f"it has {len(header) + len(extra) if extra else len(cells)} cells, the first row has {len(header)}"
        raise ValueError(msg)
    for place, (name, cell) in enumerate(zip(header, cells, strict=False)):
        if place and not name and cell.strip():
            msg = f"its value {cell!r} is in column {place + 1}, which has no name in the first row"
            raise ValueError(msg)


def read_rows(stream: TextIO) -> Iterator[tuple[int, list[str]]]:
    """The rows of a table that hold anything, each with its 1-based line number.

    Args:
        stream: of :func:`open_table`.

    Raises:
        csv.Error: if a row cannot be read.
        UnicodeDecodeError: if the text is not in its encoding.
    """
    line = next((text for text in iter(stream.readline, "") if text.strip()), "")
    delimiter = find_delimiter(line)
    stream.seek(0)
    reader = csv.reader(stream, delimiter=delimiter)
    for row in reader:
        is_hint = reader.line_num == 1 and "".join(row).strip().lower() == "sep="  # Excel's own line
        if any(map(str.strip, row)) and not is_hint:
            yield reader.line_num, row
