"""What painting on the sheet is made of: soft spots, noise, ramps, and places of the reference face."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from fedn_synth.head3d.atlas import HEIGHT, SCALE, TOP, WIDTH, Atlas, load_atlas
from fedn_synth.head3d.mesh import Float32Array


def blob(atlas: Atlas, x: float, y: float, wide: float, high: float) -> Float32Array:
    """A soft spot on both sides of the face, 0 to 1: its middle and half axes in dm."""
    value = np.exp(-0.5 * (((np.abs(atlas.x) - x) / wide) ** 2 + ((atlas.y - y) / high) ** 2))
    return np.asarray(value * (atlas.z > -1.0), np.float32)


def noise(rng: np.random.Generator, sigma: float) -> Float32Array:
    """Noise of unit spread over the sheet, blurred by `sigma` px."""
    step = max(1, int(sigma / 2))
    small = rng.standard_normal((HEIGHT // step + 2, WIDTH // step + 2), np.float32)
    soft = cv2.GaussianBlur(small, (0, 0), sigma / step)
    big = cv2.resize(soft, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC) if step > 1 else soft[:HEIGHT, :WIDTH]
    return np.asarray(big / big.std(), np.float32)


def ramp(value: Float32Array, low: float, high: float) -> Float32Array:
    """0 below `low`, 1 above `high`, smooth between; the other way round if `low` is the greater."""
    t = np.clip((value - low) / (high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)


def to_sheet(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Where points of the reference face lie on the sheet, `(N, 2)` px, from their x and y in dm."""
    atlas = load_atlas()
    rows = np.clip((TOP - np.asarray(y)) * SCALE, 0, HEIGHT - 1).astype(int)
    columns = np.arange(WIDTH // 2 - 260, WIDTH // 2 + 261)
    at = [np.interp(value, atlas.x[row, columns], columns) for value, row in zip(np.asarray(x), rows, strict=True)]
    return np.stack([np.array(at), (TOP - np.asarray(y)) * SCALE], axis=1)
