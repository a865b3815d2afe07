"""Where the head predicts intervals, and which of these must find which ground-truth interval.

At each time step of each pyramid level there are anchors of several lengths and one anchor-free predictor. All of them
are called anchors here; `has_length` tells the two kinds apart.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor


@dataclass(frozen=True)
class Anchors:
    """The `N` anchors of a window, in frames of the window.

    They are ordered by level, then time step, then kind (by ratio, the anchor-free one last).
    """

    centre: Tensor  # `(N,)` float, centre of the time step
    length: Tensor  # `(N,)` float, length of the anchor; the level's stride for an anchor-free one
    has_length: Tensor  # `(N,)` bool, False for anchor-free ones
    shortest: Tensor  # `(N,)` float, lower end of the range of its level, see :func:`level_ranges`
    longest: Tensor  # `(N,)` float, upper end of that range

    def __len__(self) -> int:
        return len(self.centre)

    def to(self, device: torch.device) -> Self:
        """The same anchors on another device."""
        return type(self)(*(getattr(self, name).to(device) for name in self.__dataclass_fields__))

    @property
    def interval(self) -> tuple[Tensor, Tensor]:
        """Start and end `(N,)` of every anchor before regression."""
        return self.centre - self.length / 2, self.centre + self.length / 2


def level_ranges(strides: Sequence[int]) -> list[tuple[float, float]]:
    """The range of each level in frames: an anchor-free predictor finds truths whose farther end is that far away.

    The precursor's ranges for strides 8/16/32/64 are [0, 8], [8, 32], [32, 64], [64, 128] (mark A). Here the last has
    no upper end, so that every expression has a level.

    >>> level_ranges([8, 16, 32, 64])
    [(0.0, 8.0), (8.0, 32.0), (32.0, 64.0), (64.0, inf)]
    """
    tops = [float(strides[0])] + [2.0 * stride for stride in strides[1:]]
    tops[-1] = math.inf
    return list(zip([0.0, *tops[:-1]], tops, strict=True))


def make_anchors(lengths: Sequence[int], strides: Sequence[int], ratios: Sequence[float]) -> Anchors:
    """Lays out the anchors of a window of any length.

    Args:
        lengths: time steps of each level.
        strides: frames between two time steps of each level.
        ratios: anchor lengths as multiples of the stride; empty for an anchor-free head.

    Returns:
        `sum(lengths) * (len(ratios) + 1)` anchors.
    """
    kinds = len(ratios) + 1
    columns: list[tuple[Tensor, Tensor, Tensor, Tensor, Tensor]] = []
    for count, stride, (low, high) in zip(lengths, strides, level_ranges(strides), strict=True):
        centre = (torch.arange(count, dtype=torch.float32) + 0.5) * stride
        length = torch.tensor([*ratios, 1.0]) * stride
        has_length = torch.tensor([True] * len(ratios) + [False])
        columns.append(
            (
                centre.repeat_interleave(kinds),
                length.repeat(count),
                has_length.repeat(count),
                torch.full((count * kinds,), low),
                torch.full((count * kinds,), high),
            )
        )
    return Anchors(*(torch.cat(column) for column in zip(*columns, strict=True)))


def decode(anchors: Anchors, regression: Tensor) -> Tensor:
    """Turns the head's regression into intervals.

    An anchor is moved by a share of its length and scaled: `centre + a * length`, `length * exp(b)`. An anchor-free
    predictor gives its distances to both ends: `centre - stride * exp(a)`, `centre + stride * exp(b)`.

    Args:
        anchors: `N` anchors.
        regression: `(B, N, 2)` the head's two numbers for each anchor.

    Returns:
        `(B, N, 2)` start and end, in frames of the window, end > start.
    """
    # Beyond exp(4), 55 strides, no interval fits a window; the clamp keeps an untrained network finite.
    first, second = regression.clamp(-4, 4).unbind(-1)
    centre = anchors.centre + first * anchors.length
    half = anchors.length * second.exp() / 2
    start = torch.where(anchors.has_length, centre - half, anchors.centre - anchors.length * first.exp())
    end = torch.where(anchors.has_length, centre + half, anchors.centre + anchors.length * second.exp())
    return torch.stack([start, end], dim=-1)


@dataclass(frozen=True)
class Truths:
    """The truths of a batch of windows, padded to one number per window."""

    interval: Tensor  # `(B, M, 2)` float, start and end in frames of the window
    type: Tensor  # `(B, M)` int64, 0 macro, 1 micro
    emotion: Tensor  # `(B, M)` int64, class index, or -1 where the emotion is not analysed
    present: Tensor  # `(B, M)` bool, False for padding
    whole: Tensor  # `(B, M)` bool, the required share of the truth (90 % by default) lies in the window
    end_known: Tensor  # `(B, M)` bool, False where the end of the interval is a guess and must not be learned


@dataclass(frozen=True)
class Assignment:
    """Targets of every anchor of a batch of windows."""

    positive: Tensor  # `(B, N)` bool, the anchor must find a truth
    ignored: Tensor  # `(B, N)` bool, the anchor takes no part in the loss; never positive
    truth: Tensor  # `(B, N)` int64, index of the truth a positive anchor must find; 0 elsewhere


@dataclass(frozen=True)
class AssignmentConfig:
    """Which anchors must find a truth; see :func:`assign`.

    Attributes:
        positive_iou: an anchor above it is positive (0.5, mark A).
        negative_iou: an anchor below it is negative, between both ignored (0.4, A).
        force_best: each truth's best anchor is positive whatever its IoU (O).
    """

    positive_iou: float = 0.5
    negative_iou: float = 0.4
    force_best: bool = True


NEAR = 0.1
"""IoU above which an anchor is near a truth whose end is not known."""


def interval_iou(start: Tensor, end: Tensor, other_start: Tensor, other_end: Tensor) -> Tensor:
    """Temporal intersection over union, elementwise with broadcasting; 0 for intervals that do not meet."""
    inter = (torch.minimum(end, other_end) - torch.maximum(start, other_start)).clamp(min=0)
    union = (end - start) + (other_end - other_start) - inter
    return inter / union.clamp(min=1e-6)


def assign(anchors: Anchors, truths: Truths, config: AssignmentConfig = AssignmentConfig()) -> Assignment:
    """Assigns truths to anchors.

    The precursor's rule (mark A): an anchor is positive above IoU 0.5 with a truth, negative below 0.4, ignored
    between; an anchor-free predictor is positive if its time step lies inside a truth whose farther end is in its
    level's range; where several truths qualify, the shortest wins. Ours (O): each truth's best anchor is positive
    whatever its IoU (`force_best`); anchors that would match a truth cut off by the window's edge are ignored rather
    than negative; so are anchors near a truth of unknown end, since a longer or shorter one may be right.

    Returns:
        Targets `(B, N)`.
    """
    batch, count = truths.present.shape
    if count == 0:
        false = torch.zeros((batch, len(anchors)), dtype=torch.bool, device=truths.interval.device)
        return Assignment(false, false, false.long())
    start, end = truths.interval[..., 0].unsqueeze(1), truths.interval[..., 1].unsqueeze(1)  # (B, 1, M)
    present, has_length = truths.present.unsqueeze(1), anchors.has_length.view(1, -1, 1)
    own_start, own_end = (edge.view(1, -1, 1) for edge in anchors.interval)
    iou = interval_iou(own_start, own_end, start, end) * present

    matched = torch.where(has_length, _overlap_enough(iou, has_length, config), _inside(anchors, start, end) & present)
    candidates = matched & truths.whole.unsqueeze(1)
    positive = candidates.any(dim=2)
    # An anchor takes the truth it overlaps most; an anchor-free predictor takes the shortest.
    preference = torch.where(has_length, iou, 1 / (1 + (end - start).clamp(min=0)))
    truth = preference.masked_fill(~candidates, -1).argmax(dim=2)

    doubtful = matched | (has_length & (iou >= config.negative_iou))
    doubtful |= (iou > NEAR) & ~truths.end_known.unsqueeze(1)
    return Assignment(positive, doubtful.any(dim=2) & ~positive, torch.where(positive, truth, 0))


def _overlap_enough(iou: Tensor, has_length: Tensor, config: AssignmentConfig) -> Tensor:
    """Whether `(B, N, M)` anchors match truths by IoU, or as the best anchor of a truth."""
    matched = iou > config.positive_iou
    if config.force_best:
        best = iou.masked_fill(~has_length, -1).amax(dim=1, keepdim=True)
        matched |= (iou == best) & (best > 0)
    return matched


def _inside(anchors: Anchors, start: Tensor, end: Tensor) -> Tensor:
    """Whether `(B, N, M)` time steps lie inside truths that the range of their level allows."""
    centre = anchors.centre.view(1, -1, 1)
    farther = torch.maximum(centre - start, end - centre)
    in_range = (farther >= anchors.shortest.view(1, -1, 1)) & (farther <= anchors.longest.view(1, -1, 1))
    return (centre >= start) & (centre < end) & in_range
