"""Rasterises a mesh into a rectangle of the picture, paints and lights it."""

from __future__ import annotations

from typing import Final, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from fedn_synth.head3d.mesh import Float32Array, IntArray, Uint8Array


def sampled(image: Float32Array, at: Float32Array) -> Float32Array:
    """An image at the positions `(rows, columns, 2)` in px; beyond its border it goes on as its border is."""
    found = cv2.remap(image, at[..., 0], at[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(found, np.float32)


class Raster(NamedTuple):
    """The samples of a grid that a mesh covers."""

    cells: IntArray  # `(N,)` flat indices of the covered samples
    triangle: IntArray  # `(N,)` the triangle that is seen there
    weights: Float32Array  # `(N, 3)` float32 barycentric coordinates inside it

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


STEP: Final = 2
"""A mesh is rasterised at every second pixel; what is between is interpolated."""


class Patch:
    """A rectangle of the picture into which a mesh has been rasterised.

    Attributes:
        seen: the covered samples.
        cover: `(rows, columns)` uint8, 255 at the covered samples.
        corner: left and top px.
        size: width and height in px.
    """

    def __init__(
        self, seen: Raster, place: Float32Array, light: Float32Array, cover: Uint8Array, corner: tuple[int, int]
    ) -> None:
        self.seen, self._place, self._light, self.cover, self.corner = seen, place, light, cover, corner
        self.size = cover.shape[1] * STEP, cover.shape[0] * STEP

    @classmethod
    def of(
        cls,
        pixels: Float32Array,
        depth: Float32Array,
        triangles: IntArray,
        values: Float32Array,
        shape: tuple[int, int],
    ) -> Patch | None:
        """Rasterises a mesh with six values a vertex: place on a sheet, light (3) and gloss."""
        height, width = shape
        used = pixels[triangles[:, 0]]
        low, high = used.min(axis=0) - 8, used.max(axis=0) + 8
        left, top = (max(int(v) // STEP * STEP, 0) for v in low)
        columns, rows = (min(int(high[0]), width) - left) // STEP, (min(int(high[1]), height) - top) // STEP
        if columns < 2 or rows < 2:
            return None
        at = (pixels - np.array([left, top], np.float32) - np.float32((STEP - 1) / 2)) * np.float32(1 / STEP)
        seen = rasterise(at, depth, triangles, rows, columns)
        if not len(seen.cells):
            return None
        index = np.full((rows, columns), -1, np.int32)
        index.ravel()[seen.cells] = np.arange(len(seen.cells), dtype=np.int32)
        cover = np.where(index >= 0, np.uint8(255), np.uint8(0))
        found, extended = seen.interpolate(triangles, values), _extended(index)
        place, light = (np.ascontiguousarray(part).take(extended, axis=0) for part in (found[:, :2], found[:, 2:]))
        return cls(seen, place, light, cover, (left, top))

    def part(self, picture: Uint8Array) -> Uint8Array:
        """The rectangle of a picture, a view."""
        left, top = self.corner
        return picture[top : top + self.size[1], left : left + self.size[0]]

    def paint(self, sheet: Uint8Array) -> Uint8Array:
        """A sheet of red, green, blue and gloss as it is seen, `(rows, columns, 3)` uint8."""
        return self._lit(self._seen_on(sheet))

    def darken(self, furrowed: Float32Array, corner: tuple[int, int]) -> None:
        """Takes light away where furrows are.

        Args:
            furrowed: how much darker the skin is, at half the size of the sheet.
            corner: left and top px on the sheet of the part that it covers.
        """
        at = (self._place - np.array(corner, np.float32)) * np.float32(0.5) - np.float32(0.25)
        self._light *= (1 - sampled(furrowed, at))[..., None]

    def paint_cover(self, sheet: Uint8Array) -> tuple[Uint8Array, Uint8Array]:
        """A sheet of red, green, blue and cover as it is seen, and the cover; what is bright shines."""
        painted = self._seen_on(sheet)
        cover = np.asarray(cv2.extractChannel(painted, 3), np.uint8)
        cv2.insertChannel(cv2.cvtColor(painted, cv2.COLOR_RGBA2GRAY), painted, 3)
        return self._lit(painted), cover

    def soft_cover(self) -> Uint8Array:
        """The covered samples with a soft border."""
        soft = cv2.GaussianBlur(cv2.erode(self.cover, np.ones((3, 3), np.uint8)), (5, 5), 1.0)
        return np.asarray(cv2.resize(soft, self.size, interpolation=cv2.INTER_LINEAR), np.uint8)

    def _seen_on(self, sheet: Uint8Array) -> Uint8Array:
        x, y = cv2.split(cv2.resize(self._place, self.size, interpolation=cv2.INTER_LINEAR))
        return np.asarray(cv2.remap(sheet, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.uint8)

    def _lit(self, painted: Uint8Array) -> Uint8Array:
        lit = cv2.multiply(painted, cv2.resize(self._light, self.size, interpolation=cv2.INTER_LINEAR), dtype=cv2.CV_8U)
        shine = cv2.extractChannel(lit, 3)
        return np.asarray(cv2.add(cv2.cvtColor(lit, cv2.COLOR_RGBA2RGB), cv2.merge([shine] * 3)), np.uint8)


def _extended(index: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """Gives two rings of samples around the covered ones the number of their neighbour, and the rest number 0."""
    for _ in range(2):
        before = index.copy()
        for there, here in (((slice(1, None), slice(None)), (slice(None, -1), slice(None))),
                            ((slice(None, -1), slice(None)), (slice(1, None), slice(None))),
                            ((slice(None), slice(1, None)), (slice(None), slice(None, -1))),
                            ((slice(None), slice(None, -1)), (slice(None), slice(1, None)))):  # fmt: skip
            np.copyto(index[there], before[here], where=index[there] < 0)
    return np.maximum(index, 0)


def lay_over(picture: Uint8Array, colour: Uint8Array, mask: Uint8Array) -> None:
    """Lays a picture over another one in place, as far as the mask (0 to 255) says."""
    share = cv2.merge([mask, mask, mask])
    below = cv2.multiply(picture, cv2.bitwise_not(share), scale=1 / 255)
    cv2.add(cv2.multiply(colour, share, scale=1 / 255), below, dst=picture)


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
