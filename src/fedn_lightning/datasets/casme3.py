"""CAS(ME)^3 part A: 956 videos of 98 annotated subjects at 30 fps, RGB (and depth, not read).

Li et al., "CAS(ME)^3: a third generation facial spontaneous micro-expression database with depth information and high
ecological validity", IEEE Transactions on Pattern Analysis and Machine Intelligence 45(3), 2023.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal, get_args

from fedn_lightning.datasets.base import Annotation, RepairLog
from fedn_lightning.datasets.release import find_parents, find_table, matching, not_found, open_folder, read_table
from fedn_lightning.errors import ConfigError
from fedn_lightning.events import ExpressionType, Video
from fedn_lightning.utils.text import as_number, as_text, check_choice
from fedn_lightning.video.media import numbered_images

NAME = "CAS(ME)^3 part A"
SOURCE = (
    "It is released by the Institute of Psychology, Chinese Academy of Sciences, after a licence agreement signed by "
    "a staff member of your institution: http://casme.psych.ac.cn/casme/e4."
)
FPS = 30.0
TABLE_ENDINGS = ("part_a_v2.xls", "part_a_v2.xlsx")
TABLE_SHEET = "AU+Emotion"
EMOTION_ENDINGS = ("part_a_me_label_jpgindex_v2.xlsx",)
EMOTION_SHEET = "label"
COLUMNS = ("Subject", "Filename", "Onset", "Apex", "Offset", "AU", "Expression type")
TYPES: dict[str, ExpressionType] = {"macro-expression": "macro", "micro-expression": "micro"}
SUBJECT_FOLDER, VIDEO_FOLDER, COLOUR = r"spNO\.\d+", r"[a-z]+\d*", "color"

AcrossGap = Literal["keep", "drop"]
VideoId = tuple[str, str]
"""Subject and letter of a video in lower case: the folder's case differs from the table's now and then."""


def read_casme3(
    root: str, log: RepairLog, max_length: int | str = 0, across_gap: AcrossGap = "keep"
) -> tuple[list[Video], list[Annotation]]:
    """Reads part A of CAS(ME)^3 as it was unpacked.

    Args:
        root: folder with `part_A/data/part_A/spNO.1/a/color/0.jpg` and so on, `CAS(ME)3_part_A_v2.xls`, and for the
            emotions of micro-expressions `cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx`.
        log: collects repairs, and what cannot be used.
        max_length: micro-expressions longer than so many frames are dropped; 0 keeps all, up to more than 200 frames.
        across_gap: folders miss frames; expressions during which one is missing: `keep` or `drop`.

    Returns:
        Subjects `spNO.1`, videos `a`. Frames count from each folder's first number, which may be above 0. `emotion` of
        micro-expressions from the second workbook; macro-expressions have none.

    Raises:
        CorpusNotFoundError: if the workbook or the videos are not there.
        AnnotationError: if the workbook is not the release's, or a row cannot be used.
        ConfigError: if a policy does not exist.
    """
    check_choice("across_gap", across_gap, get_args(AcrossGap))
    longest = as_number(max_length)
    if longest is None or longest < 0:
        raise ConfigError(f"max_length is {max_length!r}; it must be a number of frames, 0 for no limit.")
    table = find_table(root, *TABLE_ENDINGS)
    if table is None:
        raise not_found(NAME, root, "workbook named CAS(ME)3_part_A_v2.xls", SOURCE)
    videos = _videos(root, log)
    rows = _annotations(table, videos, _emotions(root), log)
    return list(videos.values()), list(_kept(rows, log, longest, across_gap))


def _videos(root: str, log: RepairLog) -> dict[VideoId, Video]:
    """The folders `spNO.1/a/color` of frames."""
    parents = find_parents(root, SUBJECT_FOLDER)
    if not parents:
        raise not_found(NAME, root, "folders of frames (part_A/data/part_A/spNO.1/a/color/0.jpg)", SOURCE)
    videos: dict[VideoId, Video] = {}
    for subject in matching(parents[0], SUBJECT_FOLDER):
        for folder in matching(subject, VIDEO_FOLDER):
            video = open_folder("casme3", subject.name, folder.name, folder / COLOUR, FPS, log)
            if video:
                videos[subject.name.lower(), folder.name.lower()] = video
    return videos


def _emotions(root: str) -> dict[tuple[VideoId, float | None], str]:
    """Emotion of micro-expressions by video and onset; empty without the second workbook."""
    table = find_table(root, *EMOTION_ENDINGS)
    if table is None:
        return {}
    rows = read_table(table, EMOTION_SHEET, ("Subject", "Filename", "Onset", "emotion"))
    return {(_video_id(cells), as_number(cells["onset"])): as_text(cells["emotion"]).lower() for _, cells in rows}


def _video_id(cells: dict[str, object]) -> VideoId:
    return as_text(cells["subject"]).lower(), as_text(cells["filename"]).lower()


def _annotations(
    table: Path, videos: dict[VideoId, Video], emotions: dict[tuple[VideoId, float | None], str], log: RepairLog
) -> Iterator[Annotation]:
    """The rows whose video is there; all cells are text."""
    for number, cells in read_table(table, TABLE_SHEET, COLUMNS):
        key = _video_id(cells)
        video, kind = videos.get(key), TYPES.get(as_text(cells["expression type"]).lower())
        onset, apex, offset = (as_number(cells[column]) for column in ("onset", "apex", "offset"))
        seen = ", ".join(as_text(cells[column.lower()]) for column in COLUMNS)
        if video is None:
            log.unusable(str(table), number, "there is no usable video for it", seen)
            continue
        if onset is None or kind is None:
            log.unusable(str(table), number, "type or onset are not as expected", seen)
            continue
        yield Annotation(
            file=str(table),
            row=number,
            video=video,
            onset=onset,
            apex=apex or None,
            offset=offset or None,
            type=kind,
            emotion=emotions.get((key, onset), "") if kind == "micro" else "",
            action_units=as_text(cells["au"]),
        )


def _kept(rows: Iterator[Annotation], log: RepairLog, longest: float, across_gap: AcrossGap) -> Iterator[Annotation]:
    """Leaves out what the policies `max_length` and `across_gap` drop."""
    missing: dict[str, frozenset[int]] = {}
    for row in rows:
        length = (row.offset or row.onset) - row.onset + 1
        if longest and row.type == "micro" and length > longest:
            log.repaired(row.file, row.row, f"max_length={longest:g}", row.frames, "dropped")
            continue
        if across_gap == "drop" and row.video.path not in missing:
            missing[row.video.path] = _missing(row.video.path)
        if any(row.onset <= n <= (row.offset or row.onset) for n in missing.get(row.video.path, ())):
            log.repaired(row.file, row.row, "across_gap=drop", row.frames, "dropped")
            continue
        yield row


def _missing(path: str) -> frozenset[int]:
    """Numbers between a folder's first and last frame that have no image."""
    numbers = {number for number, _ in numbered_images(path)}
    return frozenset(range(min(numbers), max(numbers))) - numbers
