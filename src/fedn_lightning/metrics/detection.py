"""Detection mAP as a metric class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from fedn_lightning.metrics.events import EventMetric, scalar
from fedn_lightning.metrics.functional.detection import detection_scores


class DetectionMeanAP(EventMetric):
    """ActivityNet-style mAP over emotions; see :func:`.functional.detection.detection_scores`.

    As output of `compute`: a flat dictionary of float64 scalars, `map@0.5`, `map@0.3:0.7`, `map@0.5:0.95`, and
    `ap@0.5/<emotion>` for each named emotion; NaN where undefined (no truth has an emotion, or not that one).

    Args:
        emotions: class names in the order of the `emotion` index.
        kwargs: those of :class:`torchmetrics.Metric`.

    >>> import torch
    >>> metric = DetectionMeanAP(emotions=["negative", "positive"])
    >>> metric.update(torch.tensor([[0, 0, 0, 10, 0, 1, 0.9]]), torch.tensor([[0, 0, 1, 11, 0, 1, 1.0]]))
    >>> {name: float(value) for name, value in metric.compute().items()}
    {'map@0.5': 1.0, 'map@0.3:0.7': 1.0, 'map@0.5:0.95': 0.7, 'ap@0.5/negative': nan, 'ap@0.5/positive': 1.0}
    """

    def __init__(self, emotions: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.emotions = tuple(emotions)

    def compute(self) -> dict[str, Tensor]:
        """The flat dictionary."""
        scores = detection_scores(*self.tables())
        per_class = scores.per_class(0.5)
        named = {f"ap@0.5/{name}": per_class.get(i, float("nan")) for i, name in enumerate(self.emotions)}
        return {name: scalar(value) for name, value in (scores.summary() | named).items()}
