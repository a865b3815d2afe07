"""The cache of frame features: a frozen encoder gives equal features every time, so each frame is encoded once."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from fedn_lightning.datamodules.transforms import AugmentConfig, ClipAugmenter
from fedn_lightning.models.checkpoints import weights_digest
from fedn_lightning.models.encoder import encode_crops
from fedn_lightning.utils.arrays import StoredArray
from fedn_lightning.utils.console import ProgressBar
from fedn_lightning.utils.files import write_atomically
from fedn_lightning.video.store import StoredVideo, content

CHUNK = 128
"""Frames read and augmented at once."""


class FeatureCache:
    """Frame features of stored videos, computed by one frozen encoder and kept on disk.

    A file's name holds a hash of all that its content depends on (encoder weights, crop, augmentation, precision), so a
    changed encoder never meets old features. Files are written beside and renamed: a killed run leaves no half file.

    Args:
        root: folder of the cache.
        encoder: frozen; used in evaluation mode.
        device: where it runs.
        augment: strengths of the augmented variants.
        half: compute in bfloat16 (3 times faster on recent CPUs); features are stored as float16 either way.
    """

    def __init__(
        self, root: str, encoder: nn.Module, device: torch.device, augment: AugmentConfig, half: bool = True
    ) -> None:
        self.root, self.encoder, self.device, self.augment, self.half = Path(root), encoder, device, augment, half
        self.encoder_key = weights_digest(encoder)

    def path(self, video: StoredVideo, variant: int) -> Path:
        """Where the features of a variant of a video lie."""
        key = [content(video), self.half, variant, dataclasses.asdict(self.augment) if variant else None]
        name = hashlib.sha256(json.dumps(key).encode()).hexdigest()[:24]
        return self.root / self.encoder_key / f"{name}.npy"

    def load(self, video: StoredVideo, variant: int = 0) -> StoredArray:
        """The features `(T, D)` float16 of a variant; :meth:`build` must have made them."""
        return StoredArray(self.path(video, variant))

    def build(self, videos: Sequence[StoredVideo], variants: int = 1) -> None:
        """Computes what is missing, with a progress bar in frames."""
        missing = [(v, k) for v in videos for k in range(variants) if not self.path(v, k).is_file()]
        if not missing:
            return
        augmenter = ClipAugmenter(self.augment) if variants > 1 else None
        was_training = self.encoder.training
        self.encoder.eval().to(self.device)
        with ProgressBar("frame features", sum(v.n_frames for v, _ in missing)) as bar:
            for video, variant in missing:
                features = []
                for first in range(0, video.n_frames, CHUNK):
                    frames = self._chunk(video, first, variant, augmenter)
                    features.append(encode_crops(self.encoder, frames, self.device, self.half))
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
        # One seed for the whole video: its frames must all be changed alike.
        seed = int(hashlib.sha256(f"{content(video)} {variant}".encode()).hexdigest()[:8], 16) % 2**31
        return augmenter(frames, seed)
