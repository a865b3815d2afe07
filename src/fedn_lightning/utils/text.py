"""Text that users write: spellings of names, single values, and delimited tables."""

from __future__ import annotations

import csv
import math
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TextIO

from fedn_lightning.errors import ConfigError

VIDEO_SUFFIXES = (
    ".avi", ".mp4", ".mkv", ".mov", ".m4v", ".webm", ".wmv", ".mts", ".m2ts", ".mpg", ".mpeg", ".ts", ".3gp", ".flv",
    ".vob", ".ogv", ".mxf",
)  # fmt: skip
"""Endings of file names that are taken for videos, lower case."""


def normal_form(name: str) -> str:
    """A name as it is kept: without spaces around it, in composed Unicode (NFC).

    macOS writes file names decomposed; both forms look alike, so nobody can mean one of them alone.

    >>> len(normal_form(" u" + chr(0x308)))
    1
    """
    return unicodedata.normalize("NFC", name).strip()


def loose_form(name: str) -> str:
    """What different spellings of a name have in common: no suffix of a video, no leading zeros, lower case.

    >>> loose_form("Base.mp4"), loose_form("s007"), loose_form("s7"), loose_form("1.5")
    ('base', 's7', 's7', '1.5')
    """
    name = normal_form(name).casefold()
    if name.endswith(VIDEO_SUFFIXES):
        name = name.rpartition(".")[0]
    return re.sub(r"(?<![0-9.])0+(?=[0-9])", "", name)


def other_spellings(name: str, known: Iterable[str]) -> list[str]:
    """The known names that `name` could be another spelling of, sorted.

    >>> other_spellings("07", ["7", "17", "007"])
    ['007', '7']
    """
    wanted = loose_form(name)
    return sorted(other for other in known if loose_form(other) == wanted)


def check_choice(key: str, value: str, choices: Iterable[str]) -> None:
    """Refuses a policy that does not exist.

    Raises:
        ConfigError: naming the key and the choices.
    """
    allowed = tuple(choices)
    if value not in allowed:
        raise ConfigError(f"{key} is {value!r}; it must be one of {', '.join(allowed)}.")


def as_text(cell: object) -> str:
    """A cell as stripped text in composed Unicode; a whole number loses the `.0` that spreadsheets give it.

    >>> as_text(15.0), as_text(" 0101 "), as_text(None)
    ('15', '0101', '')
    """
    if cell is None:
        return ""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return normal_form(str(cell))


def decimal_point(text: str) -> str:
    """A number with a decimal comma as one with a point; `1,234` stays, which could mean 1.234 or 1234.

    >>> [decimal_point(text) for text in ("12,5", "1,234", "12.5", "a,b")]
    ['12.5', '1,234', '12.5', 'a,b']
    """
    decimal = re.fullmatch(r"[+-]?\d+,(\d+)", text.strip())
    return text.replace(",", ".") if decimal and len(decimal[1]) != 3 else text


def to_float(text: str) -> float:
    """A number in ASCII digits; Python itself also takes `1_0` for 10, and the digits of every script.

    Raises:
        ValueError: if it is none.

    >>> to_float("12,5"), to_float("-1e3")
    (12.5, -1000.0)
    """
    if "_" in text or not text.strip().isascii():
        raise ValueError(text)
    return float(decimal_point(text))


def as_number(cell: object) -> float | None:
    """A cell as a finite number, also where the release stores numbers as text; None if it is none.

    >>> as_number("38"), as_number(2.5), as_number("n/a"), as_number("2,5")
    (38.0, 2.5, None, 2.5)
    """
    try:
        number = to_float(as_text(cell))
    except ValueError:
        return None
    return number if math.isfinite(number) else None


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
            raise ValueError(f"its value {cell!r} is in column {place + 1}, which has no name in the first row")


def read_rows(stream: TextIO) -> Iterator[tuple[int, list[str]]]:
    """The rows of a table that hold anything, each with its 1-based line number.

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


def timecode(seconds: float) -> str:
    """Hours, minutes, seconds and milliseconds, rounded.

    >>> timecode(3723.4567), timecode(59.9996)
    ('01:02:03.457', '00:01:00.000')
    """
    whole, milliseconds = divmod(round(seconds * 1000), 1000)
    minutes, second = divmod(whole, 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours:02}:{minute:02}:{second:02}.{milliseconds:03}"
