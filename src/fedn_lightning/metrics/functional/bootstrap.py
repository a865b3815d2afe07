"""Uncertainty: percentile bootstrap over subjects.

Subjects are drawn, not videos or events: a person's expressions resemble each other, and a user asks how the method
does on *other people*. A drawn subject brings all its videos, twice if drawn twice; nothing is matched anew, because
matching never leaves a video. Thresholds stay as they were chosen.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fedn_lightning.events import EventTable, FloatArray, IntArray
from fedn_lightning.metrics.functional.protocols import PROTOCOLS, Protocol
from fedn_lightning.metrics.functional.tally import tally, weighted_scores
from fedn_lightning.metrics.functional.threshold import Threshold


class Interval(NamedTuple):
    """An interval of a score, and the share of draws in which the score was defined."""

    low: float
    high: float
    defined: float


def bootstrap_intervals(
    predictions: EventTable,
    truths: EventTable,
    protocol: Protocol = PROTOCOLS["megc"],
    threshold: Threshold = -np.inf,
    *,
    draws: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, Interval]:
    """Intervals of the scores of :func:`.evaluation.flat_scores`.

    Args:
        predictions: every proposal.
        truths: the truths.
        protocol: what counts as a hit.
        threshold: score from which a proposal counts for spotting and recognition.
        draws: number of resamples, at least 1.
        level: coverage of the interval.
        seed: of the random draws.

    Returns:
        By score the percentile interval over the draws in which it is defined; NaN bounds if there is none.

    Raises:
        ValueError: if `draws` or `level` are out of range.
    """
    if draws < 1 or not 0 < level < 1:
        msg = f"A bootstrap needs at least one draw and a level between 0 and 1, got {draws} and {level}."
        raise ValueError(msg)
    found = tally(predictions, truths, protocol, threshold)
    index = found.subjects.index
    rng = np.random.default_rng(seed)
    n = max(len(index), 1)
    values = [
        weighted_scores(found, weight[: len(index)], protocol) for weight in rng.multinomial(n, [1 / n] * n, size=draws)
    ]
    return {name: _percentiles(np.array([draw[name] for draw in values]), level) for name in values[0]}


def resampled_scores(
    predictions: EventTable,
    truths: EventTable,
    weights: IntArray,
    protocol: Protocol = PROTOCOLS["megc"],
    threshold: Threshold = -np.inf,
) -> dict[str, FloatArray]:
    """The scores of :func:`.evaluation.flat_scores` with each subject counted so many times.

    Two sets of predictions scored with the same weights are compared on the same people: what makes a subject hard
    cancels out of the difference.

    Args:
        predictions: every proposal.
        truths: the truths.
        weights: `(D, S)` int64, how often each subject index is drawn; a row of ones gives the plain scores.
        protocol: what counts as a hit.
        threshold: score from which a proposal counts for spotting and recognition.

    Returns:
        By score `(D,)` float64, NaN where a draw does not define it.
    """
    found = tally(predictions, truths, protocol, threshold)
    rows = [weighted_scores(found, weight[found.subjects.index], protocol) for weight in weights]
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def _percentiles(values: FloatArray, level: float) -> Interval:
    known = values[~np.isnan(values)]
    if not len(known):
        return Interval(float("nan"), float("nan"), 0.0)
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high), len(known) / len(values))
