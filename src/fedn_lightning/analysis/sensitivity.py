"""How recall depends on what a truth is like: groups of truths, each with an interval for its small numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fedn_lightning.events import EventTable, FloatArray
from fedn_lightning.metrics.functional.matching import UNMATCHED, match

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
