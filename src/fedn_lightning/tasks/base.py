"""What all video tasks share: checks, scores, self-describing checkpoints, the frame encoder, the optimiser."""

from __future__ import annotations

import dataclasses
import math
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import lightning
import numpy as np
import torch
from torch import Tensor, nn
from torchmetrics import Metric, MetricCollection
from torchmetrics.utilities import dim_zero_cat

from fedn_lightning.datamodules.base import CorpusDataModule
from fedn_lightning.datamodules.features import FrameFeatures
from fedn_lightning.datamodules.labels import CLASSES, EmotionScheme
from fedn_lightning.datamodules.splits import known, marks_of
from fedn_lightning.datasets.base import is_generated
from fedn_lightning.errors import CheckpointError, ConfigError, SplitError
from fedn_lightning.events import DetectionRecord, EventTable, FloatArray
from fedn_lightning.metrics.classes import DetectionMeanAP, SpottingF1
from fedn_lightning.models.checkpoints import describe_mismatches
from fedn_lightning.models.encoder import Encoder, EncoderConfig
from fedn_lightning.models.postprocessing import PROPOSAL_COLUMNS
from fedn_lightning.models.precision import OneDnnProducts
from fedn_lightning.video.landmarks import kind_of

CURVES = ("map@0.5", "overall_f1", "macro_f1", "micro_f1")
"""Scores of :func:`detection_metrics` that are logged each epoch."""


def detection_metrics(emotions: Sequence[str]) -> MetricCollection:
    """The metrics of all tasks that detect: spotting F1 and detection mAP. Add a metric of your own here."""
    # A record already holds the videos of all processes, so scores must not be summed over processes again.
    metrics: list[Metric | MetricCollection] = [
        SpottingF1(sync_on_compute=False),
        DetectionMeanAP(emotions, sync_on_compute=False),
    ]
    return MetricCollection(metrics, compute_groups=False)


def detection_curves(scores: dict[str, float], recognise: bool = True) -> dict[str, float]:
    """The scores of detection that are logged each epoch, and `joint`, by which checkpoints are chosen.

    Args:
        scores: of :func:`detection_metrics`.
        recognise: whether `joint` is the mean of overall spotting F1 and mAP@0.5, or that F1 alone.
    """
    f1, mean_ap = scores["overall_f1"], scores["map@0.5"]
    parts = [0.0 if np.isnan(f1) else f1, *([] if np.isnan(mean_ap) or not recognise else [mean_ap])]
    return {"joint": float(np.mean(parts))} | {name: scores[name] for name in CURVES}


class Proposals(Metric):
    """The proposals of all windows, gathered from all processes when computed.

    A window that a distributed sampler hands out twice does no harm: suppression removes its duplicates.

    Attributes:
        rows: list state of `(P, 8)` float64 rows of :data:`fedn_lightning.models.postprocessing.PROPOSAL_COLUMNS`.
    """

    full_state_update = False
    rows: list[Tensor]

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.add_state("rows", default=[], dist_reduce_fx="cat")

    def update(self, rows: Tensor) -> None:
        """Adds the `(P, 8)` proposals of some windows."""
        self.rows.append(rows.detach().double())

    def compute(self) -> Tensor:
        """All proposals `(P, 8)`, in no particular order."""
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


def build_record(
    data: CorpusDataModule,
    split: str,
    predictions: Sequence[EventTable],
    threshold: tuple[float, float],
    curves: Sequence[FloatArray] = (),
    **more: Any,
) -> DetectionRecord:
    """The predictions of all videos of a split beside their truths.

    Args:
        data: holds the clips of the split.
        split: `train`, `val` or `test`.
        predictions: of each video, in source frames, with any subject and video.
        threshold: score from which a macro- and a micro-expression counts as a prediction.
        curves: per video `(n_frames, 2)`, macro and micro confidence in each source frame.
        more: further fields of :class:`fedn_lightning.events.DetectionRecord`.
    """
    clips, subjects = data.clips[split], data.corpus.subjects
    tables = [
        dataclasses.replace(
            found,
            subject=np.full(len(found), subjects.index(clip.video.subject)),
            video=np.full(len(found), clip.index),
        )
        for found, clip in zip(predictions, clips, strict=True)
    ]
    return DetectionRecord(
        videos=tuple(clip.video for clip in clips),
        n_frames=tuple(clip.stored.source_n_frames for clip in clips),
        emotions=data.emotions,
        truths=EventTable.concatenate([clip.truths for clip in clips]),
        predictions=EventTable.concatenate(tables),
        threshold=threshold,
        curves=tuple(curves),
        **more,
    )


class VideoTask(lightning.LightningModule):
    """A task on a corpus's videos, scored on whole videos after each validation and test epoch.

    Args:
        emotion_scheme: that of the data; its classes are recognised.

    Attributes:
        emotions: names of the classes.
        val_metrics: of validation; :meth:`score` updates, computes and logs them.
        test_metrics: of the test, likewise.
        record: predictions and truths of the last epoch that was scored.
        scores: its scores.
        seen: the people whom the loaded checkpoint was trained and validated on, by their marks (see
            :mod:`fedn_lightning.datamodules.splits`); None if it does not say, or none was loaded.
        seen_names: their names alone.
    """

    def __init__(self, emotion_scheme: EmotionScheme) -> None:
        super().__init__()
        self.emotion_scheme = emotion_scheme
        self.emotions = CLASSES[emotion_scheme]
        self.val_metrics, self.test_metrics = self.metrics(), self.metrics()
        self.record: DetectionRecord | None = None
        self.scores: dict[str, float] = {}
        self.seen: dict[str, list[str]] | None = None
        self.seen_names: tuple[str, ...] = ()

    def metrics(self) -> MetricCollection:
        """The metrics of a stage; they are updated with whole videos."""
        return detection_metrics(self.emotions)

    def curves(self, scores: dict[str, float]) -> dict[str, float]:
        """The scores that are logged, and `joint`, by which checkpoints are chosen."""
        return detection_curves(scores)

    def score(self, record: DetectionRecord, split: str) -> None:
        """Updates the metrics of `val` or `test` with a record, and logs their scores.

        The test uses the threshold of the record, which was chosen before.
        """
        metrics = self.val_metrics if split == "val" else self.test_metrics
        metrics.reset()
        for metric in metrics.values():
            metric.threshold = record.threshold
        metrics.update(*(torch.from_numpy(table.to_rows()) for table in (record.predictions, record.truths)))
        self.record, self.scores = record, {name: float(value) for name, value in metrics.compute().items()}
        logged = {f"{split}/{name}": value for name, value in self.curves(self.scores).items()}
        self.log_dict(logged, prog_bar=split == "val")

    @property
    def frame_features(self) -> FrameFeatures | None:
        """The frame features that the data module must serve; None for a task without a frozen encoder."""
        return None

    def setup(self, stage: str) -> None:
        """Checks that data and network have the same classes, and tells the data module which features to serve.

        Raises:
            ConfigError: if they differ.
        """
        self.data.features = self.frame_features
        scheme = self.data.corpus_config.emotion_scheme
        if scheme != self.emotion_scheme:
            raise ConfigError(
                f"model.emotion_scheme is {self.emotion_scheme!r} but data.corpus.emotion_scheme is {scheme!r}; "
                f"the network must recognise the classes of the data."
            )
        self._products = OneDnnProducts(self.trainer.strategy.root_device)
        self._products.__enter__()

    def teardown(self, stage: str) -> None:
        """Undoes what :meth:`setup` set for the whole process."""
        self._products.__exit__()

    @property
    def data(self) -> CorpusDataModule:
        """The data module of the running trainer."""
        module: CorpusDataModule = self.trainer.datamodule  # type: ignore[attr-defined] # set by trainer.fit
        return module

    def init_config(self) -> dict[str, Any]:
        """The constructor's arguments as plain values, to build this module again."""
        raise NotImplementedError

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adds what a later run of the checkpoint needs: configuration, crop, frame rate, subjects of each split."""
        data = self.data
        checkpoint["fedn"] = {
            "task": type(self).__name__,
            "model": self.init_config(),
            "crop_size": data.crops.size,
            "fps": data.crops.fps,
            # The folder of landmarks is left out: it exists on this machine only.
            "alignment": {"align": data.crops.align, "finder": kind_of(data.crops.finder)},
            "emotions": list(self.emotions),
            "dataset": data.corpus_config.dataset,
            "generated": is_generated(data.corpus_config.root),
            "subjects": dataclasses.asdict(data.split),
            "people": marks_of(data.corpus, (*data.split.train, *data.split.val)),
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Checks that a checkpoint fits, and remembers on whom it was trained.

        Raises:
            CheckpointError: naming the first parameters that are missing or of another shape.
        """
        if what := describe_mismatches(self.state_dict(), checkpoint["state_dict"]):
            raise CheckpointError(
                f"The checkpoint does not fit the configured network: {what}. "
                f"Use the config.yaml of the run it comes from."
            )
        about = checkpoint.get("fedn", {})
        names = about.get("subjects", {})
        self.seen, self.seen_names = about.get("people"), (*names.get("train", ()), *names.get("val", ()))

    def on_test_start(self) -> None:
        """Checks that the checkpoint was trained and validated on none of the test subjects.

        Raises:
            SplitError: naming who was; people of another corpus with the same name do not count.
        """
        data = self.data
        if self.seen is None:
            same = sorted(set(self.seen_names) & set(data.split.test))
            if same:
                msg = (
                    f"The checkpoint was trained on people called {', '.join(same)} and is too old to say who they "
                    f"were; it is assumed that those of {data.corpus_config.root} are others."
                )
                warnings.warn(msg, stacklevel=2)
            return
        repeated = known(self.seen, data.corpus, data.split.test)
        if repeated:
            raise SplitError(
                f"The checkpoint was trained or validated on {', '.join(repeated)} of {data.corpus_config.root}; "
                f"a test on them would not be valid. Name held-out subjects in data.test_subject, or another corpus."
            )


class CorpusTask(VideoTask):
    """A task on frame features of a corpus's videos; subclasses add a network and its losses.

    Args:
        encoder: the frame encoder.
        emotion_scheme: that of the data; its classes are recognised.
    """

    def __init__(self, encoder: EncoderConfig, emotion_scheme: EmotionScheme) -> None:
        super().__init__(emotion_scheme)
        self.encoder_config = encoder
        # Lightning keeps the modes it finds, so this must hold before the first epoch too; see train().
        self.encoder: Encoder = encoder.build().eval()

    @property
    def has_motion(self) -> bool:
        """Whether the network reads motion features behind the frame features."""
        return False

    @property
    def frame_features(self) -> FrameFeatures | None:
        """The features of the encoder; None if it is trained on all frames of windows, from pixels alone.

        Raises:
            ConfigError: if it is, and the network has a motion stream.
        """
        config = self.encoder_config
        if config.cached:
            return FrameFeatures(self.encoder, self.has_motion, config.sampled, config.frozen_epochs)
        if self.has_motion:
            raise ConfigError(
                "model.encoder.frozen = false trains on all frames of windows, which the motion stream does not do; "
                "set model.encoder.sampled to the frames of a window that it learns from, or model.network.streams "
                "to appearance."
            )
        return None

    def train(self, mode: bool = True) -> Self:
        """Sets the mode; the encoder stays in evaluation mode, so that its BatchNorm statistics stay as pre-trained."""
        super().train(mode)
        self.encoder.eval()
        return self


@dataclass(frozen=True)
class OptimiserConfig:
    """AdamW and its schedule (the precursor: 1e-4 to 8e-4, 5 epochs of warm-up, then cosine; mark A).

    Attributes:
        lr: maximum learning rate.
        encoder: rate of an encoder that is trained with the network, as a share of `lr` (O).
        weight_decay: of matrices and kernels; biases, norms and scales are not decayed.
        warmup: share of all steps in which the rate rises linearly.
        final: rate at the end, as a share of `lr`.
    """

    lr: float = 4e-4
    weight_decay: float = 0.05
    warmup: float = 0.17
    final: float = 0.01
    encoder: float = 1.0


def rate(step: int, total: int, config: OptimiserConfig) -> float:
    """Share of the maximum learning rate at a step.

    >>> config = OptimiserConfig(warmup=0.5, final=0.0)
    >>> [round(rate(step, 8, config), 2) for step in range(9)]
    [0.25, 0.5, 0.75, 1.0, 1.0, 0.85, 0.5, 0.15, 0.0]
    """
    warm = max(1, round(config.warmup * total))
    if step < warm:
        return (step + 1) / warm
    progress = min(1.0, (step - warm) / max(1, total - warm))
    return config.final + (1 - config.final) * 0.5 * (1 + math.cos(math.pi * progress))


def configure(
    parameters: Iterable[nn.Parameter], total: int, config: OptimiserConfig, encoder: Iterable[nn.Parameter] = ()
) -> dict[str, Any]:
    """Optimiser and per-step schedule in the form Lightning takes.

    Args:
        parameters: those to train.
        total: steps of the whole training.
        config: rates.
        encoder: more to train, at the encoder's rate.
    """
    groups = []
    for part, lr in ((parameters, config.lr), (encoder, config.lr * config.encoder)):
        trained = [p for p in part if p.requires_grad]
        for params, decay in (
            ([p for p in trained if p.ndim > 1], config.weight_decay),
            ([p for p in trained if p.ndim <= 1], 0.0),
        ):
            if params:
                groups.append({"params": params, "lr": lr, "weight_decay": decay})
    optimiser = torch.optim.AdamW(groups, lr=config.lr)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: rate(step, total, config))
    return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
