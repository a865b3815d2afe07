"""Spotting counts, precision, recall and F1."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Self

import numpy as np

from fedn_lightning.events import EXPRESSION_TYPES, EventTable, IntArray
from fedn_lightning.metrics.functional.matching import UNMATCHED, match

Number = int | float
COUNT_KEYS = ("tp", "fp", "fn", "precision", "recall", "f1")
"""Keys of :meth:`Counts.to_dict`."""


@dataclass(frozen=True, slots=True)
class Counts:
    """True positives, false positives, false negatives, and what follows from them.

    A ratio without a denominator is NaN: a subject with nothing to find and nothing found has no F1.

    >>> Counts(tp=1, fp=1, fn=2)
    Counts(tp=1, fp=1, fn=2)
    >>> round(Counts(tp=1, fp=1, fn=2).f1, 4), Counts(0, 0, 0).f1, Counts(0, 0, 3).f1
    (0.4, nan, 0.0)
    """

    tp: int = 0
    fp: int = 0
    fn: int = 0

    @property
    def precision(self) -> float:
        """`tp / (tp + fp)`, NaN without a prediction."""
        return ratio(self.tp, self.tp + self.fp)

    @property
    def recall(self) -> float:
        """`tp / (tp + fn)`, NaN without a truth."""
        return ratio(self.tp, self.tp + self.fn)

    @property
    def f1(self) -> float:
        """`2 tp / (2 tp + fp + fn)`, NaN with neither prediction nor truth."""
        return ratio(2 * self.tp, 2 * self.tp + self.fp + self.fn)

    def __add__(self, other: Counts) -> Counts:
        """Counts pool by addition; F1s are never averaged."""
        return Counts(self.tp + other.tp, self.fp + other.fp, self.fn + other.fn)

    def to_dict(self) -> dict[str, Number]:
        """The three counts and the three ratios, by the names in :data:`COUNT_KEYS`."""
        return {key: getattr(self, key) for key in COUNT_KEYS}


@dataclass(frozen=True, slots=True)
class SpottingScores:
    """Pooled spotting counts.

    Attributes:
        macro: matched within macro-expressions.
        micro: matched within micro-expressions.
        overall: the sum of both.
        type_agnostic: matched anew whatever the type, for readers who only ask whether something was there.

    >>> print(SpottingScores(Counts(2, 1, 0), Counts(), Counts(2, 1, 0), Counts(2, 1, 0)))
                     TP    FP    FN  precision  recall      F1
    macro             2     1     0     0.6667  1.0000  0.8000
    micro             0     0     0          -       -       -
    overall           2     1     0     0.6667  1.0000  0.8000
    type_agnostic     2     1     0     0.6667  1.0000  0.8000
    """

    macro: Counts
    micro: Counts
    overall: Counts
    type_agnostic: Counts

    @classmethod
    def groups(cls) -> tuple[str, ...]:
        """`macro`, `micro`, `overall`, `type_agnostic`."""
        return tuple(f.name for f in fields(cls))

    def to_dict(self) -> dict[str, dict[str, Number]]:
        """`{group: {tp, fp, fn, precision, recall, f1}}`."""
        return {group: getattr(self, group).to_dict() for group in self.groups()}

    def __add__(self, other: SpottingScores) -> Self:
        """Pools two sets of videos."""
        return type(self)(*(getattr(self, g) + getattr(other, g) for g in self.groups()))

    def __str__(self) -> str:
        head = f"{'':<13}{'TP':>6}{'FP':>6}{'FN':>6}  precision  recall      F1"
        return "\n".join([head, *(_line(group, getattr(self, group)) for group in self.groups())])


def ratio(part: float, whole: float) -> float:
    """`part / whole`, NaN where the whole is 0: undefined is undefined."""
    return part / whole if whole else math.nan


def show(value: float, digits: int = 4) -> str:
    """A score for a reader; an undefined one is `-`.

    >>> show(0.25), show(float("nan"))
    ('0.2500', '-')
    """
    return "-" if math.isnan(value) else f"{value:.{digits}f}"


def _line(group: str, counts: Counts) -> str:
    numbers = f"{counts.tp:>6}{counts.fp:>6}{counts.fn:>6}"
    return f"{group:<13}{numbers}{show(counts.precision):>11}{show(counts.recall):>8}{show(counts.f1):>8}"


def spotting_scores(predictions: EventTable, truths: EventTable, iou_threshold: float = 0.5) -> SpottingScores:
    """Scores spotting by the protocol `megc`: one-to-one, IoU on inclusive frames, everything pooled.

    Every prediction given counts: apply the score threshold first (:func:`.threshold.at_threshold`).

    Args:
        predictions: N events of any number of videos, also of videos without a truth.
        truths: M events.
        iou_threshold: least IoU of a true positive.

    Returns:
        Counts for macro, micro, both, and whatever the type.

    Raises:
        ValueError: if a type is neither macro nor micro, or as :func:`.matching.match`.
    """
    typed = match(predictions, truths, iou_threshold)
    agnostic = match(predictions, truths, iou_threshold, within=("video",))
    macro, micro = counts_by_type(predictions.type, truths.type, predictions.type[typed != UNMATCHED])
    everything = _counts(len(predictions), len(truths), int((agnostic != UNMATCHED).sum()))
    return SpottingScores(macro=macro, micro=micro, overall=macro + micro, type_agnostic=everything)


def counts_by_type(predicted: IntArray, true: IntArray, hit: IntArray) -> list[Counts]:
    """Counts for each of :data:`EXPRESSION_TYPES`.

    Args:
        predicted: `(N,)` types of the predictions.
        true: `(M,)` types of the truths.
        hit: `(A,)` types of the true positives.

    Raises:
        ValueError: if a type is not an index of :data:`EXPRESSION_TYPES`.
    """
    n_types = len(EXPRESSION_TYPES)
    for name, column in (("prediction", predicted), ("truth", true)):
        bad = (column < 0) | (column >= n_types)
        if bad.any():
            row = int(bad.argmax())
            msg = f"The type of {name} row {row} is {int(column[row])}; 0 is macro, 1 is micro."
            raise ValueError(msg)
    n, m, a = (np.bincount(column, minlength=n_types).tolist() for column in (predicted, true, hit))
    return [_counts(*each) for each in zip(n, m, a, strict=True)]


def _counts(n_predictions: int, n_truths: int, hits: int) -> Counts:
    return Counts(tp=hits, fp=n_predictions - hits, fn=n_truths - hits)
