"""Which slot must find which truth."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from fedn_lightning.nn.slots import Slots


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


def assign(
    slots: Slots,
    truths: Tensor,
    present: Tensor,
    whole: Tensor,
    positive_iou: float = 0.5,
    negative_iou: float = 0.4,
    force_best: bool = True,
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
    return Assignment(positive, doubtful.any(dim=2) & ~positive, torch.where(positive, truth, 0))
