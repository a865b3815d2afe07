"""From a curve to intervals: its peaks, and the valleys on both sides of them."""

from __future__ import annotations

import numpy as np

from fedn_lightning.events import FloatArray, IntArray


def peaks(curve: FloatArray, least: float) -> IntArray:
    """Frames `(P,)` of the local maxima above `least`; of a plateau its last frame.

    >>> peaks(np.array([0.0, 2.0, 1.0, 3.0, 3.0, 0.0]), least=1.5)
    array([1, 4])
    """
    padded = np.concatenate([[-np.inf], curve, [-np.inf]])
    is_peak = (padded[1:-1] >= padded[:-2]) & (padded[1:-1] > padded[2:]) & (curve > least)
    return np.flatnonzero(is_peak)


def valley(curve: FloatArray, peak: int, step: int, share: float, most: int) -> int:
    """The last frame on one side of a peak at which the curve is still at `share` of the peak's height or above.

    Args:
        curve: `(T,)`.
        peak: frame of the peak.
        step: -1 to search before it, 1 behind it.
        share: of the height, 0 to 1.
        most: frames that are searched at most.

    >>> valley(np.array([0.0, 1.0, 4.0, 8.0, 3.0, 0.0]), peak=3, step=-1, share=0.4, most=9)
    2
    """
    side = curve[peak + 1 : peak + 1 + most] if step > 0 else curve[max(peak - most, 0) : peak][::-1]
    below = np.flatnonzero(side < share * curve[peak])
    return peak + step * int(below[0] if len(below) else len(side))


def intervals(curve: FloatArray, share: float, shortest: float, longest: float, least: float) -> FloatArray:
    """One interval for every peak: from valley to valley, if it is neither too short nor too long.

    Args:
        curve: `(T,)`, 0 or more.
        share: of a peak's height at which its interval ends.
        shortest: least length in frames.
        longest: greatest length in frames.
        least: height of the lowest peak.

    Returns:
        `(N, 3)` float64 start, end (half open) and height of the peak; intervals of neighbouring peaks may overlap.
    """
    found = []
    for peak in peaks(curve, least).tolist():
        start = valley(curve, peak, -1, share, int(longest) + 1)
        end = valley(curve, peak, 1, share, int(longest) + 1) + 1
        if shortest <= end - start <= longest:
            found.append((start, end, curve[peak]))
    return np.array(found, np.float64).reshape(-1, 3)
