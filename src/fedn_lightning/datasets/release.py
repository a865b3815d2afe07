"""Finds a release's folders and tables where users have unpacked them, and reads their spreadsheets."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from fedn_lightning.datasets.base import RepairLog
from fedn_lightning.errors import AnnotationError, CorpusNotFoundError, VideoError
from fedn_lightning.events import Video
from fedn_lightning.utils.text import as_text, repeated_name
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
                raise AnnotationError(f"{place} holds several annotation tables ({names}). Leave the one to be used.")
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


Row = tuple[int, list[object]]
"""A row of a sheet: its 1-based number and its cells."""


def read_sheet(path: str | Path, sheet: int | str = 0) -> list[Row]:
    """Reads one sheet of an .xls or .xlsx workbook.

    Args:
        path: the workbook.
        sheet: 0-based position, or the sheet's name.

    Returns:
        The rows that hold anything, each with its 1-based row number. Numbers arrive as `float`, empty and merged
        cells as `""`.

    Raises:
        AnnotationError: if the file is not a workbook, or has no such sheet.
    """
    import python_calamine  # imported here, so that commands without a workbook start faster

    try:
        workbook = python_calamine.CalamineWorkbook.from_path(str(path))
        names = workbook.sheet_names
        name = sheet if isinstance(sheet, str) else names[sheet]
        if name not in names:
            raise IndexError(name)
        # Leading empty rows must stay, or every row number in a message would be wrong.
        rows = workbook.get_sheet_by_name(name).to_python(skip_empty_area=False)
    except IndexError:
        which = f"named {sheet!r}" if isinstance(sheet, str) else f"number {sheet + 1}"
        msg = f"{path} has no sheet {which}; its sheets are {', '.join(names)}. Is it the release's own workbook?"
        raise AnnotationError(msg) from None
    except (python_calamine.CalamineError, OSError) as error:
        msg = f"{path} cannot be read as a spreadsheet ({error}). Unpack the release's own .xls or .xlsx file there."
        raise AnnotationError(msg) from None
    return [(number, list(cells)) for number, cells in enumerate(rows, start=1) if any(as_text(cell) for cell in cells)]


def pad(cells: list[object], width: int) -> list[object]:
    """Exactly `width` cells: sheets leave out empty cells at the right end.

    >>> pad([1.0], 3)
    [1.0, '', '']
    """
    return (cells + [""] * width)[:width]


HEADER_WITHIN = 30
"""Rows in which a table's header is looked for: releases put notes above it."""


def read_table(path: str | Path, sheet: int | str, columns: tuple[str, ...]) -> list[tuple[int, dict[str, object]]]:
    """Reads the rows below a header.

    Args:
        path: the workbook.
        sheet: 0-based position, or the sheet's name.
        columns: names that the header must have; compared stripped and in lower case.

    Returns:
        Each row's 1-based number and its cells by column name, in lower case.

    Raises:
        AnnotationError: if the workbook cannot be read or has no such header.
    """
    rows = read_sheet(path, sheet)
    wanted = {column.lower() for column in columns}
    for position, (_, cells) in enumerate(rows[:HEADER_WITHIN]):
        names = [as_text(cell).lower() for cell in cells]
        if wanted <= set(names):
            if (twice := repeated_name(names)) in wanted:
                raise AnnotationError(f"{path} has two columns {twice}; leave one of them.")
            return [
                (number, dict(zip(names, pad(row, len(names)), strict=True))) for number, row in rows[position + 1 :]
            ]
    msg = f"{path} has no header row with the columns {', '.join(columns)} in its first {HEADER_WITHIN} rows."
    raise AnnotationError(msg)
