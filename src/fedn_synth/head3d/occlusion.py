"""How much light reaches every vertex of a resting head: less in hollows, as under the brows and the lower lip."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from scipy import sparse

from fedn_synth.head3d.mesh import Float32Array, IntArray
from fedn_synth.head3d.raster import rasterise, sampled

VIEWS: Final = (-65.0, -35.0, 0.0, 35.0, 65.0)
"""Yaws (degrees) from which the head is looked at."""
HOLLOWS: Final = ((3.0, 0.16), (7.0, 0.16), (16.0, 0.2))
"""Widths (px) of the hollows, and how much each darkens."""
SIZE: Final = (560, 640)
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
    height, width = SIZE
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
