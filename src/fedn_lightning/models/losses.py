"""Losses: of detection (Distance-IoU for intervals, cross-entropy for confidence and emotion), and of recognition."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from fedn_lightning.models.anchors import Anchors, Assignment, Truths, decode, interval_iou
from fedn_lightning.models.head import HeadOutput


def diou_loss(predicted: Tensor, truth: Tensor) -> Tensor:
    """One-dimensional Distance-IoU loss, `1 - IoU + (centre distance / enclosing length)^2`.

    That the paper's interval loss is the 1-D Distance-IoU is stated (S); the form with the squared ratio is that of the
    two-dimensional original (O).

    Args:
        predicted: `(..., 2)` start and end, in any one unit.
        truth: `(..., 2)` likewise.

    Returns:
        `(...)` losses from 0 (equal) to below 2.

    >>> diou_loss(torch.tensor([0.0, 4.0]), torch.tensor([2.0, 6.0])).item()  # 1 - 1/3 + (2/6)^2
    0.7777...
    """
    iou = interval_iou(predicted[..., 0], predicted[..., 1], truth[..., 0], truth[..., 1])
    distance = (predicted.sum(-1) - truth.sum(-1)) / 2
    enclosing = torch.maximum(predicted[..., 1], truth[..., 1]) - torch.minimum(predicted[..., 0], truth[..., 0])
    return 1 - iou + (distance / enclosing.clamp(min=1e-6)) ** 2


def with_known_ends(predicted: Tensor, truth: Tensor, end_known: Tensor) -> Tensor:
    """Predicted intervals with the truth's end where that is a guess, so that only the start is learned.

    Args:
        predicted: `(P, 2)` start and end.
        truth: `(P, 2)` likewise.
        end_known: `(P,)` bool.
    """
    start, end = predicted.unbind(-1)
    guessed = torch.maximum(truth[:, 1], start.detach() + 1)
    return torch.stack([start, torch.where(end_known, end, guessed)], dim=-1)


@dataclass(frozen=True)
class DetectionLoss:
    """Weights and variants of the joint loss; calling it gives its parts.

    The parts and their equal weights follow the paper as far as it is known (S); dividing by the number of positives,
    the focal variant and the treatment of unanalysed emotions are ours (O).

    Args:
        interval_weight: of the Distance-IoU loss on positives.
        confidence_weight: of the cross-entropy of c on everything assigned.
        emotion_weight: of the cross-entropy of e on positives.
        focal_gamma: 0 is plain cross-entropy; above 0, anchors whose c is near its target weigh less.
        quality: c learns the IoU of the anchor's interval with the truth instead of 1, so that the best-placed of
            several proposals has the highest score (after "Generalized Focal Loss", NeurIPS 2020; O).
        unanalysed: positives whose emotion is not analysed ("others" in the 3-class scheme) are left out of the
            emotion loss (`ignore`) or taught that no class applies (`background`).
        label_smoothing: of the emotion targets.
    """

    interval_weight: float = 1.0
    confidence_weight: float = 1.0
    emotion_weight: float = 1.0
    focal_gamma: float = 0.0
    quality: bool = False
    unanalysed: str = "ignore"
    label_smoothing: float = 0.0

    def __call__(
        self, output: HeadOutput, anchors: Anchors, assignment: Assignment, truths: Truths
    ) -> dict[str, Tensor]:
        """Computes the loss of a batch.

        Returns:
            Scalars `interval`, `confidence`, `emotion` (each weighted) and their sum `loss`. Without positives
            `interval` and `emotion` are 0 and still carry a gradient path.
        """
        positive = assignment.positive
        number = positive.sum().clamp(min=1)
        rows = torch.arange(positive.shape[0], device=positive.device).unsqueeze(1).expand_as(positive)[positive]
        chosen = assignment.truth[positive]

        wanted = truths.interval[rows, chosen]
        intervals = with_known_ends(
            decode(anchors, output.regression)[positive], wanted, truths.end_known[rows, chosen]
        )
        interval = diou_loss(intervals, wanted).sum() / number

        target = torch.zeros_like(output.confidence)
        kind = F.one_hot(truths.type[rows, chosen], 2).to(target.dtype)
        if self.quality:
            kind = kind * interval_iou(*intervals.detach().unbind(-1), *wanted.unbind(-1)).unsqueeze(1)
        target[positive] = kind
        confidence = self._cross_entropy(output.confidence, target)[~assignment.ignored].sum() / number

        parts = {
            "interval": self.interval_weight * interval,
            "confidence": self.confidence_weight * confidence,
            "emotion": self.emotion_weight * self._emotion(output.emotion[positive], truths.emotion[rows, chosen]),
        }
        return {"loss": torch.stack(list(parts.values())).sum(), **parts}

    def _cross_entropy(self, logits: Tensor, target: Tensor) -> Tensor:
        loss = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
        if self.focal_gamma:
            loss = loss * (target - logits.sigmoid()).abs() ** self.focal_gamma
        return loss

    def _emotion(self, logits: Tensor, emotion: Tensor) -> Tensor:
        if logits.shape[1] == 0:
            return logits.sum()
        known = emotion >= 0
        target = F.one_hot(emotion.clamp(min=0), logits.shape[1]).to(logits.dtype) * known.unsqueeze(1)
        target = target * (1 - self.label_smoothing) + self.label_smoothing / logits.shape[1]
        counted = known if self.unanalysed == "ignore" else torch.ones_like(known)
        loss = F.binary_cross_entropy_with_logits(logits, target, reduction="none").sum(1)
        return (loss * counted).sum() / counted.sum().clamp(min=1)


@dataclass(frozen=True)
class RecognitionLoss:
    """Cross-entropy over the emotion classes (O).

    Attributes:
        balance: an expression of a class with `n` expressions has the weight `n ** -balance`: at 0 all expressions
            count alike, at 1 all classes.
        label_smoothing: of the targets.
    """

    balance: float = 0.5
    label_smoothing: float = 0.1

    def __call__(self, logits: Tensor, emotion: Tensor, class_weights: Tensor) -> Tensor:
        """The mean loss of a batch.

        Args:
            logits: `(B, C)`.
            emotion: `(B,)` int64 classes; those below 0 are left out.
            class_weights: `(C,)` of :meth:`class_weights`.
        """
        known = emotion >= 0
        if not known.any():
            return logits.sum() * 0
        return F.cross_entropy(logits[known], emotion[known], class_weights, label_smoothing=self.label_smoothing)

    def class_weights(self, counts: Tensor) -> Tensor:
        """Weights `(C,)` of classes that occur `counts` `(C,)` times; their mean over the classes that occur is 1.

        >>> RecognitionLoss(balance=1.0).class_weights(torch.tensor([10, 40, 0]))
        tensor([1.6000, 0.4000, 0.0000])
        """
        weights = counts.clamp(min=1).float() ** -self.balance * (counts > 0)
        return weights / weights[counts > 0].mean()
