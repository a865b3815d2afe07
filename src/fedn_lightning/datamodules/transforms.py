"""Augmentation of clips: one draw of parameters for all frames, because what moves between frames is the signal."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

# Its import looks for updates on the network otherwise.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

Frames = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class AugmentConfig:
    """Strength of the clip augmentation; 0 leaves a kind out. The defaults are ours (O).

    Attributes:
        flip: probability of mirroring left and right.
        brightness: greatest relative change.
        contrast: greatest relative change.
        hue: greatest change of hue and saturation, in grey levels.
        shift: greatest shift, as a share of the crop.
        scale: greatest relative change of size.
        rotate: greatest rotation, in degrees.
        noise: greatest standard deviation of sensor noise, in grey levels; drawn anew for every frame, as a sensor
            does.
    """

    flip: float = 0.5
    brightness: float = 0.2
    contrast: float = 0.2
    hue: float = 8.0
    shift: float = 0.04
    scale: float = 0.06
    rotate: float = 5.0
    noise: float = 3.0


class ClipAugmenter:
    """Applies one draw of photometric and small geometric changes alike to every frame of a clip.

    Args:
        config: strengths.
    """

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
        if self.config.noise:
            rng = np.random.default_rng(seed)
            deviation = rng.uniform(0, self.config.noise)
            # Albumentations puts one noise map on all frames, which would be texture, not noise.
            noise = rng.standard_normal(changed.shape, dtype=np.float32) * deviation
            changed = np.clip(changed + noise + 0.5, 0, 255).astype(np.uint8)
        return changed
