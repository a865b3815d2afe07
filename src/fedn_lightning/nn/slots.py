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
