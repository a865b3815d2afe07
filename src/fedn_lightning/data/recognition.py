"""The LightningDataModule of a recogniser: the labelled expressions of a corpus as intervals, split by subject."""

from __future__ import annotations

import numpy as np
from torch.utils.data import DataLoader, Sampler

from fedn_lightning.data.augment import AugmentConfig
from fedn_lightning.data.datamodule import CorpusConfig, CropConfig, DetectionDataModule, WindowConfig
from fedn_lightning.data.dataset import Sample
from fedn_lightning.data.intervals import (
    ExpressionSource,
    FixedIntervals,
    IntervalConfig,
    IntervalDataset,
    IntervalDraw,
    TrainingIntervals,
)
from fedn_lightning.errors import ConfigError
from fedn_lightning.events import IntArray


class RecognitionDataModule(DetectionDataModule):
    """Serves the labelled expressions of a corpus, one by one.

    Corpus, clip store, cached frame features and split are those of :class:`.DetectionDataModule`, so that a spotter
    and a recogniser with the same arguments hold out, validate on and train on the same subjects.

    Args:
        corpus: which corpus, and how its labels are read.
        crops: how faces are cropped and where crops are stored.
        intervals: how an expression becomes the input of a recogniser.
        augment: clip augmentation of the cached variants.
        test_subject: held-out subject or subjects; none to train on everyone.
        val_subject: validation subjects by name, or how many to take from the training subjects.
        seed: of the split and of everything drawn in training.
        batch_size: expressions in a training batch; validation and test take 4 times as many.
        num_workers: loader processes.
        feature_variants: cached variants of each training video, the first unchanged, the others augmented.

    Raises:
        ConfigError: if a number cannot work.
        SplitError: if the subjects cannot be split so.
        CorpusNotFoundError: if the corpus is not where `corpus.root` says.
    """

    def __init__(
        self,
        corpus: CorpusConfig,
        crops: CropConfig,
        intervals: IntervalConfig = IntervalConfig(),  # noqa: B008 (frozen, so sharing it is safe)
        augment: AugmentConfig = AugmentConfig(),  # noqa: B008
        test_subject: str | int | list[str | int] = [],  # noqa: B006 (never changed; jsonargparse shows it as the default)
        val_subject: int | list[str | int] = 2,
        seed: int = 0,
        batch_size: int = 32,
        num_workers: int = 0,
        feature_variants: int = 1,
    ) -> None:
        windows = WindowConfig()  # of the detection task; not used here
        super().__init__(
            corpus, crops, windows, augment, test_subject, val_subject, seed, batch_size, num_workers, feature_variants
        )
        self.intervals = intervals

    def train_dataloader(self) -> DataLoader[Sample]:
        """The expressions of the training subjects whose emotion is analysed, their ends moved a little."""
        sources = self._expressions("train", self.feature_variants)
        sampler = TrainingIntervals(sources, self.intervals, self.feature_variants, self.seed)
        return self._intervals(sources, sampler, self.batch_size)

    def class_counts(self, n_classes: int) -> IntArray:
        """How many expressions of each class the training subjects have, `(n_classes,)`."""
        emotions = np.concatenate([self.truths(video).emotion for video in self.videos("train")])
        return np.bincount(emotions[emotions >= 0], minlength=n_classes)

    def _evaluation(self, stage: str) -> DataLoader[Sample]:
        sources = self._expressions(stage, 1)
        return self._intervals(sources, FixedIntervals(sources), 4 * self.batch_size)

    def _intervals(
        self, sources: list[ExpressionSource], sampler: Sampler[IntervalDraw], batch_size: int
    ) -> DataLoader[Sample]:
        return DataLoader(
            IntervalDataset(sources, self.intervals),
            batch_size=batch_size,
            sampler=sampler,
            num_workers=self.num_workers,
            persistent_workers=self.num_workers > 0,
        )

    def _expressions(self, stage: str, variants: int) -> list[ExpressionSource]:
        videos = self.videos(stage)
        stored = [self.stored(video) for video in videos]
        cache = self._feature_cache()
        if cache is None:
            msg = "model.encoder.frozen must be true for a recogniser: it learns from cached frame features."
            raise ConfigError(msg)
        self._build(cache, stored, variants)
        return [
            ExpressionSource(
                variants=tuple(cache.load(clip, variant) for variant in range(variants)),
                truths=self._in_store_frames(labelled := self.truths(video, index), clip),
                labelled=labelled,
                video=index,
            )
            for index, (video, clip) in enumerate(zip(videos, stored, strict=True))
        ]
