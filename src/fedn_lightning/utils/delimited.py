"""Delimited text as spreadsheet programs write it: comma, semicolon or tab, UTF-8 or UTF-16, empty rows."""

from __future__ import annotations

import csv
from collections.abc import Iterator
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
