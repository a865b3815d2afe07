"""The LightningDataModule of a recogniser: the labelled expressions of a corpus as intervals, split by subject."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from fedn_lightning.datamodules.base import CorpusConfig, CorpusDataModule, CropConfig, LabelledClip
from fedn_lightning.datamodules.transforms import AugmentConfig
from fedn_lightning.datamodules.windows import Sample, interpolate
from fedn_lightning.errors import ConfigError
from fedn_lightning.events import NO_EMOTION, EventTable, IntArray
from fedn_lightning.motion.flow import MotionConfig
from fedn_lightning.utils.files import StoredArray


@dataclass(frozen=True)
class IntervalConfig:
    """How an interval of a video becomes the input of a recogniser. All of it is ours (O).

    Attributes:
        points: frame features an interval is resampled to, whatever its length.
        context: part before and after the interval that is included, as a share of its length: a neutral face to
            compare with.
        window: frames around the interval whose mean vector represents the face at rest, as FEDN's window does.
        jitter: in training each end moves by up to this share of the length, because a spotter's ends are not exact.
        repeats: draws of every expression in a training epoch.
    """

    points: int = 32
    context: float = 0.5
    window: int = 128
    jitter: float = 0.2
    repeats: int = 8

    def __post_init__(self) -> None:
        for name, least in (("points", 4), ("window", 1), ("repeats", 1)):
            if getattr(self, name) < least:
                raise ConfigError(f"data.intervals.{name} = {getattr(self, name)} must be at least {least}.")
        if not 0 <= self.jitter < 0.5 or self.context < 0:
            raise ConfigError(
                f"data.intervals: jitter = {self.jitter} must lie in [0, 0.5), or an interval may lose both ends; "
                f"context = {self.context} must not be negative."
            )


def positions(start: float, end: float, config: IntervalConfig) -> npt.NDArray[np.float64]:
    """Frame positions `(points,)` of an interval and its context, evenly spaced.

    Args:
        start: first frame, 0-based; may be fractional.
        end: one past the last frame.
        config: number of points, and context.

    >>> positions(10, 14, IntervalConfig(points=4, context=0.0))
    array([10., 11., 12., 13.])
    """
    margin = config.context * (end - start)
    first, last = start - margin, end + margin
    # Frame k is the moment k + 1/2 of a half-open interval.
    return first + (np.arange(config.points) + 0.5) / config.points * (last - first) - 0.5


def cut(
    features: npt.NDArray[np.float16] | StoredArray, start: float, end: float, config: IntervalConfig
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """The features of an interval, and of the face around it.

    Args:
        features: `(T, D)` frame features of the video.
        start: first frame of the interval, 0-based; may be fractional.
        end: one past its last frame.
        config: points, context and window; beyond the video its first and last frame repeat.

    Returns:
        `(points, D)` features linearly interpolated at :func:`positions`, and `(D,)` the mean of the window around.
    """
    last = len(features) - 1
    sequence = interpolate(features, np.clip(positions(start, end, config), 0, last))
    first = int(np.clip((start + end - config.window) // 2, 0, max(last + 1 - config.window, 0)))
    around: npt.NDArray[np.float32] = features[first : first + config.window].mean(axis=0, dtype=np.float32)
    return sequence, around


@dataclass(frozen=True)
class ExpressionSource:
    """The expressions of one video as the dataset reads them."""

    # per augmented variant the frame features `(T, D)` of the video
    variants: tuple[npt.NDArray[np.float16] | StoredArray, ...]
    clip: LabelledClip  # the video with its truths in source frames
    truths: EventTable  # the same in frames of the clip store


class IntervalDraw(NamedTuple):
    """One interval to load."""

    source: int  # position of the video among the sources
    expression: int  # position of the expression in the source's truths
    before: float = 0.0  # the start moves by this share of the length
    after: float = 0.0  # the end moves by this share of the length
    variant: int = 0  # which augmented variant of the cached features; 0 is the video as it is


class IntervalDataset(Dataset[Sample]):
    """Loads the interval that an :class:`IntervalDraw` names; random only through the draw.

    A sample has `features` `(points, D)` and `around` `(D,)` float32, `video`, `interval` `(2,)` float64 (the truth's
    start and end in source frames), `type` and `emotion`.

    Args:
        sources: the videos.
        config: how intervals are cut.
    """

    def __init__(self, sources: Sequence[ExpressionSource], config: IntervalConfig) -> None:
        self.sources, self.config = sources, config

    def __getitem__(self, draw: IntervalDraw) -> Sample:
        source, row = self.sources[draw.source], draw.expression
        start, end = float(source.truths.start[row]), float(source.truths.end[row])
        length = end - start
        start, end = start + draw.before * length, end + draw.after * length
        features, around = cut(source.variants[draw.variant], start, end, self.config)
        truths = source.clip.truths
        return {
            "features": torch.from_numpy(features),
            "around": torch.from_numpy(around),
            "video": source.clip.index,
            "interval": torch.tensor([truths.start[row], truths.end[row]], dtype=torch.float64),
            "type": int(truths.type[row]),
            "emotion": int(truths.emotion[row]),
        }


class TrainingIntervals(Sampler[IntervalDraw]):
    """Every expression with an analysed emotion, several times with other ends, in a new order each epoch.

    Args:
        sources: the training videos.
        config: jitter and repeats.
        variants: cached variants to draw from.
        seed: of all random draws.
    """

    def __init__(self, sources: Sequence[ExpressionSource], config: IntervalConfig, variants: int, seed: int) -> None:
        emotions = [source.truths.emotion for source in sources]
        self.draws = [draw for draw in all_draws(sources) if emotions[draw.source][draw.expression] != NO_EMOTION]
        self.config, self.variants, self.seed = config, variants, seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by the trainer before each epoch, also after a resume, so that epochs differ and repeat exactly."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.draws) * self.config.repeats

    def __iter__(self) -> Iterator[IntervalDraw]:
        rng = np.random.default_rng([self.seed, self.epoch])
        for index in rng.permutation(len(self)):
            before, after = rng.uniform(-self.config.jitter, self.config.jitter, 2)
            yield self.draws[index % len(self.draws)]._replace(
                before=float(before), after=float(after), variant=int(rng.integers(self.variants))
            )


def all_draws(sources: Sequence[ExpressionSource]) -> list[IntervalDraw]:
    """Every expression once, as labelled."""
    return [IntervalDraw(i, k) for i, source in enumerate(sources) for k in range(len(source.truths))]


class RecognitionDataModule(CorpusDataModule):
    """Serves the labelled expressions of a corpus, one by one.

    With the same arguments it splits subjects exactly like :class:`.DetectionDataModule`.

    Args:
        corpus: which corpus, and how its labels are read.
        crops: how faces are cropped and where crops are stored.
        intervals: how an expression becomes the input of a recogniser.
        augment: clip augmentation of the cached variants.
        test_subject: held-out subject or subjects; none to train on everyone.
        val_subject: validation subjects by name, or how many to take from the training subjects.
        seed: of the split and of all random draws in training.
        batch_size: expressions in a training batch; validation and test batches are 4 times as large.
        num_workers: loader processes.
        feature_variants: cached variants of each training video, the first unchanged, the others augmented.
        motion: how optical flow is measured, for a recogniser that takes motion features.

    Raises:
        ConfigError: if a number cannot work.
        SplitError: if the subjects cannot be split so.
        CorpusNotFoundError: if the corpus is not where `corpus.root` says.
    """

    def __init__(
        self,
        corpus: CorpusConfig,
        crops: CropConfig,
        intervals: IntervalConfig = IntervalConfig(),
        augment: AugmentConfig = AugmentConfig(),
        test_subject: str | int | list[str | int] = [],  # noqa: B006 (never changed; jsonargparse shows it as the default)
        val_subject: int | list[str | int] = 2,
        seed: int = 0,
        batch_size: int = 32,
        num_workers: int = 0,
        feature_variants: int = 1,
        motion: MotionConfig = MotionConfig(),
    ) -> None:
        super().__init__(
            corpus, crops, augment, test_subject, val_subject, seed, batch_size, num_workers, feature_variants, motion
        )
        self.intervals = intervals

    def train_dataloader(self) -> DataLoader[Sample]:
        """The expressions of the training subjects whose emotion is analysed, with their ends moved a little."""
        sources = self.sources("train", self.feature_variants)
        sampler = TrainingIntervals(sources, self.intervals, self.feature_variants, self.seed)
        return self._loader(sources, sampler, self.batch_size)

    def evaluation_loader(self, split: str) -> DataLoader[Sample]:
        """Every expression of a split once, as labelled."""
        sources = self.sources(split)
        return self._loader(sources, all_draws(sources), 4 * self.batch_size)

    def class_counts(self, n_classes: int) -> IntArray:
        """How many expressions of each class the training subjects have, `(n_classes,)`."""
        emotions = np.concatenate([self.truths(video).emotion for video in self.videos("train")])
        return np.bincount(emotions[emotions >= 0], minlength=n_classes)

    def sources(self, split: str, variants: int = 1) -> list[ExpressionSource]:
        """The videos of a split as the dataset reads them.

        Raises:
            ConfigError: if there are no frame features to read.
        """
        features = self.built_features(split, variants)
        if features is None:
            msg = "model.encoder.frozen must be true for a recogniser: it learns from cached frame features."
            raise ConfigError(msg)
        return [
            ExpressionSource(
                tuple(features.load(clip.stored, variant) for variant in range(variants)),
                clip,
                clip.in_store_frames(clip.truths),
            )
            for clip in self.clips[split]
        ]

    def _loader(
        self, sources: list[ExpressionSource], sampler: Sampler[IntervalDraw] | Sequence[IntervalDraw], batch_size: int
    ) -> DataLoader[Sample]:
        return DataLoader(
            IntervalDataset(sources, self.intervals),
            batch_size=batch_size,
            sampler=sampler,
            num_workers=self.num_workers,
            persistent_workers=self.num_workers > 0,
        )
