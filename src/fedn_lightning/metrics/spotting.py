"""Spotting F1 as a metric class."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from fedn_lightning.metrics.events import EventMetric, scalar
from fedn_lightning.metrics.functional.spotting import Counts, SpottingScores, spotting_scores
from fedn_lightning.metrics.functional.threshold import Threshold, at_threshold


class SpottingF1(EventMetric):
    """Spotting counts, precision, recall and F1 of the protocol `megc`, pooled over everything seen.

    As output of `compute`: a flat dictionary of float64 scalars, `{macro,micro,overall,type_agnostic}_{tp,fp,fn,
    precision,recall,f1}`; NaN where undefined, also for a metric never updated.

    Args:
        threshold: score from which a proposal counts, or one each for (macro, micro).
        iou_threshold: least IoU of a true positive, in `(0, 1]`.
        kwargs: those of :class:`torchmetrics.Metric`.

    >>> import torch
    >>> metric = SpottingF1(threshold=0.5)
    >>> metric.update(torch.tensor([[0, 0, 0, 10, 0, -1, 0.9]]), torch.tensor([[0, 0, 1, 11, 0, -1, 1.0]]))
    >>> metric.compute()["overall_f1"]
    tensor(1., dtype=torch.float64)
    >>> metric.scores().overall
    Counts(tp=1, fp=0, fn=0)
    """

    def __init__(self, threshold: Threshold = 0.0, iou_threshold: float = 0.5, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.threshold = threshold
        self.iou_threshold = iou_threshold

    def compute(self) -> dict[str, Tensor]:
        """The flat dictionary."""
        predictions, truths = self.tables()
        scores = spotting_scores(at_threshold(predictions, self.threshold), truths, self.iou_threshold)
        return {f"{group}_{key}": scalar(x) for group, row in scores.to_dict().items() for key, x in row.items()}

    def scores(self) -> SpottingScores:
        """:meth:`compute` (synchronised between processes) as counts that print themselves."""
        values = self.compute()
        groups = SpottingScores.groups()
        return SpottingScores(*(Counts(*(int(values[f"{g}_{key}"]) for key in ("tp", "fp", "fn"))) for g in groups))
