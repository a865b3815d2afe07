"""Videos that lie as folders of numbered images, in releases of long videos."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from fedn_lightning.corpora.annotations import Ledger
from fedn_lightning.corpora.media import probe
from fedn_lightning.errors import VideoError
from fedn_lightning.events import Video

DEEPEST = 4
"""Levels below the root in which the videos' parent is looked for."""


def find_parents(root: str | Path, pattern: str) -> list[Path]:
    """The folders, nearest to the root first, in which a sub-folder's whole name matches (any case)."""
    wanted = re.compile(pattern, re.IGNORECASE)
    level, found = [Path(root)], []
    for _ in range(DEEPEST + 1):
        below = [entry for place in level for entry in _folders(place)]
        found += [place for place in level if any(wanted.fullmatch(entry.name) for entry in _folders(place))]
        if found:
            return found
        level = below
    return []


def _folders(place: Path) -> list[Path]:
    if not place.is_dir():
        return []
    return sorted(entry for entry in place.iterdir() if entry.is_dir() and not entry.name.startswith("."))


def matching(place: Path, pattern: str) -> Iterator[Path]:
    """The sub-folders of a folder whose whole name matches (any case), by name."""
    wanted = re.compile(pattern, re.IGNORECASE)
    return (entry for entry in _folders(place) if wanted.fullmatch(entry.name))


def open_folder(dataset: str, subject: str, name: str, path: Path, fps: float, ledger: Ledger) -> Video | None:
    """A folder as a video; noted in the ledger and None if it holds no frames."""
    try:
        header = probe(path)
    except VideoError as error:
        ledger.unusable(str(path), 0, "the video cannot be opened", str(error))
        return None
    return Video(dataset, subject, name, str(path), fps, header.first_frame, header.n_frames)
