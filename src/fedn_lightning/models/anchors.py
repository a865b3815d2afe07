"""The places where the head predicts an interval: anchors of several lengths, and one anchor-free slot a time step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor


@dataclass(frozen=True)
class Slots:
    """Geometry of every interval the head predicts in a window, in frames of the window.

    Slots are ordered by level, then time step, then kind (anchors by ratio, the anchor-free slot last).

    Attributes:
        centre: `(N,)` float, centre of the time step.
        length: `(N,)` float, length of the anchor; the level's stride for an anchor-free slot.
        anchored: `(N,)` bool, False for anchor-free slots.
        shortest: `(N,)` float, least larger side an anchor-free slot is responsible for.
        longest: `(N,)` float, greatest larger side it is responsible for.
    """

    centre: Tensor
    length: Tensor
    anchored: Tensor
    shortest: Tensor
    longest: Tensor

    def __len__(self) -> int:
        return len(self.centre)

    def to(self, device: torch.device) -> Self:
        """The same slots on another device."""
        return type(self)(*(getattr(self, name).to(device) for name in self.__dataclass_fields__))

    @property
    def interval(self) -> tuple[Tensor, Tensor]:
        """Start and end `(N,)` of every slot before regression."""
        return self.centre - self.length / 2, self.centre + self.length / 2


def level_ranges(strides: Sequence[int]) -> list[tuple[float, float]]:
    """Larger sides each level is responsible for, in frames.

    The precursor's ranges for strides 8/16/32/64 are [0, 8], [8, 32], [32, 64], [64, 128] (mark A): the first level
    takes what fits its stride, the second up to twice its own, and so on; the last has no upper end here, so that no
    expression is left without a level.

    >>> level_ranges([8, 16, 32, 64])
    [(0.0, 8.0), (8.0, 32.0), (32.0, 64.0), (64.0, inf)]
    """
    tops = [float(strides[0])] + [2.0 * stride for stride in strides[1:]]
    tops[-1] = math.inf
    return list(zip([0.0, *tops[:-1]], tops, strict=True))


def make_slots(
    lengths: Sequence[int], strides: Sequence[int], ratios: Sequence[float], ranges: Sequence[tuple[float, float]]
) -> Slots:
    """Lays out the slots of a window of any length.

    Args:
        lengths: time steps of each level.
        strides: frames between two time steps of each level.
        ratios: anchor lengths as multiples of the stride; empty for an anchor-free head.
        ranges: larger sides each level's anchor-free slots are responsible for, in frames.

    Returns:
        `sum(lengths) * (len(ratios) + 1)` slots.
    """
    kinds = len(ratios) + 1
    columns: list[tuple[Tensor, Tensor, Tensor, Tensor, Tensor]] = []
    for count, stride, (low, high) in zip(lengths, strides, ranges, strict=True):
        centre = (torch.arange(count, dtype=torch.float32) + 0.5) * stride
        length = torch.tensor([*ratios, 1.0]) * stride
        anchored = torch.tensor([True] * len(ratios) + [False])
        columns.append(
            (
                centre.repeat_interleave(kinds),
                length.repeat(count),
                anchored.repeat(count),
                torch.full((count * kinds,), low),
                torch.full((count * kinds,), high),
            )
        )
    return Slots(*(torch.cat(column) for column in zip(*columns, strict=True)))


def decode(slots: Slots, regression: Tensor) -> Tensor:
    """Turns the head's regression into intervals.

    An anchor is moved by a share of its length and scaled: `centre + a * length`, `length * exp(b)`. An anchor-free
    slot gives its distances to both ends: `centre - stride * exp(a)`, `centre + stride * exp(b)`.

    Args:
        slots: `N` slots.
        regression: `(B, N, 2)` the head's two numbers a slot.

    Returns:
        `(B, N, 2)` start and end, in frames of the window, end > start.
    """
    # Beyond exp(4), 55 strides, no interval fits a window; the clamp keeps an untrained network finite.
    first, second = regression.clamp(-4, 4).unbind(-1)
    centre = slots.centre + first * slots.length
    half = slots.length * second.exp() / 2
    start = torch.where(slots.anchored, centre - half, slots.centre - slots.length * first.exp())
    end = torch.where(slots.anchored, centre + half, slots.centre + slots.length * second.exp())
    return torch.stack([start, end], dim=-1)


@dataclass(frozen=True)
class Assignment:
    """Targets of every slot of a batch of windows.

    Attributes:
        positive: `(B, N)` bool, the slot must find a truth.
        ignored: `(B, N)` bool, the slot takes no part in the loss; never positive.
        truth: `(B, N)` int64, index of the truth a positive slot must find; 0 elsewhere.
    """

    positive: Tensor
    ignored: Tensor
    truth: Tensor


def interval_iou(start: Tensor, end: Tensor, other_start: Tensor, other_end: Tensor) -> Tensor:
    """Temporal intersection over union, elementwise with broadcasting; 0 for intervals that do not meet."""
    inter = (torch.minimum(end, other_end) - torch.maximum(start, other_start)).clamp(min=0)
    union = (end - start) + (other_end - other_start) - inter
    return inter / union.clamp(min=1e-6)


NEAR = 0.1
"""IoU above which a slot is near a truth whose end is not known."""


def assign(
    slots: Slots,
    truths: Tensor,
    present: Tensor,
    whole: Tensor,
    positive_iou: float = 0.5,
    negative_iou: float = 0.4,
    force_best: bool = True,
    end_known: Tensor | None = None,
) -> Assignment:
    """Assigns truths to slots.

    The precursor's rule (mark A): an anchor is positive above IoU 0.5 with a truth, negative below 0.4, ignored
    between; an anchor-free slot is positive if its time step lies inside a truth whose larger side (the distance to
    the farther end) is in its level's range; where several truths qualify the shortest wins. Ours (O): each truth's
    best anchor is positive whatever its IoU (`force_best`), and slots that would match a truth cut off by the
    window's edge are ignored rather than negative.

    Args:
        slots: `N` slots of a window.
        truths: `(B, M, 2)` start and end of the truths, in frames of the window; padded rows are arbitrary.
        present: `(B, M)` bool, False for padded rows.
        whole: `(B, M)` bool, the truth counts in this window (more than 90 % of it lies inside).
        positive_iou: above it an anchor is positive.
        negative_iou: from it to `positive_iou` an anchor is ignored.
        force_best: makes each truth's best anchor positive.
        end_known: `(B, M)` bool, False for truths whose end is a guess: slots near them that are not positive are
            ignored, since a longer or shorter one may be right. None if all are known.

    Returns:
        Targets `(B, N)`.
    """
    batch, count = truths.shape[:2]
    shape = (batch, len(slots))
    if count == 0:
        false = torch.zeros(shape, dtype=torch.bool, device=truths.device)
        return Assignment(false, false, torch.zeros(shape, dtype=torch.long, device=truths.device))
    start, end = truths[..., 0].unsqueeze(1), truths[..., 1].unsqueeze(1)  # (B, 1, M)
    slot_start, slot_end = (edge.view(1, -1, 1) for edge in slots.interval)
    anchored = slots.anchored.view(1, -1, 1)
    usable = present.unsqueeze(1)

    iou = interval_iou(slot_start, slot_end, start, end) * usable
    best = iou.masked_fill(~anchored, -1).amax(dim=1, keepdim=True)
    matched = anchored & (iou > positive_iou)
    if force_best:
        matched |= anchored & (iou == best) & (best > 0)

    centre = slots.centre.view(1, -1, 1)
    larger = torch.maximum(centre - start, end - centre)
    inside = (centre >= start) & (centre < end) & usable
    in_range = (larger >= slots.shortest.view(1, -1, 1)) & (larger <= slots.longest.view(1, -1, 1))
    matched |= ~anchored & inside & in_range & usable

    candidates = matched & whole.unsqueeze(1)
    # Among an anchor's truths the one it overlaps most wins, among an anchor-free slot's the shortest.
    preference = torch.where(anchored, iou, 1 / (1 + (end - start).clamp(min=0)))
    truth = preference.masked_fill(~candidates, -1).argmax(dim=2)
    positive = candidates.any(dim=2)
    doubtful = (anchored & (iou >= negative_iou)) | matched
    if end_known is not None:
        doubtful |= (iou > NEAR) & ~end_known.unsqueeze(1)
    return Assignment(positive, doubtful.any(dim=2) & ~positive, torch.where(positive, truth, 0))
