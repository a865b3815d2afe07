"""What really happened in a generated corpus, and the intensities, true ends and distractors of a run's videos.

The generator writes these files into the folder :data:`FOLDER` of a corpus; this module does not need the generator,
and no corpus reader looks at them.
"""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from fedn_lightning.errors import AnnotationError
from fedn_lightning.events import EventTable, FloatArray, IntArray
from fedn_lightning.results.run_folder import RunConfig, read_environment, resolve

WHAT: Final[dict[str, str]] = {
    "blink": "blink",
    "gaze": "gaze",
    "head": "head",
    "posture": "head",
    "speech": "mouth",
    "swallow": "mouth",
}
"""What moves in each of the corpus' distractors."""

DISTRACTORS: Final = ("blink", "gaze", "head", "mouth")
"""All that :data:`WHAT` names."""

NONE: Final = "none"
"""No distractor was present."""

SHARE: Final = 0.5
"""A distractor was there if it shares at least this part of the shorter of both intervals."""


@dataclass(frozen=True)
class SyntheticTruth:
    """What a generated corpus knows, for N predictions and M truths."""

    there: np.ndarray[Any, np.dtype[np.bool_]]  # `(N, 4)` bool, whether each of :data:`DISTRACTORS` was there
    # `(N, 4)` float64, the share of intervals of the same length, placed elsewhere in the same video clear of truths,
    # in which it would have been there as well; NaN where there is no such place
    chance: FloatArray
    nothing: FloatArray  # `(N,)` float64, likewise the share in which none of them would have been there
    main: tuple[str, ...]  # for each prediction the distractor with the greatest IoU, or :data:`NONE`
    peak: FloatArray  # `(M,)` greatest intensity of each truth, 0 to 1
    end: IntArray  # `(M,)` one past the last frame of visible movement, where the annotation may not know it


def find_synthetic_truth(
    folder: Path,
    truth: str | None,
    videos: Sequence[tuple[str, str]],
    lengths: Sequence[int],
    predictions: EventTable,
    truths: EventTable,
) -> SyntheticTruth | None:
    """Looks up in the generated corpus what happened in a run's videos.

    Args:
        folder: of the run.
        truth: root of the corpus, None to look for it in the run's configuration.
        videos: (subject, video) by index.
        lengths: frames of each.
        predictions: those at or above the thresholds.
        truths: the truths.

    Returns:
        None if the run was not tested on a generated corpus, or the corpus was removed.

    Raises:
        AnnotationError: if the named corpus is not a generated one, or is not the corpus of the run.
    """
    place = Path(truth) / FOLDER if truth else find_truth(folder)
    if place is None:
        return None
    peak, end = _look_up(place, videos, truths)
    there, chance, main = [], [], []
    events = [read_distractors(place, *video) for video in videos]
    for video, first, last in zip(predictions.video, predictions.start, predictions.end, strict=True):
        mine = events[video]
        there.append(presence(np.array([first]), last - first, mine)[0])
        chance.append(_chance(last - first, lengths[video], truths[truths.video == video], mine))
        main.append(_main(first, last, mine))
    width = len(DISTRACTORS)
    shares = np.array(chance, np.float64).reshape(-1, width + 1)
    return SyntheticTruth(
        np.array(there, np.bool_).reshape(-1, width), shares[:, :width], shares[:, width], tuple(main), peak, end
    )


def find_truth(folder: Path) -> Path | None:
    """The truth of the generated corpus that a run's configuration names.

    Args:
        folder: of a run, or of the pooled folds of an experiment, whose folds' folders lie beside it.

    Returns:
        None if there is no configuration, or its corpus is no generated one or is not there any more.
    """
    for home in [folder, *sorted(path.parent for path in folder.parent.glob("seed*/*/config.yaml"))]:
        if config := RunConfig.read(home):
            root = config.corpus.get("root", "")
            if not isinstance(root, str):
                return None  # several corpora, each with a folder of its own
            place = resolve(root, read_environment(home)) / FOLDER
            return place if root and (place / EXPRESSIONS_FILE).is_file() else None
    return None


def _look_up(place: Path, videos: Sequence[tuple[str, str]], truths: EventTable) -> tuple[FloatArray, IntArray]:
    """Peak and true end of each truth. Annotated onsets are exact, so they name the expression."""
    expressions = read_expressions(place)
    peaks, ends = [], []
    for index, start in zip(truths.video, truths.start, strict=True):
        found = [expression for expression in expressions.get(videos[index], []) if expression.start == start]
        if not found:
            raise AnnotationError(
                f"{place} does not belong to the corpus of this run: no expression begins in frame {start:g} of "
                f"{'/'.join(videos[index])}. Name the right one with --truth."
            )
        peaks.append(found[0].peak)
        ends.append(found[0].end)
    return np.array(peaks, np.float64), np.array(ends, np.int64)


def presence(starts: FloatArray, length: float, events: Sequence[Distractor]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Which distractors are there in intervals of one length.

    Args:
        starts: `(S,)` first frames of the intervals.
        length: of all of them, in frames.
        events: of their video.

    Returns:
        `(S, 4)` bool in the order of :data:`DISTRACTORS`.

    >>> presence(np.array([0.0, 5.0]), 10, [Distractor("blink", 8, 12)]).tolist()
    [[True, False, False, False], [True, False, False, False]]
    """
    there = np.zeros((len(starts), len(DISTRACTORS)), np.bool_)
    for column, what in enumerate(DISTRACTORS):
        mine = [(event.start, event.end) for event in events if WHAT[event.kind] == what]
        first, last = np.array(mine, np.float64).reshape(-1, 2).T
        shared = np.minimum(starts[:, None] + length, last) - np.maximum(starts[:, None], first)
        there[:, column] = (shared >= SHARE * np.minimum(length, last - first)).any(axis=1)
    return there


def _chance(length: float, n_frames: int, truths: EventTable, events: Sequence[Distractor]) -> FloatArray:
    """`(5,)` share of the places clear of truths at which each distractor would be there, and that of none there."""
    starts = np.arange(max(int(n_frames - length) + 1, 0), dtype=np.float64)
    clear = (starts[:, None] + length <= truths.start) | (starts[:, None] >= truths.end)
    starts = starts[clear.all(axis=1)]
    if not len(starts):
        return np.full(len(DISTRACTORS) + 1, np.nan)
    there = presence(starts, length, events)
    return np.append(there.mean(axis=0), (~there.any(axis=1)).mean())


def _main(first: float, last: float, events: Sequence[Distractor]) -> str:
    """The distractor that fits best among those that are there."""
    best, name = 0.0, NONE
    for event in events:
        shared = min(last, event.end) - max(first, event.start)
        iou = shared / (max(last, event.end) - min(first, event.start))
        if shared >= SHARE * min(last - first, event.end - event.start) and iou > best:
            best, name = iou, WHAT[event.kind]
    return name


FOLDER: Final = "truth"
"""Folder inside the corpus that holds the truth."""
EXPRESSIONS_FILE: Final = "expressions.csv"
"""Every expression with its true frames; :data:`COLUMNS`."""


class Distractor(NamedTuple):
    """One event that is no expression, in the frames `[start, end)` of its video, 0-based."""

    kind: str  # `blink`, `gaze`, `head`, `posture`, `speech` or `swallow`
    start: int  # first frame
    end: int  # one past the last


@dataclass(frozen=True, slots=True)
class TrueExpression:
    """An expression as it was performed, in frames `[start, end)` of its video, 0-based."""

    start: int  # first frame of visible movement
    end: int  # one past the last, also where the annotation does not know it
    peak: float  # maximum intensity of any action unit, 0 to 1; 1 is FACS level E
    emotion: str  # what the face shows


def read_expressions(folder: Path) -> dict[tuple[str, str], list[TrueExpression]]:
    """Reads :data:`EXPRESSIONS_FILE`.

    Args:
        folder: :data:`FOLDER` of a generated corpus.

    Returns:
        The expressions of each (subject, video) that has any.

    Raises:
        AnnotationError: if the file is missing or a row cannot be read.
    """
    path, number = folder / EXPRESSIONS_FILE, 1
    found: dict[tuple[str, str], list[TrueExpression]] = {}
    try:
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                number += 1
                frames = int(row["start"]), int(row["end"])
                act = TrueExpression(*frames, float(row["peak"]), row["emotion"])
                found.setdefault((row["subject"], row["video"]), []).append(act)
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror}. Give the folder of a generated corpus."
        raise AnnotationError(msg) from error
    except (KeyError, ValueError, TypeError) as error:
        msg = f"{path}, row {number}, is not a row of a generated corpus; write it again with fedn data synth."
        raise AnnotationError(msg) from error
    return found


def read_distractors(folder: Path, subject: str, video: str) -> tuple[Distractor, ...]:
    """Reads all that happened in a video without being an expression.

    Args:
        folder: :data:`FOLDER` of a generated corpus.
        subject: name of the person's folder, e.g. `s15`.
        video: name of the video.

    Raises:
        AnnotationError: if the video's file is missing or damaged.
    """
    path = folder / subject / f"{video}.npz"
    try:
        with np.load(path) as tracks:
            columns = [tracks[f"distractor_{name}"].tolist() for name in ("kind", "start", "end")]
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise AnnotationError(f"{path} is missing or damaged; write the corpus again with fedn data synth.") from error
    return tuple(Distractor(*event) for event in zip(*columns, strict=True))
