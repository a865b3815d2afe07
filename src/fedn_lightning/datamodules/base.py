"""What the data modules of all video tasks share: a corpus on disk, its clip store, and its split by subject."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import lightning
from torch.utils.data import DataLoader

from fedn_lightning.datamodules.features import FrameFeatures, StoredFeatures
from fedn_lightning.datamodules.labels import CLASSES, EmotionScheme, LabelSource, check_labels, expression_class
from fedn_lightning.datamodules.splits import SubjectSplit, split_subjects
from fedn_lightning.datamodules.transforms import AugmentConfig
from fedn_lightning.datasets import read_all
from fedn_lightning.errors import ConfigError, SplitError, VideoError
from fedn_lightning.events import EXPRESSION_TYPES, Corpus, EventTable, Video
from fedn_lightning.motion.flow import MotionConfig
from fedn_lightning.video.landmarks import read_boxes
from fedn_lightning.video.prepare import Align, FramesFrom, prepare
from fedn_lightning.video.readers import Gaps
from fedn_lightning.video.store import ClipStore, StoredVideo

SPLITS = {"fit": ("train", "val"), "validate": ("val",), "test": ("test",), "predict": ("test",)}
"""The splits that each stage of a Lightning trainer reads."""


@dataclass(frozen=True)
class CorpusConfig:
    """Which corpus is read, and how its labels are interpreted.

    Attributes:
        dataset: name of a reader in `fedn_lightning.datasets.READERS`.
        root: the folder the release was unpacked in; the folders of several corpora, to train or test on all of them,
            see :func:`fedn_lightning.datasets.read_all`.
        policies: how to treat peculiarities of the release, by the reader's names, e.g. `offset_policy: apex`.
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
        jobs: processes that prepare videos; by default one per core.
        align: `video` (one transform for a video, mark A), `track` (follows the head's sway, O) or `none` (the whole
            picture, for releases that are already cropped).
        gaps: what replaces missing numbers of a frame folder: `repeat` the frame before, `split` (no window crosses
            a gap), or `error`.
        boxes: table of face boxes given by hand, see :func:`fedn_lightning.video.landmarks.read_boxes`; empty for none.
        finder: what finds the face: `cascade`, `landmarker:FILE`, `mesh` or `openface:FOLDER`, see
            :func:`fedn_lightning.video.prepare.prepare`.
        frames: `store` (every crop is written once, then read without decoding) or `video` (windows are decoded from
            verified videos: needs no disk space, and reads some hundred frames per second and process).
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
class LabelledClip:
    """A stored video with its ground truth."""

    index: int  # of the video in its split
    video: Video  # of the corpus
    stored: StoredVideo  # its crops
    truths: EventTable  # its expressions in source frames

    def in_store_frames(self, truths: EventTable) -> EventTable:
        """Events of this video, given in source frames, in frames of the clip store."""
        to_store = self.stored.source_to_store
        return replace(truths, start=to_store(truths.start), end=to_store(truths.end))


class CorpusDataModule(lightning.LightningDataModule):
    """Reads a corpus, prepares its clip store, and opens the clips of each split; subclasses serve batches of them.

    Args:
        corpus: which corpus, and how its labels are read.
        crops: how faces are cropped and where crops are stored.
        augment: clip augmentation, of pixels or of the cached feature variants.
        test_subject: held-out subject or subjects; none to train on everyone, `all` to test a network that was trained
            on another corpus on everyone.
        val_subject: validation subjects by name, or how many to take from the training subjects.
        seed: of the split and of all random draws in training.
        batch_size: samples in a training batch; validation and test batches are 4 times as large.
        num_workers: loader processes.
        feature_variants: cached variants of each training video, the first unchanged, the others augmented.
        motion: how optical flow is measured, for a network with a motion stream.

    Attributes:
        features: the frame features to serve. The task sets it (`data.features = task.frame_features`) before the
            loaders are made. None serves pixels.
        clips: for each split of the current stage its clips; :meth:`setup` fills it.

    Raises:
        ConfigError: if a number cannot work.
        SplitError: if the subjects cannot be split so.
        CorpusNotFoundError: if the corpus is not where `corpus.root` says.
    """

    def __init__(
        self,
        corpus: CorpusConfig,
        crops: CropConfig,
        augment: AugmentConfig,
        test_subject: str | int | list[str | int],
        val_subject: int | list[str | int],
        seed: int,
        batch_size: int,
        num_workers: int,
        feature_variants: int,
        motion: MotionConfig,
    ) -> None:
        super().__init__()
        for name, value in (("batch_size", batch_size), ("feature_variants", feature_variants)):
            if value < 1:
                raise ConfigError(f"data.{name} = {value} must be at least 1.")
        self.corpus_config, self.crops, self.augment, self.motion = corpus, crops, augment, motion
        self.test_subject = test_subject if isinstance(test_subject, list) else [test_subject]
        self.val_subject, self.seed = val_subject, seed
        self.batch_size, self.num_workers, self.feature_variants = batch_size, num_workers, feature_variants
        self.features: FrameFeatures | None = None
        self._folders: list[Path] = []  # of the caches that were used, in their order
        self.clips: dict[str, list[LabelledClip]] = {}

    @cached_property
    def corpus(self) -> Corpus:
        """The corpus as read from disk."""
        return read_all(self.corpus_config.dataset, self.corpus_config.root, self.corpus_config.policies)

    @cached_property
    def split(self) -> SubjectSplit:
        """The training, validation and test subjects."""
        return split_subjects(self.corpus.subjects, self.test_subject, self.val_subject, self.seed)

    @property
    def emotions(self) -> tuple[str, ...]:
        """Names of the emotion classes."""
        return CLASSES[self.corpus_config.emotion_scheme]

    def videos(self, split: str) -> list[Video]:
        """The videos of `train`, `val` or `test`, in a fixed order."""
        subjects = getattr(self.split, split)
        return sorted((v for v in self.corpus.videos if v.subject in subjects), key=lambda v: v.key)

    def truths(self, video: Video, index: int = 0) -> EventTable:
        """The expressions of a video in source frames; `index` goes into the column `video`."""
        scheme, source = self.corpus_config.emotion_scheme, self.corpus_config.label_source
        subject = self.corpus.subjects.index(video.subject)
        rows = []
        for e in self.corpus.expressions_of(video):
            kind, emotion = EXPRESSION_TYPES.index(e.type), expression_class(e, scheme, source)
            rows.append([subject, index, e.start, e.end, kind, emotion, 1, 1, e.end_known])
        return EventTable.from_rows(rows)

    @cached_property
    def store(self) -> ClipStore:
        """The clip store; :meth:`prepare_data` fills it."""
        return ClipStore(self.crops.store)

    def stored(self, video: Video) -> StoredVideo:
        """The crops of a video."""
        return self.store.video(video.key)

    def prepare_data(self) -> None:
        """Fills the clip store, once per machine; does nothing where it is full.

        Raises:
            AnnotationError: if units, lengths or emotion words cannot be right.
            SplitError: if there is nobody to train on.
            VideoError: if a video cannot be used.
        """
        self.check()  # a wrong subject is reported before an hour of preparation
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
            raise VideoError(
                f"{why}. {len(report.failed)} of {len(self.corpus.videos)} videos cannot be used. Fix or remove them; "
                "with the policy unusable_rows: drop, training goes on without the rows of a video that is not there."
            )

    def check(self) -> None:
        """Checks labels and split, as :meth:`prepare_data` does first."""
        check_labels(self.corpus, self.corpus_config.emotion_scheme, self.corpus_config.label_source)
        trainer = self.trainer
        if not self.split.train and trainer is not None and (trainer.training or trainer.validating):
            raise SplitError(
                "data.test_subject is 'all', which leaves nobody to train or validate on; it is meant for a test of a "
                "network that was trained on another corpus (fedn generalise)."
            )

    def setup(self, stage: str) -> None:
        """Opens the clips of the stage's splits."""
        for split in SPLITS[stage]:
            videos = enumerate(self.videos(split))
            self.clips[split] = [LabelledClip(i, v, self.stored(v), self.truths(v, i)) for i, v in videos]

    def warm_up(self) -> None:
        """Prepares and encodes every video, so that later runs on any split find everything on disk."""
        self.prepare_data()
        features = self.stored_features()
        if features is not None:
            features.build([self.stored(video) for video in self.corpus.videos], self.feature_variants)

    def val_dataloader(self) -> DataLoader[Any]:
        """All samples of the validation subjects."""
        return self.evaluation_loader("val")

    def test_dataloader(self) -> DataLoader[Any]:
        """All samples of the held-out subjects."""
        return self.evaluation_loader("test")

    def predict_dataloader(self) -> DataLoader[Any]:
        """The same as :meth:`test_dataloader`."""
        return self.evaluation_loader("test")

    def evaluation_loader(self, split: str) -> DataLoader[Any]:
        """All samples of a split in a fixed order."""
        raise NotImplementedError

    def stored_features(self) -> StoredFeatures | None:
        """The caches of frame features; None if windows are served as pixels.

        Raises:
            ConfigError: if motion features are asked for without aligned faces, or with an encoder that is trained.
        """
        if self.features is None:
            return None
        if self.features.motion and self.crops.align == "none":
            raise ConfigError(
                "data.crops.align = none leaves faces where they are, but the motion stream looks at fixed places of "
                "an aligned face; set it to video or track, or model.network.streams to appearance."
            )
        return StoredFeatures(self.features, Path(self.crops.store), self.augment, self.motion, self.crops.jobs)

    def built_features(self, split: str, variants: int) -> StoredFeatures | None:
        """:meth:`stored_features` with every clip of a split encoded, by one process of this machine."""
        features = self.stored_features()
        if features is not None:
            self.once(lambda: features.build([clip.stored for clip in self.clips[split]], variants))
            self._folders.append(features.encoded.folder)
        return features

    def forget_features(self, kept: int = 1) -> None:
        """Removes the features of an encoder as it was in earlier epochs; other runs may share those of the first.

        Args:
            kept: of the newest features, how many stay.
        """
        folders = list(dict.fromkeys(self._folders))
        for folder in folders[1 : len(folders) - kept]:
            self.once(partial(shutil.rmtree, folder, ignore_errors=True))

    def teardown(self, stage: str) -> None:
        """Removes the features of an encoder as it was while it was trained."""
        if stage == "fit":
            self.forget_features(kept=0)

    def once(self, build: Callable[[], None]) -> None:
        """Fills a cache in one process; the others wait."""
        trainer = self.trainer
        if trainer is None or trainer.is_global_zero:
            build()
        if trainer is not None:
            trainer.strategy.barrier("cache")
