"""Score thresholds that hold on other people: the middle of those that are nearly as good, within a ceiling.

The threshold with the greatest F1 on a few validation videos hangs on single events. Here it is the mean of all
thresholds whose F1 is nearly as great, drawn towards the threshold that suits both types together, the more so the
fewer truths of a type there are; and it never lets more false positives through than a ceiling.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from fedn_lightning.events import EXPRESSION_TYPES, EventTable, FloatArray
from fedn_lightning.metrics.functional.matching import UNMATCHED, match
from fedn_lightning.metrics.functional.threshold import Sweep, sweep
from fedn_lightning.metrics.functional.unknown_offsets import could_be

NEARLY = 0.95
"""Thresholds whose F1 is at least this share of the greatest are nearly as good."""

FEW = 10
"""With fewer truths of a type than this its threshold is uncertain, and a reader is told."""

SHARED = 20
"""The threshold of both types together counts like a type's own with so many truths."""

WITHOUT_EVIDENCE = 0.5
"""Threshold of both types where neither has a truth that is found."""


@dataclass(frozen=True)
class OperatingPoint:
    """Thresholds, and on how much they rest.

    Attributes:
        threshold: score from which a macro- and a micro-expression counts.
        n_truths: truths of each type that they were chosen on.
        capped: whether the ceiling on false positives raised each.
    """

    threshold: tuple[float, float]
    n_truths: tuple[int, int]
    capped: tuple[bool, bool]

    def warnings(self) -> list[str]:
        """What a user must know, a sentence each."""
        return [
            f"Only {count} {name}-expressions are in the validation videos, so their threshold {threshold:.3f} is "
            f"uncertain; more validation subjects (data.val_subject) would make it surer."
            for name, count, threshold in zip(EXPRESSION_TYPES, self.n_truths, self.threshold, strict=True)
            if count < FEW
        ]


def choose_thresholds(
    predictions: EventTable, truths: EventTable, minutes: float, false_positives_per_minute: float = 3.0
) -> OperatingPoint:
    """Chooses a threshold for each type on validation videos.

    Args:
        predictions: every proposal of the validation videos, whatever its score.
        truths: their truths.
        minutes: their length together.
        false_positives_per_minute: greatest number of false positives of each type a minute; `inf` for no ceiling. A
            prediction that could be a truth whose offset the release does not know is none of them: the truth's end is
            a policy's, and a detector that finds the whole expression misses it.

    Raises:
        ValueError: if the ceiling is negative or not a number.
    """
    if not false_positives_per_minute >= 0:
        msg = f"A ceiling on false positives a minute must be 0 or more, got {false_positives_per_minute}."
        raise ValueError(msg)
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
        least = _ceiling(false, false_positives_per_minute * minutes)
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


def _ceiling(false: FloatArray, most: float) -> float:
    """The least threshold that lets at most so many of the scores, descending, through."""
    if len(false) <= most:
        return 0.0
    allowed = math.floor(most)
    return float(np.nextafter(false[allowed], math.inf))
