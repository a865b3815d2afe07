"""Which triangle of a mesh is seen at every sample of a picture, and where inside it."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

Float32Array = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]


def sampled(image: Float32Array, at: Float32Array) -> Float32Array:
    """An image at the positions `(rows, columns, 2)` in px; beyond its border it goes on as its border is."""
    found = cv2.remap(image, at[..., 0], at[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(found, np.float32)


class Raster(NamedTuple):
    """The samples of a grid that a mesh covers.

    Attributes:
        cells: `(N,)` flat indices of the covered samples.
        triangle: `(N,)` the triangle that is seen there.
        weights: `(N, 3)` float32 barycentric coordinates inside it.
    """

    cells: IntArray
    triangle: IntArray
    weights: Float32Array

    def interpolate(self, triangles: IntArray, values: Float32Array) -> Float32Array:
        """Values of the vertices, `(V, C)`, at the covered samples: `(N, C)`."""
        corners = triangles[self.triangle]
        found = values[corners[:, 0]] * self.weights[:, :1]
        found += values[corners[:, 1]] * self.weights[:, 1:2]
        found += values[corners[:, 2]] * self.weights[:, 2:]
        return found


def rasterise(points: Float32Array, depth: Float32Array, triangles: IntArray, rows: int, columns: int) -> Raster:
    """Finds the nearest triangle at every sample; triangles seen from behind are left out.

    Nearer triangles are written over farther ones. That is exact as long as no two triangles pass through each other.

    Args:
        points: `(V, 2)` positions of the vertices, in samples.
        depth: `(V,)`, larger is nearer.
        triangles: `(T, 3)` vertices of every triangle, clockwise on the picture as seen from in front.
        rows: of the grid.
        columns: of the grid.

    Returns:
        The covered samples in ascending order.
    """
    first, second, third = (points[triangles[:, corner]] for corner in range(3))
    ab, ac = second - first, third - first
    area = ab[:, 0] * ac[:, 1] - ab[:, 1] * ac[:, 0]
    front = np.flatnonzero(area > 1e-6)
    first, second, third, ab, ac, area = (array[front] for array in (first, second, third, ab, ac, area))
    low = np.maximum(np.ceil(np.minimum(np.minimum(first, second), third)), 0).astype(np.int32)
    high = np.floor(np.maximum(np.maximum(first, second), third))
    high = np.minimum(high, np.array([columns - 1, rows - 1], np.float32)).astype(np.int32)
    size = high - low + 1
    kept = np.flatnonzero((size[:, 0] > 0) & (size[:, 1] > 0))
    kept = kept[np.argsort(depth[triangles[front[kept], 0]] + depth[triangles[front[kept], 1]], kind="stable")]
    size, low, first, ab, ac = size[kept], low[kept], first[kept], ab[kept], ac[kept]
    counts = size[:, 0] * size[:, 1]
    which = np.repeat(np.arange(len(kept), dtype=np.int32), counts)
    inside = np.arange(len(which), dtype=np.int32) - np.repeat((np.cumsum(counts) - counts).astype(np.int32), counts)
    row, column = np.divmod(inside, np.repeat(size[:, 0], counts))
    # Barycentric coordinates are linear in x and y: three coefficients a triangle for the second and the third.
    inverse = 1 / area[kept]
    start = low - first
    slopes = np.stack([ac[:, 1], -ac[:, 0], -ab[:, 1], ab[:, 0]], axis=1) * inverse[:, None]
    offsets = slopes[:, 0::2] * start[:, :1] + slopes[:, 1::2] * start[:, 1:]
    table = np.concatenate([slopes, offsets, low], axis=1).astype(np.float32)[which]
    beta = column * table[:, 0] + row * table[:, 1] + table[:, 4]
    gamma = column * table[:, 2] + row * table[:, 3] + table[:, 5]
    hit = np.flatnonzero((beta >= -1e-4) & (gamma >= -1e-4) & (beta + gamma <= 1 + 1e-4))
    beta, gamma, which = beta[hit], gamma[hit], which[hit]
    cell = (row[hit] + low[which, 1]) * columns + column[hit] + low[which, 0]
    # The order of writing is from far to near, and numpy keeps the last value that is written to an element.
    seen = np.full(rows * columns, -1, np.int32)
    seen[cell] = np.arange(len(cell), dtype=np.int32)
    cells = np.flatnonzero(seen >= 0)
    chosen = seen[cells]
    beta, gamma = beta[chosen], gamma[chosen]
    weights = np.stack([1 - beta - gamma, beta, gamma], axis=1).astype(np.float32)
    return Raster(cells, front[kept[which[chosen]]], weights)
