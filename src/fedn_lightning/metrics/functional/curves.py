"""Operating curves: what a user gets for every possible score threshold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fedn_lightning.events import EXPRESSION_TYPES, EventTable, FloatArray, IntArray
from fedn_lightning.metrics.functional.threshold import Sweep, spotting_sweep

RATES = (0.25, 0.5, 1.0, 2.0, 4.0)
"""False alarms per minute at which the recall is reported."""


@dataclass(frozen=True)
class OperatingCurves:
    """Sweeps over all thresholds (protocol `megc`): F1 against threshold, precision against recall, FROC.

    Attributes:
        macro: the sweep of macro-expressions.
        micro: the sweep of micro-expressions.
        overall: both, one threshold for both.
        minutes: duration of *all* videos looked at, NaN if unknown; only the FROC needs it.
    """

    macro: Sweep
    micro: Sweep
    overall: Sweep
    minutes: float = float("nan")

    def sweeps(self) -> dict[str, Sweep]:
        """By group."""
        return {"macro": self.macro, "micro": self.micro, "overall": self.overall}

    def recall_at(self, rates: Sequence[float] = RATES) -> dict[str, list[float]]:
        """For each group the greatest recall with at most so many false alarms per minute; NaN if minutes are unknown.

        This is what someone who will look at every hit asks: how much do I find for how many interruptions?
        """
        return {group: [recall_at_rate(s, self.minutes, rate) for rate in rates] for group, s in self.sweeps().items()}


def operating_curves(
    predictions: EventTable, truths: EventTable, minutes: float = float("nan"), iou_threshold: float = 0.5
) -> OperatingCurves:
    """Sweeps the score threshold.

    Args:
        predictions: every proposal, whatever its score.
        truths: the truths.
        minutes: duration of all videos looked at.
        iou_threshold: least IoU of a true positive.

    Raises:
        ValueError: as :func:`.matching.match`.
    """
    by_type = {
        name: spotting_sweep(predictions, truths, iou_threshold, kind) for kind, name in enumerate(EXPRESSION_TYPES)
    }
    return OperatingCurves(**by_type, overall=spotting_sweep(predictions, truths, iou_threshold), minutes=minutes)


def false_alarms_per_minute(sweep: Sweep, minutes: float) -> FloatArray:
    """`(K,)` false alarms per minute at each threshold.

    >>> from fedn_lightning.metrics.functional.threshold import sweep
    >>> false_alarms_per_minute(sweep(np.array([0.9, 0.8, 0.7]), np.array([True, False, False]), 1), minutes=2)
    array([0. , 0.5, 1. ])
    """
    rate: FloatArray = (sweep.n - sweep.tp) / minutes
    return rate


def recall_at_rate(sweep: Sweep, minutes: float, rate: float) -> float:
    """Greatest recall with at most `rate` false alarms per minute; NaN without minutes or without a truth."""
    if np.isnan(minutes) or not sweep.m:
        return float("nan")
    allowed = sweep.tp[false_alarms_per_minute(sweep, minutes) <= rate]
    return float(allowed.max(initial=0) / sweep.m)


def thinned(n_points: int, at_most: int = 400) -> IntArray:
    """Positions of a curve worth drawing: both ends and an even choice between, at most so many.

    >>> thinned(9, at_most=3)
    array([0, 4, 8])
    """
    return np.unique(np.linspace(0, n_points - 1, min(n_points, at_most)).round().astype(np.int64))
