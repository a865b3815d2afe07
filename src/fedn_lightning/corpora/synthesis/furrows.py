"""What action units do to the look of the skin beside moving it: furrows, wrinkles, dimples, bulges that catch light.

Each unit and half of the face has one signed brightness map, added in proportion to the unit's intensity.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import cv2
import numpy as np

from fedn_lightning.corpora.synthesis.anatomy import Anatomy
from fedn_lightning.corpora.synthesis.canvas import Canvas, Float32Array, Uint8Array
from fedn_lightning.corpora.synthesis.muscles import half_weight


class Crease(NamedTuple):
    """A fold of the skin, on one side of the face; `x` is positive away from the middle.

    Attributes:
        landmark: the landmark the offsets count from, without its side.
        path: offsets of the points it runs through.
        depth: grey levels by which light skin darkens at full intensity.
        width: of the dark line, face units.
        ridge: offset of the raised skin that catches light, `(x, y)`.
    """

    landmark: str
    path: tuple[tuple[float, float], ...]
    depth: float
    width: float = 1.6
    ridge: tuple[float, float] = (0.0, -3.0)


class Bulge(NamedTuple):
    """A soft brightening (positive) or darkening of the skin around a landmark."""

    landmark: str
    offset: tuple[float, float]
    spread: tuple[float, float]
    level: float


_NASOLABIAL = ((3, 0), (8, 8), (14, 20), (19, 34))
_FOREHEAD_INNER = ((-24, 1), (-10, 3), (4, 2), (18, -1), (34, -2))
_FOREHEAD_OUTER = ((-44, -2), (-28, -2), (-12, 0), (2, 5), (12, 10))


def _shifted(path: tuple[tuple[float, float], ...], y: float) -> tuple[tuple[float, float], ...]:
    return tuple((px, py + y) for px, py in path)


FURROWS: Final[dict[str, tuple[Crease | Bulge, ...]]] = {
    "1": tuple(
        Crease("brow_inner", _shifted(_FOREHEAD_INNER, y), d, 1.5) for y, d in ((-20, 36), (-33, 40), (-45, 30))
    ),
    "2": tuple(
        Crease("brow_outer", _shifted(_FOREHEAD_OUTER, y), d, 1.5) for y, d in ((-20, 34), (-33, 36), (-45, 24))
    ),
    "4": (
        Crease("brow_inner", ((-8, -14), (-9, -2), (-7, 9)), 62, 1.8, (4.0, 0)),
        Crease("brow_inner", ((-17, 13), (-9, 15)), 40, 1.6),
        Bulge("brow_inner", (2, 12), (10, 6), -26),
        Bulge("brow_inner", (-2, -8), (6, 6), 12),
    ),
    "6": (
        Crease("eye_outer", ((6, -3), (19, -10)), 34, 1.2),
        Crease("eye_outer", ((7, 2), (22, 2)), 40, 1.2),
        Crease("eye_outer", ((6, 7), (19, 14)), 34, 1.2),
        Crease("lower_lid", ((-17, 9), (-4, 14), (10, 13), (20, 9)), 40, 1.7, (0, 4)),
        Bulge("cheek", (-4, -12), (17, 9), 16),
    ),
    "7": (
        Crease("lower_lid", ((-15, 8), (-3, 11), (11, 9)), 34, 1.5, (0, -3)),
        Bulge("upper_lid", (0, -16), (16, 4), -16),
    ),
    "9": (
        Crease("nose_tip", ((4, -40), (12, -34)), 50, 1.5),
        Crease("nose_tip", ((4, -33), (14, -26)), 54, 1.5),
        Crease("nose_tip", ((6, -26), (15, -18)), 40, 1.4),
        Crease("nose_wing", ((2, -5), (6, 3), (10, 14)), 64, 2.2, (4, 0)),
        Crease("brow_inner", ((-12, 14), (-4, 18)), 30, 1.6),
    ),
    "10": (
        Crease("nose_wing", ((2, -4), (7, 4), (13, 15), (17, 26)), 60, 2.2, (4, -1)),
        Bulge("cheek", (-14, 2), (13, 9), 10),
    ),
    "12": (
        Crease("nose_wing", _NASOLABIAL, 60, 2.3, (4.5, -1)),
        Bulge("cheek", (-3, -2), (17, 14), 15),
        Bulge("mouth_corner", (5, -1), (4, 5), -30),
    ),
    "14": (
        Crease("mouth_corner", ((6, -9), (8, 0), (6, 9)), 66, 2.0, (4, 0)),
        Bulge("mouth_corner", (4, 0), (4.5, 5), -40),
    ),
    "15": (
        Crease("mouth_corner", ((2, 3), (5, 12), (5, 23)), 46, 2.0, (4, 0)),
        Bulge("mouth_corner", (1, 4), (5, 4), -22),
        Bulge("chin", (20, -34), (10, 8), 10),
    ),
    "17": (
        Crease("chin", ((0, -37), (10, -36), (19, -31)), 50, 2.4, (0, 4)),
        Bulge("chin", (0, -20), (16, 8), 9),
    ),
    "20": (
        Crease("mouth_corner", ((7, -10), (10, 0), (8, 12)), 34, 2.0, (4, 0)),
        Crease("mouth_corner", ((16, -8), (19, 4), (17, 15)), 20, 2.0, (4, 0)),
    ),
    "23": (
        Bulge("upper_lip", (0, -3), (24, 2.2), 16),
        Bulge("lower_lip", (0, 4), (20, 2.6), -18),
        Crease("mouth_corner", ((-4, -6), (0, 0), (-4, 7)), 24, 1.6, (3, 0)),
    ),
    "24": (
        Bulge("upper_lip", (0, -3), (26, 2.6), 20),
        Bulge("lower_lip", (0, 5), (22, 3.0), -24),
        Bulge("mouth_corner", (1, 1), (5, 5), -26),
    ),
    "26": (Crease("nose_wing", _NASOLABIAL, 18, 2.4, (4, 0)),),
}
"""The folds and bulges of every action unit that has some."""

DIMPLED_UNITS: Final = ("17",)
"""Units under which the skin of the chin becomes uneven like the peel of an orange."""


class Furrow(NamedTuple):
    """The brightness map of one unit on one half of the face.

    Attributes:
        canvas: the rectangle it covers.
        map: `(rows, columns, 3)` uint8; 128 changes nothing.
    """

    canvas: Canvas
    map: Uint8Array

    def add(self, picture: Uint8Array, intensity: float) -> None:
        """Adds the map to a picture `(rows, columns, 3)` of the rectangle in place."""
        cv2.addWeighted(picture, 1.0, self.map, intensity, -128 * intensity, dst=picture)


def furrow(anatomy: Anatomy, whole: Canvas, code: str, side: int, rng: np.random.Generator) -> Furrow | None:
    """Draws the map of a unit on one half of the face (`side` 1 on the right of the picture); None if it has none."""
    if code not in FURROWS:
        return None
    size = anatomy.identity.eyes.half_distance / 44
    origins = [_origin(anatomy, mark.landmark, side) for mark in FURROWS[code]]
    corners = np.concatenate([_extent(mark, o, side, size) for mark, o in zip(FURROWS[code], origins, strict=True)])
    (x0, y0), (x1, y1) = corners.min(0) - 8, corners.max(0) + 8
    canvas = whole.around(float(x0), float(y0), float(x1), float(y1))
    level = np.zeros(canvas.shape, np.float32)
    for mark, origin in zip(FURROWS[code], origins, strict=True):
        level += _draw(canvas, mark, origin, side, size)
    if code in DIMPLED_UNITS:
        chin = anatomy.points["chin"]
        level += 26 * canvas.clouds(rng, 3.2) * canvas.bump(chin[0], chin[1] - 21, 14, 8)
    tone = np.array(anatomy.identity.skin.tone, np.float32) / 225
    gain = anatomy.identity.skin.wrinkles * tone * np.array([0.85, 1.0, 1.0], np.float32)
    shaped = (level * half_weight(canvas, side))[..., None] * gain
    return Furrow(canvas, np.clip(shaped + 128.5, 0, 255).astype(np.uint8))


def _origin(anatomy: Anatomy, landmark: str, side: int) -> tuple[float, float]:
    """A landmark of one side, or of the middle."""
    name = "left" if side > 0 else "right"
    return anatomy.points.get(f"{landmark}_{name}") or anatomy.points[landmark]


def _extent(mark: Crease | Bulge, origin: tuple[float, float], side: int, size: float) -> Float32Array:
    """Points `(N, 2)` between which the mark lies."""
    if isinstance(mark, Crease):
        offsets = np.array(mark.path, np.float32)
    else:
        reach = 2.2 * np.array(mark.spread, np.float32)
        offsets = np.array([np.array(mark.offset) - reach, np.array(mark.offset) + reach], np.float32)
    return np.asarray(np.array(origin, np.float32) + offsets * (side * size, size), np.float32)


def _draw(canvas: Canvas, mark: Crease | Bulge, origin: tuple[float, float], side: int, size: float) -> Float32Array:
    """`(rows, columns)`, signed grey levels of one mark on light skin."""
    x, y = origin
    if isinstance(mark, Bulge):
        centre = (x + side * mark.offset[0] * size, y + mark.offset[1] * size)
        return np.asarray(mark.level * canvas.bump(*centre, mark.spread[0] * size, mark.spread[1] * size), np.float32)
    path = np.array(mark.path, np.float32) * (side * size, size) + (x, y)
    line = _rounded(np.asarray(path, np.float32))
    valley = canvas.blur(canvas.strokes([line], 1), mark.width * 0.8)
    ridge = canvas.blur(
        canvas.strokes([line + np.array((side * mark.ridge[0], mark.ridge[1]), np.float32)], 2), mark.width * 1.5
    )
    strength = mark.depth * mark.width * 1.8
    # A fold is deepest in its middle and runs out towards its ends.
    centre, reach = path.mean(0), 0.42 * np.ptp(path, axis=0) + 4 * size
    return np.asarray((0.5 * ridge - valley) * strength * canvas.bump(*centre, *reach), np.float32)


def _rounded(path: Float32Array) -> Float32Array:
    """Corners of a polyline cut twice, so that it reads as a curve."""
    for _ in range(2):
        first, second = path[:-1] * 0.75 + path[1:] * 0.25, path[:-1] * 0.25 + path[1:] * 0.75
        inner = np.stack([first, second], 1).reshape(-1, 2)
        path = np.concatenate([path[:1], inner, path[-1:]])
    return path
