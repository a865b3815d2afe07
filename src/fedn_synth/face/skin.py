"""What action units do to the look of the skin beside moving it: furrows, wrinkles, dimples, bulges that catch light.

Each unit and half of the face has one signed brightness map, added in proportion to the unit's intensity.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import cv2
import numpy as np

from fedn_synth.face.anatomy import Anatomy, Canvas, Float32Array, Uint8Array, ramp
from fedn_synth.face.muscles import half_weight


class Crease(NamedTuple):
    """A fold of the skin, on one side of the face; `x` is positive away from the middle."""

    landmark: str  # the landmark the offsets count from, without its side
    path: tuple[tuple[float, float], ...]  # offsets of the points it runs through
    depth: float  # grey levels by which light skin darkens at full intensity
    width: float = 1.6  # of the dark line, face units
    ridge: tuple[float, float] = (0.0, -3.0)  # offset of the raised skin that catches light, `(x, y)`


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
    "17": (Crease("chin", ((0, -37), (10, -36), (19, -31)), 50, 2.4, (0, 4)), Bulge("chin", (0, -20), (16, 8), 9)),
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
    """The brightness map of one unit on one half of the face."""

    canvas: Canvas  # the rectangle it covers
    map: Uint8Array  # `(rows, columns, 3)` uint8; 128 changes nothing

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


class Shading(NamedTuple):
    """Light on the head, `(rows, columns)` each."""

    diffuse: Float32Array  # brightness of matt skin, about 1 where the light is full
    gloss: Float32Array  # strength of the mirror reflection, 0 to 1


def head_relief(anatomy: Anatomy, canvas: Canvas, head: Float32Array) -> Float32Array:
    """Height towards the camera in face units.

    Args:
        anatomy: the face.
        canvas: the pixels.
        head: `(rows, columns)` mask of the head without ears and hair.

    Returns:
        `(rows, columns)` float32, 0 outside the head.
    """
    depth = cv2.distanceTransform((head > 0.5).astype(np.uint8), cv2.DIST_L2, 3) / canvas.density
    roundness = np.clip(depth / (0.36 * anatomy.height), 0, 1)
    # An inflated outline: steep at the rim, level in the middle; blurred because the distance has ridges.
    form = 78 * canvas.blur(np.sqrt(1 - (1 - roundness) ** 2).astype(np.float32), 7)
    form = form + _midface(anatomy, canvas) + _nose(anatomy, canvas) + _mouth(anatomy, canvas)
    for side in (-1, 1):
        form = form + _eye_region(anatomy, canvas, side)
    return np.asarray(form, np.float32)


def _midface(anatomy: Anatomy, canvas: Canvas) -> Float32Array:
    """Forehead, cheekbones, chin."""
    skull, h = anatomy.identity.skull, anatomy.height
    form = 5 * canvas.bump(0, anatomy.level(0.82), 0.22 * h, 0.1 * h)
    form += 5 * canvas.bump(0, anatomy.level(0.055), 0.075 * h, 0.042 * h)
    form -= 2.4 * canvas.bump(0, anatomy.level(0.115), 0.09 * h, 0.018 * h)
    for side in (-1, 1):
        form += skull.cheekbone * canvas.bump(side * 0.25 * h, anatomy.level(0.46), 0.085 * h, 0.055 * h)
        form += 3.5 * canvas.bump(side * 0.19 * h, anatomy.level(0.36), 0.08 * h, 0.08 * h)
        form -= 4 * canvas.bump(side * 0.27 * h, anatomy.level(0.27), 0.06 * h, 0.09 * h)
        form += skull.brow_ridge * canvas.bump(side * 0.15 * h, anatomy.level(0.685), 0.09 * h, 0.026 * h)
    return form


def _eye_region(anatomy: Anatomy, canvas: Canvas, side: int) -> Float32Array:
    """Socket, eyeball under the lids, fold of the upper lid."""
    eyes, y = anatomy.identity.eyes, anatomy.eye_y
    x = side * eyes.half_distance
    form = -8.5 * canvas.bump(x, y - 3, 24, 15)
    form -= 5.5 * canvas.bump(x - side * 21, y - 7, 9, 12)
    form += 5.5 * canvas.bump(x, y - 1, 16, 9.5)
    form -= 1.2 * eyes.bags * canvas.bump(x - side * 2, y + 14, 17, 3.5)
    return np.asarray(form, np.float32)


def _nose(anatomy: Anatomy, canvas: Canvas) -> Float32Array:
    """Bridge, tip and wings."""
    nose = anatomy.identity.nose
    top, base = anatomy.eye_y - 14, anatomy.nose_y
    along = np.clip((canvas.y - top) / (base - 8 - top), -0.2, 1.1)
    down = np.clip(along, 0, 1)
    floor = canvas.y + 4.5 * ((canvas.x - nose.bend) / (nose.width * 0.30)) ** 2
    inside = ramp(along, -0.2, 0.3) * (1 - ramp(floor, base - 7, base + 5))
    width = nose.bridge_width + 4.5 * down**2
    height = nose.bridge_height * (0.42 + 0.50 * down) * inside
    form = height * np.exp(-0.5 * ((canvas.x - nose.bend * down) / width) ** 2)
    form = form + nose.tip * 0.85 * canvas.bump(nose.bend, base - 11, 11.5, 9.5)
    for side in (-1, 1):
        wing = nose.bend + side * (nose.width / 2 - 7)
        form = form + 6.0 * canvas.bump(wing, base - 8, 6.5, 6.5)
        form = form - 1.6 * canvas.bump(nose.bend + side * (nose.width / 2 + 5), base - 8, 4.5, 9)
    return np.asarray(form, np.float32)


def _mouth(anatomy: Anatomy, canvas: Canvas) -> Float32Array:
    """The muzzle, the philtrum, the fullness of the lips, the corners."""
    mouth, y = anatomy.identity.mouth, anatomy.mouth_y
    form = 6 * canvas.bump(0, y, 36, 26)
    form -= 1.8 * canvas.bump(0, (anatomy.nose_y + y - mouth.upper) / 2 + 1, 3.8, 8)
    form += 2.6 * canvas.bump(0, y - mouth.upper * 0.55, mouth.width * 0.24, mouth.upper * 0.45)
    form += 4.2 * canvas.bump(0, y + mouth.lower * 0.5, mouth.width * 0.23, mouth.lower * 0.45)
    for side in (-1, 1):
        form -= 3.0 * canvas.bump(side * (mouth.width / 2 + 3), y + mouth.corners + 1, 6, 7)
    return form


def light(anatomy: Anatomy, canvas: Canvas, relief: Float32Array, grain: Float32Array) -> Shading:
    """Lights the head: a soft main light from above and one side, a fill light, sky light, and ambient occlusion.

    Args:
        anatomy: the face; its outfit says on which side the main light stands.
        canvas: the pixels.
        relief: `(rows, columns)` height in face units.
        grain: `(rows, columns)` fine relief of the skin (pores), in face units.
    """
    form = relief + grain
    slope_x = cv2.Sobel(form, cv2.CV_32F, 1, 0, ksize=3) * (canvas.density / 8)
    slope_y = cv2.Sobel(form, cv2.CV_32F, 0, 1, ksize=3) * (canvas.density / 8)
    length = 1 / np.sqrt(slope_x**2 + slope_y**2 + 1)
    side = anatomy.identity.outfit.light_side
    key = (0.55 * side, -0.42, 0.75)
    facing = (-slope_x * key[0] - slope_y * key[1] + key[2]) * length
    wrapped = np.clip((facing + 0.25) / 1.25, 0, None)
    sky = 0.5 + 0.5 * slope_y * length  # a surface that rises downwards looks up
    hollow = canvas.blur(relief, 9) - relief
    occlusion = np.clip(1 - 0.035 * np.clip(hollow, 0, None), 0.6, 1)
    near = canvas.blur(relief, 3.5) - relief
    occlusion = occlusion * np.clip(1 - 0.09 * np.clip(near, -1.2, None), 0.6, 1.1)
    diffuse = (0.45 * length + 0.17 * sky + 0.46 * wrapped) * occlusion
    gloss = np.clip(facing, 0, 1) ** 18
    return Shading(np.asarray(diffuse, np.float32), np.asarray(gloss, np.float32))
