"""Collects the proposals of an epoch, from all processes."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from fedn_lightning.events import FloatArray
from fedn_lightning.nn.inference import PROPOSAL_COLUMNS


class Proposals(Metric):
    """The proposals of all windows seen, from all processes when computed.

    A window that a distributed sampler hands out twice does no harm: suppression removes its doubles.

    Attributes:
        rows: list state of `(P, 7)` float64 rows of :data:`fedn_lightning.nn.inference.PROPOSAL_COLUMNS`.
    """

    full_state_update = False
    rows: list[Tensor]

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.add_state("rows", default=[], dist_reduce_fx="cat")

    def update(self, rows: Tensor) -> None:
        """Adds the `(P, 7)` proposals of some windows."""
        self.rows.append(rows.detach().double())

    def compute(self) -> Tensor:
        """All proposals `(P, 7)`; list states carry no order, so none may be read into it."""
        if not len(self.rows):
            return torch.empty(0, len(PROPOSAL_COLUMNS), dtype=torch.float64)
        gathered: Tensor = dim_zero_cat(self.rows)
        return gathered

    def by_video(self, count: int) -> list[FloatArray]:
        """The proposals of each of `count` videos, in an order that depends on their values alone."""
        table = self.compute().cpu().numpy()
        table = table[np.lexsort(table.T[::-1])]
        bounds = np.searchsorted(table[:, 0], np.arange(count + 1))
        return [table[bounds[i] : bounds[i + 1]] for i in range(count)]
