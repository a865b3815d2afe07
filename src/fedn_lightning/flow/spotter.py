"""From the motion of the regions to the expressions of one type in a video.

A region that leaves its resting place and comes back has made an excursion. Its size in multiples of the region's usual
size, the greatest of all regions, is the curve whose peaks are taken; the interval of a peak ends in the valleys beside
it. Macro- and micro-expressions are spotted apart, each with filters and lengths of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fedn_lightning.events import FloatArray, IntArray
from fedn_lightning.flow.filtering import baseline, low_pass, noise
from fedn_lightning.flow.peaks import intervals
from fedn_lightning.flow.regions import EYES_APART
from fedn_lightning.nn.suppression import nms

LEAST_NOISE = 2e-4
"""Least usual size of an excursion in eye distances, a hundredth of a pixel of a 128 px crop: flow is not finer."""

LEAST_HEIGHT = 2.0
"""Peaks lower than this many usual sizes are no candidates."""

HALF = 10.0
"""Height, in usual sizes, whose confidence is one half. Any other value would rank the same."""


@dataclass(frozen=True)
class SpotterConfig:
    """How one type of expression is spotted.

    Attributes:
        smooth_seconds: standard deviation of the low-pass filter.
        rest_seconds: window of the running median that is a region's resting place.
        share: of a peak's height at which its interval ends.
        shortest_seconds: least length of an interval.
        longest_seconds: greatest length.
        greatest: size of the greatest excursion that is still of this type, in eye distances; `inf` for any.
    """

    smooth_seconds: float
    rest_seconds: float
    share: float
    shortest_seconds: float
    longest_seconds: float
    greatest: float


@dataclass(frozen=True)
class Candidates:
    """Intervals that may be expressions, in frames of the clip store, 0-based and half open.

    Attributes:
        start: `(N,)` float64.
        end: `(N,)` float64.
        score: `(N,)` float64 confidence in `[0, 1)`.
        size: `(N,)` float64 greatest excursion in eye distances.
        peak: `(N,)` int64 frame at which the curve is highest.
    """

    start: FloatArray
    end: FloatArray
    score: FloatArray
    size: FloatArray
    peak: IntArray

    def __len__(self) -> int:
        return len(self.start)

    def __getitem__(self, chosen: IntArray) -> Candidates:
        """Selects by mask or index."""
        return Candidates(
            self.start[chosen], self.end[chosen], self.score[chosen], self.size[chosen], self.peak[chosen]
        )


def excursions(motion: FloatArray, fps: float, smooth_seconds: float, rest_seconds: float) -> FloatArray:
    """How far every region is from where it rests.

    Args:
        motion: `(T, R, 2)` in cells, without the head's.
        fps: frames per second.
        smooth_seconds: see :class:`SpotterConfig`.
        rest_seconds: likewise.

    Returns:
        `(T, R, 2)` float64 in eye distances.
    """
    smooth = low_pass(motion, smooth_seconds, fps)
    return (smooth - baseline(smooth, rest_seconds, fps)) / EYES_APART


def strength(excursion: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The curve that is searched for peaks.

    Args:
        excursion: `(T, R, 2)` in eye distances.

    Returns:
        `(T,)` the greatest excursion of any region in multiples of that region's usual size, and `(T,)` the greatest in
        eye distances.
    """
    size = np.linalg.norm(excursion, axis=-1)
    relative: FloatArray = (size / noise(size, LEAST_NOISE)).max(axis=1)
    return relative, size.max(axis=1)


def confidence(height: FloatArray) -> FloatArray:
    """Heights as confidences in `[0, 1)`, in the same order.

    >>> confidence(np.array([0.0, 10.0, 30.0]))
    array([0.  , 0.5 , 0.75])
    """
    return height / (height + HALF)


def candidates(relative: FloatArray, size: FloatArray, fps: float, config: SpotterConfig) -> Candidates:
    """Every peak's interval of a fitting length, whatever its size; neighbours may overlap.

    Args:
        relative: `(T,)` curve of :func:`strength`.
        size: `(T,)` greatest excursion in eye distances.
        fps: frames per second.
        config: share and lengths are used.
    """
    found = intervals(relative, config.share, config.shortest_seconds * fps, config.longest_seconds * fps, LEAST_HEIGHT)
    start, end, height = found.T
    spans = [slice(int(a), int(b)) for a, b in found[:, :2]]
    return Candidates(
        start=start,
        end=end,
        score=confidence(height),
        size=np.array([size[span].max() for span in spans]),
        peak=np.array([span.start + int(relative[span].argmax()) for span in spans], np.int64),
    )


def kept(found: Candidates, greatest: float, iou: float, keep: int) -> Candidates:
    """Candidates that are not too large, the higher of overlapping ones, by descending score."""
    fitting = found[np.flatnonzero(found.size <= greatest)]
    return fitting[nms(fitting.start, fitting.end, fitting.score, iou, keep)]
