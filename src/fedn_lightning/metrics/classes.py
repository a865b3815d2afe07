"""The scores as metric classes: they hold events as state, and :mod:`.functional` has all the logic.

To add a metric, subclass :class:`EventMetric`, write `compute`, and list it in
:func:`fedn_lightning.tasks.base.detection_metrics`; name its scores in `CURVES` there to log them each epoch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat
from torchmetrics.utilities.distributed import gather_all_tensors

from fedn_lightning.events import EventTable
from fedn_lightning.metrics.functional.detection import detection_scores
from fedn_lightning.metrics.functional.evaluation import PROTOCOLS, recognise
from fedn_lightning.metrics.functional.recognition import strs
from fedn_lightning.metrics.functional.spotting import Counts, SpottingScores, spot_groups, spotting_scores
from fedn_lightning.metrics.functional.threshold import Threshold, at_threshold

WIDTH = len(EventTable.COLUMNS)
VIDEO = EventTable.COLUMNS.index("video")


class EventMetric(Metric):
    """Collects predictions and truths; a subclass computes scores of them.

    As input to `update`:

    - `predictions`: `(N, 9)` numbers in the order of :attr:`EventTable.COLUMNS`; frames 0-based, half open. The last
      columns, `emotion_score` and `end_known`, may be left out: `(N, 7)` or `(N, 8)`.
    - `truths`: `(M, 8)` or `(M, 7)`, likewise.

    An update brings *whole* videos: all predictions left after suppression and all truths. Subject and video numbers
    must mean the same in every process. A video that comes twice is an error: a `DistributedSampler` that pads its last
    batch would cause it.

    Args:
        threshold: score from which a prediction counts, or one each for (macro, micro); metrics that rank all
            predictions do not use it. Tasks set it to the thresholds that were chosen.
        kwargs: those of :class:`torchmetrics.Metric`.

    Attributes:
        predictions: list state of `(N, 9)` float64.
        truths: list state of `(M, 8)` float64.
        videos: list state of `(V,)` int64, the videos of each update.
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False  # also what merge_state requires

    predictions: list[Tensor]
    truths: list[Tensor]
    videos: list[Tensor]

    def __init__(self, threshold: Threshold = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.threshold = threshold
        for name in ("predictions", "truths", "videos"):
            self.add_state(name, default=[], dist_reduce_fx="cat")

    def update(self, predictions: Tensor, truths: Tensor) -> None:
        """Adds whole videos.

        Args:
            predictions: `(N, 7)` to `(N, 9)`.
            truths: `(M, 7)` to `(M, 9)`.

        Raises:
            ValueError: if a shape is another.
        """
        rows = {"predictions": predictions, "truths": truths}
        for name, table in rows.items():
            if table.ndim != 2 or not EventTable.NEEDED <= table.shape[1] <= WIDTH:
                raise ValueError(
                    f"{name} must have the shape (N, {WIDTH}), columns {EventTable.COLUMNS}, got {tuple(table.shape)}."
                )
        grids = [_full_width(table.detach().to(self.device, torch.float64)) for table in rows.values()]
        self.predictions.append(grids[0])
        self.truths.append(grids[1])
        self.videos.append(torch.cat(grids)[:, VIDEO].long().unique())  # type: ignore[no-untyped-call]

    def tables(self) -> tuple[EventTable, EventTable]:
        """Predictions and truths collected so far.

        Raises:
            ValueError: if a video came in more than one update.
        """
        if not len(self.videos):
            return EventTable(), EventTable()
        videos, times = dim_zero_cat(self.videos).unique(return_counts=True)  # type: ignore[no-untyped-call]
        if (times > 1).any():
            video = int(videos[times > 1][0])
            msg = f"Video {video} came in {int(times.max())} updates; give each whole video once (does a sampler pad?)."
            raise ValueError(msg)
        predictions, truths = (dim_zero_cat(rows).cpu().numpy() for rows in (self.predictions, self.truths))
        return EventTable.from_rows(predictions), EventTable.from_rows(truths)

    def _sync_dist(self, dist_sync_fn: Any = gather_all_tensors, process_group: Any = None) -> None:
        # torchmetrics 1.9 gathers float32 of shape (0,) from a process without data; the gather needs our shapes.
        if not len(self.videos):
            self.predictions, self.truths = ([torch.empty(0, WIDTH, dtype=torch.float64, device=self.device)],) * 2
            self.videos = [torch.empty(0, dtype=torch.int64, device=self.device)]
        super()._sync_dist(dist_sync_fn, process_group)


def _full_width(table: Tensor) -> Tensor:
    """Adds the columns that a table leaves out: 1, as :class:`EventTable` has them."""
    return torch.cat([table, table.new_ones(len(table), WIDTH - table.shape[1])], dim=1)


def scalar(value: float) -> Tensor:
    """A float64 scalar tensor; NaN says undefined."""
    return torch.tensor(value, dtype=torch.float64)


class SpottingF1(EventMetric):
    """Spotting counts, precision, recall and F1 of the protocol `megc`, pooled over everything seen.

    As output of `compute`: a flat dictionary of float64 scalars, `{macro,micro,overall,type_agnostic}_{tp,fp,fn,
    precision,recall,f1}`; NaN where undefined, also for a metric never updated.

    Args:
        threshold: score from which a proposal counts, or one each for (macro, micro).
        iou_threshold: minimum IoU of a true positive, in `(0, 1]`.
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
        super().__init__(threshold, **kwargs)
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


class SpotThenRecogniseScore(EventMetric):
    """Recognition of the spotted true positives, and STRS = spotting F1 x F1_analysis, pooled over everything seen.

    As output of `compute`: a flat dictionary of float64 scalars, `{macro,micro,overall,type_agnostic}_{strs,
    f1_analysis,uf1,uar}`; NaN where undefined. The challenge's STRS is `micro_strs`.

    Args:
        threshold: score from which a proposal counts, or one each for (macro, micro).
        protocol: name of a protocol of :data:`.functional.evaluation.PROTOCOLS`.
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
        super().__init__(threshold, **kwargs)
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
