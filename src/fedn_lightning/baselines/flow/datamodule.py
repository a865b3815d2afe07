"""The LightningDataModule of the classical baseline: the measured motion of whole videos, split by subject."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from fedn_lightning.datamodules.detection import CorpusConfig, CropConfig, DetectionDataModule
from fedn_lightning.errors import ConfigError
from fedn_lightning.events import EventTable, FloatArray
from fedn_lightning.motion.features import MotionCache
from fedn_lightning.motion.flow import MotionConfig
from fedn_lightning.video.store import StoredVideo


@dataclass(frozen=True)
class VideoMotion:
    """One video as the baseline sees it.

    Attributes:
        video: its index in the stage.
        cells: `(T, CELLS, CELLS, 2)` float64 displacements in cells, see :mod:`fedn_lightning.motion.flow`.
        fps: frames per second of the clip store.
        truths: its expressions, in stored frames.
    """

    video: int
    cells: FloatArray
    fps: float
    truths: EventTable


class VideoMotions(Dataset[VideoMotion]):
    """The videos of a stage, one by one.

    Args:
        cache: holds their motion.
        clips: the videos in the clip store.
        truths: of each video, in stored frames.
    """

    def __init__(self, cache: MotionCache, clips: Sequence[StoredVideo], truths: Sequence[EventTable]) -> None:
        self.cache, self.clips, self.truths = cache, clips, truths

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, index: int) -> VideoMotion:
        clip = self.clips[index]
        return VideoMotion(index, self.cache.load(clip).astype(np.float64), clip.fps, self.truths[index])


class MotionDataModule(DetectionDataModule):
    """Serves the motion of whole videos, measured once and kept beside the clip store.

    Corpus, clip store and split are those of :class:`.DetectionDataModule`: with the same arguments the baseline and a
    network hold out and choose on the same subjects.

    Args:
        corpus: which corpus, and how its labels are read.
        crops: how faces are cropped and where crops are stored; `crops.jobs` processes measure their motion too.
        motion: how motion is measured.
        test_subject: held-out subject or subjects; none to choose on everyone.
        val_subject: validation subjects by name, or how many to take from the training subjects; they are scored, and
            nothing is chosen on them.
        seed: of the split.

    Raises:
        ConfigError: if crops are not aligned: the regions would lie anywhere.
        SplitError: if the subjects cannot be split so.
        CorpusNotFoundError: if the corpus is not where `corpus.root` says.
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
        super().__init__(corpus, crops, test_subject=test_subject, val_subject=val_subject, seed=seed, motion=motion)
        if crops.align == "none":
            msg = (
                "data.crops.align = none leaves faces where they are, but the regions whose motion is measured lie at "
                "fixed places of an aligned face; set it to video or track."
            )
            raise ConfigError(msg)

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Leaves a video where it is: all that is done with it is NumPy's."""
        return batch

    def train_dataloader(self) -> DataLoader[Any]:
        """The videos of the training subjects."""
        return self._evaluation("train")

    def val_dataloader(self) -> Any:
        """The videos of the validation subjects; nothing where there are none."""
        return self._evaluation("val") if self.split.val else []

    def warm_up(self) -> None:
        """Prepares and measures every video, so that runs on any split, at once if need be, find all on disk."""
        self.prepare_data()
        self._cache().build([self.stored(video) for video in self.corpus.videos], self.crops.jobs)

    def _cache(self) -> MotionCache:
        return MotionCache(Path(self.crops.store) / "motion", self.motion)

    def _evaluation(self, stage: str) -> DataLoader[Any]:
        videos = self.videos(stage)
        clips = [self.stored(video) for video in videos]
        cache = self._cache()
        cache.build(clips, self.crops.jobs)
        truths = [
            self._in_store_frames(self.truths(video, index), clip)
            for index, (video, clip) in enumerate(zip(videos, clips, strict=True))
        ]
        return DataLoader(VideoMotions(cache, clips, truths), batch_size=None, collate_fn=lambda video: video)
