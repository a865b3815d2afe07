"""The LightningDataModule: from a corpus on disk to batches of windows, split by subject."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal

import lightning
import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Sampler

from fedn_lightning.datamodules import plausibility
from fedn_lightning.datamodules.dataset import Sample, WindowDataset, WindowSource, collate, shift_at_random
from fedn_lightning.datamodules.emotions import CLASSES, EmotionScheme, LabelSource, expression_class
from fedn_lightning.datamodules.features import FeatureCache
from fedn_lightning.datamodules.splits import SubjectSplit, split_subjects
from fedn_lightning.datamodules.transforms import AugmentConfig, ClipAugmenter, MotionAugmentConfig
from fedn_lightning.datamodules.windows import (
    FixedWindows,
    TrainingWindows,
    WindowDraw,
    truths_in_window,
    window_starts,
)
from fedn_lightning.datasets import read_all
from fedn_lightning.errors import ConfigError, SplitError, VideoError
from fedn_lightning.events import EXPRESSION_TYPES, Corpus, EventTable, Video
from fedn_lightning.motion.features import MotionCache
from fedn_lightning.motion.flow import MotionConfig
from fedn_lightning.video.landmarks import read_boxes
from fedn_lightning.video.prepare import Align, FramesFrom, prepare
from fedn_lightning.video.readers import Gaps
from fedn_lightning.video.store import ClipStore, StoredVideo


@dataclass(frozen=True)
class CorpusConfig:
    """Which corpus, and how its labels are read.

    Attributes:
        dataset: name of a reader in `fedn_lightning.datasets.READERS`.
        root: the folder the release was unpacked in; the folders of several corpora, to train or test on all of them,
            see :func:`fedn_lightning.datasets.read_all`.
        policies: what to do with the release's quirks, by the reader's names, e.g. `offset_policy: apex`.
        emotion_scheme: `3` (negative, positive, surprise), `4` (and others) or `7`.
        label_source: `expert` labels or `self_report`, where the release has both.
    """

    dataset: str
    root: str | list[str]
    policies: dict[str, str] = field(default_factory=dict)
    emotion_scheme: EmotionScheme = "3"
    label_source: LabelSource = "expert"


@dataclass(frozen=True)
class CropConfig:
    """How faces get from the videos into the clip store.

    Attributes:
        store: folder of the clip store and the feature cache.
        size: side of the square crop in pixels.
        fps: working frame rate in frames per second.
        jobs: processes that prepare videos; as many as there are cores by default.
        align: `video` (one transform for a video, mark A), `track` (follows the head's sway, O) or `none` (the whole
            picture, for releases that are already cropped).
        gaps: what replaces missing numbers of a frame folder: `repeat` the frame before, `split` (no window crosses
            a gap), or `error`.
        boxes: table of face boxes given by hand, see :func:`fedn_lightning.video.landmarks.read_boxes`; empty for none.
        finder: what finds the face: `cascade`, `mesh` or `openface:FOLDER`, see
            :func:`fedn_lightning.video.prepare.prepare`.
        frames: `store` (every crop is written once, then read without decoding) or `video` (windows are decoded from
            verified videos: needs no room, and some hundred frames a second a process).
    """

    store: str
    size: int = 224
    fps: float = 30.0
    jobs: int | None = None
    align: Align = "video"
    gaps: Gaps = "repeat"
    boxes: str = ""
    finder: str = "cascade"
    frames: FramesFrom = "store"


@dataclass(frozen=True)
class WindowConfig:
    """Sliding windows; lengths and strides in frames at the working rate.

    Attributes:
        length: frames in a window (the precursor: 128, mark A).
        train_stride: between training windows (32, A).
        test_stride: between validation and test windows (16, A).
        share: of a truth that must lie inside a window for it to count (0.9, A).
        negatives: empty windows per window with an expression in a training epoch, at most (3, A).
        jitter: training windows move by up to this many frames (O).
        speed: training windows run up to this much faster or slower, e.g. 0.2 (O).
        unknown_offset: what truths teach whose offset the release does not know. `onset`: their onset and type, never
            an end; they are taken to end as long after the apex as they begin before it. `policy`: the end that
            `corpus.policies.offset_policy` gives them, like any other (O).
    """

    length: int = 128
    train_stride: int = 32
    test_stride: int = 16
    share: float = 0.9
    negatives: float = 3.0
    jitter: int = 16
    speed: float = 0.0
    unknown_offset: Literal["onset", "policy"] = "onset"


class DetectionDataModule(lightning.LightningDataModule):
    """Reads a corpus, prepares its clip store, and serves windows for training, validation and test.

    If the model's encoder is frozen, windows are served as cached frame features, computed once by that encoder; else
    as pixels, augmented clip by clip.

    Args:
        corpus: which corpus, and how its labels are read.
        crops: how faces are cropped and where crops are stored.
        windows: sliding windows.
        augment: clip augmentation, of pixels or of the cached variants.
        test_subject: held-out subject or subjects; none to train on everyone, `all` to test a network that was trained
            on another corpus on everyone.
        val_subject: validation subjects by name, or how many to take from the training subjects.
        seed: of the split and of everything drawn in training.
        batch_size: windows in a training batch; validation and test take 4 times as many.
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
        super().__init__()
        for name, value in (("batch_size", batch_size), ("feature_variants", feature_variants)):
            if value < 1:
                msg = f"data.{name} = {value} must be at least 1."
                raise ConfigError(msg)
        if not 0 < windows.test_stride <= windows.length or not 0 < windows.train_stride <= windows.length:
            msg = f"data.windows: strides must lie between 1 and the window's length {windows.length}."
            raise ConfigError(msg)
        self.corpus_config, self.crops, self.windows, self.augment = corpus, crops, windows, augment
        self.test_subject = test_subject if isinstance(test_subject, list) else [test_subject]
        self.val_subject = val_subject
        self.seed, self.batch_size, self.num_workers = seed, batch_size, num_workers
        self.feature_variants, self.shift_labels = feature_variants, shift_labels
        self.motion, self.motion_augment = motion, motion_augment

    @cached_property
    def corpus(self) -> Corpus:
        """The corpus as read from disk."""
        return read_all(self.corpus_config.dataset, self.corpus_config.root, self.corpus_config.policies)

    @cached_property
    def split(self) -> SubjectSplit:
        """Who trains, validates and tests."""
        return split_subjects(self.corpus.subjects, self.test_subject, self.val_subject, self.seed)

    @property
    def emotions(self) -> tuple[str, ...]:
        """Names of the emotion classes."""
        return CLASSES[self.corpus_config.emotion_scheme]

    def videos(self, stage: str) -> list[Video]:
        """The videos of `train`, `val` or `test`, in a fixed order."""
        subjects = getattr(self.split, stage)
        return sorted((v for v in self.corpus.videos if v.subject in subjects), key=lambda v: v.key)

    def truths(self, video: Video, index: int = 0) -> EventTable:
        """The expressions of a video, in source frames.

        Args:
            video: of this corpus.
            index: what to write into the table's `video` column.
        """
        scheme, source = self.corpus_config.emotion_scheme, self.corpus_config.label_source
        subject = self.corpus.subjects.index(video.subject)
        rows = [
            [
                subject,
                index,
                e.start,
                e.end,
                EXPRESSION_TYPES.index(e.type),
                expression_class(e, scheme, source),
                1,
                1,
                e.end_known,
            ]
            for e in self.corpus.expressions_of(video)
        ]
        return EventTable.from_rows(rows)

    @cached_property
    def store(self) -> ClipStore:
        """The clip store; :meth:`prepare_data` fills it."""
        return ClipStore(self.crops.store)

    def stored(self, video: Video) -> StoredVideo:
        """The crops of a video."""
        return self.store.video(video.key)

    def prepare_data(self) -> None:
        """Fills the clip store, once per machine; does nothing where it is full."""
        self.check_split()  # a wrong subject is told before an hour of preparation
        crops = self.crops
        report = prepare(
            self.corpus,
            crops.store,
            crop_size=crops.size,
            fps=crops.fps,
            jobs=crops.jobs,
            align=crops.align,
            gaps=crops.gaps,
            boxes=read_boxes(crops.boxes, [video.key for video in self.corpus.videos]) if crops.boxes else None,
            finder=crops.finder,
            frames=crops.frames,
            progress=True,
        )
        if report.failed:
            why = next(iter(report.failed.values())).rstrip(".")
            msg = (
                f"{why}. {len(report.failed)} of {len(self.corpus.videos)} videos cannot be used. Fix or remove them; "
                "with the policy unusable_rows: drop, training goes on without the rows of a video that is not there."
            )
            raise VideoError(msg)

    def check_split(self) -> None:
        """Makes sure that the corpus makes sense, and that somebody is there for what the trainer is about to do.

        Raises:
            AnnotationError: if units, lengths or emotion words cannot be right.
            SplitError: if nobody is there.
        """
        plausibility.check(self.corpus, self.corpus_config.emotion_scheme, self.corpus_config.label_source)
        split, trainer = self.split, self.trainer
        alone = trainer is not None and not split.train and (trainer.training or trainer.validating)
        if alone:
            msg = (
                "data.test_subject is 'all', which leaves nobody to train or validate on; it is meant for a test of a "
                "network that was trained on another corpus (fedn generalise)."
            )
            raise SplitError(msg)

    def warm_up(self) -> None:
        """Prepares and encodes every video, so that runs on any split, at once if need be, find all on disk.

        The data module must be attached to a trainer that knows the model.
        """
        self.prepare_data()
        clips = [self.stored(video) for video in self.corpus.videos]
        cache, motion = self._feature_cache(), self._motion_cache()
        if cache is not None:
            self._build(partial(cache.build, clips, self.feature_variants))
        if motion is not None:
            self._build(partial(motion.build, clips, self.crops.jobs))

    def train_dataloader(self) -> DataLoader[Sample]:
        """Windows of the training subjects: all with an expression, some of those without."""
        sources = self._sources("train", self.feature_variants, self.shift_labels)
        length, share = self.windows.length, self.windows.share
        draws = self._draws(sources, self.windows.train_stride)

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
        )
        augmenter = ClipAugmenter(self.augment) if pixels else None
        return self._loader(WindowDataset(sources, length, share, augmenter), sampler, self.batch_size)

    def val_dataloader(self) -> DataLoader[Sample]:
        """Every window of the validation subjects."""
        return self._evaluation("val")

    def test_dataloader(self) -> DataLoader[Sample]:
        """Every window of the held-out subjects."""
        return self._evaluation("test")

    def _evaluation(self, stage: str) -> DataLoader[Sample]:
        sources = self._sources(stage, 1, False)
        draws = self._draws(sources, self.windows.test_stride)
        dataset = WindowDataset(sources, self.windows.length, self.windows.share)
        return self._loader(dataset, FixedWindows(draws), 4 * self.batch_size)

    def _draws(self, sources: Sequence[WindowSource], stride: int) -> list[WindowDraw]:
        length = self.windows.length
        return [
            WindowDraw(i, s) for i, source in enumerate(sources) for s in window_starts(source.n_frames, length, stride)
        ]

    def _loader(self, dataset: WindowDataset, sampler: Sampler[WindowDraw], batch_size: int) -> DataLoader[Sample]:
        return DataLoader(
            dataset,
            batch_size=batch_size,
            sampler=sampler,
            num_workers=self.num_workers,
            collate_fn=collate,
            persistent_workers=self.num_workers > 0,
        )

    def _sources(self, stage: str, variants: int, shift: bool) -> list[WindowSource]:
        videos = self.videos(stage)
        stored = [self.stored(video) for video in videos]
        cache, motion = self._feature_cache(), self._motion_cache()
        if cache is not None:
            self._build(partial(cache.build, stored, variants))
        if motion is not None:
            self._build(partial(motion.build, stored, self.crops.jobs))
        rng = np.random.default_rng([self.seed, 1])
        sources = []
        for index, (video, clip) in enumerate(zip(videos, stored, strict=True)):
            truths = self._in_store_frames(self._taught(video, index), clip)
            if shift:
                truths = shift_at_random(truths, clip.n_frames, rng)
            features = tuple(cache.load(clip, k) for k in range(variants)) if cache else ()
            moved = motion.features(clip) if motion else None
            sources += [
                WindowSource(stop - first, features, clip.frames, _moved(truths, -first), index, first, moved)
                for first, stop in clip.parts
            ]
        return sources

    def _taught(self, video: Video, index: int) -> EventTable:
        """The truths of a video as windows teach them, see :class:`WindowConfig`."""
        truths = self.truths(video, index)
        if self.windows.unknown_offset == "policy":
            return replace(truths, end_known=np.ones_like(truths.end_known))
        mirrored = [
            e.end if e.end_known or e.apex is None else max(e.end, 2 * e.apex - e.start + 1)
            for e in self.corpus.expressions_of(video)
        ]
        return replace(truths, end=np.array(mirrored, np.float64))

    def _in_store_frames(self, truths: EventTable, clip: StoredVideo) -> EventTable:
        rows = truths.to_rows()
        rows[:, 2] = [clip.source_to_store(frame) for frame in truths.start]
        rows[:, 3] = [clip.source_to_store(frame) for frame in truths.end]
        return EventTable.from_rows(rows)

    def _feature_cache(self) -> FeatureCache | None:
        """The cache of the model's encoder, or None if the encoder is trained and needs pixels."""
        trainer = self.trainer
        module: Any = trainer.lightning_module if trainer is not None else None
        if module is None or not getattr(module, "encoder_frozen", False):
            return None
        encoder: nn.Module = module.encoder
        device: torch.device = trainer.strategy.root_device if trainer is not None else torch.device("cpu")
        return FeatureCache(str(Path(self.crops.store) / "features"), encoder, device, self.augment)

    def _motion_cache(self) -> MotionCache | None:
        """The cache of optical flow, or None if the model has no motion stream.

        Raises:
            ConfigError: if crops are not aligned, so that the parts of the face lie anywhere, or if the encoder is
                trained: motion features go with cached frame features alone.
        """
        trainer = self.trainer
        module: Any = trainer.lightning_module if trainer is not None else None
        if not getattr(module, "has_motion", False):
            return None
        if self.crops.align == "none":
            msg = (
                "data.crops.align = none leaves faces where they are, but the motion stream looks at fixed places of "
                "an aligned face; set it to video or track, or model.network.streams to appearance."
            )
            raise ConfigError(msg)
        if not module.encoder_frozen:
            msg = (
                "model.encoder.frozen = false trains from pixels, which the motion stream does not do; set it to true, "
                "or model.network.streams to appearance."
            )
            raise ConfigError(msg)
        return MotionCache(Path(self.crops.store) / "motion", self.motion)

    def _build(self, build: Callable[[], None]) -> None:
        """Fills a cache, once on this machine."""
        trainer = self.trainer
        if trainer is None or trainer.is_global_zero:
            build()
        if trainer is not None:
            trainer.strategy.barrier("cache")


def _moved(truths: EventTable, by: int) -> EventTable:
    """The same events `by` frames later."""
    return replace(truths, start=truths.start + by, end=truths.end + by)
