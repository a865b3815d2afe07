"""The data module of the classical baseline: the measured motion of whole videos, split by subject."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from fedn_lightning.datamodules.base import CorpusConfig, CorpusDataModule, CropConfig, LabelledClip
from fedn_lightning.datamodules.transforms import AugmentConfig
from fedn_lightning.errors import ConfigError
from fedn_lightning.events import EventTable, FloatArray
from fedn_lightning.motion.features import MotionCache
from fedn_lightning.motion.flow import MotionConfig


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
