"""CAS(ME)^2: 97 long videos of 22 subjects at 30 fps, macro- and micro-expressions (not CASME II).

Qu et al., "CAS(ME)^2: a database for spontaneous macro-expression and micro-expression spotting and recognition",
IEEE Transactions on Affective Computing 9(4), 2018. The generated corpus has the same layout and is read here too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, get_args

from fedn_lightning.datasets.base import Annotation, RepairLog
from fedn_lightning.datasets.release import Row, find_folder, find_table, not_found, pad, read_sheet
from fedn_lightning.errors import AnnotationError, VideoError
from fedn_lightning.events import ExpressionType, Video
from fedn_lightning.utils.text import as_number, as_text, check_choice
from fedn_lightning.video.media import VIDEO_SUFFIXES, probe

VideoKind = Literal["auto", "rawvideo", "rawpic", "cropped"]

NAME = "CAS(ME)^2"
SOURCE = (
    "It is released by the Institute of Psychology, Chinese Academy of Sciences, after a licence agreement signed by "
    "a staff member of your institution: http://casme.psych.ac.cn/casme/e3."
)
FPS = 30.0
"""Documented rate of the frame folders, which do not hold it."""

FOLDERS: dict[str, str] = {"rawvideo": "rawvideo", "rawpic": "rawpic", "cropped": "longVideoFaceCropped"}
TABLE_ENDINGS = ("code_final.xlsx", "code_final.xls")
EXPERT_EMOTIONS = ("negative", "positive", "others", "surprise")
MISSPELT = {"happyiness": "happiness"}
TYPES: dict[str, ExpressionType] = {"macro-expression": "macro", "micro-expression": "micro"}

VideoId = tuple[int, str]
"""What identifies a video whatever its folder and typos: subject folder number and material code, `(15, "0101")`."""

_STEM = re.compile(r"(\d+)_(\d{4})")


def read_casme2(root: str, log: RepairLog, videos: VideoKind = "auto") -> tuple[list[Video], list[Annotation]]:
    """Reads CAS(ME)^2, or a generated corpus, as it was unpacked.

    Args:
        root: folder with the workbook `CAS(ME)^2code_final.xlsx` and at least one of `rawvideo`, `rawpic` and
            `longVideoFaceCropped` (or one folder above them).
        log: collects repairs, and what cannot be used.
        videos: which of the three folders to read; `auto` takes the first that is there, in the order above.

    Returns:
        Subjects named after their number, `s15`; videos named after file or folder, `15_0101disgustingteeth`;
        `emotion` the expert's label, `emotion_self` the subject's own. Each change is listed in `repairs`.

    Raises:
        CorpusNotFoundError: if the workbook or the videos are not there.
        AnnotationError: if the workbook is not the release's, or a row cannot be used.
        ConfigError: if a policy does not exist.
    """
    check_choice("videos", videos, get_args(VideoKind))
    table = find_table(root, *TABLE_ENDINGS)
    if table is None:
        raise not_found(NAME, root, "workbook named CAS(ME)^2code_final.xlsx", SOURCE)
    found = _videos(root, videos, log)
    return list(found.values()), list(_annotations(table, found, log))


def video_id(stem: str) -> VideoId | None:
    """Subject number and material code in a video's name; None if it is not a video of this corpus.

    >>> video_id("23_0502funnyerrors")
    (23, '0502')
    """
    found = _STEM.match(stem)
    return (int(found.group(1)), found.group(2)) if found else None


def _videos(root: str, kind: VideoKind, log: RepairLog) -> dict[VideoId, Video]:
    """All videos of the folder that `kind` names, or of the first that there is."""
    kinds = list(FOLDERS) if kind == "auto" else [kind]
    for each in kinds:
        folder = find_folder(root, FOLDERS[each])
        candidates = _candidates(folder, files=each == "rawvideo") if folder else {}
        if candidates:
            return dict(_opened(candidates, log))
    wanted = " or ".join(f"{FOLDERS[each]}/s15/15_0101..." for each in kinds)
    raise not_found(NAME, root, f"videos ({wanted})", SOURCE)


def _candidates(folder: Path, *, files: bool) -> dict[VideoId, list[Path]]:
    """The paths of each video. The parent folder is not trusted: one video is in another subject's folder."""
    paths: dict[VideoId, list[Path]] = {}
    for path in sorted(folder.glob("*/*")):
        fits = path.is_file() and path.suffix.lower() in VIDEO_SUFFIXES if files else path.is_dir()
        key = video_id(path.name)
        if fits and key:
            paths.setdefault(key, []).append(path)
    return paths


def _opened(candidates: dict[VideoId, list[Path]], log: RepairLog) -> Iterator[tuple[VideoId, Video]]:
    """Reads the headers of the videos; logs those that exist twice or cannot be opened."""
    for key, paths in candidates.items():
        if len(paths) > 1:
            others = ", ".join(str(path) for path in paths[1:])
            log.unusable(str(paths[0]), 0, f"another path has the same video name, {key[0]}_{key[1]}", others)
            continue
        try:
            header = probe(paths[0])
        except VideoError as error:
            log.unusable(str(paths[0]), 0, "the video cannot be opened", str(error))
            continue
        stem = paths[0].stem if paths[0].is_file() else paths[0].name
        fps = header.fps or FPS
        yield key, Video("casme2", f"s{key[0]}", stem, str(paths[0]), fps, header.first_frame, header.n_frames)


def _annotations(table: Path, videos: dict[VideoId, Video], log: RepairLog) -> Iterator[Annotation]:
    """The rows of sheet 0 whose video is there, material names resolved by the naming rules of sheets 1 and 2."""
    subjects = {as_text(cells[2]): cells[0] for _, cells in _rule(table, 1, 3)}
    codes = {as_text(cells[1]).lower(): as_text(cells[0]).zfill(4) for _, cells in _rule(table, 2, 2)}
    for number, cells in read_sheet(table, 0):
        subject, material = as_text(pad(cells, 9)[0]), as_text(pad(cells, 9)[1])
        folder = as_number(subjects.get(subject))
        code = codes.get(material.partition("_")[0].lower())
        name = f"subject {subject}, material {material}"
        if folder is None or code is None:
            log.unusable(str(table), number, "the naming rules do not know the row's subject or material", name)
            continue
        video = videos.get((int(folder), code))
        if video is None:
            log.unusable(str(table), number, f"there is no usable video {int(folder)}_{code}", name)
            continue
        row = _annotation(table, (number, pad(cells, 9)), video, log)
        if row:
            yield row


def _rule(table: Path, sheet: int, width: int) -> list[Row]:
    """A naming-rule sheet."""
    rows = [(number, pad(cells, width)) for number, cells in read_sheet(table, sheet)]
    if not rows:
        msg = f"{table}, sheet {sheet + 1} (a naming rule) is empty, so no row can be matched to its video."
        raise AnnotationError(msg)
    return rows


def _annotation(table: Path, row: Row, video: Video, log: RepairLog) -> Annotation | None:
    """One row of sheet 0; None if its cells make no sense. 0 means unknown in the frame columns."""
    number, cells = row
    onset, apex, offset = (as_number(cell) for cell in cells[2:5])
    emotion, kind, emotion_self = (as_text(cell).lower() for cell in cells[6:9])
    seen = ", ".join(as_text(cell) for cell in cells)
    if onset is None or apex is None or offset is None:
        log.unusable(str(table), number, "onset, apex and offset must be numbers", seen)
        return None
    if kind not in TYPES:
        log.unusable(str(table), number, f"the type must be one of {', '.join(TYPES)}", seen)
        return None
    if emotion not in EXPERT_EMOTIONS:
        log.unusable(str(table), number, f"the emotion must be one of {', '.join(EXPERT_EMOTIONS)}", seen)
        return None
    if emotion_self in MISSPELT:
        log.repaired(str(table), number, "spelling", emotion_self, MISSPELT[emotion_self])
    if not apex:
        log.repaired(str(table), number, "apex 0 is unknown", "apex 0", "apex unknown")
    return Annotation(
        file=str(table),
        row=number,
        video=video,
        onset=onset,
        apex=apex or None,
        offset=offset or None,
        type=TYPES[kind],
        emotion=emotion,
        emotion_self=MISSPELT.get(emotion_self, emotion_self) or None,
        action_units=as_text(cells[5]),
    )
