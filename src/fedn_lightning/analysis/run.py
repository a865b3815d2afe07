"""The events of a run with their kinds of error, as rows of a table, and how recall depends on what a truth is like."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from fedn_lightning.analysis.errors import HIT, KINDS, SortedErrors, sort_errors
from fedn_lightning.analysis.synthetic_truth import DISTRACTORS, NONE, SyntheticTruth, find_synthetic_truth
from fedn_lightning.events import EXPRESSION_TYPES, EventTable, FloatArray, to_inclusive
from fedn_lightning.metrics.functional.matching import UNMATCHED, match
from fedn_lightning.results import read_run_tables
from fedn_lightning.results.writing import write_csv

Z95 = 1.959963984540054
"""Quantile of the normal law for 95 %."""


@dataclass(frozen=True, slots=True)
class Group:
    """Truths that have something in common."""

    name: str  # what they have in common, e.g. `0.5-1 s`.
    n: int  # how many there are
    hits: int  # how many were found
    low: float  # lower end of the 95 % interval of the recall
    high: float  # upper end
    score: float  # mean score of the proposal that fits best in the ranking, 0 where there is none

    @property
    def recall(self) -> float:
        """Share that was found."""
        return self.hits / self.n


def wilson(hits: int, n: int) -> tuple[float, float]:
    """95 % interval of a share by Wilson's score (1927), which suits few trials and shares near 0 and 1.

    It takes trials to be independent; expressions of one person are less so, hence read it as the least uncertainty.

    Args:
        hits: successes.
        n: trials; without any the interval is all of `[0, 1]`.

    >>> [round(bound, 3) for bound in wilson(0, 9)], [round(bound, 3) for bound in wilson(7, 10)]
    ([0.0, 0.299], [0.397, 0.892])
    """
    if not n:
        return 0.0, 1.0
    share, wide = hits / n, Z95**2 / n
    middle = (share + wide / 2) / (1 + wide)
    half = Z95 / (1 + wide) * math.sqrt(share * (1 - share) / n + wide / (4 * n))
    # At both ends the bounds are exact, and rounding would put the share outside of its own interval.
    return (middle - half if hits else 0.0), (middle + half if hits < n else 1.0)


def best_scores(proposals: EventTable, truths: EventTable) -> FloatArray:
    """`(M,)` score of the proposal that takes each truth when all proposals are matched by type; 0 where none does."""
    taken = match(proposals, truths)
    rows = np.flatnonzero(taken != UNMATCHED)
    scores = np.zeros(len(truths))
    scores[taken[rows]] = proposals.score[rows]
    return scores


def recall_by(groups: Sequence[str], hit: npt.NDArray[np.bool_], score: FloatArray) -> list[Group]:
    """Recall and mean score of each group of truths.

    Args:
        groups: M names, one per truth.
        hit: `(M,)` whether each was found.
        score: `(M,)` see :func:`best_scores`.

    >>> recall_by(["long", "short", "long"], np.array([True, False, False]), np.array([0.9, 0.2, 0.3]))[0].recall
    0.5
    """
    names = np.asarray(groups)
    found = []
    for name in sorted(set(groups)):
        mine = names == name
        n, hits = int(mine.sum()), int(hit[mine].sum())
        found.append(Group(name, n, hits, *wilson(hits, n), float(score[mine].mean())))
    return found


@dataclass(frozen=True)
class RunErrors:
    """A run's predictions and truths, each with its kind of error."""

    name: str  # what to call the run
    folder: str  # where its files lie
    subjects: tuple[str, ...]  # names in the order of the `subject` index
    videos: tuple[tuple[str, str], ...]  # (subject, video) in the order of the `video` index
    emotions: tuple[str, ...]  # names in the order of the `emotion` index
    fps: tuple[float, ...]  # frames per second of each video
    minutes: float  # duration of all videos
    predictions: EventTable  # proposals with a score of at least the thresholds
    proposals: EventTable  # all proposals
    truths: EventTable  # the truths
    spotting: SortedErrors  # the predictions judged by type
    detection: SortedErrors  # the predictions judged by emotion
    ranking: SortedErrors  # all proposals judged by emotion, which mAP ranks
    scores: FloatArray  # `(M,)` score of the proposal that fits each truth, 0 where there is none
    synthetic_truth: SyntheticTruth | None  # what a generated corpus knows about the videos; None for any other


def read_run_errors(folder: Path, name: str, truth: str | None = None) -> RunErrors:
    """Reads `predictions.csv`, `proposals.csv`, `truth.csv` and `videos.csv` of a run and sorts its errors.

    Args:
        folder: of a run, or of pooled folds.
        name: what to call it.
        truth: root of the generated corpus that the run was tested on; by default that of the run's `config.yaml`.
    """
    tables = read_run_tables(folder)
    names, truths, predictions = tables.names, tables.truths.events, tables.predicted.events
    proposals = tables.proposals.events
    lengths = [names.lengths[video] for video in names.videos]
    return RunErrors(
        name=name,
        folder=str(folder),
        subjects=tuple(names.subjects),
        videos=tuple(names.videos),
        emotions=tuple(names.emotions),
        fps=tuple(fps for _, fps in lengths),
        minutes=tables.minutes,
        predictions=predictions,
        proposals=proposals,
        truths=truths,
        spotting=sort_errors(predictions, truths, "type"),
        detection=sort_errors(predictions, truths, "emotion"),
        ranking=sort_errors(proposals, truths, "emotion"),
        scores=best_scores(proposals, truths),
        synthetic_truth=find_synthetic_truth(
            folder, truth, tuple(names.videos), [n for n, _ in lengths], predictions, truths
        ),
    )


COLUMNS: Final = (
    *("judged", "error", "kind", "subject", "video", "onset", "offset", "type", "emotion", "score"),
    *("iou", "other_onset", "other_offset", "other_type", "other_emotion"),
    *("distractor", "distractors", "intensity"),
)
"""Columns of a row. Frames are inclusive, as in the run's own files. `other` is the truth that explains a false
positive, or the false positive that covers a false negative, and `iou` their overlap; the `score` of a false negative
is that of the proposal that fits it. `distractor` is the one that fits the false positive best, `distractors` are all
that were there; `intensity` is the truth's."""

UNKNOWN: Final = "unknown"
"""Written where only a generated corpus would have the answer."""


def write_errors(path: Path, run: RunErrors) -> Path:
    """Writes every false positive and every false negative, first judged by type, then by emotion."""
    return write_csv(
        path, COLUMNS, [row for errors in (run.spotting, run.detection) for row in error_rows(run, errors)]
    )


def error_rows(run: RunErrors, errors: SortedErrors) -> Iterator[list[str]]:
    """The errors of one judgement in the order of :data:`COLUMNS`, false positives first."""
    for row in np.flatnonzero(errors.kind >= 0).tolist():
        truth = int(errors.truth[row])
        what = [errors.label, "false positive", KINDS[errors.kind[row]], *_place(run, run.predictions, row)]
        score = f"{run.predictions.score[row]:.6g}"
        yield [*what, score, *_pair(run, errors, row, run.truths, truth), *_synthetic_truth(run, row, truth)]
    for row in np.flatnonzero(errors.truth_kind >= 0).tolist():
        cover = int(errors.prediction[row])
        what = [errors.label, "false negative", KINDS[errors.truth_kind[row]], *_place(run, run.truths, row)]
        score = f"{run.scores[row]:.6g}"
        yield [*what, score, *_pair(run, errors, cover, run.predictions, cover), *_synthetic_truth(run, cover, row)]


def _place(run: RunErrors, table: EventTable, row: int) -> list[str]:
    return [*run.videos[table.video[row]], *_event(run, table, row)]


def _event(run: RunErrors, table: EventTable, row: int) -> list[str]:
    """Onset, offset, type and emotion; empty if there is no such event."""
    if row == UNMATCHED:
        return [""] * 4
    onset, offset = to_inclusive(float(table.start[row]), float(table.end[row]))
    emotion = int(table.emotion[row])
    name = run.emotions[emotion] if emotion >= 0 else ""
    return [f"{onset:.10g}", f"{offset:.10g}", EXPRESSION_TYPES[int(table.type[row])], name]


def _pair(run: RunErrors, errors: SortedErrors, cover: int, table: EventTable, other: int) -> list[str]:
    """Overlap and the event that an error is about."""
    iou = "" if cover == UNMATCHED or other == UNMATCHED else f"{errors.iou[cover]:.4f}"
    return [iou, *_event(run, table, other)]


def _synthetic_truth(run: RunErrors, cover: int, truth: int) -> list[str]:
    """What a generated corpus knows of a false positive and of a truth, either of which may be missing."""
    if run.synthetic_truth is None:
        return [UNKNOWN] * 3
    there = [name for name, was in zip(DISTRACTORS, run.synthetic_truth.there[cover], strict=True) if was]
    seen = ["", ""] if cover == UNMATCHED else [run.synthetic_truth.main[cover], "+".join(there) or NONE]
    return [*seen, "" if truth == UNMATCHED else f"{run.synthetic_truth.peak[truth]:.4g}"]


DURATIONS: Final = (0.3, 0.5, 1.0, 2.0)
"""Bounds in seconds; half a second parts micro- from macro-expressions in the field's definition."""
INTENSITIES: Final = (0.15, 0.25, 0.35, 0.5, 0.75)
"""Bounds of the greatest intensity of an action unit, 1 being FACS level E; generated micro-expressions reach 0.35."""

NOT_ANALYSED: Final = "not analysed"
"""An emotion outside the class scheme, e.g. `others`."""

OFFSETS: Final = ("offset known", "offset unknown")
"""Whether a label ends where the movement does, or a policy ends it because the annotation does not know."""


def binned(values: FloatArray, bounds: Sequence[float], unit: str = "") -> tuple[list[str], list[str]]:
    """Names of the bins that values lie in, and of all bins in order; a bin begins at its lower bound.

    >>> binned(np.array([0.2, 0.5]), (0.3, 0.5), " s")
    (['< 0.3 s', '>= 0.5 s'], ['< 0.3 s', '0.3-0.5 s', '>= 0.5 s'])
    """
    between = [f"{low:g}-{high:g}{unit}" for low, high in itertools.pairwise(bounds)]
    names = [f"< {bounds[0]:g}{unit}", *between, f">= {bounds[-1]:g}{unit}"]
    return [names[index] for index in np.searchsorted(bounds, values, side="right")], names


def durations(run: RunErrors) -> FloatArray:
    """`(M,)` seconds that each truth lasts, by its label."""
    seconds: FloatArray = (run.truths.end - run.truths.start) / np.array(run.fps)[run.truths.video]
    return seconds


def sensitivity(run: RunErrors) -> dict[str, list[Group]]:
    """Recall and mean score of a run by type, duration, intensity, extent of the label, emotion and subject.

    Args:
        run: judged by type: a truth is found if spotting finds it.

    Returns:
        By trait its groups in a natural order; intensity and extent only where a generated corpus knows them.
    """
    truths, found = run.truths, run.spotting.truth_kind == HIT
    names: dict[str, tuple[list[str], list[str]]] = {
        "type": ([EXPRESSION_TYPES[kind] for kind in truths.type], list(EXPRESSION_TYPES)),
        "duration": binned(durations(run), DURATIONS, " s"),
    }
    if run.synthetic_truth is not None:
        unknown = (truths.end != run.synthetic_truth.end).astype(np.int64)
        names["intensity"] = binned(run.synthetic_truth.peak, INTENSITIES)
        names["label"] = [OFFSETS[index] for index in unknown], list(OFFSETS)
    emotions = [*run.emotions, NOT_ANALYSED]  # the index of what is not analysed is -1
    names["emotion"] = [emotions[emotion] for emotion in truths.emotion], [*sorted(run.emotions), NOT_ANALYSED]
    names["subject"] = [run.subjects[subject] for subject in truths.subject], sorted(run.subjects)
    groups = {}
    for trait, (each, order) in names.items():
        by_name = {group.name: group for group in recall_by(each, found, run.scores)}
        groups[trait] = [by_name[name] for name in order if name in by_name]
    return groups
