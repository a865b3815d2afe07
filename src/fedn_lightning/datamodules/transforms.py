"""Augmentation of clips: all frames are changed alike, because the motion between frames is the signal."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fedn_lightning.errors import ConfigError

# Its import looks for updates on the network otherwise.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

Frames = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class AugmentConfig:
    """Strength of the clip augmentation; 0 leaves a kind out. The defaults are ours (O).

    Attributes:
        flip: probability of mirroring left and right.
        brightness: maximum relative change.
        contrast: maximum relative change.
        hue: maximum change of hue and saturation, in grey levels.
        shift: maximum shift, as a share of the crop.
        scale: maximum relative change of size.
        rotate: maximum rotation, in degrees.
        noise: maximum standard deviation of sensor noise, in grey levels; drawn again for every frame, as a sensor
            does.
        shade: maximum relative difference of the light across the crop.
        texture: maximum standard deviation of a fixed pattern of spots, in grey levels.
        blur: maximum standard deviation of a blur, in pixels.
        compression: maximum loss of JPEG quality, of 100.
    """

    flip: float = 0.5
    brightness: float = 0.2
    contrast: float = 0.2
    hue: float = 8.0
    shift: float = 0.04
    scale: float = 0.06
    rotate: float = 5.0
    noise: float = 3.0
    shade: float = 0.0
    texture: float = 0.0
    blur: float = 0.0
    compression: float = 0.0


@dataclass(frozen=True)
class MotionAugmentConfig:
    """Strength of the augmentation of the motion stream (O); it leaves the frame features alone.

    Attributes:
        amplitude: motion is made up to this much larger or smaller, e.g. 0.5: from 1 / 1.5 to 1.5 times.
        mirror: probability that left and right are swapped.
        dropout: probability that a part of the face is left out of a window, as if it rested, so that no expression is
            known by one part alone.
    """

    amplitude: float = 0.0
    mirror: float = 0.0
    dropout: float = 0.0

    def __post_init__(self) -> None:
        if self.amplitude < 0 or not 0 <= self.mirror <= 1 or not 0 <= self.dropout < 1:
            raise ConfigError(
                f"data.motion_augment: amplitude = {self.amplitude} must not be negative, mirror = {self.mirror} must "
                f"lie between 0 and 1, and dropout = {self.dropout} must be at least 0 and below 1."
            )


class ClipAugmenter:
    """Applies one draw of photometric and small geometric changes alike to every frame of a clip."""

    def __init__(self, config: AugmentConfig) -> None:
        import albumentations as A
        import cv2

        self.config = config
        transforms: list[Any] = [A.HorizontalFlip(p=config.flip)]
        if config.shift or config.scale or config.rotate:
            transforms.append(
                A.Affine(
                    translate_percent=(-config.shift, config.shift),
                    scale=(1 - config.scale, 1 + config.scale),
                    rotate=(-config.rotate, config.rotate),
                    border_mode=cv2.BORDER_REPLICATE,
                    p=1.0,
                )
            )
        if config.brightness or config.contrast:
            transforms.append(A.RandomBrightnessContrast(config.brightness, config.contrast, p=1.0))
        if config.hue:
            transforms.append(A.HueSaturationValue(config.hue, config.hue, 0, p=1.0))
        self.transform = A.Compose(transforms)

    def __call__(self, clip: Frames, seed: int) -> Frames:
        """Augments a clip.

        Args:
            clip: `(T, H, W, 3)` uint8 RGB.
            seed: the same seed gives the same result, in any worker; without it every worker of albumentations 2.0.8
                would draw the same values and repeat them each epoch.

        Returns:
            The changed clip, same shape and type.
        """
        self.transform.set_random_seed(seed)
        changed: Frames = np.ascontiguousarray(self.transform(images=clip)["images"])
        # A separate generator, so that these do not change the draws of the others.
        wear = np.random.default_rng([seed, 1])
        changed = _stain(_shade(changed, self.config.shade, wear), self.config.texture, wear)
        changed = _blur(changed, self.config.blur, wear)
        if self.config.noise:
            rng = np.random.default_rng(seed)
            deviation = rng.uniform(0, self.config.noise)
            # Albumentations puts one noise map on all frames, which would be texture, not noise.
            noise = rng.standard_normal(changed.shape, dtype=np.float32) * deviation
            changed = np.clip(changed + noise + 0.5, 0, 255).astype(np.uint8)
        return _compress(changed, self.config.compression, wear)


def _shade(clip: Frames, most: float, rng: np.random.Generator) -> Frames:
    """Light that falls off across the crop, in one direction for all frames."""
    if not most:
        return clip
    angle, strength = rng.uniform(0, 2 * np.pi), rng.uniform(0, most)
    y, x = (np.linspace(-0.5, 0.5, side, dtype=np.float32) for side in clip.shape[1:3])
    light = 1 + strength * (np.cos(angle) * x[None] + np.sin(angle) * y[:, None])
    return np.asarray(np.clip(clip * light[..., None] + 0.5, 0, 255), np.uint8)


def _stain(clip: Frames, most: float, rng: np.random.Generator) -> Frames:
    """A pattern of coarse and fine spots that stays in place, as on skin or on a lens."""
    if not most:
        return clip
    import cv2

    deviation = rng.uniform(0, most)
    shape = clip.shape[1:3]
    spots = rng.standard_normal(shape, dtype=np.float32)
    coarse = np.asarray(cv2.GaussianBlur(rng.standard_normal(shape, dtype=np.float32), (0, 0), rng.uniform(1, 8)))
    pattern = 0.6 * spots + 0.8 * coarse / coarse.std()
    return np.asarray(np.clip(clip + (deviation * pattern)[..., None] + 0.5, 0, 255), np.uint8)


def _blur(clip: Frames, most: float, rng: np.random.Generator) -> Frames:
    """The same blur for all frames."""
    if not most:
        return clip
    import cv2

    sigma = rng.uniform(0.05, max(most, 0.05))
    return np.stack([np.asarray(cv2.GaussianBlur(frame, (0, 0), sigma), np.uint8) for frame in clip])


def _compress(clip: Frames, most: float, rng: np.random.Generator) -> Frames:
    """JPEG of one quality for all frames."""
    if not most:
        return clip
    import cv2

    quality = round(100 - rng.uniform(0, most))
    packed = [cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, quality])[1] for frame in clip]
    return np.stack([np.asarray(cv2.imdecode(frame, cv2.IMREAD_COLOR), np.uint8) for frame in packed])
