"""The data module of detection: batches of sliding windows with their ground truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from torch.utils.data import DataLoader, Sampler

from fedn_lightning.datamodules.base import CorpusConfig, CorpusDataModule, CropConfig, LabelledClip
from fedn_lightning.datamodules.transforms import AugmentConfig, ClipAugmenter, MotionAugmentConfig
from fedn_lightning.datamodules.windows import (
    Sample,
    TrainingWindows,
    WindowConfig,
    WindowDataset,
    WindowDraw,
    WindowSource,
    collate,
    shift_at_random,
    truths_in_window,
    window_starts,
)
from fedn_lightning.errors import ConfigError
from fedn_lightning.events import EventTable
from fedn_lightning.motion.flow import MotionConfig


class DetectionDataModule(CorpusDataModule):
    """Serves windows of a corpus's videos for training, validation and test.

    With a frozen encoder (`features`), windows are served as cached frame features; else as pixels, augmented clip by
    clip. See :class:`.CorpusDataModule` for what all data modules share.

    Args:
        corpus: which corpus, and how its labels are read.
        crops: how faces are cropped and where crops are stored.
        windows: sliding windows.
        augment: clip augmentation, of pixels or of the cached variants.
        test_subject: held-out subject or subjects; none to train on everyone, `all` to test a network that was trained
            on another corpus on everyone.
        val_subject: validation subjects by name, or how many to take from the training subjects.
        seed: of the split and of all random draws in training.
        batch_size: windows in a training batch; validation and test batches are 4 times as large.
        num_workers: loader processes; one keeps training from waiting for data.
        feature_variants: cached variants of each training video, the first unchanged, the others augmented.
        shift_labels: moves training labels to random times: a control that must destroy the result.
        motion: how optical flow is measured, for a network with a motion stream.
        motion_augment: augmentation of that stream.

    Raises:
        ConfigError: if a number cannot work.
        SplitError: if the subjects cannot be split so.
        CorpusNotFoundError: if the corpus is not where `corpus.root` says.
    """

    def __init__(
        self,
        corpus: CorpusConfig,
        crops: CropConfig,
        windows: WindowConfig = WindowConfig(),
        augment: AugmentConfig = AugmentConfig(),
        test_subject: str | int | list[str | int] = [],  # noqa: B006 (never changed; jsonargparse shows it as the default)
        val_subject: int | list[str | int] = 2,
        seed: int = 0,
        batch_size: int = 32,
        num_workers: int = 0,
        feature_variants: int = 1,
        shift_labels: bool = False,
        motion: MotionConfig = MotionConfig(),
        motion_augment: MotionAugmentConfig = MotionAugmentConfig(),
    ) -> None:
        super().__init__(
            corpus, crops, augment, test_subject, val_subject, seed, batch_size, num_workers, feature_variants, motion
        )
        for name, stride, length in (
            ("train_stride", windows.train_stride, windows.length),
            ("test_stride", windows.test_stride, windows.tested),
        ):
            if not 0 < stride <= length:
                msg = f"data.windows.{name} = {stride} must lie between 1 and the window's length {length}: strides."
                raise ConfigError(msg)
        self.windows, self.shift_labels, self.motion_augment = windows, shift_labels, motion_augment

    def train_dataloader(self) -> DataLoader[Sample]:
        """Windows of the training subjects: all with an expression, some of those without."""
        sources = self.sources("train", self.feature_variants, self.shift_labels)
        self.forget_features()
        length, share = self.windows.length, self.windows.share
        draws = self._draws(sources, length, self.windows.train_stride)

        def is_busy(draw: WindowDraw) -> bool:
            source = sources[draw.video]
            last = min(draw.start + length, source.n_frames)
            return bool(truths_in_window(source.truths.start, source.truths.end, draw.start, last, share)[1].any())

        pixels = not sources[0].variants
        sampler = TrainingWindows(
            draws,
            [is_busy(draw) for draw in draws],
            [s.n_frames for s in sources],
            length,
            self.windows.negatives,
            self.windows.jitter,
            self.windows.speed,
            variants=max(len(sources[0].variants), 1),
            augment=pixels,
            seed=self.seed,
            amplitude=self.motion_augment.amplitude,
            mirror=self.motion_augment.mirror,
            dropout=self.motion_augment.dropout,
            sampled=self._sampled(),
        )
        augmenter = ClipAugmenter(self.augment) if pixels else None
        return self._loader(WindowDataset(sources, length, share, augmenter), sampler, self.batch_size)

    def _sampled(self) -> int:
        """Frames of each window from which the encoder learns in the epoch that begins."""
        features = self.features
        if features is None or self.trainer is None or self.trainer.current_epoch < features.frozen_epochs:
            return 0
        return features.sampled

    def evaluation_loader(self, split: str) -> DataLoader[Sample]:
        """Every window of a split, in a fixed order."""
        sources = self.sources(split)
        length = self.windows.tested
        draws = self._draws(sources, length, self.windows.test_stride)
        dataset = WindowDataset(sources, length, self.windows.share)
        return self._loader(dataset, draws, max(4 * self.batch_size * self.windows.length // length, 1))

    def sources(self, split: str, variants: int = 1, shift: bool = False) -> list[WindowSource]:
        """The videos of a split as the dataset reads them, a video with gaps in several parts.

        Args:
            split: `train`, `val` or `test`.
            variants: variants of the frame features.
            shift: moves the truths to random times.
        """
        features = self.built_features(split, variants)
        rng = np.random.default_rng([self.seed, 1])
        sources = []
        for clip in self.clips[split]:
            truths, stored = clip.in_store_frames(self._learned(clip)), clip.stored
            if shift:
                truths = shift_at_random(truths, stored.n_frames, rng)
            encoded = () if features is None else tuple(features.encoded.load(stored, k) for k in range(variants))
            moved = None if features is None else features.motion(stored)
            for first, stop in stored.parts:
                mine = replace(truths, start=truths.start - first, end=truths.end - first)
                sources.append(WindowSource(stop - first, encoded, stored.frames, mine, clip.index, first, moved))
        return sources

    def _learned(self, clip: LabelledClip) -> EventTable:
        """The truths of a clip as windows present them, see :class:`WindowConfig`."""
        truths = clip.truths
        if self.windows.unknown_offset == "policy":
            return replace(truths, end_known=np.ones_like(truths.end_known))
        mirrored = [
            e.end if e.end_known or e.apex is None else max(e.end, 2 * e.apex - e.start + 1)
            for e in self.corpus.expressions_of(clip.video)
        ]
        return replace(truths, end=np.array(mirrored, np.float64))

    def _draws(self, sources: Sequence[WindowSource], length: int, stride: int) -> list[WindowDraw]:
        return [
            WindowDraw(i, s) for i, source in enumerate(sources) for s in window_starts(source.n_frames, length, stride)
        ]

    def _loader(
        self, dataset: WindowDataset, sampler: Sampler[WindowDraw] | Sequence[WindowDraw], batch_size: int
    ) -> DataLoader[Sample]:
        return DataLoader(
            dataset,
            batch_size=batch_size,
            sampler=sampler,
            num_workers=self.num_workers,
            collate_fn=collate,
            persistent_workers=self.num_workers > 0,
        )
