"""A picture of one generated face that travels with the package, to try face finders and networks on."""

from __future__ import annotations

from importlib import resources

import cv2
import numpy as np
import numpy.typing as npt

from fedn_lightning.video.alignment import eye_transform

EYES = (277.75, 221.25), (360.75, 223.75)
"""Centres of the eyes in the picture, (x, y) in pixels, from left to right."""

MOUTH_LIFT = 0.04
"""How far the lower half of the face is stretched at the height of the movement, as a share of the crop's side."""


def sample_face() -> npt.NDArray[np.uint8]:
    """The picture, `(480, 640, 3)` uint8 RGB."""
    data = resources.files(__package__).joinpath("sample_face.jpg").read_bytes()
    return np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB), np.uint8)


def moving_face(size: int, n_frames: int) -> npt.NDArray[np.uint8]:
    """Aligned crops in which the lower half of the face stretches once and the head sways.

    Args:
        size: side of the crops in pixels.
        n_frames: how many.

    Returns:
        `(n_frames, size, size, 3)` uint8 RGB.
    """
    crop = cv2.warpAffine(sample_face(), eye_transform(*EYES, size), (size, size), borderMode=cv2.BORDER_REPLICATE)
    rows, columns = np.mgrid[:size, :size].astype(np.float32)
    phase = np.linspace(0, np.pi, n_frames)
    frames = []
    for rise, sway in zip(np.sin(phase) ** 2, np.sin(2 * phase), strict=True):
        stretch = np.float32(MOUTH_LIFT * size * rise) * np.clip(2 * rows / size - 1, 0, 1)
        shift = np.float32(size * 0.02 * sway)
        frames.append(
            cv2.remap(crop, columns + shift, rows - stretch, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        )
    return np.stack(frames).astype(np.uint8, copy=False)
