"""The classical baseline as a LightningModule: no gradient, one pass over the training subjects, the same files."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from fedn_lightning.baselines.flow.spotter import (
    MACRO,
    MICRO,
    Choice,
    Search,
    SpotterConfig,
    TrainingVideo,
    candidates,
    confidence,
    directions,
    excursions,
    kept,
    mean_patterns,
    nearest,
    search_grid,
    strength,
)
from fedn_lightning.datamodules.base import CorpusConfig, CorpusDataModule, CropConfig, LabelledClip
from fedn_lightning.datamodules.labels import EmotionScheme
from fedn_lightning.datamodules.transforms import AugmentConfig
from fedn_lightning.errors import ConfigError
from fedn_lightning.events import EXPRESSION_TYPES, DetectionRecord, EventTable, FloatArray, IntArray
from fedn_lightning.models.postprocessing import in_source_frames
from fedn_lightning.motion.features import MotionCache
from fedn_lightning.motion.flow import MotionConfig
from fedn_lightning.motion.regions import REGIONS, HeadModel, without_head
from fedn_lightning.tasks.base import VideoTask, build_record

SPOTTER_FIELDS = tuple(field.name for field in dataclasses.fields(SpotterConfig))
"""Columns of the buffer `spotters`, one row for each type of expression."""


class FlowTask(VideoTask):
    """Spots expressions by the optical flow of face regions; nothing is learnt by gradient.

    The family is that of MDMD (Wang et al., Neurocomputing 2017; the MEGC 2020 baseline, arXiv 1912.11985) and of
    "Research on Micro-Expression Spotting Method Based on Optical Flow Features" (He, ACM MM 2021): regions of brows,
    nose and mouth, flow against a reference, the head's motion taken off, filtered, peaks and valleys. Written anew
    from their public descriptions; what is ours is marked in :mod:`fedn_lightning.motion`.

    One epoch goes over the videos of the training subjects. At its end a small grid is searched for each type of
    expression (:mod:`.spotter`); filters, limits and thresholds with the greatest spotting F1 on the
    training subjects are kept in buffers, with one pattern of directions for each emotion class
    (:mod:`fedn_lightning.baselines.flow.spotter`). Validation and test subjects are only scored.

    Args:
        head: how the head's own motion is taken off: `similarity`, `depth`, `nose` or `none`, see
            :func:`.regions.without_head`.
        macro: what is tried for macro-expressions.
        micro: what is tried for micro-expressions.
        iou: maximum IoU of two events of a type that are both kept.
        keep: maximum number of events of a type in a video.
        emotion_scheme: that of the data.
    """

    def __init__(
        self,
        head: HeadModel = "similarity",
        macro: Search = MACRO,
        micro: Search = MICRO,
        iou: float = 0.2,
        keep: int = 200,
        emotion_scheme: EmotionScheme = "3",
    ) -> None:
        super().__init__(emotion_scheme)
        self.head: HeadModel = head
        self.searches, self.iou, self.keep = (macro, micro), iou, keep
        self.spotters: Tensor
        self.threshold: Tensor
        self.patterns: Tensor
        self.register_buffer("spotters", torch.zeros(len(EXPRESSION_TYPES), len(SPOTTER_FIELDS), dtype=torch.float64))
        self.register_buffer("threshold", torch.full((len(EXPRESSION_TYPES),), math.inf, dtype=torch.float64))
        self.register_buffer("patterns", torch.zeros(len(self.emotions), 2 * len(REGIONS), dtype=torch.float64))
        self._videos: list[TrainingVideo] = []
        self._events: list[EventTable] = []
        self._curves: list[FloatArray] = []

    def forward(self, video: VideoMotion) -> tuple[EventTable, FloatArray]:
        """Spots in one video.

        Returns:
            Events in stored frames, and `(T, 2)` float64 confidence in a macro- and a micro-expression in each frame.
        """
        motion = without_head(video.cells, self.head)
        spotted = [self._spot(video.video, motion, video.fps, kind) for kind in range(len(EXPRESSION_TYPES))]
        return EventTable.concatenate([events for events, _ in spotted]), np.stack([c for _, c in spotted], axis=1)

    def training_step(self, video: VideoMotion, index: int) -> None:
        """Collects a training video; the last one starts the choice, before validation needs it."""
        if index == 0:
            self._videos.clear()
        self._videos.append(TrainingVideo(without_head(video.cells, self.head), video.fps, video.truths))
        if self.trainer.is_last_batch:
            self._choose()

    def validation_step(self, video: VideoMotion, index: int) -> None:
        """Spots in a validation video."""
        self._collect(video)

    def test_step(self, video: VideoMotion, index: int) -> None:
        """Spots in a held-out video."""
        self._collect(video)

    def on_validation_epoch_end(self) -> None:
        """Scores the validation subjects by what the training subjects have chosen."""
        self._score("val")

    def on_test_epoch_end(self) -> None:
        """Scores the held-out subjects."""
        self._score("test")

    def configure_optimizers(self) -> None:
        """None: there is no gradient."""

    @property
    def data(self) -> MotionDataModule:
        """The data module of the running trainer."""
        module = super().data
        if not isinstance(module, MotionDataModule):
            raise ConfigError(
                f"FlowTask looks at the motion of whole videos; set data.class_path to MotionDataModule, "
                f"not {type(module).__name__}."
            )
        return module

    def setup(self, stage: str) -> None:
        """Checks the data.

        Raises:
            ConfigError: if it serves no motion or has other classes, or if several processes would share the videos.
        """
        super().setup(stage)
        if self.trainer.world_size > 1:
            msg = f"trainer.devices x num_nodes = {self.trainer.world_size}, but FlowTask runs in one process; set 1."
            raise ConfigError(msg)

    def init_config(self) -> dict[str, Any]:
        """The constructor's arguments as plain values, to build this module again."""
        searches = dict(zip(EXPRESSION_TYPES, map(dataclasses.asdict, self.searches), strict=True))
        return {
            "head": self.head,
            **searches,
            "iou": self.iou,
            "keep": self.keep,
            "emotion_scheme": self.emotion_scheme,
        }

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adds what a later run of the checkpoint needs, here also how motion is measured."""
        super().on_save_checkpoint(checkpoint)
        checkpoint["fedn"]["motion"] = dataclasses.asdict(self.data.motion)

    def _choose(self) -> None:
        """Chooses spotters and thresholds, then the patterns of the emotions, on what was collected."""
        choices = [search_grid(self._videos, s, kind, self.iou, self.keep) for kind, s in enumerate(self.searches)]
        self.spotters.copy_(torch.tensor([dataclasses.astuple(choice.config) for choice in choices]))
        self.threshold.copy_(torch.tensor([choice.threshold for choice in choices]))
        self.patterns.copy_(torch.from_numpy(self._learn_patterns(choices)))
        f1 = {f"train/{name}_f1": choice.f1 for name, choice in zip(EXPRESSION_TYPES, choices, strict=True)}
        self.log_dict(f1, on_step=False, on_epoch=True, batch_size=1)

    def _learn_patterns(self, choices: list[Choice]) -> FloatArray:
        vectors, emotions = [], []
        for kind, choice in enumerate(choices):
            for video in self._videos:
                truths = video.truths[(video.truths.type == kind) & (video.truths.emotion >= 0)]
                moved = excursions(video.motion, video.fps, choice.config.smooth_seconds, choice.config.rest_seconds)
                vectors.append(directions(moved, peaks_of(truths, strength(moved)[0])))
                emotions.append(truths.emotion)
        return mean_patterns(np.concatenate(vectors), np.concatenate(emotions), len(self.emotions))

    def _spot(self, index: int, motion: FloatArray, fps: float, kind: int) -> tuple[EventTable, FloatArray]:
        """Events of one type in a video, and the confidence in each frame."""
        config = SpotterConfig(*self.spotters[kind].tolist())
        moved = excursions(motion, fps, config.smooth_seconds, config.rest_seconds)
        relative, size = strength(moved)
        found = kept(candidates(relative, size, fps, config), config.greatest, self.iou, self.keep)
        emotion, emotion_score = nearest(directions(moved, found.peak), self.patterns.cpu().numpy())
        events = EventTable(
            subject=np.zeros(len(found), np.int64),
            video=np.full(len(found), index),
            start=found.start,
            end=found.end,
            type=np.full(len(found), kind),
            emotion=emotion,
            score=found.score,
            emotion_score=emotion_score,
        )
        return events, confidence(relative)

    def _collect(self, video: VideoMotion) -> None:
        events, curves = self(video)
        self._events.append(events)
        self._curves.append(curves)

    def _record(self, split: str) -> DetectionRecord:
        """What was spotted in the videos of a split; they come in order."""
        timings = [clip.stored.timing for clip in self.data.clips[split]]
        events = [in_source_frames(found, timing) for found, timing in zip(self._events, timings, strict=True)]
        curves = [timing.per_source_frame(curve) for curve, timing in zip(self._curves, timings, strict=True)]
        macro, micro = self.threshold.tolist()
        return build_record(self.data, split, events, (macro, micro), curves, chosen_on="training")

    def _score(self, split: str) -> None:
        if not self.trainer.sanity_checking:  # nothing is chosen yet, and only a few videos were read
            self.score(self._record(split), split)
        self._events.clear()
        self._curves.clear()


def peaks_of(truths: EventTable, curve: FloatArray) -> IntArray:
    """Frame `(N,)` of each truth at which a curve `(T,)` is highest."""
    last = len(curve) - 1
    spans = [
        (min(max(math.floor(start), 0), last), math.ceil(end))
        for start, end in zip(truths.start, truths.end, strict=True)
    ]
    return np.array([first + int(curve[first : max(stop, first + 1)].argmax()) for first, stop in spans], np.int64)


@dataclass(frozen=True)
class VideoMotion:
    """One video as the baseline reads it."""

    video: int  # its index in the split
    cells: FloatArray  # `(T, CELLS, CELLS, 2)` float64 displacements in cells, see :mod:`fedn_lightning.motion.flow`
    fps: float  # frames per second of the clip store
    truths: EventTable  # its expressions, in stored frames


class VideoMotions(Dataset[VideoMotion]):
    """The videos of a split, one by one."""

    def __init__(self, cache: MotionCache, clips: Sequence[LabelledClip]) -> None:
        self.cache, self.clips = cache, clips

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, index: int) -> VideoMotion:
        clip = self.clips[index]
        cells = self.cache.load(clip.stored).astype(np.float64)
        return VideoMotion(index, cells, clip.stored.fps, clip.in_store_frames(clip.truths))


class MotionDataModule(CorpusDataModule):
    """Serves the motion of whole videos, measured once and kept beside the clip store.

    With the same arguments it splits subjects exactly like :class:`.DetectionDataModule`.

    Args:
        corpus: which corpus, and how its labels are read.
        crops: how faces are cropped and where crops are stored; `crops.jobs` processes measure their motion too.
        motion: how motion is measured.
        test_subject: held-out subject or subjects; none to choose on everyone.
        val_subject: validation subjects by name, or how many to take from the training subjects; they are scored, and
            nothing is chosen on them.
        seed: of the split.
    """

    def __init__(
        self,
        corpus: CorpusConfig,
        crops: CropConfig,
        motion: MotionConfig = MotionConfig(),
        test_subject: str | int | list[str | int] = [],  # noqa: B006 (never changed; jsonargparse shows it as the default)
        val_subject: int | list[str | int] = 0,
        seed: int = 0,
    ) -> None:
        super().__init__(corpus, crops, AugmentConfig(), test_subject, val_subject, seed, 1, 0, 1, motion)
        if crops.align == "none":
            raise ConfigError(
                "data.crops.align = none leaves faces where they are, but the regions whose motion is measured lie at "
                "fixed places of an aligned face; set it to video or track."
            )
        self.cache = MotionCache(Path(crops.store) / "motion", motion)

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Leaves a video on the CPU: the baseline computes with NumPy."""
        return batch

    def train_dataloader(self) -> DataLoader[Any]:
        """The videos of the training subjects."""
        return self.evaluation_loader("train")

    def val_dataloader(self) -> Any:
        """The videos of the validation subjects; nothing where there are none."""
        return self.evaluation_loader("val") if self.split.val else []

    def warm_up(self) -> None:
        """Prepares and measures every video, so that later runs on any split find everything on disk."""
        self.prepare_data()
        self.cache.build([self.stored(video) for video in self.corpus.videos], self.crops.jobs)

    def evaluation_loader(self, split: str) -> DataLoader[Any]:
        """The videos of a split in a fixed order."""
        clips = self.clips[split]
        self.cache.build([clip.stored for clip in clips], self.crops.jobs)
        return DataLoader(VideoMotions(self.cache, clips), batch_size=None, collate_fn=lambda video: video)
