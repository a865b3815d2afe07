"""Spotting counts, precision, recall and F1."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import partial
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

    >>> print(SpottingScores(Counts(2, 1, 0), Counts(), Counts(2, 1, 0), Counts(2, 1, 0)))
                        TP       FP       FN  precision  recall      F1
    macro                2        1        0     0.6667  1.0000  0.8000
    micro                0        0        0          -       -       -
    overall              2        1        0     0.6667  1.0000  0.8000
    type_agnostic        2        1        0     0.6667  1.0000  0.8000
    """

    macro: Counts  # matched within macro-expressions
    micro: Counts  # matched within micro-expressions
    overall: Counts  # the sum of both
    type_agnostic: Counts  # matched anew whatever the type, for readers who only ask whether something was there

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
        head = f"{'':<13}{'TP':>9}{'FP':>9}{'FN':>9}  precision  recall      F1"
        return "\n".join([head, *(_line(group, getattr(self, group)) for group in self.groups())])


def ratio(part: float, whole: float) -> float:
    """`part / whole`, NaN where the whole is 0: undefined is undefined."""
    return part / whole if whole else math.nan


def show(value: float | None, digits: int = 4) -> str:
    """A score as text; an undefined one (NaN, or None as read from JSON) is `-`.

    >>> show(0.25), show(float("nan")), show(None)
    ('0.2500', '-', '-')
    """
    return "-" if value is None or math.isnan(value) else f"{value:.{digits}f}"


def _line(group: str, counts: Counts) -> str:
    numbers = f"{counts.tp:>9}{counts.fp:>9}{counts.fn:>9}"
    return f"{group:<13}{numbers}{show(counts.precision):>11}{show(counts.recall):>8}{show(counts.f1):>8}"


@dataclass(frozen=True, slots=True)
class Spotted:
    """What a matching rule makes of one pool of predictions and truths."""

    counts: Counts  # as the rule counts; in compatibility protocols they need not add up to the number of predictions
    prediction: IntArray  # `(A,)` int64, rows of the predictions of the true positives
    truth: IntArray  # `(A,)` int64, rows of their truths


Rule = Callable[[EventTable, EventTable], Spotted]
"""Matches predictions with truths, video by video, without a look at the type."""


def one_to_one(predictions: EventTable, truths: EventTable, iou_threshold: float = 0.5) -> Spotted:
    """The rule of the protocol `megc`: each prediction and each truth is used once (see :mod:`.matching`).

    Args:
        predictions: N events.
        truths: M events.
        iou_threshold: minimum IoU of a true positive.
    """
    taken = match(predictions, truths, iou_threshold, within=("video",))
    rows = np.flatnonzero(taken != UNMATCHED)
    hits = len(rows)
    return Spotted(Counts(hits, len(predictions) - hits, len(truths) - hits), rows, taken[rows])


def spot_groups(predictions: EventTable, truths: EventTable, rule: Rule = one_to_one) -> dict[str, Spotted]:
    """Applies a rule to macro, to micro, and to everything whatever the type; overall is the sum of the first two.

    Args:
        predictions: N events of any number of videos, also of videos without a truth.
        truths: M events.
        rule: what counts as a true positive.

    Returns:
        For each of :meth:`SpottingScores.groups` the outcome; its rows are those of the tables given.

    Raises:
        ValueError: if a type is neither macro nor micro, or as :func:`.matching.match`.
    """
    _check_types(predictions.type, "prediction")
    _check_types(truths.type, "truth")
    macro, micro = (_spot_type(predictions, truths, kind, rule) for kind in range(len(EXPRESSION_TYPES)))
    overall = Spotted(
        macro.counts + micro.counts,
        np.concatenate([macro.prediction, micro.prediction]),
        np.concatenate([macro.truth, micro.truth]),
    )
    return {"macro": macro, "micro": micro, "overall": overall, "type_agnostic": rule(predictions, truths)}


def spotting_scores(
    predictions: EventTable, truths: EventTable, iou_threshold: float = 0.5, rule: Rule | None = None
) -> SpottingScores:
    """Scores spotting, by default by the protocol `megc`: one-to-one, IoU on inclusive frames, everything pooled.

    Every prediction given counts: apply the score threshold first (:func:`.threshold.at_threshold`).

    Args:
        predictions: N events of any number of videos, also of videos without a truth.
        truths: M events.
        iou_threshold: minimum IoU of a true positive; not used with a rule, which has its own.
        rule: another protocol's rule (:mod:`.evaluation`).

    Returns:
        Counts for macro, micro, both, and whatever the type.

    Raises:
        ValueError: if a type is neither macro nor micro, or as :func:`.matching.match`.
    """
    groups = spot_groups(predictions, truths, rule or partial(one_to_one, iou_threshold=iou_threshold))
    return SpottingScores(**{name: spotted.counts for name, spotted in groups.items()})


def _spot_type(predictions: EventTable, truths: EventTable, kind: int, rule: Rule) -> Spotted:
    mine, true = np.flatnonzero(predictions.type == kind), np.flatnonzero(truths.type == kind)
    spotted = rule(predictions[mine], truths[true])
    return Spotted(spotted.counts, mine[spotted.prediction], true[spotted.truth])


def _check_types(column: IntArray, name: str) -> None:
    bad = (column < 0) | (column >= len(EXPRESSION_TYPES))
    if bad.any():
        row = int(bad.argmax())
        raise ValueError(f"The type of {name} row {row} is {int(column[row])}; 0 is macro, 1 is micro.")
