"""The picture's coordinate frame, and where the parts of a face lie at rest.

Lengths are face units: pixels of a picture 480 px high.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from fedn_synth.face.identity import Identity

Float32Array = npt.NDArray[np.float32]
Uint8Array = npt.NDArray[np.uint8]

DESIGN_HEIGHT: Final = 480
"""Height of the picture in which one face unit is one pixel."""


@dataclass(frozen=True)
class Canvas:
    """A rectangle of the picture, with the coordinates of its pixels in face units.

    Face units have `x` to the right from the middle of the picture and `y` down from its top, and are pixels in a
    picture 480 px high.
    """

    height: int  # height of the whole picture in px
    width: int  # width of the whole picture in px
    top: int  # first row of the rectangle
    left: int  # first column of the rectangle
    rows: int  # number of rows of the rectangle
    columns: int  # number of columns of the rectangle
    step: int = 1  # distance of neighbouring samples in px; 1 for pictures, more for coarse fields

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


LANDMARKS: Final[tuple[str, ...]] = (
    *(f"{part}_{side}" for side in ("right", "left") for part in ("eye_outer", "eye_inner", "eye_centre")),
    *(f"{part}_{side}" for side in ("right", "left") for part in ("upper_lid", "lower_lid")),
    *(f"{part}_{side}" for side in ("right", "left") for part in ("brow_outer", "brow_middle", "brow_inner")),
    "nose_tip",
    *(f"{part}_{side}" for side in ("right", "left") for part in ("nose_wing", "mouth_corner", "cheek")),
    "upper_lip",
    "lower_lip",
    "upper_lip_edge",
    "lower_lip_edge",
    "chin",
)
"""Names of the landmarks in order. `left` is the person's own left, on the right of the picture.

`upper_lip` and `lower_lip` lie in the middle of the red of the lips where it borders on the skin, the `_edge` ones
where the lips meet."""

LANDMARK_INDEX: Final[dict[str, int]] = {name: index for index, name in enumerate(LANDMARKS)}

SIDES: Final[tuple[tuple[str, int], ...]] = (("left", 1), ("right", -1))
"""Sides in the order of the action units' last axis, with the sign of `x`."""


@dataclass(frozen=True)
class Anatomy:
    """Positions of one identity's features at rest, in face units (see :class:`Canvas`)."""

    identity: Identity

    @property
    def height(self) -> float:
        """Height of the face from chin to hairline."""
        return self.identity.skull.height

    def level(self, share: float) -> float:
        """The `y` that lies `share` of the face's height above the chin."""
        return self.identity.skull.chin_y - share * self.height

    @cached_property
    def eye_y(self) -> float:
        """Level of the line on which the lids meet."""
        return self.level(self.identity.eyes.level)

    @cached_property
    def mouth_y(self) -> float:
        """Level of the middle of the closed lips."""
        return self.level(self.identity.mouth.level)

    @cached_property
    def nose_y(self) -> float:
        """Level of the base of the nose."""
        return self.level(self.identity.nose.level)

    @cached_property
    def hairline_y(self) -> float:
        """Level of the hairline in the middle."""
        return self.level(1.0)

    def brow_y(self, side: int) -> float:
        """Level of the middle of an eyebrow; `side` is 1 on the right of the picture, -1 on its left."""
        brows = self.identity.brows
        return self.eye_y - brows.height - (brows.uneven if side > 0 else 0)

    @cached_property
    def points(self) -> dict[str, tuple[float, float]]:
        """Landmarks at rest, lids and lips closed; for the open eye see :mod:`~.openings`."""
        mouth = self.identity.mouth
        found: dict[str, tuple[float, float]] = {
            "nose_tip": (self.identity.nose.bend, self.nose_y - 9),
            "upper_lip": (0.0, self.mouth_y - mouth.upper * (1 - 0.2 * mouth.bow)),
            "lower_lip": (0.0, self.mouth_y + mouth.lower),
            "upper_lip_edge": (0.0, self.mouth_y),
            "lower_lip_edge": (0.0, self.mouth_y),
            "chin": (0.0, self.identity.skull.chin_y - 3),
        }
        for name, side in SIDES:
            found |= {f"{part}_{name}": point for part, point in self._side_points(side).items()}
        return found

    def _side_points(self, side: int) -> dict[str, tuple[float, float]]:
        """Landmarks of one side."""
        eyes, brows, nose, mouth = (getattr(self.identity, part) for part in ("eyes", "brows", "nose", "mouth"))
        half = eyes.width / 2
        brow_x = eyes.half_distance + 2
        local = {
            "eye_outer": (eyes.half_distance + half, self.eye_y - eyes.tilt / 2),
            "eye_inner": (eyes.half_distance - half, self.eye_y + eyes.tilt / 2),
            "eye_centre": (eyes.half_distance, self.eye_y),
            "upper_lid": (eyes.half_distance, self.eye_y),
            "lower_lid": (eyes.half_distance, self.eye_y),
            "brow_inner": (brow_x - brows.length / 2, self.brow_y(side) + brows.slope / 2 + 2),
            "brow_middle": (brow_x + brows.length * 0.1, self.brow_y(side) - brows.arch * 0.6),
            "brow_outer": (brow_x + brows.length / 2, self.brow_y(side) - brows.slope / 2 + 2),
            "nose_wing": (nose.width / 2, self.nose_y - 7),
            "mouth_corner": (mouth.width / 2, self.mouth_y + mouth.corners),
            "cheek": (0.215 * self.height, self.level(0.41)),
        }
        return {part: (side * x, y) for part, (x, y) in local.items()}

    def landmarks(self) -> Float32Array:
        """`(K, 2)`, the points in the order of :data:`LANDMARKS`."""
        return np.array([self.points[name] for name in LANDMARKS], np.float32)

    @cached_property
    def outline(self) -> Float32Array:
        """`(N, 2)`, the closed outline of the head from the chin round the crown, ears and hair left out."""
        skull = self.identity.skull
        shares = np.array([0.0, 0.02, 0.085, 0.22, 0.36, 0.55, 0.75, 0.95, 1.06, 1.12, 1.14])
        widths = np.array(
            [0, skull.chin * 0.75, skull.chin * 1.35, skull.jaw, (skull.jaw + skull.cheek) / 2 + 0.012, skull.cheek,
             skull.temple, skull.temple * 0.91, skull.temple * 0.70, skull.temple * 0.40, 0]
        )  # fmt: skip
        # Chord length as parameter keeps the curve round at chin and crown, where y is no function of x.
        chord = np.concatenate([[0], np.cumsum(np.hypot(np.diff(shares), np.diff(widths)))])
        fine = np.linspace(0, chord[-1], 160)
        half = np.stack([_smooth_curve(chord, widths, fine), _smooth_curve(chord, shares, fine)], axis=1)
        x, y = half[:, 0] * self.height, skull.chin_y - half[:, 1] * self.height
        lean = skull.lean * np.exp(-(((half[:, 1] - 0.22) / 0.15) ** 2))
        right = np.stack([x + lean, y], axis=1)
        left = np.stack([lean - x, y], axis=1)[::-1]
        return np.concatenate([right, left]).astype(np.float32)

    def lip_line(self, x: npt.ArrayLike) -> Float32Array:
        """The `y` of the line where closed lips meet, for any `x`; level beyond the corners."""
        mouth = self.identity.mouth
        t = np.clip(np.asarray(x, np.float32) / (mouth.width / 2), -1, 1)
        wave = 0.7 * np.cos(3 * np.pi * t) * (1 - t**2)
        return np.asarray(self.mouth_y + mouth.corners * t**2 + wave, np.float32)

    def lid_line(self, x: npt.ArrayLike, side: int) -> Float32Array:
        """The `y` of the line where the lids of one eye meet, for any `x`: sagging between the corners."""
        eyes = self.identity.eyes
        t = (np.asarray(x, np.float32) * side - eyes.half_distance) / (eyes.width / 2)
        inside = np.clip(t, -1, 1)
        return np.asarray(self.eye_y - eyes.tilt / 2 * np.clip(t, -1.4, 1.4) + 1.5 * (1 - inside**2), np.float32)


def _smooth_curve(knots: npt.NDArray[np.float64], values: npt.ArrayLike, at: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Monotone cubic interpolation, which never overshoots its knots."""
    from scipy.interpolate import PchipInterpolator

    return np.asarray(PchipInterpolator(knots, np.asarray(values))(at), np.float64)
