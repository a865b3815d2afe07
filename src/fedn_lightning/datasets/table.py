"""Anyone's own videos: a folder per subject and one table. Also the example of how a reader is written."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path

from fedn_lightning.datasets.base import MICRO_SECONDS, Annotation, RepairLog
from fedn_lightning.datasets.release import not_found
from fedn_lightning.errors import AnnotationError, ConfigError, VideoError
from fedn_lightning.events import EXPRESSION_TYPES, ExpressionType, Video
from fedn_lightning.utils.text import (
    as_number,
    check_cells,
    normal_form,
    open_table,
    other_spellings,
    read_rows,
    repeated_name,
)
from fedn_lightning.video.media import VIDEO_SUFFIXES, probe

NAME = "A corpus of your own"
SOURCE = "Lay it out as docs/own_data.md shows."
TABLE, VIDEOS = "annotations.csv", "videos"
COLUMNS = ("subject", "video", "onset", "offset")
OPTIONAL = ("apex", "type", "emotion", "emotion_self", "action_units")


def read_csv(
    root: str, log: RepairLog, fps: float | str = 0, first_frame: int | str = 1
) -> tuple[list[Video], list[Annotation]]:
    """Reads `videos/<subject>/<video>.mp4` (or a folder of images) and `annotations.csv`.

    Args:
        root: folder with both.
        log: collects repairs, and what cannot be used.
        fps: frame rate of folders of images, which do not know their own.
        first_frame: number that the table gives to the first frame of a video file: 1 or 0. A folder's images have
            their own numbers.

    Returns:
        Every video of the folder, annotated or not, and the rows. A row without a type has that of its duration.

    Raises:
        CorpusNotFoundError: if the table or the videos are not there.
        AnnotationError: if the table or a row cannot be used.
        ConfigError: if a policy does not exist.
    """
    rate, first = as_number(fps), as_number(first_frame)
    if rate is None or rate < 0 or first not in (0, 1):
        raise ConfigError(f"fps must be a number and first_frame 0 or 1, got {fps!r} and {first_frame!r}.")
    table, folder = Path(root) / TABLE, Path(root) / VIDEOS
    if not table.is_file() or not folder.is_dir():
        raise not_found(NAME, root, f"{TABLE} beside a folder {VIDEOS}", SOURCE)
    videos = {video.key: video for video in _videos(folder, rate, int(first), log)}
    return list(videos.values()), list(_annotations(table, videos, log))


def _videos(folder: Path, fps: float, first: int, log: RepairLog) -> Iterator[Video]:
    """Every video file or folder of images, one level below its subject's folder."""
    seen: dict[str, Path] = {}
    for path in sorted(folder.glob("*/*")):
        if path.name.startswith(".") or not (path.is_dir() or path.suffix.lower() in VIDEO_SUFFIXES):
            continue
        name = normal_form(path.name if path.is_dir() else path.stem)
        subject = normal_form(path.parent.name)
        key = f"{subject}/{name}"
        if key in seen:
            log.unusable(str(path), 0, f"another path has the same video name, {key}", str(seen[key]))
            continue
        seen[key] = path
        try:
            header = probe(path)
            if path.is_dir() and not fps:
                raise VideoError(f"{path} is a folder of images; set the policy fps to the rate they were taken at.")
        except VideoError as error:
            log.unusable(str(path), 0, "the video cannot be opened", str(error))
            continue
        number = header.first_frame if path.is_dir() else first
        yield Video("csv", subject, name, str(path), header.fps or fps, number, header.n_frames)


def _annotations(table: Path, videos: dict[str, Video], log: RepairLog) -> Iterator[Annotation]:
    """The rows of the table."""
    for number, row, why in _rows(table):
        if why:
            log.unusable(str(table), number, why, _shown(row))
            continue
        key = f"{row['subject']}/{row['video']}"
        video = find_video(key, videos)
        onset, offset, apex = (as_number(row.get(column, "")) for column in ("onset", "offset", "apex"))
        if video is None:
            near = other_spellings(key, videos)
            hint = f", which could mean {' or '.join(near)}" if near else ""
            log.unusable(str(table), number, f"there is no usable video {key} below {VIDEOS}{hint}", _shown(row))
            continue
        kind = _type(row.get("type", ""), onset, offset, video.fps)
        if onset is None or kind is None or (row["offset"] and offset is None):
            why = "onset and offset must be frames, and the type macro, micro or empty"
            log.unusable(str(table), number, why, _shown(row))
            continue
        yield Annotation(
            file=str(table),
            row=number,
            video=video,
            onset=onset,
            apex=apex,
            offset=offset,
            type=kind,
            emotion=row.get("emotion", "").lower(),
            emotion_self=row.get("emotion_self", "").lower() or None,
            action_units=row.get("action_units", ""),
        )


def find_video(key: str, videos: Mapping[str, Video]) -> Video | None:
    """The video that a row names, also with the suffix of its file or other leading zeros, if it is the only one.

    Args:
        key: `subject/video` as the table has it.
        videos: by `subject/video`.
    """
    if key in videos:
        return videos[key]
    near = other_spellings(key, videos)
    return videos[near[0]] if len(near) == 1 else None


def _rows(table: Path) -> Iterator[tuple[int, dict[str, str], str]]:
    """Each row's number in the file, its cells by column, and why it cannot be used, if so."""
    try:
        with open_table(table) as file:
            rows = read_rows(file)
            header = [name.strip().lower() for name in next(rows, (0, []))[1]]
            missing = [column for column in COLUMNS if column not in header]
            if missing:
                needed = f"it needs {', '.join(COLUMNS)} and may have {', '.join(OPTIONAL)}"
                raise AnnotationError(f"{table} lacks the column {missing[0]}; {needed}.")
            if twice := repeated_name(header):
                raise AnnotationError(f"{table} has two columns {twice}; leave one of them.")
            for number, cells in rows:
                row = dict.fromkeys(header, "") | {n: normal_form(c) for n, c in zip(header, cells, strict=False)}
                try:
                    check_cells(cells, header)
                    why = ""
                except ValueError as error:
                    why = str(error)
                yield number, row, why
    except (OSError, UnicodeError, csv.Error) as error:
        raise AnnotationError(f"{table} cannot be read as a CSV table in UTF-8 or UTF-16: {error}.") from None


def _shown(row: dict[str, str]) -> str:
    return ", ".join(row.values())


def _type(word: str, onset: float | None, offset: float | None, fps: float) -> ExpressionType | None:
    """The type that a row names, or by duration if it names none; None if it is neither.

    >>> _type("Micro", 1, 99, 30), _type("", 1, 15, 30), _type("", 1, 60, 30), _type("both", 1, 2, 30)
    ('micro', 'micro', 'macro', None)
    """
    if not word:
        short = onset is not None and offset is not None and offset - onset + 1 <= MICRO_SECONDS * fps + 0.5
        return "micro" if short else "macro"
    return next((kind for kind in EXPRESSION_TYPES if kind == word.lower()), None)
