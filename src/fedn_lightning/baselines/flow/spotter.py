"""From the motion of the regions to the expressions of one type in a video.

An excursion is the motion of a region away from its resting position and back. Its size is measured in multiples of the
region's usual size; the maximum over all regions is the curve whose peaks are found. The interval of a peak ends in the
valleys beside it. Macro- and micro-expressions are spotted separately, each with its own filters and lengths.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from scipy.signal import find_peaks

from fedn_lightning.errors import ConfigError
from fedn_lightning.events import EventTable, FloatArray, IntArray
from fedn_lightning.metrics.functional.threshold import best_threshold, spotting_sweep
from fedn_lightning.models.postprocessing import nms
from fedn_lightning.motion.features import baseline, low_pass
from fedn_lightning.motion.regions import EYES_APART


def peaks(curve: FloatArray, least: float) -> IntArray:
    """Frames `(P,)` of the local maxima above `least`; of a plateau its last frame.

    >>> peaks(np.array([0.0, 2.0, 1.0, 3.0, 3.0, 0.0]), least=1.5)
    array([1, 4])
    """
    _, edges = find_peaks(np.pad(curve, 1, constant_values=-np.inf), plateau_size=1)
    last = np.asarray(edges["right_edges"] - 1, np.int64)
    return last[curve[last] > least]


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
        shortest: minimum length in frames.
        longest: maximum length in frames.
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


def noise(magnitude: FloatArray, least: float) -> FloatArray:
    """The usual size of each channel when nothing happens: its median over the video, `(...)` without the time axis.

    Args:
        magnitude: `(T, ...)`, 0 or more.
        least: noise that no channel can be below, so that a still picture does not make noise of nothing.
    """
    return np.maximum(np.median(magnitude, axis=0), least)


MIN_NOISE = 2e-4
"""Minimum usual size of an excursion in eye distances, 0.01 pixel of a 128 px crop: flow is not finer."""

MIN_HEIGHT = 2.0
"""Minimum height of a peak, in usual sizes."""

HALF = 10.0
"""Height, in usual sizes, whose confidence is one half. Any other value would rank the same."""


@dataclass(frozen=True)
class SpotterConfig:
    """How one type of expression is spotted.

    Attributes:
        smooth_seconds: standard deviation of the low-pass filter.
        rest_seconds: window of the running median that is a region's resting place.
        share: of a peak's height at which its interval ends.
        shortest_seconds: minimum length of an interval.
        longest_seconds: maximum length.
        greatest: maximum size of an excursion of this type, in eye distances; `inf` for any.
    """

    smooth_seconds: float
    rest_seconds: float
    share: float
    shortest_seconds: float
    longest_seconds: float
    greatest: float


@dataclass(frozen=True)
class Candidates:
    """Intervals that may be expressions, in frames of the clip store, 0-based and half open."""

    start: FloatArray  # `(N,)` float64
    end: FloatArray  # `(N,)` float64
    score: FloatArray  # `(N,)` float64 confidence in `[0, 1)`
    size: FloatArray  # `(N,)` float64 maximum excursion in eye distances
    peak: IntArray  # `(N,)` int64 frame at which the curve is highest

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
        `(T,)` the maximum excursion of all regions in multiples of the region's usual size, and `(T,)` the maximum in
        eye distances.
    """
    size = np.linalg.norm(excursion, axis=-1)
    relative: FloatArray = (size / noise(size, MIN_NOISE)).max(axis=1)
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
        size: `(T,)` maximum excursion in eye distances.
        fps: frames per second.
        config: share and lengths are used.
    """
    found = intervals(relative, config.share, config.shortest_seconds * fps, config.longest_seconds * fps, MIN_HEIGHT)
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


def directions(excursion: FloatArray, frames: IntArray) -> FloatArray:
    """The excursions in some frames as unit vectors.

    Args:
        excursion: `(T, R, 2)`.
        frames: `(N,)` int64.

    Returns:
        `(N, 2 R)` float64; zero where nothing moves.
    """
    _, regions, axes = excursion.shape
    vectors = excursion[frames].reshape(len(frames), regions * axes)  # also of a video without an expression
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(length > 0, length, 1.0), np.float64)


def mean_patterns(vectors: FloatArray, emotion: IntArray, n_classes: int) -> FloatArray:
    """The pattern of every class.

    Args:
        vectors: `(N, D)` of :func:`directions`.
        emotion: `(N,)` int64 classes; below 0 are left out.
        n_classes: number of classes.

    Returns:
        `(n_classes, D)` unit vectors, zero for a class that does not occur.
    """
    sums = np.zeros((n_classes, vectors.shape[1]))
    np.add.at(sums, emotion[emotion >= 0], vectors[emotion >= 0])
    return directions(sums[..., None], np.arange(n_classes))


def nearest(vectors: FloatArray, patterns: FloatArray) -> tuple[IntArray, FloatArray]:
    """The class of every vector.

    Args:
        vectors: `(N, D)`.
        patterns: `(C, D)`.

    Returns:
        `(N,)` int64 classes and `(N,)` float64 scores, the cosine `c` as `(1 + c) / 2`.

    >>> nearest(np.array([[0.0, 1.0]]), np.array([[1.0, 0.0], [0.0, 1.0]]))
    (array([1]), array([1.]))
    """
    cosine = vectors @ patterns.T
    return cosine.argmax(axis=1), (1 + cosine.max(axis=1)) / 2


@dataclass(frozen=True)
class Search:
    """The grid for one type of expression. Lengths are not searched: they are those of the truths."""

    smooth_seconds: tuple[float, ...]  # standard deviations of the low-pass filter
    rest_seconds: tuple[float, ...]  # windows of the running median
    share: tuple[float, ...]  # shares of a peak's height at which its interval ends
    # limits on the size of an excursion, as quantiles of the training expressions' sizes; no limit is always tried as
    # well
    size_quantiles: tuple[float, ...] = (0.9, 1.0)
    # shortest and longest length, as quantiles of the training expressions' lengths
    length_quantiles: tuple[float, float] = (0.05, 0.99)
    length_slack: float = 0.15  # by which share intervals may be shorter or longer than that

    def __post_init__(self) -> None:
        for name in ("smooth_seconds", "rest_seconds", "share"):
            values = getattr(self, name)
            if not values or min(values) < 0:
                msg = f"model.macro or model.micro: {name} = {list(values)} needs one value at least, none negative."
                raise ConfigError(msg)


MACRO = Search(smooth_seconds=(0.05, 0.1), rest_seconds=(6.0, 10.0), share=(0.25, 0.35, 0.45), size_quantiles=())
MICRO = Search(smooth_seconds=(0.05,), rest_seconds=(2.0,), share=(0.15, 0.2, 0.3))
"""Settled by cross-validation among the eight training subjects of `experiments/flow.yaml`: a larger grid for
micro-expressions, of which there are few, fitted its own subjects better and others worse (F1 0.57 against 0.63)."""


@dataclass(frozen=True)
class TrainingVideo:
    """One video to choose on."""

    motion: FloatArray  # `(T, R, 2)` in cells, without the head's
    fps: float  # frames per second of the clip store
    truths: EventTable  # its expressions, in stored frames


@dataclass(frozen=True)
class Choice:
    """What was chosen for one type."""

    config: SpotterConfig  # the spotter
    threshold: float  # score from which a candidate counts; `inf` if no truth was found
    f1: float  # spotting F1 on the training videos


def search_grid(
    videos: Sequence[TrainingVideo], search: Search, kind: int, iou: float = 0.2, keep: int = 200
) -> Choice:
    """The spotter and threshold with the greatest F1; the first of equals.

    Args:
        videos: of training subjects alone.
        search: the values that are tried.
        kind: index of the type.
        iou: maximum IoU of two events that are both kept.
        keep: maximum number of events in a video.
    """
    base = _with_lengths(videos, search, kind)
    truths = EventTable.concatenate([replace(v.truths, video=_index(v.truths, i)) for i, v in enumerate(videos)])
    best = Choice(base, math.inf, 0.0)
    for config, found in _configurations(videos, search, kind, base):
        events = [kept(each, config.greatest, iou, keep) for each in found]
        counts = spotting_sweep(as_table(events, kind), truths, kind=kind)
        f1 = float(counts.f1.max(initial=0.0))
        if f1 > best.f1:
            best = Choice(config, best_threshold(counts), f1)
    return best


def _configurations(
    videos: Sequence[TrainingVideo], search: Search, kind: int, base: SpotterConfig
) -> Iterator[tuple[SpotterConfig, list[Candidates]]]:
    """Every configuration with its candidates in all videos; what configurations share is computed once."""
    for smooth, rest in product(search.smooth_seconds, search.rest_seconds):
        curves = [strength(excursions(v.motion, v.fps, smooth, rest)) for v in videos]
        limits = size_limits([size for _, size in curves], videos, search, kind)
        for share in search.share:
            config = replace(base, smooth_seconds=smooth, rest_seconds=rest, share=share)
            found = [candidates(*curve, v.fps, config) for curve, v in zip(curves, videos, strict=True)]
            for limit in limits:
                yield replace(config, greatest=limit), found


def size_limits(sizes: Sequence[FloatArray], videos: Sequence[TrainingVideo], search: Search, kind: int) -> list[float]:
    """Limits on the size of an excursion: none, then quantiles over the truths; a tie leaves the loosest."""
    spans = [
        size[max(math.floor(start), 0) : math.ceil(end)]
        for size, video in zip(sizes, videos, strict=True)
        for start, end, type_ in zip(video.truths.start, video.truths.end, video.truths.type, strict=True)
        if type_ == kind
    ]
    sizes_of_truths = [span.max() for span in spans if len(span)]
    return (
        [math.inf, *sorted(np.quantile(sizes_of_truths, search.size_quantiles).tolist(), reverse=True)]
        if sizes_of_truths
        else []
    )


def _with_lengths(videos: Sequence[TrainingVideo], search: Search, kind: int) -> SpotterConfig:
    """The first configuration of the grid, with the lengths of the truths."""
    lengths = [(v.truths.end - v.truths.start)[v.truths.type == kind] / v.fps for v in videos]
    seconds = np.concatenate([*lengths, np.empty(0)])
    # Without a truth nothing is spotted: no interval has the length 0.
    shortest, longest = np.quantile(seconds, search.length_quantiles) if len(seconds) else (0.0, 0.0)
    return SpotterConfig(
        search.smooth_seconds[0],
        search.rest_seconds[0],
        search.share[0],
        float(shortest) * (1 - search.length_slack),
        float(longest) * (1 + search.length_slack),
        math.inf,
    )


def as_table(found: Sequence[Candidates], kind: int) -> EventTable:
    """Candidates of several videos as events without emotion; the video's index is its position."""
    rows = [
        [0, video, start, end, kind, -1, score]
        for video, each in enumerate(found)
        for start, end, score in zip(each.start, each.end, each.score, strict=True)
    ]
    return EventTable.from_rows(rows)


def _index(truths: EventTable, video: int) -> IntArray:
    return np.full(len(truths), video, np.int64)
