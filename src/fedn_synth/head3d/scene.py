"""Light and shade on a head, the wall behind it and the clothes below it."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from scipy import sparse

from fedn_synth.face.identity import Identity
from fedn_synth.head3d.mesh import Float32Array, IntArray, Uint8Array
from fedn_synth.head3d.raster import rasterise, sampled
from fedn_synth.head3d.topology import SCALE, load_atlas, noise

VIEWS: Final = (-65.0, -35.0, 0.0, 35.0, 65.0)
"""Yaws (degrees) from which the head is looked at."""
HOLLOWS: Final = ((3.0, 0.16), (7.0, 0.16), (16.0, 0.2))
"""Widths (px) of the hollows, and how much each darkens."""
DEPTH_MAP: Final = (560, 640)
"""Height and width in px of the depth maps."""


def reached_by_light(
    head: Float32Array, triangles: IntArray, normal_matrix: sparse.csr_matrix, scale: float
) -> Float32Array:
    """Works it out from depth maps seen from several sides.

    Args:
        head: `(V, 3)` dm from the middle of the eyes.
        triangles: `(T, 3)`, clockwise on the picture.
        normal_matrix: `(V, T)`, see :class:`.Topology`.
        scale: px per dm.

    Returns:
        `(V, 1)` float32, 1 in the open.
    """
    corners = [head[triangles[:, corner]] for corner in range(3)]
    normals = normal_matrix @ np.cross(corners[2] - corners[0], corners[1] - corners[0])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True) + 1e-9
    total, weight = np.zeros((len(head), 1), np.float32), np.full((len(head), 1), 1e-3, np.float32)
    for yaw in VIEWS:
        cos, sin = np.cos(np.radians(yaw)), np.sin(np.radians(yaw))
        turn = np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]], np.float32)
        points = head @ turn.T
        shade, hidden = _seen_from(points * np.float32(scale), triangles)
        facing = np.clip((normals @ turn.T)[:, 2:], 0, 1).astype(np.float32) ** 2 * (1 - 0.98 * hidden)
        total += facing * shade
        weight += facing
    front = np.where(head[:, 2:] > -0.3, 0.55, 0.85)  # what no view has seen: nostrils, and the neck behind the jaw
    return np.asarray((total + 1e-3 * front) / weight, np.float32)


def _seen_from(points: Float32Array, triangles: IntArray) -> tuple[Float32Array, Float32Array]:
    """Shade of every vertex in one depth map, `(V, 1)`, and 1 where it is hidden there."""
    height, width = DEPTH_MAP
    pixels = np.stack([points[:, 0] + width / 2, height * 0.42 - points[:, 1]], axis=1)
    seen = rasterise(pixels, points[:, 2], triangles, height, width)
    flat = np.full(height * width, points[:, 2].min(), np.float32)
    flat[seen.cells] = seen.interpolate(triangles, points[:, 2:])[:, 0]
    depth = flat.reshape(height, width)
    share = np.ones_like(depth)
    for sigma, strength in HOLLOWS:
        share -= strength * np.clip((cv2.GaussianBlur(depth, (0, 0), sigma) - depth) / sigma, 0, 1.2)
    share = np.asarray(cv2.GaussianBlur(share, (0, 0), 1.0), np.float32)
    shade, shown = (sampled(m, pixels[:, None].astype(np.float32)) for m in (share, depth))
    return shade, (shown > points[:, 2:] + 6).astype(np.float32)


def paint_wall(person: Identity, height: int, width: int, rng: np.random.Generator) -> Float32Array:
    """`(height, width, 3)` float32 RGB: a wall out of focus, plain or with dim shapes."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    x, y = x / width - 0.5, y / height - 0.5
    wall = np.empty((height, width, 3), np.float32)
    wall[:] = person.outfit.wall
    wall *= (1 + 0.35 * person.outfit.light_side * x - rng.uniform(0.05, 0.3) * y - 0.25 * (x**2 + y**2))[..., None]
    shapes = np.zeros((height, width, 3), np.float32)
    kind = rng.integers(3)
    for _ in range(int(rng.integers(2, 7)) if kind else 0):
        colour = np.array(person.outfit.wall) * rng.uniform(-0.4, 0.35) + rng.normal(0, 10, 3)
        left, top = rng.uniform(-0.1, 0.9) * width, rng.uniform(-0.2, 0.8) * height
        size = rng.uniform(0.1, 0.5, 2) * (width, height) if kind == 1 else (rng.uniform(8, 60), height)
        corner = (int(left), int(top)), (int(left + size[0]), int(top + size[1]))
        cv2.rectangle(shapes, *corner, tuple(float(c) for c in colour), -1)
    wall += cv2.GaussianBlur(shapes, (0, 0), rng.uniform(2, 14))
    grain = cv2.GaussianBlur(rng.standard_normal((height, width)).astype(np.float32), (0, 0), 1.5)
    return np.asarray(wall + 2.5 * rng.uniform(0, 1) * grain[..., None], np.float32)


def dress(sheet: Uint8Array, person: Identity, rng: np.random.Generator) -> None:
    """Paints clothes over the skin of neck and shoulders, in place."""
    atlas = load_atlas()
    away = np.hypot(atlas.x, 1.15 * (atlas.z + 0.85))
    front = np.exp(-((atlas.x / 0.5) ** 2)) * (atlas.z > -0.9)
    deep = {"crew": -1.62, "v": -1.62, "collar": -1.5}[person.outfit.neckline] + rng.uniform(-0.06, 0.06)
    v_shape = 0.8 if person.outfit.neckline == "v" else 0.0
    dip = v_shape * np.clip(0.45 - np.abs(atlas.x), 0, None) * (atlas.z > -0.9)
    inside = np.maximum(
        (deep - dip - 0.12 * front - atlas.y) * SCALE,
        (away - rng.uniform(0.7, 0.8)) * SCALE * (atlas.y < -1.42) - 9.0 * (atlas.y >= -1.42),
    )
    mask = np.clip(inside / 3 + 0.5, 0, 1)[..., None] * (atlas.y < -1.3)[..., None]
    cloth = np.empty((*atlas.x.shape, 3), np.float32)
    cloth[:] = person.outfit.clothes
    weave = noise(rng, 0.8)
    value = 1 + 0.06 * weave + 0.08 * noise(rng, 18)
    if rng.random() < 0.3:
        value *= 1 + 0.22 * np.sign(np.sin(atlas.y * rng.uniform(30, 80)))
    value *= 0.75 + 0.25 * np.clip(inside / 14, 0, 1)
    painted = sheet.astype(np.float32)
    painted[..., :3] += mask * (cloth * value[..., None] - painted[..., :3])
    painted[..., 3] *= 1 - 0.9 * mask[..., 0]
    sheet[:] = np.clip(painted, 0, 255)


class Light:
    """A main light, a weaker one from the other side, and what comes from all around."""

    def __init__(self, direction: Float32Array, fill: Float32Array, key: float, ambient: float, gloss: float) -> None:
        self._key, self._fill = direction, fill
        self._strength, self._ambient, self._gloss = key, ambient, gloss
        half = direction + np.array([0, 0, 1], np.float32)
        self._half = half / np.linalg.norm(half)

    def shine(self, normals: Float32Array, open_share: Float32Array) -> Float32Array:
        """`(V, 4)` light and gloss for normals `(V, 3)` and the share `(V, 1)` of light that reaches each."""
        # Light spreads in skin, the red most: the shadow's edge is soft and warm.
        wrap = np.array([0.34, 0.22, 0.18], np.float32)
        towards = (normals @ self._key)[:, None]
        key = np.clip((towards + wrap) / (1 + wrap), 0, None) * np.array([1.02, 1.0, 0.97], np.float32)
        fill = np.clip((normals @ self._fill)[:, None], 0, None) * 0.22
        sky = self._ambient * (0.8 + 0.2 * normals[:, 1:2])
        light = (key * self._strength + (fill + sky) * open_share) * (0.4 + 0.6 * open_share)
        shine = np.clip(normals @ self._half, 0, 1)[:, None] ** 18
        return np.concatenate([light, self._gloss * shine * open_share], axis=1).astype(np.float32)


def light_of(identity: Identity) -> Light:
    """The light of the room in which a person is filmed."""
    rng = np.random.default_rng([identity.texture_seed, 4])
    direction = np.array([identity.outfit.light_side * 1.25, rng.uniform(0.35, 0.9), 0.85], np.float32)
    direction /= np.linalg.norm(direction)
    fill = np.array([-np.sign(identity.outfit.light_side) * 0.8, 0.1, 0.5], np.float32)
    key = float(rng.uniform(0.55, 0.85))
    return Light(direction, fill / np.linalg.norm(fill), key, 1.02 - key * 0.82, float(rng.uniform(0.25, 0.5)))
