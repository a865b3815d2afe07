"""Openings of the skin: outlines filled smoothly, and layers laid into them."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from fedn_synth.head3d.mesh import Float32Array

Uint8Array = npt.NDArray[np.uint8]


def opening_mask(points: Float32Array, margin: int, height: int, width: int) -> tuple[Uint8Array, int, int] | None:
    """Coverage of a closed outline, 0 to 255, with the left and top px of its rectangle; None if it lies outside."""
    left, top = (int(v) for v in np.floor(points.min(axis=0)) - margin)
    right, bottom = (int(v) for v in np.ceil(points.max(axis=0)) + margin + 1)
    if left < 0 or top < 0 or right >= width or bottom >= height:
        return None
    mask = np.zeros((bottom - top, right - left), np.uint8)
    fixed = np.rint((points - (left, top)) * 16).astype(np.int32)
    cv2.fillPoly(mask, [fixed], 255, cv2.LINE_AA, shift=4)
    return mask, left, top


def mix(region: Float32Array, layer: Float32Array, mask: Float32Array) -> None:
    """Lays a layer over a region in place; the mask is `(rows, columns, 1)`, 0 to 1."""
    region += mask * (layer - region)


def brought_together(upper: Float32Array, lower: Float32Array, share: float) -> tuple[Float32Array, Float32Array]:
    """The rims of lips or lids brought nearer to each other; where they have passed each other they meet.

    Args:
        upper: `(A, 2)` px from left to right, or from right to left.
        lower: `(B, 2)` px back again.
        share: of the way to the middle: 0 leaves an opening as it is, 1 closes it.
    """
    by_x = np.argsort(lower[:, 0]), np.argsort(upper[:, 0])
    below = np.interp(upper[:, 0], lower[by_x[0], 0], lower[by_x[0], 1])
    above = np.interp(lower[:, 0], upper[by_x[1], 0], upper[by_x[1], 1])
    met = upper.copy(), lower.copy()
    met[0][:, 1] += np.where(upper[:, 1] > below, 1, share) * (below - upper[:, 1]) / 2
    met[1][:, 1] += np.where(lower[:, 1] < above, 1, share) * (above - lower[:, 1]) / 2
    return met
