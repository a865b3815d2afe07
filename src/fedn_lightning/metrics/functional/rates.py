"""Agreement of two coders about frames, and rates of events with intervals over people."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fedn_lightning.events import EventTable, FloatArray, IntArray
from fedn_lightning.metrics.functional.matching import UNMATCHED, match


def cohen_kappa(confusion: IntArray) -> float:
    """Agreement beyond chance, `(observed - expected) / (1 - expected)`; nan where chance alone would agree.

    Args:
        confusion: `(R, C)` counts with `R <= C`, whose first `R` columns name the rows' classes.

    >>> cohen_kappa(np.array([[20, 5], [10, 15]])).__round__(2)
    0.4
    """
    if not confusion.sum():
        return float("nan")
    share = confusion / confusion.sum()
    expected = float(share.sum(1) @ share.sum(0)[: len(share)])
    return float((np.trace(share) - expected) / (1 - expected)) if expected < 1 else float("nan")


def frame_classes(start: FloatArray, end: FloatArray, label: IntArray, n_frames: int) -> IntArray:
    """The class of each frame of one video: 0 without an event, else 1 more than its label; the shorter event wins.

    Args:
        start: `(N,)` first frames, may be fractional.
        end: `(N,)` one past the last frames.
        label: `(N,)` classes from 0 on.
        n_frames: of the video.

    Returns:
        `(n_frames,)` int64. A frame belongs to an event if its middle lies in it.

    >>> frame_classes(np.array([0.0, 2]), np.array([5.0, 4]), np.array([0, 1]), 6).tolist()
    [1, 1, 2, 2, 1, 0]
    """
    classes = np.zeros(n_frames, np.int64)
    for row in np.argsort(start - end, kind="stable"):
        first, stop = (int(np.ceil(edge - 0.5)) for edge in (start[row], end[row]))
        classes[max(first, 0) : max(stop, 0)] = label[row] + 1
    return classes


def frame_confusion(one: IntArray, other: IntArray, n_classes: int) -> IntArray:
    """`(n_classes, n_classes)` counts of frames by the class of one coder (row) and of another (column)."""
    return np.bincount(one * n_classes + other, minlength=n_classes**2).reshape(n_classes, n_classes)


class Differences(NamedTuple):
    """Differences of a boundary over matched events, second coder minus first, in the unit of the tables.

    `mean` is signed, `absolute` the mean size, `deviation` the standard deviation (nan below two pairs).
    """

    pairs: int
    mean: float
    absolute: float
    deviation: float

    @classmethod
    def of(cls, values: FloatArray) -> Differences:
        """The differences of some pairs."""
        if not len(values):
            return cls(0, np.nan, np.nan, np.nan)
        spread = float(values.std(ddof=1)) if len(values) > 1 else np.nan
        return cls(len(values), float(values.mean()), float(np.abs(values).mean()), spread)


def matched_rows(predictions: EventTable, truths: EventTable, iou_threshold: float = 0.5) -> tuple[IntArray, IntArray]:
    """Rows of the events that both marked with one type, at an IoU of at least the threshold: predictions, truths."""
    taken = match(predictions, truths, iou_threshold)
    rows = np.flatnonzero(taken != UNMATCHED)
    return rows, taken[rows]


LEVEL = 0.95
"""Of every interval."""


class Estimate(NamedTuple):
    """A value and its interval; nan where it is not defined."""

    value: float
    low: float = np.nan
    high: float = np.nan


def poisson_rate(count: float, exposure: float) -> Estimate:
    """Events per unit of exposure, with the exact interval of a Poisson count (Garwood 1936).

    >>> [round(number, 2) for number in poisson_rate(0, 10)], [round(number, 2) for number in poisson_rate(10, 10)]
    ([0.0, 0.0, 0.37], [1.0, 0.48, 1.84])
    """
    from scipy.special import gammaincinv

    if exposure <= 0:
        return Estimate(np.nan)
    tail = (1 - LEVEL) / 2
    low = float(gammaincinv(count, tail)) if count else 0.0
    high = float(gammaincinv(count + 1, 1 - tail))
    return Estimate(count / exposure, low / exposure, high / exposure)


def ratio(parts: npt.ArrayLike, wholes: npt.ArrayLike) -> Estimate:
    """The sum of `parts` over the sum of `wholes`, with the interval that other people would give.

    The variance is that of a ratio estimator over clusters (Cochran 1977, section 6), the quantile Student's with one
    degree of freedom less than there are clusters. With one cluster there is no interval.

    Args:
        parts: `(N,)` of each person, e.g. events.
        wholes: `(N,)` of each person, e.g. minutes; people without any are left out.

    >>> [round(number, 3) for number in ratio([2, 4, 6], [1, 1, 1])]  # of equal wholes, the mean's
    [4.0, -0.968, 8.968]
    """
    from scipy.special import stdtrit

    part, whole = np.asarray(parts, np.float64), np.asarray(wholes, np.float64)
    part, whole = part[whole > 0], whole[whole > 0]
    n, total = len(whole), whole.sum()
    if not n:
        return Estimate(np.nan)
    value = float(part.sum() / total)
    if n == 1:
        return Estimate(value)
    variance = n / (n - 1) * float(((part - value * whole) ** 2).sum()) / total**2
    reach = float(stdtrit(n - 1, (1 + LEVEL) / 2)) * math.sqrt(variance)
    return Estimate(value, value - reach, value + reach)


def rate(counts: npt.ArrayLike, exposures: npt.ArrayLike) -> Estimate:
    """Events per unit of exposure: :func:`ratio` of people; :func:`poisson_rate` of one, or where there is no event.

    Raises:
        ValueError: if the lengths differ.
    """
    count, exposure = np.asarray(counts, np.float64), np.asarray(exposures, np.float64)
    if count.shape != exposure.shape:
        raise ValueError(f"counts and exposures must have one length, got {count.shape} and {exposure.shape}.")
    if int((exposure > 0).sum()) < 2 or not count.sum():
        return poisson_rate(float(count.sum()), float(exposure.sum()))
    found = ratio(count, exposure)
    return found._replace(low=max(found.low, 0.0))


def mean_of(values: FloatArray, cluster: npt.NDArray[np.int64]) -> Estimate:
    """Mean of values, with the interval that other clusters would give; with one cluster, that other values would.

    Args:
        values: `(N,)`.
        cluster: `(N,)` whose each value is.
    """
    if not len(values):
        return Estimate(np.nan)
    _, index = np.unique(cluster, return_inverse=True)
    if index.max() == 0:
        index = np.arange(len(values))
    return ratio(np.bincount(index, values), np.bincount(index))
