"""Recognition on spotted expressions and STRS as a metric class."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from fedn_lightning.metrics.events import EventMetric, scalar
from fedn_lightning.metrics.functional.evaluation import recognise
from fedn_lightning.metrics.functional.protocols import PROTOCOLS
from fedn_lightning.metrics.functional.recognition import strs
from fedn_lightning.metrics.functional.spotting import spot_groups
from fedn_lightning.metrics.functional.threshold import Threshold, at_threshold


class SpotThenRecogniseScore(EventMetric):
    """Recognition of the spotted true positives, and STRS = spotting F1 x F1_analysis, pooled over everything seen.

    As output of `compute`: a flat dictionary of float64 scalars, `{macro,micro,overall,type_agnostic}_{strs,
    f1_analysis,uf1,uar}`; NaN where undefined. The challenge's STRS is `micro_strs`.

    Args:
        threshold: score from which a proposal counts, or one each for (macro, micro).
        protocol: name of a protocol of :data:`.functional.protocols.PROTOCOLS`.
        kwargs: those of :class:`torchmetrics.Metric`.

    Raises:
        KeyError: if there is no such protocol.

    >>> import torch
    >>> metric = SpotThenRecogniseScore()
    >>> metric.update(torch.tensor([[0, 0, 0, 10, 1, 2, 0.9]]), torch.tensor([[0, 0, 1, 11, 1, 2, 1.0]]))
    >>> metric.compute()["micro_strs"]
    tensor(1., dtype=torch.float64)
    """

    def __init__(self, threshold: Threshold = 0.0, protocol: str = "megc", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.threshold = threshold
        self.protocol = PROTOCOLS[protocol].name

    def compute(self) -> dict[str, Tensor]:
        """The flat dictionary."""
        predictions, truths = self.tables()
        predictions = at_threshold(predictions, self.threshold)
        protocol = PROTOCOLS[self.protocol]
        values: dict[str, Tensor] = {}
        for group, spotted in spot_groups(predictions, truths, protocol.rule).items():
            scores = recognise(predictions, truths, spotted, protocol)
            values[f"{group}_strs"] = scalar(strs(spotted.counts.f1, scores.f1_analysis))
            values |= {f"{group}_{key}": scalar(value) for key, value in scores.to_dict().items()}
        return values
