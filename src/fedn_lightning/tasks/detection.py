"""The LightningModule that trains FEDN: joint loss, scores on whole videos, threshold chosen on validation subjects."""

from __future__ import annotations

import dataclasses
import warnings
from typing import Any

import torch
from torch import Tensor

from fedn_lightning.datamodules.detection import DetectionDataModule
from fedn_lightning.datamodules.labels import EmotionScheme
from fedn_lightning.datamodules.windows import truths_of
from fedn_lightning.errors import CheckpointError, ConfigError
from fedn_lightning.events import DetectionRecord
from fedn_lightning.metrics.functional.threshold import OperatingPoint, choose_thresholds
from fedn_lightning.models.anchors import Anchors, AssignmentConfig, assign
from fedn_lightning.models.checkpoints import OLD_WEIGHTS
from fedn_lightning.models.encoder import EncoderConfig, encode_windows
from fedn_lightning.models.fedn import FEDN, NetworkConfig, join, overlapping
from fedn_lightning.models.head import HeadOutput
from fedn_lightning.models.losses import DetectionLoss
from fedn_lightning.models.postprocessing import InferenceConfig, postprocess, propose
from fedn_lightning.tasks.base import (
    CorpusTask,
    OptimiserConfig,
    Proposals,
    build_record,
    configure,
    detection_curves,
)

Batch = dict[str, Any]


class DetectionTask(CorpusTask):
    """Trains FEDN on windows and scores it on whole videos.

    Each validation epoch chooses two score thresholds, for macro and for micro, on the validation subjects
    (:func:`fedn_lightning.metrics.functional.threshold.choose_thresholds`). They are saved with the weights and
    used unchanged on the test subjects (selection `strict`). Checkpoints are chosen by `val/joint`, the mean of overall
    spotting F1 and mAP@0.5.

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
        self.point: OperatingPoint | None = None
        self._anchors: dict[int, Anchors] = {}

    @property
    def data(self) -> DetectionDataModule:
        """The data module of the running trainer."""
        module = super().data
        if not isinstance(module, DetectionDataModule):
            raise ConfigError(
                f"DetectionTask learns from windows; set data.class_path to DetectionDataModule, "
                f"not {type(module).__name__}."
            )
        return module

    @property
    def has_motion(self) -> bool:
        """Whether the network has a motion stream."""
        return self.network_config.has_motion

    def setup(self, stage: str) -> None:
        """Checks data against network; where the encoder is trained on sampled frames, loaders are made every epoch.

        Raises:
            ConfigError: if data and network differ, or features would be those of an earlier encoder.
        """
        super().setup(stage)
        if self.encoder_config.sampled and stage == "fit":
            trainer = self.trainer
            if trainer.val_check_interval != 1.0 or self.data.feature_variants != 1:
                raise ConfigError(
                    "model.encoder.sampled makes features anew between epochs, unaugmented: set "
                    "trainer.val_check_interval to 1.0 and data.feature_variants to 1."
                )
            trainer.reload_dataloaders_every_n_epochs = 1  # type: ignore[attr-defined] # set by its data connector

    def on_train_start(self) -> None:
        """Has the loader of the first validation made again too."""
        if self.encoder_config.sampled:
            # Lightning 2.6 makes it before the first epoch and takes it for one of that epoch; there is no public way.
            self.trainer.fit_loop.epoch_loop.val_loop._last_val_dl_reload_epoch = float("-inf")

    def curves(self, scores: dict[str, float]) -> dict[str, float]:
        """The scores that are logged, and `joint`, by which checkpoints are chosen."""
        return detection_curves(scores, self.recognise)

    def forward(self, batch: Batch) -> HeadOutput:
        """Detects in the windows of a batch, given as features or as pixels; the same in training and evaluation."""
        if self.training:
            output: HeadOutput = self.network(self._learned(batch))
            return output
        # Neighbouring windows share most of their frames.
        name = "features" if "features" in batch else "frames"
        found = []
        for part in overlapping(batch[name], batch["video"], batch["start"]):
            shown, rows = join(batch[name][part], batch["start"][part])
            found.append(self.network.detect(self._features(shown.unsqueeze(0))[0], rows, self.inference.precision))
        return HeadOutput.concatenate(found)

    def _learned(self, batch: Batch) -> Tensor:
        """Features `(B, T, D)` of training windows, those of the frames that the encoder learns from made anew."""
        if "sampled" not in batch:
            return self._features(batch["features" if "features" in batch else "frames"])
        made = encode_windows(self.encoder, batch["frames"], self.encoder_config)
        features: Tensor = batch["features"].clone()
        window = torch.arange(len(made), device=made.device).unsqueeze(1)
        features[window, batch["sampled"], : made.shape[-1]] = made.to(features.dtype)
        return features

    def _features(self, windows: Tensor) -> Tensor:
        """Features `(B, T, D)` of windows that come as features already, or as pixels `(B, T, 3, S, S)`."""
        return windows if windows.ndim == 3 else encode_windows(self.encoder, windows, self.encoder_config)

    def anchors(self, window: int) -> Anchors:
        """The anchors of a window of that many frames, on this module's device."""
        if window not in self._anchors:
            self._anchors[window] = self.network.anchors(window).to(self.device)
        return self._anchors[window]

    def losses(self, batch: Batch, output: HeadOutput) -> dict[str, Tensor]:
        """The parts of the joint loss and their sum, for the batch's truths."""
        anchors, truths = self.anchors(length_of(batch)), truths_of(batch)
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

    def predict_step(self, batch: Batch, batch_index: int) -> Tensor:
        """The proposals of a batch of windows, rows of :data:`.models.postprocessing.PROPOSAL_COLUMNS`."""
        return self.propose(batch, self(batch))

    def on_validation_epoch_end(self) -> None:
        """Chooses the score thresholds on the validation videos, keeps them, and scores the videos with them."""
        record = self.detect("val")
        minutes = sum(n / video.fps for n, video in zip(record.n_frames, record.videos, strict=True)) / 60
        limit = self.inference.false_positives_per_minute
        self.point = choose_thresholds(record.predictions, record.truths, minutes, limit)
        if not self.trainer.sanity_checking:
            self.threshold.copy_(torch.tensor(self.point.threshold, dtype=torch.float64))
        self.score(dataclasses.replace(record, threshold=self.point.threshold), "val")

    def on_fit_end(self) -> None:
        """Warns where thresholds were chosen on few expressions."""
        for sentence in self.point.warnings() if self.point else ():
            warnings.warn(sentence, stacklevel=2)

    def on_test_epoch_end(self) -> None:
        """Scores the test videos at the thresholds that were chosen on validation videos."""
        self.score(self.detect("test"), "test")

    def configure_optimizers(self) -> Any:
        """AdamW over what is trained, a subclass's own parameters too."""
        steps = int(self.trainer.estimated_stepping_batches)
        rest = [p for name, p in self.named_parameters() if not name.startswith("encoder.")]
        return configure(rest, steps, self.optimiser_config, self.encoder.parameters())

    def init_config(self) -> dict[str, Any]:
        """The constructor's arguments as plain values, to build this module again."""
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
        """Adds what a later run of the checkpoint needs, here also the windows and how motion is measured."""
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
                raise CheckpointError(
                    "The checkpoint is of version 0.1, whose segment scores were a softmax; "
                    "set model.network.segment_score to softmax."
                )
            without_effect = set(OLD_WEIGHTS) - set(self.state_dict())
            for name in without_effect & set(checkpoint["state_dict"]):
                del checkpoint["state_dict"][name]
        super().on_load_checkpoint(checkpoint)

    def propose(self, batch: Batch, output: HeadOutput) -> Tensor:
        """The highest-scoring proposals of the windows of a batch."""
        where = batch["video"], batch["start"], batch["speed"]
        count = self.data.windows.proposals(self.inference.per_window)
        return propose(output, self.anchors(length_of(batch)), *where, count)

    def detect(self, split: str) -> DetectionRecord:
        """Turns the proposals collected in this epoch into the events of the videos of a split."""
        clips = self.data.clips[split]
        found = zip(self.proposals.by_video(len(clips)), clips, strict=True)
        window = self.data.windows.tested
        results = [postprocess(proposals, clip.stored.timing, self.inference, window) for proposals, clip in found]
        self.proposals.reset()
        predictions, curves = [events for events, _ in results], [curve for _, curve in results]
        macro, micro = self.threshold.tolist()
        return build_record(self.data, split, predictions, (macro, micro), curves)

    def _evaluation_step(self, batch: Batch, split: str) -> None:
        output = self(batch)
        self._log_losses(split, self.losses(batch, output), batch)
        self.proposals.update(self.propose(batch, output))

    def _log_losses(self, stage: str, parts: dict[str, Tensor], batch: Batch) -> None:
        named = {
            f"{stage}/{name if name == 'loss' else name + '_loss'}": value.detach() for name, value in parts.items()
        }
        self.log_dict(named, on_step=False, on_epoch=True, batch_size=len(batch["video"]), sync_dist=True)


def length_of(batch: Batch) -> int:
    """Frames of the windows of a batch."""
    length: int = (batch["features"] if "features" in batch else batch["frames"]).shape[1]
    return length
