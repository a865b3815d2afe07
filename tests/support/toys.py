"""The smallest task and data that a training command can run: seconds of fake video, one linear layer."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch
from lightning.pytorch import LightningDataModule, LightningModule
from torch.utils.data import DataLoader, TensorDataset

from fedn_lightning.errors import CheckpointError, CorpusNotFoundError
from fedn_lightning.events import DetectionRecord, EventTable, Video


def make_record(subject: str = "05", n_frames: int = 300, score: float = 0.8) -> DetectionRecord:
    """Two videos: the first holds three truths, two found and one false positive; the second holds nothing."""
    videos = tuple(
        Video("toy", subject, name, path=f"{name}.avi", fps=30.0, first_frame=1, n_frames=n_frames)
        for name in ("05_0101disgust", "05_0102calm")
    )
    truths = [[0, 0, 30, 70, 0, 0, 1], [0, 0, 120, 133, 1, 1, 1], [0, 0, 200, 240, 0, -1, 1]]
    proposals = [
        [0, 0, 32, 70, 0, 0, score, 0.9],
        [0, 0, 119, 133, 1, 2, score, 0.6],
        [0, 0, 150, 180, 0, 1, score, 0.5],
        [0, 0, 200, 240, 0, 0, 0.1, 0.5],
    ]
    curve = np.zeros((n_frames, 2))
    curve[32:70, 0], curve[119:133, 1] = score, score
    return DetectionRecord(
        videos=videos,
        n_frames=(n_frames, n_frames),
        emotions=("negative", "positive", "surprise"),
        truths=EventTable.from_rows(truths),
        predictions=EventTable.from_rows(proposals),
        threshold=(0.5, 0.5),
        curves=(curve, np.zeros((n_frames, 2))),
    )


class ToyTask(LightningModule):
    """Fits a line.

    Args:
        width: inputs; a checkpoint of another width does not fit.
        lr: learning rate.
        flavour: whether it leaves a record as a detection task does, or numbers alone.
        fail_at: epoch in which training raises, to see what is left behind.
        weights: a checkpoint to start from, which is never there.
    """

    def __init__(
        self,
        width: int = 4,
        lr: float = 0.1,
        flavour: Literal["detection", "plain"] = "detection",
        fail_at: int = -1,
        weights: str = "",
    ) -> None:
        super().__init__()
        if weights:
            msg = f"There is no checkpoint at {weights}."
            raise CheckpointError(msg)
        self.save_hyperparameters(logger=False)
        self.layer = torch.nn.Linear(width, 1)
        self.lr, self.flavour, self.fail_at = lr, flavour, fail_at
        self.record: DetectionRecord | None = None
        self.scores: dict[str, Any] = {}

    def _loss(self, batch: list[torch.Tensor]) -> torch.Tensor:
        x, y = batch
        return torch.nn.functional.mse_loss(self.layer(x), y)

    def training_step(self, batch: list[torch.Tensor], index: int) -> torch.Tensor:
        if self.current_epoch == self.fail_at:
            raise CorpusNotFoundError("The toy corpus is gone.")
        loss = self._loss(batch)
        self.log("train/loss", loss, on_step=False, on_epoch=True)
        return loss

    def validation_step(self, batch: list[torch.Tensor], index: int) -> None:
        loss = self._loss(batch)
        self.log_dict({"val/loss": loss, "val/f1": 1 / (1 + loss)})

    def test_step(self, batch: list[torch.Tensor], index: int) -> None:
        self._loss(batch)

    def _finish(self) -> None:
        if self.flavour == "detection":
            self.record = make_record()
        self.scores = {"accuracy": 0.5}

    on_validation_epoch_end = on_test_epoch_end = _finish

    def configure_optimizers(self) -> dict[str, Any]:
        optimizer = torch.optim.SGD(self.parameters(), lr=self.lr, weight_decay=0.01)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda epoch: 0.5**epoch)
        return {"optimizer": optimizer, "lr_scheduler": schedule}


class ToyData(LightningDataModule):
    """Random points on a line.

    Args:
        test_subject: held-out subjects; only their names matter here.
        width: inputs.
        missing: raise as a data module does whose corpus is not there.
    """

    def __init__(self, test_subject: list[str | int] = ["05"], width: int = 4, missing: bool = False) -> None:  # noqa: B006
        super().__init__()
        self.test_subject, self.width, self.missing = test_subject, width, missing

    def setup(self, stage: str) -> None:
        if self.missing:
            raise CorpusNotFoundError("No corpus in /nowhere; make one with `fedn data synth`.")

    def _loader(self) -> DataLoader[tuple[torch.Tensor, ...]]:
        x = torch.randn(24, self.width, generator=torch.Generator().manual_seed(0))
        return DataLoader(TensorDataset(x, x.sum(dim=1, keepdim=True)), batch_size=8)

    train_dataloader = val_dataloader = test_dataloader = _loader
