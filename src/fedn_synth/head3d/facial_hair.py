"""Brows and beards, hair by hair on the sheet."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from fedn_synth.face.identity import Identity
from fedn_synth.head3d.atlas import HEIGHT, SCALE, TOP, WIDTH, Atlas, noise, ramp
from fedn_synth.head3d.mesh import Float32Array, load_mesh

BROW: Final = (208, 6996, 6982)
"""Vertices (as the release numbers them) under the inner end, the middle and the outer end of a brow."""


def strokes(
    roots: npt.NDArray[np.float64], angles: npt.NDArray[np.float64], lengths: npt.NDArray[np.float64],
    strength: npt.NDArray[np.float64], bend: float = 0.0,
) -> Float32Array:  # fmt: skip
    """How much of every pixel is covered by hairs, 0 to 1.

    Args:
        roots: `(N, 2)` px.
        angles: `(N,)` direction of growth in radians, 0 to the right, positive downward.
        lengths: `(N,)` px.
        strength: `(N,)` opacity of every hair, 0 to 1.
        bend: radians by which a hair turns from root to tip.
    """
    drawn = np.zeros((HEIGHT, WIDTH), np.uint8)
    middle = roots + 0.5 * lengths[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    tips = middle + 0.5 * lengths[:, None] * np.stack([np.cos(angles + bend), np.sin(angles + bend)], axis=1)
    paths = np.rint(np.stack([roots, middle, tips], axis=1) * 16).astype(np.int32)
    order = np.argsort(strength)
    for path, value in zip(paths[order], strength[order], strict=True):
        cv2.polylines(drawn, [path], isClosed=False, color=int(255 * value), lineType=cv2.LINE_AA, shift=4)
    return drawn.astype(np.float32) / np.float32(255)


def paint_brows(sheet: Float32Array, atlas: Atlas, person: Identity, male: bool, rng: np.random.Generator) -> None:
    """Hairs along the brow, upright at its inner end and level at its outer."""
    brows = person.brows
    tone = np.array(person.hair.tone, np.float32) * 0.75
    tone = np.minimum(tone, np.array(person.skin.tone, np.float32) * 0.72)
    thickness = brows.thickness * (1.35 if male else 1.0)
    total = np.zeros((HEIGHT, WIDTH), np.float32)
    for side in (-1, 1):
        places = atlas.place[load_mesh().index[list(BROW)]]
        knots = np.stack([WIDTH / 2 + side * np.abs(places[:, 0] - WIDTH / 2), places[:, 1]], axis=1)
        knots[0] += side * rng.uniform(-8, 0), 2
        knots[2] += side * rng.uniform(0, 8), brows.slope
        knots[1, 1] -= brows.arch * 0.5 - 2
        count = int(300 * brows.density * thickness / 8)
        t = rng.beta(1.05, 1.15, count)
        weights = np.stack([2 * (t - 0.5) * (t - 1), 4 * t * (1 - t), 2 * t * (t - 0.5)], axis=1)
        along = weights @ knots
        width = thickness * 1.15 * np.minimum(1, (1.08 - t) ** 0.7) * np.minimum(1, t * 8 + 0.45)
        across = rng.uniform(-0.5, 0.5, count)
        along[:, 1] += across * width
        lean = np.radians(-75 + 78 * np.minimum(t * 1.5, 1) + 22 * -across) + rng.normal(0, 0.16, count)
        angles = lean if side > 0 else np.pi - lean
        total = np.maximum(total, strokes(along, angles, rng.uniform(6, 11, count), rng.uniform(0.4, 0.95, count)))
        soft = strokes(along, angles, rng.uniform(6, 11, count), np.full(count, 0.9))
        total = np.maximum(total, 0.5 * brows.density * cv2.GaussianBlur(soft, (0, 0), 2.0))
    sheet += (total * (0.55 + 0.45 * brows.density))[..., None] * (tone - sheet)


def paint_beard(sheet: Float32Array, atlas: Atlas, person: Identity, male: bool, rng: np.random.Generator) -> None:
    """Stubble and beards; men without one are shaved."""
    style = person.hair.beard if male else "none"
    side = np.abs(atlas.x)
    top = -0.52 + 0.32 * ramp(side, 0.5, 0.85) + 0.05 * noise(rng, 20)
    jaw = ramp(atlas.y, -1.28, -1.1) * ramp(top - atlas.y, -0.02, 0.08) * ramp(side, 0.98, 0.86)
    jaw *= 1 - ramp(side, 0.16, 0.3) * ramp(atlas.y, -0.72, -0.6) * (1 - ramp(side, 0.42, 0.52)) * 0.6
    lip = ramp(atlas.y, -0.62, -0.58) * ramp(atlas.y, -0.43, -0.48) * ramp(side, 0.34, 0.26)
    chin = ramp(side, 0.27, 0.2) * ramp(atlas.y, -0.76, -0.82)
    ring = ramp(side, 0.24, 0.27) * ramp(side, 0.38, 0.33) * ramp(atlas.y, -0.52, -0.58) * ramp(atlas.y, -1.0, -0.9)
    goatee = np.maximum(np.maximum(lip * 0.9, chin * jaw), ring * jaw)
    shaved = np.maximum(jaw, lip)
    areas = {"full": np.maximum(shaved, ring), "moustache": lip, "goatee": goatee}
    area = areas.get(style, shaved) * (1 - ramp(atlas.lips, 0.2, 0.6)) * (atlas.z > -1.3) * (1 - atlas.ears)
    if not male:
        return
    tone = np.array(person.hair.tone, np.float32) * 0.8
    shadow = {"stubble": 0.22, "none": 0.05}.get(style, 0.42)
    speckle = np.clip(0.9 + 0.5 * noise(rng, 0.9) + 0.2 * noise(rng, 6), 0, 2)
    sheet += np.clip(area * shadow * speckle, 0, 0.85)[..., None] * (0.75 * tone + (14, 14, 16) - sheet)
    if style == "none":
        return
    count = {"stubble": 4000, "full": 9000, "moustache": 1500, "goatee": 2600}[style]
    rows, columns = np.nonzero(area > rng.uniform(0.15, 0.9, area.shape))
    chosen = rng.integers(0, len(rows), count)
    roots = np.stack([columns[chosen], rows[chosen]], axis=1) + rng.uniform(0, 1, (count, 2))
    outward = np.clip((roots[:, 0] - WIDTH / 2) / 90, -1, 1)
    moustache = rows[chosen] < (TOP + 0.62) * SCALE
    angles = np.pi / 2 - outward * np.where(moustache, 0.9, 0.25) + rng.normal(0, 0.3, count)
    lengths = rng.uniform(1.0, 2.4, count) if style == "stubble" else rng.uniform(5, 11, count)
    covered = strokes(roots, angles, lengths, rng.uniform(0.3, 0.85, count))
    sheet += covered[..., None] * (tone * (1 + 0.12 * noise(rng, 1.5)[..., None]) - sheet)
