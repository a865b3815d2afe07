"""Two spellings of one name: Unicode forms, leading zeros, the suffix of a video file."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

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
