"""The canonical face crop: where the eyes go, the similarity transform that puts them there, and its sampling."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

Transform = npt.NDArray[np.float64]
"""`(2, 3)` float64: maps source pixel coordinates `(x, y, 1)` to crop pixel coordinates; pixel centres are whole."""

Box = tuple[float, float, float, float]
"""A face's `x, y, width, height` in source pixels."""

EYE_HEIGHT = 0.32
"""Height of the eyes in the crop, as a part of its side (ours): brows have room to rise, the chin to drop."""

EYE_DISTANCE = 1 / 2.8
"""Distance of the eye centres in the crop, as a part of its side (ours)."""


@dataclass(frozen=True, slots=True)
class Face:
    """A face in one picture, in source pixels."""

    box: tuple[float, float, float, float]  # x, y, width, height of the face cascade's box
    left: tuple[float, float]  # centre of the eye on the left of the picture
    right: tuple[float, float]  # centre of the eye on the right
    eyes_seen: bool  # whether both eyes were found by themselves; else they are placed by the box


def canonical_eyes(size: int) -> npt.NDArray[np.float64]:
    """Where the two eye centres lie in a crop of `size` pixels: `(2, 2)` float64, rows left and right eye as seen.

    >>> canonical_eyes(280).round(1).tolist()
    [[90.0, 89.6], [190.0, 89.6]]
    """
    half = EYE_DISTANCE / 2
    return np.array([[0.5 - half, EYE_HEIGHT], [0.5 + half, EYE_HEIGHT]]) * size


def eye_transform(left: npt.ArrayLike, right: npt.ArrayLike, size: int) -> Transform:
    """The similarity transform that carries two eye centres to their canonical places.

    Args:
        left: `(x, y)` of the eye on the left of the picture, source pixels.
        right: `(x, y)` of the eye on the right.
        size: side of the crop in pixels.

    Returns:
        `(2, 3)` float64.

    Raises:
        ValueError: if the two eyes are one point.
    """
    source = np.asarray([left, right], np.float64)
    target = canonical_eyes(size)
    # As complex numbers a similarity is z -> a z + b: two points give it in closed form.
    (p, q), (u, v) = source @ [1, 1j], target @ [1, 1j]
    if p == q:
        raise ValueError(f"Two eyes at one point, {source[0].tolist()}, define no transform.")
    a = (v - u) / (q - p)
    b = u - a * p
    return np.array([[a.real, -a.imag, b.real], [a.imag, a.real, b.imag]])


def box_transform(x: float, y: float, width: float, height: float, size: int) -> Transform:
    """The transform that carries the smallest square around a box to the whole crop, the box in its middle.

    With the whole picture as the box this takes a release that is already cropped as it is.

    Args:
        x: left edge of the box in source pixels, counted from the left edge of the picture.
        y: top edge.
        width: of the box in source pixels.
        height: of the box in source pixels.
        size: side of the crop in pixels.
    """
    side = max(width, height)
    scale = size / side
    left, top = x + (width - side) / 2, y + (height - side) / 2
    # Coordinates count pixel centres, so the picture's own edge lies at -0.5.
    return np.array([[scale, 0, scale * (0.5 - left) - 0.5], [0, scale, scale * (0.5 - top) - 0.5]])


def scale_of(transform: Transform) -> float:
    """Crop pixels per source pixel."""
    return float(math.hypot(transform[0, 0], transform[1, 0]))


def crop(image: npt.NDArray[np.uint8], transform: Transform, size: int) -> npt.NDArray[np.uint8]:
    """Samples the face crop.

    A crop smaller than the face is first sampled at a whole multiple of its size, close to the source's own
    resolution, and then averaged down. Sampling it directly would skip source pixels, and the crop would flicker
    with noise larger than a micro-expression.

    Args:
        image: `(H, W, C)` uint8.
        transform: source to crop.
        size: side of the crop in pixels.

    Returns:
        `(size, size, C)` uint8; black where the crop reaches outside the picture.
    """
    factor = max(1, math.ceil(1 / scale_of(transform) - 0.01))
    fine = np.array(transform)
    fine[:, :2] *= factor
    fine[:, 2] = fine[:, 2] * factor + (factor - 1) / 2
    sampled = cv2.warpAffine(image, fine, (size * factor, size * factor), flags=cv2.INTER_LINEAR)
    if factor > 1:
        sampled = cv2.resize(sampled, (size, size), interpolation=cv2.INTER_AREA)
    return np.asarray(sampled, np.uint8)
