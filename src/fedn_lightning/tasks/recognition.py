"""The LightningModule that trains a recogniser on labelled intervals: the second half of the two-step baseline."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F
from torchmetrics import MetricCollection

from fedn_lightning.datamodules.labels import EmotionScheme
from fedn_lightning.datamodules.recognition import RecognitionDataModule
from fedn_lightning.errors import ConfigError
from fedn_lightning.events import DetectionRecord, EventTable, FloatArray, IntArray
from fedn_lightning.metrics.classes import SpotThenRecogniseScore
from fedn_lightning.models.encoder import EncoderConfig
from fedn_lightning.models.head import Recogniser, RecogniserConfig
from fedn_lightning.models.losses import RecognitionLoss
from fedn_lightning.tasks.base import CorpusTask, OptimiserConfig, Proposals, build_record, configure

Batch = dict[str, Any]


class RecognitionTask(CorpusTask):
    """Trains a recogniser on the labelled intervals of the training subjects and scores it on those of others.

    Checkpoints are chosen by `val/joint`, the mean of UF1 and UAR over macro- and micro-expressions together.

    Args:
        encoder: the frame encoder; it must stay frozen.
        network: sizes of the recogniser.
        loss: class balance and label smoothing.
        optimiser: AdamW and its schedule.
        emotion_scheme: that of the data.

    Raises:
        ConfigError: if the encoder is to be trained.
    """

    def __init__(
        self,
        encoder: EncoderConfig = EncoderConfig(),
        network: RecogniserConfig = RecogniserConfig(),
        loss: RecognitionLoss = RecognitionLoss(),
        optimiser: OptimiserConfig = OptimiserConfig(),
        emotion_scheme: EmotionScheme = "3",
    ) -> None:
        super().__init__(encoder, emotion_scheme)
        if not encoder.frozen:
            msg = "model.encoder.frozen must be true for a recogniser: it learns from cached frame features."
            raise ConfigError(msg)
        self.network_config, self.loss, self.optimiser_config = network, loss, optimiser
        self.network = Recogniser(self.encoder.feature_dim, len(self.emotions), network)
        self.class_weights: Tensor
        self.register_buffer("class_weights", torch.ones(len(self.emotions)))
        self.predictions = Proposals()

    @property
    def data(self) -> RecognitionDataModule:
        """The data module of the running trainer."""
        module = super().data
        if not isinstance(module, RecognitionDataModule):
            raise ConfigError(
                f"RecognitionTask learns from intervals; set data.class_path to RecognitionDataModule, "
                f"not {type(module).__name__}."
            )
        return module

    @property
    def has_motion(self) -> bool:
        """Whether the recogniser reads motion features."""
        return self.network_config.motion

    def metrics(self) -> MetricCollection:
        """Recognition of the labelled intervals."""
        # A record already holds the intervals of all processes.
        return MetricCollection([SpotThenRecogniseScore(sync_on_compute=False)], compute_groups=False)

    def curves(self, scores: dict[str, float]) -> dict[str, float]:
        """UF1 and UAR over both types, and `joint`, their mean."""
        uf1, uar = scores["overall_uf1"], scores["overall_uar"]
        return {"joint": 0.0 if np.isnan(uf1 + uar) else (uf1 + uar) / 2, "uf1": uf1, "uar": uar}

    def forward(self, batch: Batch) -> Tensor:
        """Logits `(B, C)` of a batch of intervals; the same in training and evaluation."""
        logits: Tensor = self.network(batch["features"], batch["around"])
        return logits

    @torch.inference_mode()
    def recognise(
        self, features: npt.NDArray[np.float32], around: npt.NDArray[np.float32]
    ) -> tuple[IntArray, FloatArray]:
        """Predicts the emotions of intervals, as :func:`fedn_lightning.datamodules.recognition.cut` gives them.

        Args:
            features: `(N, L, D)` float32.
            around: `(N, D)` float32.

        Returns:
            `(N,)` int64 classes and `(N,)` float64 probabilities of these classes.
        """
        logits = self({"features": torch.from_numpy(features), "around": torch.from_numpy(around)})
        score, emotion = logits.double().softmax(dim=1).max(dim=1)
        return emotion.numpy(), score.numpy()

    def setup(self, stage: str) -> None:
        """Checks data against network, and takes the class weights from the training subjects.

        Raises:
            ConfigError: if the data serves no intervals, or has other classes.
        """
        super().setup(stage)
        if stage == "fit":
            counts = torch.from_numpy(self.data.class_counts(len(self.emotions)))
            self.class_weights.copy_(self.loss.class_weights(counts))

    def training_step(self, batch: Batch, batch_index: int) -> Tensor:
        """The loss of a batch."""
        return self._loss(batch, self(batch), "train")

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        """Logs the loss and collects predictions."""
        self._evaluation_step(batch, "val")

    def test_step(self, batch: Batch, batch_index: int) -> None:
        """Logs the loss and collects predictions."""
        self._evaluation_step(batch, "test")

    def on_validation_epoch_end(self) -> None:
        """Scores the validation subjects."""
        self.score(self.recognised("val"), "val")

    def on_test_epoch_end(self) -> None:
        """Scores the held-out subjects."""
        self.score(self.recognised("test"), "test")

    def configure_optimizers(self) -> Any:
        """AdamW over what is trained."""
        return configure(self.parameters(), int(self.trainer.estimated_stepping_batches), self.optimiser_config)

    def init_config(self) -> dict[str, Any]:
        """The constructor's arguments as plain values, to build this module again."""
        configs: dict[str, Any] = {
            "encoder": dataclasses.replace(self.encoder_config, weights=None),
            "network": self.network_config,
            "loss": self.loss,
            "optimiser": self.optimiser_config,
        }
        return {name: dataclasses.asdict(c) for name, c in configs.items()} | {"emotion_scheme": self.emotion_scheme}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adds what a later run of the checkpoint needs, here also how intervals are cut."""
        super().on_save_checkpoint(checkpoint)
        checkpoint["fedn"]["intervals"] = dataclasses.asdict(self.data.intervals)

    def _loss(self, batch: Batch, logits: Tensor, stage: str) -> Tensor:
        loss = self.loss(logits, batch["emotion"], self.class_weights)
        size = len(batch["emotion"])
        self.log(f"{stage}/loss", loss.detach(), on_step=False, on_epoch=True, batch_size=size, sync_dist=True)
        return loss

    def _evaluation_step(self, batch: Batch, stage: str) -> None:
        logits = self(batch)
        self._loss(batch, logits, stage)
        score, emotion = logits.double().softmax(dim=1).max(dim=1)
        where = [batch["video"].unsqueeze(1), batch["interval"], F.one_hot(batch["type"], 2)]
        no_window = torch.zeros_like(score)
        named = [column.unsqueeze(1) for column in (emotion, score, no_window)]
        self.predictions.update(torch.cat([*where, *named], dim=1))

    def recognised(self, split: str) -> DetectionRecord:
        """The labelled intervals of a split with the emotions predicted in this epoch."""
        found = self.predictions.by_video(len(self.data.clips[split]))
        self.predictions.reset()
        return build_record(self.data, split, list(map(events_of, found)), (0.5, 0.5), intervals="truth")


def events_of(rows: FloatArray) -> EventTable:
    """The intervals of one video with the predictions for them, with subject 0.

    Args:
        rows: `(P, 8)` of :data:`.PROPOSAL_COLUMNS`, start and end in source frames, 1 for the interval's type; an
            interval that a distributed sampler handed out twice occurs twice.
    """
    video, start, end, _, micro, emotion, emotion_score, _ = np.unique(rows, axis=0).T
    columns = [np.zeros(len(video)), video, start, end, micro, emotion, np.ones(len(video)), emotion_score]
    return EventTable.from_rows(np.stack(columns, axis=1))
