"""Chooses the parameters of a spotter on training subjects: an exhaustive search of a small grid by spotting F1."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from fedn_lightning.baselines.flow.spotter import Candidates, SpotterConfig, candidates, excursions, kept, strength
from fedn_lightning.errors import ConfigError
from fedn_lightning.events import EventTable, FloatArray, IntArray
from fedn_lightning.metrics.functional.threshold import best_threshold, spotting_sweep


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
