"""What tasks on a corpus of videos share: checks, checkpoints that explain themselves, if need be a frame encoder."""

from __future__ import annotations

import dataclasses
import math
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import lightning
import torch
from torch import nn

from fedn_lightning.datamodules.emotions import CLASSES, EmotionScheme
from fedn_lightning.datamodules.splits import known, marks_of
from fedn_lightning.datasets.base import is_generated
from fedn_lightning.errors import CheckpointError, ConfigError, SplitError
from fedn_lightning.models.checkpoints import describe_mismatches
from fedn_lightning.models.encoder import EncoderConfig, FrameEncoder

if TYPE_CHECKING:
    from fedn_lightning.datamodules.detection import DetectionDataModule


class VideoTask(lightning.LightningModule):
    """A task on a corpus's videos.

    Args:
        emotion_scheme: that of the data; its classes are what is recognised.

    Attributes:
        emotions: names of the classes.
        seen: of the checkpoint that was loaded, the people it was trained and validated on, by their marks (see
            :mod:`fedn_lightning.datamodules.splits`); None if it does not say, or none was loaded.
        seen_names: their names alone.
    """

    def __init__(self, emotion_scheme: EmotionScheme) -> None:
        super().__init__()
        self.emotion_scheme = emotion_scheme
        self.emotions = CLASSES[emotion_scheme]
        self.seen: dict[str, list[str]] | None = None
        self.seen_names: tuple[str, ...] = ()

    def setup(self, stage: str) -> None:
        """Checks that data and network have the same classes.

        Raises:
            ConfigError: if they differ.
        """
        scheme = self.data.corpus_config.emotion_scheme
        if scheme != self.emotion_scheme:
            msg = (
                f"model.emotion_scheme is {self.emotion_scheme!r} but data.corpus.emotion_scheme is {scheme!r}; "
                f"the network must recognise the classes of the data."
            )
            raise ConfigError(msg)

    @property
    def data(self) -> DetectionDataModule:
        """The data module of the running trainer."""
        module: DetectionDataModule = self.trainer.datamodule  # type: ignore[attr-defined] # set by trainer.fit
        return module

    def init_config(self) -> dict[str, Any]:
        """All that is needed to build this module again, as plain values."""
        raise NotImplementedError

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adds what running the checkpoint alone needs: configuration, crop, frame rate, the subjects of each split."""
        data = self.data
        checkpoint["fedn"] = {
            "task": type(self).__name__,
            "model": self.init_config(),
            "crop_size": data.crops.size,
            "fps": data.crops.fps,
            # Landmarks came from a folder of this machine; that the faces were placed by landmarks is what matters.
            "alignment": {"align": data.crops.align, "finder": data.crops.finder.partition(":")[0]},
            "emotions": list(self.emotions),
            "dataset": data.corpus_config.dataset,
            "generated": is_generated(data.corpus_config.root),
            "subjects": dataclasses.asdict(data.split),
            "people": marks_of(data.corpus, (*data.split.train, *data.split.val)),
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Tells in a sentence when a checkpoint does not fit, and remembers whom it has seen.

        Raises:
            CheckpointError: naming the first parameters that are missing or of another shape.
        """
        if what := describe_mismatches(self.state_dict(), checkpoint["state_dict"]):
            msg = (
                f"The checkpoint does not fit the configured network: {what}. "
                f"Use the config.yaml of the run it comes from."
            )
            raise CheckpointError(msg)
        about = checkpoint.get("fedn", {})
        names = about.get("subjects", {})
        self.seen, self.seen_names = about.get("people"), (*names.get("train", ()), *names.get("val", ()))

    def on_test_start(self) -> None:
        """Makes sure that nobody is tested whom the checkpoint has seen.

        Raises:
            SplitError: naming who is; people of another corpus who only share a name are others.
        """
        data = self.data
        if self.seen is None:
            same = sorted(set(self.seen_names) & set(data.split.test))
            if same:
                msg = (
                    f"The checkpoint was trained on people called {', '.join(same)} and is too old to say who they "
                    f"were; that those of {data.corpus_config.root} are others is taken on trust."
                )
                warnings.warn(msg, stacklevel=2)
            return
        again = known(self.seen, data.corpus, data.split.test)
        if again:
            msg = (
                f"The checkpoint was trained or validated on {', '.join(again)} of {data.corpus_config.root}; a test "
                f"on them would say nothing. Name held-out subjects in data.test_subject, or another corpus."
            )
            raise SplitError(msg)


class CorpusTask(VideoTask):
    """A task on frame features of a corpus's videos; subclasses add a network, its losses and its scores.

    Args:
        encoder: the frame encoder.
        emotion_scheme: that of the data; its classes are what the network recognises.
    """

    def __init__(self, encoder: EncoderConfig, emotion_scheme: EmotionScheme) -> None:
        super().__init__(emotion_scheme)
        self.encoder_config = encoder
        # Lightning keeps the modes it finds, so this must hold before the first epoch too; see train().
        self.encoder: FrameEncoder = encoder.build().eval()

    @property
    def encoder_frozen(self) -> bool:
        """Whether the data module may cache frame features."""
        return self.encoder_config.frozen

    def train(self, mode: bool = True) -> Self:
        """Sets the mode; the encoder stays in evaluation mode, so that its BatchNorm statistics stay as pre-trained."""
        super().train(mode)
        self.encoder.eval()
        return self


@dataclass(frozen=True)
class OptimiserConfig:
    """AdamW and its schedule (the precursor: 1e-4 to 8e-4, 5 epochs of warm-up, then cosine; mark A).

    Attributes:
        lr: greatest learning rate.
        weight_decay: of matrices and kernels; biases, norms and scales are not decayed.
        warmup: share of all steps in which the rate rises linearly.
        final: rate at the end, as a share of `lr`.
    """

    lr: float = 4e-4
    weight_decay: float = 0.05
    warmup: float = 0.17
    final: float = 0.01


def rate(step: int, total: int, config: OptimiserConfig) -> float:
    """Share of the greatest learning rate at a step.

    >>> config = OptimiserConfig(warmup=0.5, final=0.0)
    >>> [round(rate(step, 8, config), 2) for step in range(9)]
    [0.25, 0.5, 0.75, 1.0, 1.0, 0.85, 0.5, 0.15, 0.0]
    """
    warm = max(1, round(config.warmup * total))
    if step < warm:
        return (step + 1) / warm
    progress = min(1.0, (step - warm) / max(1, total - warm))
    return config.final + (1 - config.final) * 0.5 * (1 + math.cos(math.pi * progress))


def configure(parameters: Iterable[nn.Parameter], total: int, config: OptimiserConfig) -> dict[str, Any]:
    """Optimiser and per-step schedule in the form Lightning takes.

    Args:
        parameters: those to train.
        total: steps of the whole training.
        config: rates.
    """
    trained = [p for p in parameters if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    optimiser = torch.optim.AdamW(groups, lr=config.lr)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: rate(step, total, config))
    return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
