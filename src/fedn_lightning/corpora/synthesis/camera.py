"""What lies between a face and its picture: the colour and evenness of the light, and the sensor's noise."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import cv2
import numpy as np

from fedn_lightning.corpora.synthesis.canvas import Float32Array, Uint8Array

NOISE_TILES: Final = 3
NOISE_MARGIN: Final = 96
"""Tiles of noise are that much wider and higher than the picture, so that a random offset makes a new pattern."""

NOISE_SPREAD: Final = 30.0
"""Standard deviation of the stored noise; scaled down when added, so that it has no steps."""

LIGHT_REACH: Final = 0.22
"""Share by which the light at the picture's edges differs from its middle at a gradient of 1."""

WARM_TINT: Final = np.array([0.07, 0.0, -0.09], np.float32)
"""Change of red, green and blue at a colour temperature of 1."""

LIGHT_ONE: Final = 190
"""8-bit value of the light map that changes nothing; the brightest is 255 / 190."""


@lru_cache(maxsize=4)
def _noise_tiles(height: int, width: int) -> Uint8Array:
    """`(tiles, height + margin, width + margin, 3)`, noise around 128: more grey than coloured, a little blurred."""
    rng = np.random.default_rng(20_250_410)
    tiles = np.empty((NOISE_TILES, height + NOISE_MARGIN, width + NOISE_MARGIN, 3), np.uint8)
    for tile in tiles:
        noise = rng.standard_normal(tile.shape, np.float32)
        noise = 0.62 * noise + 0.78 * rng.standard_normal((*tile.shape[:2], 1), np.float32)
        soft = np.asarray(cv2.GaussianBlur(noise, (0, 0), 0.45), np.float32)
        tile[:] = np.clip(soft * (NOISE_SPREAD / soft.std()) + 128.5, 0, 255)
    return tiles


def noise_pattern(height: int, width: int, seed: int, frame: int) -> Uint8Array:
    """The noise of one frame, a function of seed and frame alone.

    Returns:
        `(height, width, 3)` uint8 around 128, a view that must not be written to.
    """
    mixed = _mix(_mix(seed) ^ frame)
    tile, top, left = mixed % NOISE_TILES, (mixed >> 16) % NOISE_MARGIN, (mixed >> 32) % NOISE_MARGIN
    return _noise_tiles(height, width)[tile, top : top + height, left : left + width]


def _mix(number: int) -> int:
    """A 64-bit integer in which every bit depends on every bit of `number` (the finaliser of SplitMix64)."""
    number = (number + 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF
    number = ((number ^ (number >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
    number = ((number ^ (number >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
    return number ^ (number >> 31)


@lru_cache(maxsize=4)
def _across(width: int) -> Float32Array:
    """`(width, 1)`, -1 at the left edge of the picture to 1 at its right."""
    return np.linspace(-1, 1, width, dtype=np.float32)[:, None]


def light_row(width: int, light: Float32Array) -> Uint8Array | None:
    """The evenness and colour of the light along a row.

    Args:
        width: of the picture in px.
        light: `(3,)`: gain (not applied here), horizontal gradient, colour temperature; beyond -1 to 1 like these.

    Returns:
        `(width, 3)` uint8 with :data:`LIGHT_ONE` for no change, or None if the light is even and white.
    """
    gradient, warmth = (min(max(float(v), -1.0), 1.0) for v in light[1:])
    if not gradient and not warmth:
        return None
    tint = LIGHT_ONE * (1 + warmth * WARM_TINT)
    row = _across(width) * (LIGHT_REACH * gradient * tint)
    row += tint + np.float32(0.5)
    return row.astype(np.uint8)


def expose(picture: Uint8Array, light: Uint8Array | None, gain: float, noise: Uint8Array, spread: float) -> None:
    """Lights a picture and adds noise, in place.

    Args:
        picture: `(rows, columns, 3)` uint8.
        light: map of the same shape around :data:`LIGHT_ONE`, or None.
        gain: brightness of the light, 1 changes nothing.
        noise: pattern of the same shape, from :func:`noise_pattern`.
        spread: standard deviation of the noise in grey levels.
    """
    if light is not None:
        cv2.multiply(picture, light, dst=picture, scale=1 / LIGHT_ONE)
    share = spread / NOISE_SPREAD
    cv2.addWeighted(picture, gain, noise, share, -128 * share, dst=picture)
