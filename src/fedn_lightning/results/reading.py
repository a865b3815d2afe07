"""Reads predictions, truths and video lists, and all tables of a run or of pooled folds with one set of names."""

from __future__ import annotations

import csv
import itertools
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fedn_lightning.errors import PredictionFileError
from fedn_lightning.events import NO_EMOTION, EventTable, FloatArray, to_half_open
from fedn_lightning.results.names import (
    CHALLENGE_COLUMNS,
    CHECKSUMS,
    OFFSET_KNOWN,
    PREDICTIONS,
    PROPOSALS,
    RESULT,
    SCORES,
    TABLES,
    TRUTH,
    TYPES,
    VIDEOS,
    Format,
    Names,
)
from fedn_lightning.utils.files import checksum
from fedn_lightning.utils.text import check_cells, normal_form, open_table, read_rows, repeated_name, to_float

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
            self._stream = open_table(self.path)
        except OSError as error:
            raise PredictionFileError(f"{self.path} cannot be read: {error.strerror or error}.") from error
        self._line = 0
        self._reader = self._rows()
        self.header = [name.strip().lower() for name in next(self._reader, ([], 0))[0]]
        if not self.header:
            self._stream.close()
            raise PredictionFileError(f"{self.path} is empty; its first row must name the columns.")
        if twice := repeated_name(self.header):
            self._stream.close()
            raise PredictionFileError(f"{self.path} has two columns {twice}; leave one of them.")
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def blocks(self) -> Iterator[tuple[list[list[str]], list[int]]]:
        """Blocks of rows with their row numbers; blank rows are passed over."""
        while block := list(itertools.islice(self._reader, _BLOCK)):
            yield [row for row, _ in block], [line for _, line in block]

    def _rows(self) -> Iterator[tuple[list[str], int]]:
        try:
            for line, row in read_rows(self._stream):
                self._line = line
                yield row, line
        except (csv.Error, UnicodeError) as error:
            msg = f"{self.path}, after row {self._line}: this is not CSV text in UTF-8 or UTF-16 ({error})."
            raise PredictionFileError(msg) from error


def require(header: Sequence[str], required: Sequence[str], path: str) -> dict[str, int]:
    """Positions of the required columns.

    Raises:
        PredictionFileError: if one is missing.
    """
    missing = [name for name in required if name not in header]
    if missing:
        hint = " Separate columns by commas, semicolons or tabs." if len(header) == 1 and len(header[0]) > 20 else ""
        msg = f"{path} lacks the column {', '.join(missing)}; its first row has {', '.join(header)}.{hint}"
        raise PredictionFileError(msg)
    return {name: header.index(name) for name in required}


def number(text: str, column: str) -> float:
    """A finite number.

    Raises:
        ValueError: with the reason, naming the column.
    """
    try:
        value = to_float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"the {column} {text!r} is not a number")
    return value


_ALIASES = {"vid": "video", "pred_onset": "onset", "pred_offset": "offset"}
_OPTIONAL = ("emotion", *SCORES)


@dataclass(frozen=True, slots=True)
class SkippedRow:
    """A row that could not be used: 1-based row of the file (the header is row 1) and the reason."""

    row: int
    reason: str


@dataclass(frozen=True)
class EventFile:
    """What a file held."""

    path: str  # the file
    format: Format  # as the header gives it
    events: EventTable  # the usable rows, in order
    set_aside: tuple[SkippedRow, ...]  # the others; empty unless read leniently
    duplicates: int  # number of rows that repeat an earlier row exactly; they are kept
    has_emotion: bool  # whether there is an emotion column


def read_events(path: str | Path, names: Names, *, truth: bool = False, lenient: bool = False) -> EventFile:
    """Reads predictions or truths.

    Args:
        path: a CSV file, UTF-8.
        names: gains the names that occur. Read a video list first, then the truths, then the predictions: a file
            without subjects finds its videos among those already named.
        truth: whether the rows are truths; a score column is then not looked at, and `offset_known` (1 or 0) may tell
            whose offset is unknown.
        lenient: set unusable rows aside instead of refusing the file.

    Raises:
        PredictionFileError: if the file cannot be read, a column is missing, or (unless lenient) a row cannot be used:
            the message names file and row.
    """
    with Table(path) as table:
        layout = _Layout.of(table.header, str(path), truth)
        blocks: list[FloatArray] = []
        aside: list[SkippedRow] = []
        for rows, lines in table.blocks():
            good, bad = _parse(rows, lines, layout, names)
            if bad and not lenient:
                msg = f"{path}, row {bad[0].row}: {bad[0].reason}. Mend the row, or set such rows aside with --lenient."
                raise PredictionFileError(msg)
            blocks.append(good)
            aside += bad
    grid = np.concatenate(blocks) if blocks else np.empty((0, len(EventTable.COLUMNS)))
    return EventFile(
        path=str(path),
        format=layout.format,
        events=EventTable.from_rows(grid),
        set_aside=tuple(aside),
        duplicates=count_duplicates(grid),
        has_emotion="emotion" in layout.columns,
    )


def read_videos(path: str | Path, names: Names) -> float:
    """Reads the list of all videos (`subject, video, n_frames, fps`) and closes the names.

    Args:
        path: a CSV file.
        names: gains every video of the list.

    Returns:
        Duration of all videos in minutes.

    Raises:
        PredictionFileError: if the file or a row cannot be used.
    """
    minutes = 0.0
    with Table(path) as table:
        place = require(table.header, ("subject", "video", "n_frames", "fps"), str(path))
        for row, line in itertools.chain.from_iterable(zip(*block, strict=True) for block in table.blocks()):
            try:
                check_cells(row, table.header)
                n_frames, fps = (number(row[place[key]], key) for key in ("n_frames", "fps"))
                if n_frames <= 0 or fps <= 0:
                    raise ValueError(f"n_frames and fps must be positive, got {n_frames:g} and {fps:g}")
                key = (normal_form(row[place["subject"]]), normal_form(row[place["video"]]))
                if key in names.videos:
                    raise ValueError(f"video {key[1]!r} of subject {key[0]!r} is listed twice")
            except ValueError as error:
                raise PredictionFileError(f"{path}, row {line}: {error}.") from error
            names.add(key)
            names.lengths[key] = (round(n_frames), fps)
            minutes += n_frames / fps / 60
    names.closed_by = str(path)
    return minutes


def count_duplicates(grid: FloatArray) -> int:
    """Number of rows of `(N, K)` that repeat another row exactly.

    >>> count_duplicates(np.array([[1.0, 2.0], [3.0, 2.0], [1.0, 2.0], [1.0, 2.0]]))
    2
    """
    ordered = grid[np.lexsort(grid.T)]
    return int((ordered[1:] == ordered[:-1]).all(axis=1).sum())


@dataclass(frozen=True)
class _Layout:
    """Where a file's columns are."""

    format: Format
    columns: dict[str, int]
    header: Sequence[str]

    @classmethod
    def of(cls, header: Sequence[str], path: str, truth: bool) -> _Layout:
        file_format: Format = "fedn"
        required: tuple[str, ...] = ("subject", "video", "onset", "offset", "type")
        if "vid" in header:
            file_format, required = "megc", CHALLENGE_COLUMNS["megc"]
        elif "type" not in header and sorted(header) == sorted(CHALLENGE_COLUMNS["str"]):
            file_format, required = "str", CHALLENGE_COLUMNS["str"]
        place = require(header, required, path)
        place |= {name: header.index(name) for name in _OPTIONAL if name in header}
        if truth:
            place = {name: at for name, at in place.items() if name not in SCORES}
            if OFFSET_KNOWN in header:
                place[OFFSET_KNOWN] = header.index(OFFSET_KNOWN)
        return cls(file_format, {_ALIASES.get(name, name): at for name, at in place.items()}, header)


def _parse(
    rows: list[list[str]], lines: list[int], layout: _Layout, names: Names
) -> tuple[FloatArray, list[SkippedRow]]:
    """A block of rows as `(N, 9)` numbers, and the rows that are none."""
    fast = _parse_block(rows, layout, names)
    if fast is not None:
        return fast, []
    good: list[FloatArray] = []
    bad: list[SkippedRow] = []
    for row, line in zip(rows, lines, strict=True):
        try:
            good.append(_parse_row(row, layout, names))
        except ValueError as error:
            bad.append(SkippedRow(line, str(error)))
    return np.array(good, np.float64).reshape(-1, len(EventTable.COLUMNS)), bad


def _parse_block(rows: list[list[str]], layout: _Layout, names: Names) -> FloatArray | None:
    """A block column by column; None if anything is amiss, so that :func:`_parse_row` can say what."""
    unnamed = [at for at, name in enumerate(layout.header) if at and not name]
    if any(len(row) != len(layout.header) or any(row[at] for at in unnamed) for row in rows):
        return None
    columns = {name: [row[at] for row in rows] for name, at in layout.columns.items()}
    try:
        numbers = {
            name: np.array(columns[name], np.float64)
            for name in ("onset", "offset", *SCORES, OFFSET_KNOWN)
            if name in columns
        }
        kinds = {name: TYPES[name.strip().lower()] for name in set(columns.get("type", ()))}
        plain = all("".join(columns[name]).isascii() and "_" not in "".join(columns[name]) for name in numbers)
        finite = plain and all(np.isfinite(column).all() for column in numbers.values())
        if not finite or (numbers["offset"] < numbers["onset"]).any():
            return None
        # Names come last: a row that is set aside must not leave its video behind.
        keys = list(zip(columns.get("subject", [None] * len(rows)), columns["video"], strict=True))
        known = {key: names.video(*key) for key in sorted(set(keys), key=str)}
    except (ValueError, KeyError):
        return None
    emotions = {name: names.emotion(name) for name in sorted(set(columns.get("emotion", ())))}
    one = np.ones(len(rows))
    start, end = to_half_open(0, 0)  # what is added to an onset and to an offset
    return np.stack(
        [
            *np.array([known[key] for key in keys], np.float64).T,
            numbers["onset"] + start,
            numbers["offset"] + end,
            np.array([kinds[name] for name in columns["type"]]) if "type" in columns else one * TYPES["micro"],
            np.array([emotions[name] for name in columns["emotion"]]) if "emotion" in columns else one * NO_EMOTION,
            numbers.get("score", one),
            numbers.get("emotion_score", one),
            numbers.get(OFFSET_KNOWN, one),
        ],
        axis=1,
    )


def _parse_row(row: Sequence[str], layout: _Layout, names: Names) -> FloatArray:
    """One row as 9 numbers.

    Raises:
        ValueError: with the reason, if it is none.
    """
    check_cells(row, layout.header)
    cell = {name: row[at] for name, at in layout.columns.items()}
    onset, offset = number(cell["onset"], "onset"), number(cell["offset"], "offset")
    if offset < onset:
        raise ValueError(f"the offset {offset:g} is before the onset {onset:g}")
    kind = cell.get("type", "micro").strip().lower()
    if kind not in TYPES:
        raise ValueError(f"the type {cell['type']!r} is not known; write macro or micro")
    scores = [number(cell[name], name) if name in cell else 1.0 for name in (*SCORES, OFFSET_KNOWN)]
    place = names.video(cell.get("subject"), cell["video"])
    emotion = names.emotion(cell.get("emotion", ""))
    return np.array([*place, *to_half_open(onset, offset), TYPES[kind], emotion, *scores])


@dataclass(frozen=True)
class RunTables:
    """The tables of a run."""

    names: Names  # of subjects, videos and emotions; a video list has closed them
    minutes: float  # duration of all videos
    truths: EventFile  # annotated expressions
    predicted: EventFile  # proposals with a score of at least the thresholds
    proposals: EventFile  # every proposal


def read_run_tables(folder: Path, truth: Path | None = None, proposals: str = PROPOSALS) -> RunTables:
    """Reads `videos.csv`, `truth.csv`, `predictions.csv` and `proposals.csv`.

    Args:
        folder: of a run, or of pooled folds.
        truth: truths to read instead of the folder's own.
        proposals: name of the file of all proposals.

    Raises:
        PredictionFileError: if a file or a row cannot be used.
    """
    check_unchanged(folder, (VIDEOS, PREDICTIONS, proposals, *([] if truth else [TRUTH])))
    # Always in this order, so that an emotion has the same index in every command.
    names = Names()
    minutes = read_videos(folder / VIDEOS, names)
    truths = read_events(truth or folder / TRUTH, names, truth=True)
    predicted = read_events(folder / PREDICTIONS, names)
    return RunTables(names, minutes, truths, predicted, read_events(folder / proposals, names))


def check_unchanged(folder: Path, tables: Sequence[str]) -> None:
    """Compares tables with the checksums that the run left in `result.json`; folders without checksums pass.

    Raises:
        PredictionFileError: naming the table that has changed.
    """
    try:
        result = json.loads((folder / RESULT).read_text(encoding="utf-8"))
        stored = dict(result.get(CHECKSUMS) or {})
    except (OSError, ValueError, TypeError, AttributeError):
        return  # readers of the result say so
    for name in tables:
        if name in stored and (folder / name).is_file() and checksum(folder / name) != stored[name]:
            raise PredictionFileError(
                f"{folder / name} has changed since the run wrote it (its checksum is in {RESULT}). Put the file back, "
                "or score it as it is with fedn evaluate."
            )


def find_run(folder: Path, needed: Sequence[str] = TABLES) -> Path:
    """The folder with the predictions: `folder` itself, or the only pooled one in it or in an experiment below it.

    Args:
        folder: of a run, of pooled folds, of an experiment (`runs/<name>/<hash>`), or `runs/<name>`.
        needed: files that must be there.

    Raises:
        PredictionFileError: if there is none, or more than one.
    """
    candidates = [folder, *sorted(folder.glob("pooled-*")), *sorted(folder.glob("*/pooled-*"))]
    complete = [path for path in candidates if all((path / name).is_file() for name in needed)]
    if len(complete) == 1:
        return complete[0]
    if complete:
        inside = ", ".join(str(path.relative_to(folder)) for path in complete)
        msg = f"{folder} holds several results ({inside}); name one of them."
    else:
        msg = f"{folder} holds no result of a run: {', '.join(needed)} must be there."
    raise PredictionFileError(msg)
