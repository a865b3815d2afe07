"""Score thresholds: the counts at each of them, operating curves, and the choice of one.

Lower scores never change the matches of higher ones (see :mod:`.matching`), so a whole sweep needs one matching and one
sort.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fedn_lightning.events import EXPRESSION_TYPES, EventTable, FloatArray, IntArray
from fedn_lightning.metrics.functional.matching import UNMATCHED, could_be, match

Threshold = float | tuple[float, float]
"""A score from which a proposal counts, for both types or as (macro, micro)."""


@dataclass(frozen=True)
class Sweep:
    """Counts at every distinct score as threshold, from the highest on."""

    # `(K,)` float64 distinct scores, descending; position k counts the predictions with at least that score
    score: FloatArray
    tp: IntArray  # `(K,)` int64 true positives
    n: IntArray  # `(K,)` int64 predictions
    m: int  # number of truths

    @property
    def precision(self) -> FloatArray:
        """`(K,)` precision at each threshold."""
        return self.tp / self.n

    @property
    def recall(self) -> FloatArray:
        """`(K,)` recall at each threshold, NaN without a truth."""
        return self.tp / self.m if self.m else np.full(len(self.tp), np.nan)

    @property
    def f1(self) -> FloatArray:
        """`(K,)` F1 at each threshold."""
        f1: FloatArray = 2 * self.tp / (self.n + self.m)
        return f1


def sweep(score: FloatArray, hit: npt.NDArray[np.bool_], n_truths: int) -> Sweep:
    """Counts at every threshold.

    Args:
        score: `(N,)` scores of the predictions.
        hit: `(N,)` whether each is a true positive of the matching of all.
        n_truths: number of truths.

    >>> sweep(np.array([0.9, 0.5, 0.5]), np.array([True, False, True]), 2).tp
    array([1, 2])
    """
    order = np.argsort(-score, kind="stable")
    score, total = score[order], np.cumsum(hit[order], dtype=np.int64)
    last = np.flatnonzero(np.append(score[1:] != score[:-1], True)) if len(score) else np.empty(0, np.int64)
    return Sweep(score[last], total[last], last + 1, n_truths)


def spotting_sweep(
    predictions: EventTable, truths: EventTable, iou_threshold: float = 0.5, kind: int | None = None
) -> Sweep:
    """The sweep of spotting counts, macro and micro summed, or of one type alone (protocol `megc`).

    Args:
        predictions: every proposal, whatever its score.
        truths: the truths.
        iou_threshold: minimum IoU of a true positive.
        kind: index of the type, None for both.

    Raises:
        ValueError: as :func:`.matching.match`.
    """
    if kind is not None:
        predictions, truths = predictions[predictions.type == kind], truths[truths.type == kind]
    hit = match(predictions, truths, iou_threshold) != UNMATCHED
    return sweep(predictions.score, hit, len(truths))


def select_threshold(predictions: EventTable, truths: EventTable, iou_threshold: float = 0.5) -> float:
    """Chooses the score threshold with the greatest spotting F1.

    All thresholds between two neighbouring scores give the same F1; the middle of that gap is taken. Of several gaps
    with the greatest F1 the widest is taken, then the higher. Use validation subjects (`strict` selection); a threshold
    chosen on test predictions must be labelled "selected on test data".

    Args:
        predictions: every proposal, whatever its score.
        truths: the truths.
        iou_threshold: minimum IoU of a true positive.

    Returns:
        The threshold (a prediction counts if `score >= threshold`) for the greatest overall F1;
        `inf`, predict nothing, where no threshold finds a truth.

    Raises:
        ValueError: as :func:`.matching.match`.

    >>> truths = EventTable.from_rows([[0, 0, 0, 10, 0, -1, 1]])
    >>> found = EventTable.from_rows([[0, 0, 0, 10, 0, -1, 0.75], [0, 0, 20, 30, 0, -1, 0.25]])
    >>> select_threshold(found, truths)
    0.5
    """
    return best_threshold(spotting_sweep(predictions, truths, iou_threshold))


def select_threshold_per_type(
    predictions: EventTable, truths: EventTable, iou_threshold: float = 0.5
) -> tuple[float, float]:
    """Thresholds for macro and micro apart, each chosen as by :func:`select_threshold` for the F1 of its type."""
    macro, micro = (
        best_threshold(spotting_sweep(predictions, truths, iou_threshold, kind))
        for kind in range(len(EXPRESSION_TYPES))
    )
    return macro, micro


def best_threshold(counts: Sweep) -> float:
    """The middle of the widest gap with the greatest F1 (see :func:`select_threshold`); `inf` if that F1 is 0.

    The gap below the lowest score has no lower end: there the lowest score itself is the threshold, of width 0.
    """
    if not counts.tp.any():
        return math.inf
    f1 = counts.f1
    below = np.append(counts.score[1:], counts.score[-1:])
    width = np.where(f1 == f1.max(), counts.score - below, -1.0)
    best = int(width.argmax())  # the first of equals: the higher threshold
    high, low = float(counts.score[best]), float(below[best])
    middle = low + (high - low) / 2
    return middle if middle > low else high  # neighbouring floats have no middle


def at_threshold(predictions: EventTable, threshold: Threshold) -> EventTable:
    """The predictions with `score >= threshold`.

    Args:
        predictions: N proposals.
        threshold: one for all, or (macro, micro).

    >>> table = EventTable.from_rows([[0, 0, 0, 9, 0, -1, 0.4], [0, 0, 0, 9, 1, -1, 0.4]])
    >>> at_threshold(table, (0.5, 0.3)).type
    array([1])
    """
    if isinstance(threshold, tuple):
        return predictions[predictions.score >= np.asarray(threshold)[predictions.type]]
    return predictions[predictions.score >= threshold]


NEARLY = 0.95
"""Thresholds whose F1 is at least this share of the maximum count as nearly as good."""

FEW = 10
"""With fewer truths of a type than this, its threshold is uncertain, and the user is warned."""

SHARED = 20
"""The threshold of both types together has the weight of a type's own with so many truths."""

WITHOUT_EVIDENCE = 0.5
"""Threshold of both types if no truth of either is found."""


@dataclass(frozen=True)
class OperatingPoint:
    """The chosen thresholds, and the evidence for them."""

    threshold: tuple[float, float]  # score from which a macro- and a micro-expression counts
    n_truths: tuple[int, int]  # truths of each type that they were chosen on
    capped: tuple[bool, bool]  # whether the limit of false positives raised each

    def warnings(self) -> list[str]:
        """A warning for each type with few truths."""
        return [
            f"Only {count} {name}-expressions are in the validation videos, so their threshold {threshold:.3f} is "
            f"uncertain; more validation subjects (data.val_subject) would make it more reliable."
            for name, count, threshold in zip(EXPRESSION_TYPES, self.n_truths, self.threshold, strict=True)
            if count < FEW
        ]


def choose_thresholds(
    predictions: EventTable, truths: EventTable, minutes: float, false_positives_per_minute: float = 3.0
) -> OperatingPoint:
    """Chooses a threshold for each type on validation videos, so that it holds for other people.

    The threshold with the greatest F1 on a few videos depends on single events. This one is the mean of all thresholds
    whose F1 is nearly as great, shrunk towards the threshold of both types together (the fewer truths a type has, the
    more), and it never exceeds a limit of false positives.

    Args:
        predictions: every proposal of the validation videos, whatever its score.
        truths: their truths.
        minutes: their length together.
        false_positives_per_minute: maximum number of false positives of each type per minute; `inf` for no limit. A
            prediction that could be a truth of unknown offset is not counted: that truth's end comes from a policy, and
            a detector that finds the whole expression misses it.

    Raises:
        ValueError: if the limit is negative or not a number.
    """
    if not false_positives_per_minute >= 0:
        raise ValueError(f"The limit of false positives a minute must be 0 or more, got {false_positives_per_minute}.")
    hit = match(predictions, truths) != UNMATCHED
    wrong = ~hit & ~could_be(predictions, truths[~truths.end_known])
    counts = [int((truths.type == kind).sum()) for kind in range(len(EXPRESSION_TYPES))]
    both = middle_threshold(sweep(predictions.score, hit, sum(counts)))
    both = both if math.isfinite(both) else WITHOUT_EVIDENCE
    chosen, capped = [], []
    for kind, count in enumerate(counts):
        mine = predictions.type == kind
        own = middle_threshold(sweep(predictions.score[mine], hit[mine], count))
        threshold = (count * own + SHARED * both) / (count + SHARED) if math.isfinite(own) else both
        false = np.sort(predictions.score[mine & wrong])[::-1]
        least = _limit(false, false_positives_per_minute * minutes)
        chosen.append(max(threshold, least))
        capped.append(least > threshold)
    return OperatingPoint((chosen[0], chosen[1]), (counts[0], counts[1]), (capped[0], capped[1]))


def middle_threshold(counts: Sweep) -> float:
    """The mean of all thresholds whose F1 is nearly the greatest; `inf` if that is 0.

    Between two neighbouring scores all thresholds are equal; each gap counts by its width.

    >>> round(middle_threshold(Sweep(np.array([0.9, 0.5, 0.1]), np.array([1, 1, 1]), np.array([1, 2, 3]), 1)), 6)
    0.7
    """
    if not counts.tp.any():
        return math.inf
    below = np.append(counts.score[1:], 0.0)
    width = np.where(counts.f1 >= NEARLY * counts.f1.max(), counts.score - below, 0.0)
    if not width.sum() > 0:
        return float(counts.score[counts.f1.argmax()])
    return float(width @ (counts.score + below) / 2 / width.sum())


def _limit(false: FloatArray, most: float) -> float:
    """The lowest threshold that at most so many of the scores (descending) reach."""
    if len(false) <= most:
        return 0.0
    allowed = math.floor(most)
    return float(np.nextafter(false[allowed], math.inf))


RATES = (0.25, 0.5, 1.0, 2.0, 4.0)
"""False positives per minute at which the recall is reported."""


@dataclass(frozen=True)
class OperatingCurves:
    """Sweeps over all thresholds (protocol `megc`): F1 against threshold, precision against recall, FROC."""

    macro: Sweep  # the sweep of macro-expressions
    micro: Sweep  # the sweep of micro-expressions
    overall: Sweep  # both, one threshold for both
    # total duration of the videos, also those without events, NaN if unknown; only the FROC needs it
    minutes: float = float("nan")

    def sweeps(self) -> dict[str, Sweep]:
        """By group."""
        return {"macro": self.macro, "micro": self.micro, "overall": self.overall}

    def recall_at(self, rates: Sequence[float] = RATES) -> dict[str, list[float]]:
        """For each group the greatest recall at each rate of false positives per minute; NaN if minutes are unknown."""
        return {group: [recall_at_rate(s, self.minutes, rate) for rate in rates] for group, s in self.sweeps().items()}


def operating_curves(
    predictions: EventTable, truths: EventTable, minutes: float = float("nan"), iou_threshold: float = 0.5
) -> OperatingCurves:
    """Sweeps the score threshold.

    Args:
        predictions: every proposal, whatever its score.
        truths: the truths.
        minutes: total duration of the videos, also those without events.
        iou_threshold: minimum IoU of a true positive.

    Raises:
        ValueError: as :func:`.matching.match`.
    """
    by_type = {
        name: spotting_sweep(predictions, truths, iou_threshold, kind) for kind, name in enumerate(EXPRESSION_TYPES)
    }
    return OperatingCurves(**by_type, overall=spotting_sweep(predictions, truths, iou_threshold), minutes=minutes)


def false_positives_per_minute(sweep: Sweep, minutes: float) -> FloatArray:
    """`(K,)` false positives per minute at each threshold.

    >>> false_positives_per_minute(sweep(np.array([0.9, 0.8, 0.7]), np.array([True, False, False]), 1), minutes=2)
    array([0. , 0.5, 1. ])
    """
    rate: FloatArray = (sweep.n - sweep.tp) / minutes
    return rate


def recall_at_rate(sweep: Sweep, minutes: float, rate: float) -> float:
    """Greatest recall with at most `rate` false positives per minute; NaN without minutes or without a truth."""
    if np.isnan(minutes) or not sweep.m:
        return float("nan")
    allowed = sweep.tp[false_positives_per_minute(sweep, minutes) <= rate]
    return float(allowed.max(initial=0) / sweep.m)


def thinned(n_points: int, at_most: int = 400) -> IntArray:
    """Positions for drawing a long curve: both ends and evenly spaced ones between.

    >>> thinned(9, at_most=3)
    array([0, 4, 8])
    """
    return np.unique(np.linspace(0, n_points - 1, min(n_points, at_most)).round().astype(np.int64))
