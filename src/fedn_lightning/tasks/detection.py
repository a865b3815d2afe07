"""The LightningModule that trains FEDN: joint loss, scores on whole videos, threshold chosen on validation subjects."""

from __future__ import annotations

import dataclasses
import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from fedn_lightning.datamodules.dataset import truths_of
from fedn_lightning.datamodules.emotions import EmotionScheme
from fedn_lightning.errors import CheckpointError
from fedn_lightning.events import DetectionRecord, FloatArray
from fedn_lightning.metrics.functional.operating_point import OperatingPoint, choose_thresholds
from fedn_lightning.models.anchors import Anchors, AssignmentConfig, assign
from fedn_lightning.models.checkpoints import OLD_WEIGHTS
from fedn_lightning.models.encoder import EncoderConfig, encode_windows
from fedn_lightning.models.fedn import FEDN, NetworkConfig
from fedn_lightning.models.head import HeadOutput
from fedn_lightning.models.losses import DetectionLoss
from fedn_lightning.models.postprocessing import (
    PROPOSAL_COLUMNS,
    InferenceConfig,
    confidence_curves,
    events_of_video,
    propose,
)
from fedn_lightning.tasks.base import CorpusTask, OptimiserConfig, configure
from fedn_lightning.tasks.record import build_record, compute_scores, logged_scores


class Proposals(Metric):
    """The proposals of all windows seen, from all processes when computed.

    A window that a distributed sampler hands out twice does no harm: suppression removes its doubles.

    Attributes:
        rows: list state of `(P, 7)` float64 rows of :data:`fedn_lightning.models.postprocessing.PROPOSAL_COLUMNS`.
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


Batch = dict[str, Any]


class DetectionTask(CorpusTask):
    """Trains FEDN on windows and scores it on whole videos.

    After each validation and test epoch `record` holds what was detected beside the truth and `scores` the figures.
    Validation chooses the score thresholds, one for macro, one for micro, by the spotting F1 on the validation subjects
    (:func:`fedn_lightning.metrics.functional.operating_point.choose_thresholds`); they are saved with the weights and
    used unchanged on the test subjects (selection `strict`). `val/joint`, the mean of overall spotting F1 and mAP@0.5,
    is what checkpoints are chosen by.

    Args:
        encoder: the frame encoder.
        network: sizes and variants of FEDN.
        loss: weights and variants of the joint loss.
        assignment: which anchors must find a truth.
        inference: how proposals become events.
        optimiser: AdamW and its schedule.
        emotion_scheme: that of the data; its classes are what the network recognises.
        recognise: False leaves the emotion branch out: spotting alone (ablation).
    """

    def __init__(
        self,
        encoder: EncoderConfig = EncoderConfig(),
        network: NetworkConfig = NetworkConfig(),
        loss: DetectionLoss = DetectionLoss(),
        assignment: AssignmentConfig = AssignmentConfig(),
        inference: InferenceConfig = InferenceConfig(),
        optimiser: OptimiserConfig = OptimiserConfig(),
        emotion_scheme: EmotionScheme = "3",
        recognise: bool = True,
    ) -> None:
        super().__init__(encoder, emotion_scheme)
        self.network_config, self.loss = network, loss
        self.assignment, self.inference, self.optimiser_config = assignment, inference, optimiser
        self.recognise = recognise
        self.network = FEDN(self.encoder.feature_dim, len(self.emotions) if recognise else 0, network)
        self.threshold: Tensor
        self.register_buffer("threshold", torch.full((2,), 0.5, dtype=torch.float64))
        self.proposals = Proposals()
        self.record: DetectionRecord | None = None
        self.scores: dict[str, float] = {}
        self.point: OperatingPoint | None = None
        self._anchors: dict[int, Anchors] = {}

    @property
    def has_motion(self) -> bool:
        """Whether the data module must put motion features behind the frame features."""
        return self.network_config.has_motion

    def forward(self, batch: Batch) -> HeadOutput:
        """Detects in the windows of a batch, given as features or as pixels; the same in training and evaluation."""
        features = batch.get("features")
        if features is None:
            features = encode_windows(self.encoder, batch["frames"], self.encoder_config)
        output: HeadOutput = self.network(features)
        return output

    def anchors(self, window: int) -> Anchors:
        """The anchors of a window of that many frames, on this module's device."""
        if window not in self._anchors:
            self._anchors[window] = self.network.anchors(window).to(self.device)
        return self._anchors[window]

    def losses(self, batch: Batch, output: HeadOutput) -> dict[str, Tensor]:
        """The parts of the joint loss and their sum, for the batch's truths."""
        window = (batch["features"] if "features" in batch else batch["frames"]).shape[1]
        anchors, truths = self.anchors(window), truths_of(batch)
        return self.loss(output, anchors, assign(anchors, truths, self.assignment), truths)

    def training_step(self, batch: Batch, batch_index: int) -> Tensor:
        """The joint loss of a batch."""
        parts = self.losses(batch, self(batch))
        self._log_losses("train", parts, batch)
        return parts["loss"]

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        """Logs the loss and collects proposals."""
        self._evaluation_step(batch, "val")

    def test_step(self, batch: Batch, batch_index: int) -> None:
        """Logs the loss and collects proposals."""
        self._evaluation_step(batch, "test")

    def on_validation_epoch_end(self) -> None:
        """Scores the validation videos at the thresholds that suit them best, and keeps those thresholds."""
        record = self._record("val")
        minutes = sum(n / video.fps for n, video in zip(record.n_frames, record.videos, strict=True)) / 60
        ceiling = self.inference.false_positives_per_minute
        self.point = choose_thresholds(record.predictions, record.truths, minutes, ceiling)
        if not self.trainer.sanity_checking:
            self.threshold.copy_(torch.tensor(self.point.threshold, dtype=torch.float64))
        self._score(dataclasses.replace(record, threshold=self.point.threshold), "val")

    def on_fit_end(self) -> None:
        """Warns where the thresholds rest on little."""
        for sentence in self.point.warnings() if self.point else ():
            warnings.warn(sentence, stacklevel=2)

    def on_test_epoch_end(self) -> None:
        """Scores the test videos at the thresholds that validation chose."""
        self._score(self._record("test"), "test")

    def configure_optimizers(self) -> Any:
        """AdamW over what is trained."""
        return configure(self.parameters(), int(self.trainer.estimated_stepping_batches), self.optimiser_config)

    def init_config(self) -> dict[str, Any]:
        """All that is needed to build this module again, as plain values."""
        configs: dict[str, Any] = {
            "encoder": dataclasses.replace(self.encoder_config, weights=None),
            "network": self.network_config,
            "loss": self.loss,
            "assignment": self.assignment,
            "inference": self.inference,
            "optimiser": self.optimiser_config,
        }
        plain = {name: dataclasses.asdict(config) for name, config in configs.items()}
        return {**plain, "emotion_scheme": self.emotion_scheme, "recognise": self.recognise}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adds what running the checkpoint alone needs, here also the window and how motion is measured."""
        super().on_save_checkpoint(checkpoint)
        checkpoint["fedn"]["windows"] = dataclasses.asdict(self.data.windows)
        checkpoint["fedn"]["motion"] = dataclasses.asdict(self.data.motion)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Also reads checkpoints of version 0.1, whose segment scores were a softmax.

        Raises:
            CheckpointError: if such a checkpoint meets a network with another segment score.
        """
        network = checkpoint.get("fedn", {}).get("model", {}).get("network", {})
        if network and "segment_score" not in network:
            if self.network_config.segment_attention and self.network_config.segment_score != "softmax":
                msg = (
                    "The checkpoint is of version 0.1, whose segment scores were a softmax; "
                    "set model.network.segment_score to softmax."
                )
                raise CheckpointError(msg)
            without_effect = set(OLD_WEIGHTS) - set(self.state_dict())
            for name in without_effect & set(checkpoint["state_dict"]):
                del checkpoint["state_dict"][name]
        super().on_load_checkpoint(checkpoint)

    def _evaluation_step(self, batch: Batch, stage: str) -> None:
        output = self(batch)
        self._log_losses(stage, self.losses(batch, output), batch)
        self._propose(batch, output)

    def _propose(self, batch: Batch, output: HeadOutput) -> None:
        window = (batch["features"] if "features" in batch else batch["frames"]).shape[1]
        where = (batch["video"], batch["start"], batch["speed"])
        self.proposals.update(propose(output, self.anchors(window), *where, self.inference.per_window))

    def _record(self, stage: str) -> DetectionRecord:
        """The events of all videos of a stage, in source frames, beside their truths."""
        data, videos = self.data, self.data.videos(stage)
        found = self.proposals.by_video(len(videos))
        self.proposals.reset()
        clips = [data.stored(video) for video in videos]
        pairs = list(zip(found, clips, strict=True))
        events = [events_of_video(proposals, clip.n_frames, self.inference) for proposals, clip in pairs]
        curves = [confidence_curves(proposals, clip.n_frames) for proposals, clip in pairs]
        macro, micro = self.threshold.tolist()
        return build_record(data, stage, events, curves, (macro, micro))

    def _score(self, record: DetectionRecord, stage: str) -> None:
        """Computes, keeps and logs the figures of a record."""
        self.record, self.scores = record, compute_scores(record)
        logged = logged_scores(self.scores, self.recognise)
        self.log_dict({f"{stage}/{name}": value for name, value in logged.items()}, prog_bar=stage == "val")

    def _log_losses(self, stage: str, parts: dict[str, Tensor], batch: Batch) -> None:
        named = {
            f"{stage}/{name if name == 'loss' else name + '_loss'}": value.detach() for name, value in parts.items()
        }
        self.log_dict(named, on_step=False, on_epoch=True, batch_size=len(batch["video"]), sync_dist=True)
