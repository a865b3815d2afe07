"""The progress bar of a run."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import RichProgressBar


class RunProgress(RichProgressBar):
    """Lightning's rich bar without the tracker's run number, and gone when its epoch is done."""

    def __init__(self) -> None:
        super().__init__(leave=False)

    def get_metrics(self, trainer: Trainer, pl_module: LightningModule) -> dict[str, Any]:
        """The numbers beside the bar: those a task logs with `prog_bar=True`."""
        return {key: value for key, value in super().get_metrics(trainer, pl_module).items() if key != "v_num"}
