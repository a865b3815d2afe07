"""Rates and means over people, with 95 % intervals."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fedn_lightning.events import FloatArray

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
