"""The sheet on which a person's skin is painted: the head unrolled from a cylinder, with masks, spots, noise and ramps.

Every head has the same mesh, so one sheet serves all: a vertex has the same place on it whatever the head's shape.
Coordinates of the reference head, the mean of the adult targets, are decimetres from the middle of its eyes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from fedn_synth.head3d.mesh import Float32Array, Mesh, assets, load_mesh
from fedn_synth.head3d.person import RACES, centred
from fedn_synth.head3d.raster import rasterise, sampled

WIDTH: Final = 1024
HEIGHT: Final = 688
SCALE: Final = 190.0
"""Pixels of the sheet per decimetre: a picture shows 148."""
AXIS: Final = -0.95
"""Depth (dm) of the axis of the cylinder behind the eyes."""
RADIUS: Final = 1.18
"""Radius (dm) at which an arc is as long on the sheet as on the head."""
TOP: Final = 1.6
"""Height (dm) of the sheet's upper edge over the eyes."""


@dataclass(frozen=True)
class Atlas:
    """What lies where on the sheet; maps are `(HEIGHT, WIDTH)` float32.

    Attributes:
        place: `(V, 2)` px of every vertex.
        reference: `(V, 3)` dm, the reference head.
        x: dm to the person's left.
        y: dm over the eyes.
        z: dm before the eyes.
        lips: 0 to 1, the red of the lips.
        lids: 0 to 1, the skin of the lids.
        ears: 0 to 1.
        covered: 1 where the sheet holds skin.
    """

    place: Float32Array
    reference: Float32Array
    x: Float32Array
    y: Float32Array
    z: Float32Array
    lips: Float32Array
    lids: Float32Array
    ears: Float32Array
    covered: Float32Array


@lru_cache(maxsize=1)
def load_atlas() -> Atlas:
    """Makes the sheet once a process."""
    mesh = load_mesh()
    reference, _ = centred(_mean_head(mesh), mesh)
    angle = np.arctan2(reference[:, 0], reference[:, 2] - AXIS)
    place = np.stack([WIDTH / 2 + angle * RADIUS * SCALE, (TOP - reference[:, 1]) * SCALE], axis=1)
    radius = np.hypot(reference[:, 0], reference[:, 2] - AXIS)
    place = place.astype(np.float32)
    around = np.ptp(angle[mesh.triangles], axis=1) > np.pi  # triangles across the seam at the back
    seen = rasterise(place, radius, mesh.triangles[~around][:, [0, 2, 1]], HEIGHT, WIDTH)
    flat = np.zeros((HEIGHT * WIDTH, 5), np.float32)
    values = np.concatenate([reference, mesh.uv], axis=1)
    flat[seen.cells] = seen.interpolate(mesh.triangles[~around][:, [0, 2, 1]], values)
    covered = np.zeros((HEIGHT, WIDTH), np.float32)
    covered.ravel()[seen.cells] = 1
    maps = _spread(flat.reshape(HEIGHT, WIDTH, 5), covered)
    x, y, z, u, v = (np.ascontiguousarray(maps[..., i]) for i in range(5))
    masks = {name: _mask(name, u, v) for name in ("lips", "eyelids", "ears")}
    return Atlas(place, reference, x, y, z, masks["lips"], masks["eyelids"], masks["ears"], covered)


def _mean_head(mesh: Mesh) -> Float32Array:
    total = mesh.vertices.copy()
    for sex in ("female", "male"):
        for race in RACES:
            total += mesh.target(f"macrodetails/{race}-{sex}-young") / np.float32(2 * len(RACES))
        total += mesh.target(f"macrodetails/universal-{sex}-young-averagemuscle-averageweight") / np.float32(2)
    return total


def _mask(name: str, u: Float32Array, v: Float32Array) -> Float32Array:
    """One of the release's masks of skin regions, brought to the sheet."""
    path = assets() / "mpfb2" / "textures" / f"mpfb_{name}.jpg"
    picture = np.asarray(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE), np.float32)
    height, width = picture.shape
    seen = sampled(picture, np.stack([u * width - 0.5, (1 - v) * height - 0.5], axis=2).astype(np.float32))
    return np.asarray(cv2.GaussianBlur(seen / 255, (0, 0), 1.2), np.float32)


def _spread(maps: Float32Array, covered: Float32Array) -> Float32Array:
    """Fills what is not covered with the mean of what lies around it."""
    filled = maps * covered[..., None]
    for sigma in (2.0, 8.0, 40.0):
        weight = cv2.GaussianBlur(covered, (0, 0), sigma)[..., None]
        around = cv2.GaussianBlur(maps * covered[..., None], (0, 0), sigma) / np.maximum(weight, 1e-6)
        filled = np.where((covered[..., None] > 0) | (np.abs(filled).sum(axis=2, keepdims=True) > 0), filled, around)
    return np.asarray(filled, np.float32)


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
