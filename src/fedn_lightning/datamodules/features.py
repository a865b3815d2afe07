"""Frame features on disk: a frozen encoder and optical flow give equal values every time, so they are computed once."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from fedn_lightning.datamodules.transforms import AugmentConfig, ClipAugmenter
from fedn_lightning.models.checkpoints import weights_digest
from fedn_lightning.models.encoder import encode_crops, folded
from fedn_lightning.motion.features import MotionCache
from fedn_lightning.motion.flow import MotionConfig
from fedn_lightning.utils.console import ProgressBar
from fedn_lightning.utils.files import StoredArray, locked, write_atomically
from fedn_lightning.video.store import StoredVideo, content

CHUNK = 128
"""Frames read and augmented at once."""


@dataclass(frozen=True)
class FrameFeatures:
    """What a network reads of every frame; a task gives it to its data module."""

    encoder: nn.Module  # the frame encoder; it runs on the device it is on
    motion: bool = False  # whether motion features follow the encoder's
    sampled: int = 0  # frames of a training window from which the encoder learns; 0 for a frozen encoder
    frozen_epochs: int = 0  # epochs before it begins to


class FeatureCache:
    """Features of one frozen encoder for stored videos.

    A file's name holds a hash of everything its content depends on (weights, crop, augmentation, precision), so a
    changed encoder never reads old features. Files appear whole or not at all.

    Args:
        root: folder of the cache.
        encoder: frozen; used in evaluation mode.
        augment: strengths of the augmented variants.
        half: compute in bfloat16 (3 times faster on recent CPUs); features are stored as float16 either way.
    """

    def __init__(self, root: str | Path, encoder: nn.Module, augment: AugmentConfig, half: bool = True) -> None:
        self.root, self.encoder, self.augment, self.half = Path(root), encoder, augment, half
        self.folder = self.root / weights_digest(encoder)

    def path(self, video: StoredVideo, variant: int) -> Path:
        """The file of a variant of a video."""
        precision = "bfloat16, folded" if self.half else "float32"
        key = [content(video), precision, variant, dataclasses.asdict(self.augment) if variant else None]
        name = hashlib.sha256(json.dumps(key).encode()).hexdigest()[:24]
        return self.folder / f"{name}.npy"

    def load(self, video: StoredVideo, variant: int = 0) -> StoredArray:
        """The features `(T, D)` float16 of a variant; :meth:`build` must have made them."""
        return StoredArray(self.path(video, variant))

    def build(self, videos: Sequence[StoredVideo], variants: int = 1) -> None:
        """Computes what is missing, with a progress bar in frames; of two runs the second waits for the first."""

        def missing() -> list[tuple[StoredVideo, int]]:
            return [(v, k) for v in videos for k in range(variants) if not self.path(v, k).is_file()]

        if missing():
            self.root.mkdir(parents=True, exist_ok=True)
            with locked(self.root / "features.lock"):
                self._build(missing())

    def _build(self, missing: Sequence[tuple[StoredVideo, int]]) -> None:
        augmenter = ClipAugmenter(self.augment) if any(k for _, k in missing) else None
        device = next((p.device for p in self.encoder.parameters()), torch.device("cpu"))
        was_training = self.encoder.training
        encoder = self.encoder.eval()
        encoder = folded(encoder) if self.half else encoder
        with ProgressBar("frame features", sum(v.n_frames for v, _ in missing)) as bar:
            for video, variant in missing:
                features = []
                for first in range(0, video.n_frames, CHUNK):
                    frames = self._chunk(video, first, variant, augmenter)
                    features.append(encode_crops(encoder, frames, device, self.half))
                    bar.advance(len(features[-1]))
                write_atomically(self.path(video, variant), partial(np.save, arr=np.concatenate(features)))
                video.close()
        self.encoder.train(was_training)

    def _chunk(
        self, video: StoredVideo, first: int, variant: int, augmenter: ClipAugmenter | None
    ) -> npt.NDArray[np.uint8]:
        frames = np.array(video.frames[first : first + CHUNK])  # a copy: torch wants memory it may write to
        if variant == 0 or augmenter is None:
            return frames
        # One seed for the whole video: all its frames must be changed alike.
        seed = int(hashlib.sha256(f"{content(video)} {variant}".encode()).hexdigest()[:8], 16) % 2**31
        return augmenter(frames, seed)


class StoredFeatures:
    """The frame features of stored videos: those of an encoder, and motion features if the network takes them.

    Args:
        source: what the network reads.
        store: folder of the clip store, in which the caches lie.
        augment: strengths of the augmented variants.
        motion: how optical flow is measured.
        jobs: processes that measure it; None for one per core.
    """

    def __init__(
        self, source: FrameFeatures, store: Path, augment: AugmentConfig, motion: MotionConfig, jobs: int | None
    ) -> None:
        self.encoded = FeatureCache(store / "features", source.encoder, augment)
        self.moved = MotionCache(store / "motion", motion) if source.motion else None
        self.jobs = jobs

    def build(self, videos: Sequence[StoredVideo], variants: int = 1) -> None:
        """Computes what is missing, of the encoder's features in so many variants."""
        if self.moved is not None:  # first: a run that starts beside another encodes first
            self.moved.build(videos, self.jobs)
        self.encoded.build(videos, variants)

    def motion(self, video: StoredVideo) -> npt.NDArray[np.float16] | None:
        """The motion features `(T, M)` of a video; None for a network without them."""
        return None if self.moved is None else self.moved.features(video)

    def load(self, video: StoredVideo, variant: int = 0) -> StoredArray | npt.NDArray[np.float16]:
        """The frame vectors `(T, D)` of a variant of a video, motion features behind the encoder's."""
        encoded, motion = self.encoded.load(video, variant), self.motion(video)
        return encoded if motion is None else np.concatenate([encoded, motion], axis=1)
