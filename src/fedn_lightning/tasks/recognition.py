"""The LightningModule that trains a recogniser on labelled intervals: the second half of the two-step baseline."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from fedn_lightning.datamodules.emotions import EmotionScheme
from fedn_lightning.datamodules.recognition import RecognitionDataModule
from fedn_lightning.errors import ConfigError
from fedn_lightning.events import DetectionRecord, EventTable, FloatArray, IntArray
from fedn_lightning.metrics.recognition import SpotThenRecogniseScore
from fedn_lightning.models.encoder import EncoderConfig
from fedn_lightning.models.losses import RecognitionLoss
from fedn_lightning.models.recogniser import Recogniser, RecogniserConfig
from fedn_lightning.tasks.base import CorpusTask, OptimiserConfig, configure
from fedn_lightning.tasks.detection import Proposals

Batch = dict[str, Any]


class RecognitionTask(CorpusTask):
    """Trains a recogniser on the labelled intervals of the training subjects and scores it on those of others.

    After each validation and test epoch `record` holds the labelled intervals with the emotions predicted for them, and
    `scores` the figures. `val/joint`, the mean of UF1 and UAR over macro- and micro-expressions together, is what
    checkpoints are chosen by.

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
        self.record: DetectionRecord | None = None
        self.scores: dict[str, float] = {}

    @property
    def has_motion(self) -> bool:
        """Whether the data module must put motion features behind the frame features."""
        return self.network_config.motion

    def forward(self, batch: Batch) -> Tensor:
        """Logits `(B, C)` of a batch of intervals; the same in training and evaluation."""
        logits: Tensor = self.network(batch["features"], batch["around"])
        return logits

    @torch.inference_mode()
    def recognise(
        self, features: npt.NDArray[np.float32], around: npt.NDArray[np.float32]
    ) -> tuple[IntArray, FloatArray]:
        """Names the emotions of any intervals, as :func:`.intervals.cut` gives them.

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
        if not isinstance(self.data, RecognitionDataModule):
            msg = (
                f"RecognitionTask learns from intervals; set data.class_path to RecognitionDataModule, "
                f"not {type(self.data).__name__}."
            )
            raise ConfigError(msg)
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
        self._score("val")

    def on_test_epoch_end(self) -> None:
        """Scores the held-out subjects."""
        self._score("test")

    def configure_optimizers(self) -> Any:
        """AdamW over what is trained."""
        return configure(self.parameters(), int(self.trainer.estimated_stepping_batches), self.optimiser_config)

    def init_config(self) -> dict[str, Any]:
        """All that is needed to build this module again, as plain values."""
        configs: dict[str, Any] = {
            "encoder": dataclasses.replace(self.encoder_config, weights=None),
            "network": self.network_config,
            "loss": self.loss,
            "optimiser": self.optimiser_config,
        }
        return {name: dataclasses.asdict(c) for name, c in configs.items()} | {"emotion_scheme": self.emotion_scheme}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adds what running the checkpoint alone needs, here also how intervals are cut."""
        super().on_save_checkpoint(checkpoint)
        if isinstance(self.data, RecognitionDataModule):
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
        self.predictions.update(torch.cat([*where, emotion.unsqueeze(1), score.unsqueeze(1)], dim=1))

    def _record(self, stage: str) -> DetectionRecord:
        """The labelled intervals of a stage, in source frames, with the emotions predicted for them."""
        data, videos = self.data, self.data.videos(stage)
        rows_of_videos = self.predictions.by_video(len(videos))
        self.predictions.reset()
        truths = [data.truths(video, index) for index, video in enumerate(videos)]
        subjects = [data.corpus.subjects.index(video.subject) for video in videos]
        predictions = [events_of(rows, subject) for rows, subject in zip(rows_of_videos, subjects, strict=True)]
        return DetectionRecord(
            videos=tuple(videos),
            n_frames=tuple(data.stored(video).source_n_frames for video in videos),
            emotions=self.emotions,
            truths=EventTable.concatenate(truths),
            predictions=EventTable.concatenate(predictions),
            threshold=(0.5, 0.5),
            intervals="truth",
        )

    def _score(self, stage: str) -> None:
        """Computes, keeps and logs the figures of an epoch."""
        self.record = self._record(stage)
        # Every process has gathered all intervals already, so the metric must not be summed over processes again.
        metric = SpotThenRecogniseScore(sync_on_compute=False)
        metric.update(*(torch.from_numpy(table.to_rows()) for table in (self.record.predictions, self.record.truths)))
        # With the intervals given, a spotting score says nothing.
        self.scores = {name: float(v) for name, v in metric.compute().items() if not name.endswith("strs")}
        uf1, uar = self.scores["overall_uf1"], self.scores["overall_uar"]
        joint = 0.0 if np.isnan(uf1 + uar) else (uf1 + uar) / 2
        logged = {"joint": joint, "uf1": uf1, "uar": uar}
        self.log_dict({f"{stage}/{name}": value for name, value in logged.items()}, prog_bar=stage == "val")


def events_of(rows: FloatArray, subject: int) -> EventTable:
    """The intervals of one video with the predictions for them.

    Args:
        rows: `(P, 7)` of :data:`.PROPOSAL_COLUMNS`, start and end in source frames, 1 for
            the interval's type. An interval that a distributed sampler handed out twice stands there twice.
        subject: index of the video's subject.
    """
    video, start, end, _, micro, emotion, emotion_score = np.unique(rows, axis=0).T
    columns = [np.full(len(video), subject), video, start, end, micro, emotion, np.ones(len(video)), emotion_score]
    return EventTable.from_rows(np.stack(columns, axis=1))
