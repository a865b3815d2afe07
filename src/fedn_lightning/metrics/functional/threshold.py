"""Score thresholds: the counts at every one of them, and the choice of one.

Lower scores never change what higher ones took (see :mod:`.matching`), so the whole sweep needs one matching and one
sort.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, overload

import numpy as np
import numpy.typing as npt

from fedn_lightning.events import EXPRESSION_TYPES, EventTable, FloatArray, IntArray
from fedn_lightning.metrics.functional.matching import UNMATCHED, match

Threshold = float | tuple[float, float]
"""A score from which a proposal counts, for both types or as (macro, micro)."""


@dataclass(frozen=True)
class Sweep:
    """Counts at every threshold that makes a difference, from strict to lax.

    Attributes:
        score: `(K,)` float64 distinct scores, descending; position k counts the predictions with at least that score.
        tp: `(K,)` int64 true positives.
        n: `(K,)` int64 predictions.
        m: number of truths.
    """

    score: FloatArray
    tp: IntArray
    n: IntArray
    m: int

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
        iou_threshold: least IoU of a true positive.
        kind: index of the type, None for both.

    Raises:
        ValueError: as :func:`.matching.match`.
    """
    if kind is not None:
        predictions, truths = predictions[predictions.type == kind], truths[truths.type == kind]
    hit = match(predictions, truths, iou_threshold) != UNMATCHED
    return sweep(predictions.score, hit, len(truths))


@overload
def select_threshold(
    predictions: EventTable, truths: EventTable, iou_threshold: float = ..., *, per_type: Literal[False] = ...
) -> float: ...
@overload
def select_threshold(
    predictions: EventTable, truths: EventTable, iou_threshold: float = ..., *, per_type: Literal[True]
) -> tuple[float, float]: ...
def select_threshold(
    predictions: EventTable, truths: EventTable, iou_threshold: float = 0.5, *, per_type: bool = False
) -> Threshold:
    """Chooses the score threshold with the greatest spotting F1.

    Thresholds between two neighbouring scores are equally good on these data; the middle of the gap is the one most
    likely to be good on others. Of several gaps with the greatest F1 the widest is taken, then the higher. Hand in
    validation subjects (`strict` selection); on test predictions the result must be labelled "selected on test data".

    Args:
        predictions: every proposal, whatever its score.
        truths: the truths.
        iou_threshold: least IoU of a true positive.
        per_type: choose for macro and micro apart, each by the F1 of its type.

    Returns:
        The threshold (a prediction counts if `score >= threshold`) for the greatest overall F1, or (macro, micro).
        It is `inf`, predict nothing, where no threshold finds a truth.

    Raises:
        ValueError: as :func:`.matching.match`.

    >>> truths = EventTable.from_rows([[0, 0, 0, 10, 0, -1, 1]])
    >>> found = EventTable.from_rows([[0, 0, 0, 10, 0, -1, 0.75], [0, 0, 20, 30, 0, -1, 0.25]])
    >>> select_threshold(found, truths)
    0.5
    """
    if per_type:
        macro, micro = (
            best_threshold(spotting_sweep(predictions, truths, iou_threshold, kind))
            for kind in range(len(EXPRESSION_TYPES))
        )
        return macro, micro
    return best_threshold(spotting_sweep(predictions, truths, iou_threshold))


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
