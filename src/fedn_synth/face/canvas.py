"""The picture's coordinate frame: face units, pixels, and the two shapes everything is modelled with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

Float32Array = npt.NDArray[np.float32]
Uint8Array = npt.NDArray[np.uint8]

DESIGN_HEIGHT: Final = 480
"""Height of the picture in which one face unit is one pixel."""


@dataclass(frozen=True)
class Canvas:
    """A rectangle of the picture, with the coordinates of its pixels in face units.

    Face units have `x` to the right from the middle of the picture and `y` down from its top, and are pixels in a
    picture 480 px high.

    Attributes:
        height: height of the whole picture in px.
        width: width of the whole picture in px.
        top: first row of the rectangle.
        left: first column of the rectangle.
        rows: number of rows of the rectangle.
        columns: number of columns of the rectangle.
        step: distance of neighbouring samples in px; 1 for pictures, more for coarse fields.
    """

    height: int
    width: int
    top: int
    left: int
    rows: int
    columns: int
    step: int = 1

    @classmethod
    def whole(cls, height: int, width: int) -> Canvas:
        """The whole picture."""
        return cls(height, width, 0, 0, height, width)

    @property
    def scale(self) -> float:
        """Pixels per face unit."""
        return self.height / DESIGN_HEIGHT

    @property
    def density(self) -> float:
        """Samples per face unit."""
        return self.scale / self.step

    @property
    def shape(self) -> tuple[int, int]:
        """Samples in y and x."""
        return self.rows // self.step, self.columns // self.step

    @property
    def slices(self) -> tuple[slice, slice]:
        """Where the rectangle lies in an array of the whole picture."""
        return slice(self.top, self.top + self.rows), slice(self.left, self.left + self.columns)

    @property
    def x(self) -> Float32Array:
        """`(1, columns / step)`, horizontal face units of the sample centres."""
        pixels = self.left + (np.arange(self.shape[1], dtype=np.float32) + 0.5) * self.step - 0.5
        return ((pixels - (self.width - 1) / 2) / self.scale)[None].astype(np.float32)

    @property
    def y(self) -> Float32Array:
        """`(rows / step, 1)`, vertical face units of the sample centres."""
        pixels = self.top + (np.arange(self.shape[0], dtype=np.float32) + 0.5) * self.step - 0.5
        return (pixels / self.scale)[:, None].astype(np.float32)

    def around(self, left: float, top: float, right: float, bottom: float, align: int = 1) -> Canvas:
        """The rectangle between two corners in face units, at multiples of `align` px, cut at the picture's edge."""
        corners = self.to_pixels(np.array([[left, top], [right, bottom]], np.float32))
        (x0, y0), (x1, y1) = np.floor(corners / align).astype(int) * align + np.array([[0], [align]])
        x0, y0 = max(int(x0), 0), max(int(y0), 0)
        x1, y1 = min(int(x1), self.width // align * align), min(int(y1), self.height // align * align)
        return Canvas(self.height, self.width, y0, x0, y1 - y0, x1 - x0)

    def near(self, x: float, y: float, reach_x: float, reach_y: float) -> tuple[Canvas, tuple[slice, slice]]:
        """The rectangle around a point that lies within this one, and where it lies in this one's arrays."""
        other = self.around(x - reach_x, y - reach_y, x + reach_x, y + reach_y)
        top, left = max(other.top, self.top), max(other.left, self.left)
        bottom = min(other.top + other.rows, self.top + self.rows)
        right = min(other.left + other.columns, self.left + self.columns)
        part = Canvas(self.height, self.width, top, left, bottom - top, right - left)
        return part, (slice(top - self.top, bottom - self.top), slice(left - self.left, right - self.left))

    def coarse(self, step: int) -> Canvas:
        """The same rectangle sampled every `step` px; rows and columns must be multiples of it."""
        return Canvas(self.height, self.width, self.top, self.left, self.rows, self.columns, step)

    def to_pixels(self, points: npt.ArrayLike) -> Float32Array:
        """Face units `(..., 2)` to px of the whole picture."""
        offset = np.array([(self.width - 1) / 2, 0], np.float32)
        return np.asarray(points, np.float32) * np.float32(self.scale) + offset

    def bump(self, x: float, y: float, spread_x: float, spread_y: float) -> Float32Array:
        """`(rows, columns)`, a Gaussian of height 1 around a point; spreads are standard deviations."""
        across = np.exp(-0.5 * ((self.x - x) / spread_x) ** 2)
        down = np.exp(-0.5 * ((self.y - y) / spread_y) ** 2)
        return np.asarray(down * across, np.float32)

    def _sixteenths(self, points: npt.ArrayLike) -> npt.NDArray[np.int32]:
        """Points in sixteenths of a sample, as OpenCV draws them."""
        samples = (self.to_pixels(points) - (self.left, self.top) + 0.5) / self.step - 0.5
        return np.round(samples * 16).astype(np.int32)

    def polygon(self, points: npt.ArrayLike, softness: float = 0.0) -> Float32Array:
        """`(rows, columns)` in 0 to 1, an anti-aliased polygon, its edge blurred by `softness` (standard deviation)."""
        mask = np.zeros(self.shape, np.uint8)
        cv2.fillPoly(mask, [self._sixteenths(points)], 255, cv2.LINE_AA, shift=4)
        soft = np.asarray(mask, np.float32) / np.float32(255)
        return self.blur(soft, softness) if softness else soft

    def strokes(self, lines: list[npt.NDArray[np.float32]], thickness: float) -> Float32Array:
        """`(rows, columns)` in 0 to 1, anti-aliased polylines `(K, 2)` in face units."""
        mask = np.zeros(self.shape, np.uint8)
        local = [self._sixteenths(line) for line in lines]
        cv2.polylines(mask, local, False, 255, max(1, round(thickness * self.density)), cv2.LINE_AA, shift=4)
        return np.asarray(mask, np.float32) / np.float32(255)

    def blur(self, image: Float32Array, spread: float) -> Float32Array:
        """Gaussian blur by `spread` face units; wide blurs are made at a lower resolution, where they cost little."""
        sigma = spread * self.density
        factor = max(1, int(sigma // 3))
        if factor == 1:
            return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), np.float32)
        rows, columns = image.shape[:2]
        small = cv2.resize(image, (-(-columns // factor), -(-rows // factor)), interpolation=cv2.INTER_AREA)
        small = cv2.GaussianBlur(small, (0, 0), sigma / factor)
        return np.asarray(cv2.resize(small, (columns, rows), interpolation=cv2.INTER_LINEAR), np.float32)

    def clouds(self, rng: np.random.Generator, size: float) -> Float32Array:
        """`(rows, columns)`, smooth noise with blobs of about `size` face units and standard deviation about 0.5."""
        rows, columns = self.shape
        cell = size * self.density
        grid = rng.standard_normal((int(rows / cell) + 4, int(columns / cell) + 4), np.float32)
        return np.asarray(cv2.resize(grid, (columns, rows), interpolation=cv2.INTER_CUBIC), np.float32)


def ramp(values: npt.ArrayLike, start: float, end: float) -> Float32Array:
    """Smooth step: 0 at `start`, 1 at `end`, with level ends.

    >>> ramp([0.0, 1.0, 2.0, 5.0], 0, 2).tolist()
    [0.0, 0.5, 1.0, 1.0]
    """
    t = np.clip((np.asarray(values, np.float32) - start) / (end - start), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)
