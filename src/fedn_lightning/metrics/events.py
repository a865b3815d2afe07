"""What the metric classes share: event rows as state, safe to synchronise between processes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat
from torchmetrics.utilities.distributed import gather_all_tensors

from fedn_lightning.events import EventTable

WIDTH = len(EventTable.COLUMNS)
VIDEO = EventTable.COLUMNS.index("video")


class EventMetric(Metric):
    """Collects predictions and truths; subclasses compute.

    As input to `update`:

    - `predictions`: `(N, 9)` numbers in the order of :attr:`EventTable.COLUMNS`; frames 0-based, half open. The last
      columns, `emotion_score` and `end_known`, may be left out: `(N, 7)` or `(N, 8)`.
    - `truths`: `(M, 8)` or `(M, 7)`, likewise.

    An update brings *whole* videos: all predictions left after suppression and all truths. Subject and video numbers
    must mean the same in every process. A video that comes twice is an error, not a silent double count: a
    `DistributedSampler` that pads its last batch would cause it.

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

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
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
                msg = (
                    f"{name} must have the shape (N, {WIDTH}), columns {EventTable.COLUMNS}, got {tuple(table.shape)}."
                )
                raise ValueError(msg)
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
        # torchmetrics 1.9 stands in float32 of shape (0,) for a process without data; the gather needs our own form.
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
