"""Finds a release's folders and tables where users have unpacked them, and says which are missing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from fedn_lightning.datasets.base import RepairLog
from fedn_lightning.errors import AnnotationError, CorpusNotFoundError, VideoError
from fedn_lightning.events import Video
from fedn_lightning.video.media import probe


def not_found(corpus: str, root: str | Path, missing: str, source: str) -> CorpusNotFoundError:
    """The error for a data set that is not there.

    Args:
        corpus: the release's name as its authors write it.
        root: where it was looked for.
        missing: what was looked for in `root`.
        source: how to get it.
    """
    where = Path(root).absolute()
    state = "which does not exist" if not where.is_dir() else f"which holds no {missing}"
    return CorpusNotFoundError(
        f"{corpus} was looked for in {where}, {state}. {source} data/README.md shows the layout. "
        "experiments/synthetic.yaml needs no data set: it trains on a generated corpus."
    )


def _places(root: str | Path) -> Iterator[Path]:
    """`root` itself, then its sub-folders: archives unpack with or without a folder of their own."""
    base = Path(root)
    yield base
    if base.is_dir():
        yield from sorted(entry for entry in base.iterdir() if entry.is_dir() and not entry.name.startswith("."))


def find_folder(root: str | Path, *names: str) -> Path | None:
    """The first folder called one of `names` (any case) in `root` or one level below; None if there is none."""
    wanted = [name.lower() for name in names]
    for place in _places(root):
        entries = sorted(place.iterdir()) if place.is_dir() else []
        for name in wanted:
            for entry in entries:
                if entry.is_dir() and entry.name.lower() == name:
                    return entry
    return None


def find_table(root: str | Path, *endings: str) -> Path | None:
    """The annotation table whose name ends in one of `endings` (any case), in `root` or one level below.

    Raises:
        AnnotationError: if there are several and it is unclear which is meant.
    """
    for place in _places(root):
        for ending in endings:
            found = [
                entry
                for entry in (sorted(place.iterdir()) if place.is_dir() else [])
                # "~$" starts the lock file that a spreadsheet program leaves beside an open workbook.
                if entry.is_file() and entry.name.lower().endswith(ending.lower()) and not entry.name.startswith("~$")
            ]
            if len(found) > 1:
                names = ", ".join(entry.name for entry in found)
                msg = f"{place} holds several annotation tables ({names}). Leave the one to be used."
                raise AnnotationError(msg)
            if found:
                return found[0]
    return None


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


def open_folder(dataset: str, subject: str, name: str, path: Path, fps: float, log: RepairLog) -> Video | None:
    """A folder as a video; if it holds no frames, adds it to the log and returns None."""
    try:
        header = probe(path)
    except VideoError as error:
        log.unusable(str(path), 0, "the video cannot be opened", str(error))
        return None
    return Video(dataset, subject, name, str(path), fps, header.first_frame, header.n_frames)
