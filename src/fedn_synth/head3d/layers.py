"""Eyeballs, teeth and glasses: painted once for a person, laid over the skin in every frame."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from fedn_synth.face.identity import Identity
from fedn_synth.head3d.mesh import Float32Array, Uint8Array
from fedn_synth.head3d.raster import mix, opening_mask

IRIS: Final = 64
"""Side of the painted iris in px; its disc fills it."""
IRIS_SHARE: Final = 0.46
"""Radius of the iris as a share of the eyeball's."""
GAZE_DEGREES: Final = (26.0, 18.0)
"""Turn of the eyeballs for a gaze of 1, to the side and upward."""
KEEPS_LOOKING: Final = 0.55
"""Share of the head's turn that the eyes take back, so as to go on looking at the screen."""


class EyeLayer:
    """Both eyes of one person."""

    def __init__(self, person: Identity, female: bool, rng: np.random.Generator) -> None:
        self._iris = _paint_iris(person, rng)
        self._sclera = np.array([226, 219, 214], np.float32) + rng.uniform(-8, 6, 3).astype(np.float32)
        tone = np.array(person.skin.tone, np.float32)
        self._sclera = self._sclera * (0.8 + 0.2 * tone[0] / 255)
        self._lash = 0.85 if female else 0.5
        self._rim = tone * np.array([0.62, 0.45, 0.42], np.float32)
        self._side = person.outfit.light_side

    def draw(
        self, picture: Uint8Array, rim: Float32Array, border: Float32Array, centre: Float32Array, radius: float,
        look: tuple[float, float], light: float,
    ) -> None:  # fmt: skip
        """Lays one eye into the picture.

        Args:
            picture: `(rows, columns, 3)` uint8 RGB.
            rim: `(28, 2)` px, where the lids meet the eyeball, from one corner over the upper lid.
            border: `(28, 2)` px, the front borders of the lids, likewise.
            centre: of the eyeball in px.
            radius: of the eyeball in px.
            look: turn of the eyeball to the right and upward in degrees, as seen by the camera.
            light: brightness on the eyeball, about 1.
        """
        found = opening_mask(rim, 5, *picture.shape[:2])
        if found is None:
            return
        mask, left, top = found
        rows, columns = mask.shape
        target = picture[top : top + rows, left : left + columns]
        region = target.astype(np.float32)
        x = (np.arange(columns, dtype=np.float32) + left - centre[0]) / radius
        y = (np.arange(rows, dtype=np.float32) + top - centre[1])[:, None] / radius
        round_off = 1 - 0.42 * (x**2 + 0.6 * y**2) + 0.12 * self._side * x
        ball = self._sclera * (light * np.clip(round_off, 0.3, 1.1))[..., None]
        ball[..., 1:] -= (14 * np.clip(np.abs(x) - 0.4, 0, 1) * np.ones_like(y))[..., None]
        self._lay_iris(ball, centre - (left, top), radius, look, light)
        shade = cv2.GaussianBlur(np.roll(mask, max(2, round(radius * 0.16)), axis=0), (0, 0), radius * 0.09)
        ball *= (0.5 + 0.5 / 255 * shade.astype(np.float32))[..., None]
        mix(region, ball, np.float32(1 / 255) * mask[..., None])
        self._lay_lashes(region, rim - (left, top), border - (left, top), radius)
        target[:] = np.clip(region, 0, 255)

    def _lay_iris(
        self, ball: Float32Array, centre: Float32Array, radius: float, look: tuple[float, float], light: float
    ) -> None:
        right, up = (math.radians(v) for v in look)
        at = centre + radius * 0.94 * np.array([math.sin(right) * math.cos(up), -math.sin(up)])
        size = 2 * radius * IRIS_SHARE / IRIS
        wide, high = size * max(math.cos(right), 0.5), size * max(math.cos(up), 0.6)
        half = (IRIS - 1) / 2
        place = np.array([[wide, 0, at[0] - wide * half], [0, high, at[1] - high * half]])
        layer = cv2.warpAffine(self._iris, place, ball.shape[1::-1], flags=cv2.INTER_LINEAR)
        cover = layer[..., 3:].astype(np.float32) / 255
        ball *= 1 - cover
        ball += light * layer[..., :3]
        glint = at + radius * np.array([-0.13 + 0.2 * self._side, -0.16])
        gy, gx = np.ogrid[: ball.shape[0], : ball.shape[1]]
        spot = np.exp(-((gx - glint[0]) ** 2 + (gy - glint[1]) ** 2) / (2 * (radius * 0.05) ** 2))
        ball += (190 * spot)[..., None].astype(np.float32)

    def _lay_lashes(self, region: Float32Array, rim: Float32Array, border: Float32Array, radius: float) -> None:
        half = len(rim) // 2
        line = np.zeros(region.shape[:2], np.uint8)
        upper = np.rint((0.35 * rim[1 : half + 1] + 0.65 * border[1 : half + 1]) * 16).astype(np.int32)
        lower = np.rint((0.5 * rim[half:] + 0.5 * border[half:]) * 16).astype(np.int32)
        cv2.polylines(line, [lower], False, 70, 1, cv2.LINE_AA, shift=4)
        cv2.polylines(line, [upper], False, 255, 2 if radius > 17 else 1, cv2.LINE_AA, shift=4)
        soft = cv2.GaussianBlur(line, (0, 0), 0.7).astype(np.float32) * (self._lash / 255)
        mix(region, self._rim * 0.45, soft[..., None])


def _paint_iris(person: Identity, rng: np.random.Generator) -> Uint8Array:
    """`(IRIS, IRIS, 4)` premultiplied: fibres, a dark edge, the pupil."""
    grid = (np.arange(IRIS) - (IRIS - 1) / 2) / (IRIS / 2 - 1)
    radius = np.hypot(grid[:, None], grid[None])
    angle = np.arctan2(grid[:, None], grid[None])
    fibres = np.interp(angle, np.linspace(-np.pi, np.pi, 90), rng.normal(0, 1, 90))
    value = 1 + 0.13 * fibres * np.clip(radius * 1.4, 0, 1) + 0.28 * np.clip(0.62 - radius, 0, 1)
    value *= 1 - 0.6 * np.clip((radius - 0.78) / 0.22, 0, 1)
    colour = np.array(person.eyes.iris)[None, None] * value[..., None] * 1.1
    pupil = np.clip((radius - rng.uniform(0.3, 0.42)) * 16 + 0.5, 0, 1)[..., None]
    colour = 10 + (colour - 10) * pupil
    cover = np.clip((1 - radius) * 9, 0, 1)[..., None]
    return np.dstack([np.clip(colour, 0, 255) * cover, 255 * cover]).astype(np.uint8)


TEETH: Final = (28, 132)
"""Height and width of a painted row of teeth in px."""


@dataclass(frozen=True)
class TeethPlace:
    """Where a row of teeth is seen: middle of its biting edge and its width, in px, and its slope in radians."""

    edge: Float32Array
    width: float
    slope: float


class MouthLayer:
    """The inside of one person's mouth."""

    def __init__(self, person: Identity, rng: np.random.Generator) -> None:
        yellow = rng.uniform(0, 1)
        self._tone = np.array([226 - 8 * yellow, 220 - 18 * yellow, 208 - 36 * yellow])
        self._upper = _paint_teeth(self._tone, rng, upper=True)
        self._lower = _paint_teeth(self._tone * 0.9, rng, upper=False)
        self._line = np.array(person.skin.tone, np.float32) * np.array([0.42, 0.26, 0.26], np.float32)
        self._tongue = np.array([168, 88, 88], np.float32)

    def draw(
        self, picture: Uint8Array, upper: Float32Array, lower: Float32Array, above: TeethPlace, below: TeethPlace,
        light: float,
    ) -> None:  # fmt: skip
        """Lays the mouth into the picture.

        Args:
            picture: `(rows, columns, 3)` uint8 RGB.
            upper: `(A, 2)` px, the rim of the upper lip from the left of the picture to the right.
            lower: `(B, 2)` px, the rim of the lower lip back again.
            above: the upper row of teeth.
            below: the lower row.
            light: brightness in the front of the mouth, about 1.
        """
        found = opening_mask(np.concatenate([upper, lower]), 4, *picture.shape[:2])
        if found is None:
            return
        mask, left, top = found
        rows, columns = mask.shape
        corner = np.array([left, top], np.float32)
        target = picture[top : top + rows, left : left + columns]
        region = target.astype(np.float32)
        inside = np.empty_like(region)
        inside[:] = (46, 16, 16)
        y = np.arange(rows, dtype=np.float32)[:, None]
        x = np.arange(columns, dtype=np.float32)
        middle, half = (upper[0, 0] + lower[0, 0]) / 2 - left, max(abs(lower[0, 0] - upper[0, 0]) / 2, 4)
        tongue_y = below.edge[1] - top + 0.02 * below.width
        tongue = np.clip(1.3 - ((x - middle) / (0.55 * half)) ** 2 - ((y - tongue_y - 7) / 9) ** 2, 0, 1)
        mix(inside, self._tongue * light * 0.75, tongue[..., None])
        self._lay_teeth(inside, self._lower, below, corner, upper=False)
        self._lay_teeth(inside, self._upper, above, corner, upper=True)
        fall = np.clip(1.08 - 0.85 * np.abs((x - middle) / half) ** 2.4, 0.12, 1)
        inside *= (fall * light)[..., None]
        shade = cv2.GaussianBlur(np.roll(mask, 3, axis=0), (0, 0), 2.0)
        inside *= (0.45 + 0.55 / 255 * shade.astype(np.float32))[..., None]
        # Where the lips are less than about a pixel apart they are closed.
        gap = np.clip(mask.sum(axis=0, dtype=np.float32) / 255 - 0.9, 0, 1)
        mix(region, inside, (mask * (gap / np.float32(255)))[..., None].astype(np.float32))
        line = np.zeros((rows, columns), np.uint8)
        for rim, value in ((upper[2:], 170), (lower[2:], 90)):
            cv2.polylines(line, [np.rint((rim - corner) * 16).astype(np.int32)], False, value, 1, cv2.LINE_AA, shift=4)
        soft = cv2.GaussianBlur(line, (0, 0), 0.8).astype(np.float32) * (0.9 / 255)
        mix(region, self._line, soft[..., None])
        target[:] = np.clip(region, 0, 255)

    def _lay_teeth(
        self, inside: Float32Array, teeth: Uint8Array, place: TeethPlace, corner: Float32Array, *, upper: bool
    ) -> None:
        scale = place.width / TEETH[1]
        cos, sin = scale * math.cos(place.slope), scale * math.sin(place.slope)
        edge = TEETH[0] - 1 if upper else 0
        at = place.edge - corner
        middle = (TEETH[1] - 1) / 2
        matrix = np.array(
            [[cos, -sin, at[0] - cos * middle + sin * edge], [sin, cos, at[1] - sin * middle - cos * edge]]
        )
        layer = cv2.warpAffine(teeth, matrix, inside.shape[1::-1], flags=cv2.INTER_AREA)
        inside *= 1 - layer[..., 3:].astype(np.float32) / 255
        inside += layer[..., :3]


def _paint_teeth(tone: npt.NDArray[np.float64], rng: np.random.Generator, *, upper: bool) -> Uint8Array:
    """`(*TEETH, 4)` premultiplied: a row of teeth, the biting edge below for the upper row."""
    height, width = TEETH
    picture = np.zeros((height, width, 4), np.float32)
    shares = np.array([7, 7.5, 8, 7, 9, 9, 7, 8, 7.5, 7]) if upper else np.array([7, 7, 6.5, 6, 6, 6, 6, 6.5, 7, 7])
    edges = np.concatenate([[0], np.cumsum(shares / shares.sum())]) * width
    y, x = np.mgrid[:height, :width].astype(np.float32)
    y = y if upper else height - 1 - y
    for left, right in pairwise(edges.tolist()):
        across = np.abs((x - (left + right) / 2) / ((right - left) / 2))
        length = height - rng.uniform(0, 2.5) - 3.0 * np.clip(np.abs((left + right) / 2 / width - 0.5) * 2 - 0.45, 0, 1)
        cover = np.clip((1.03 - across) * 6, 0, 1) * np.clip(length - y - 2.5 * across**4, 0, 1)
        shade = (1 - 0.16 * across**2) * (0.82 + 0.18 * y / height) * rng.uniform(0.95, 1.0)
        picture[..., :3] += (cover * shade)[..., None] * tone * (1 - picture[..., 3:])
        picture[..., 3:] += cover[..., None] * (1 - picture[..., 3:])
    picture[..., 3] *= 255
    return np.clip(picture, 0, 255).astype(np.uint8)


class Glasses:
    """The glasses of one person, at rest in dm from the middle of the eyes.

    Args:
        person: whose; without glasses nothing is drawn.
        rng: source of their size.
    """

    def __init__(self, person: Identity, rng: np.random.Generator) -> None:
        self._tone = np.array(person.outfit.glasses_tone, np.float32)
        self._wide = int(rng.integers(2, 4))
        wide, high, away = rng.uniform(0.2, 0.24), rng.uniform(0.15, 0.2), rng.uniform(0.3, 0.33)
        power = 2 if person.outfit.glasses == "round" else 5
        turn = np.linspace(0, 2 * np.pi, 40)
        cos, sin = np.cos(turn), np.sin(turn)
        x, y = (np.sign(v) * np.abs(v) ** (2 / power) for v in (cos, sin))
        self._lines: list[Float32Array] = []
        if person.outfit.glasses == "none":
            return
        z = 0.2 - 0.1 * np.abs(x * wide + away) ** 2
        for side in (-1, 1):
            self._lines.append(np.stack([side * (away + wide * x), high * y - 0.05, z], axis=1).astype(np.float32))
            temple = np.array(
                [[side * (away + wide), 0.05, 0.14], [side * 0.72, 0.06, -0.3], [side * 0.76, 0.04, -0.7]]
            )
            self._lines.append(temple.astype(np.float32))
        inner = away - wide
        bridge = np.array([[-inner, 0.01, 0.22], [0, 0.04, 0.3], [inner, 0.01, 0.22]], np.float32)
        self._lines.append(bridge)

    def draw(self, picture: Uint8Array, place: Callable[[Float32Array], Float32Array], yaw: float) -> None:
        """Draws the glasses into a picture.

        Args:
            picture: `(height, width, 3)` uint8 RGB.
            place: takes points of the resting head, `(N, 3)` dm, to px of the picture.
            yaw: turn of the head in degrees; the temple on the far side is hidden.
        """
        if not self._lines:
            return
        pixels = [place(line) for line in self._lines]
        rims = np.concatenate([pixels[0], pixels[2]])
        left, top = np.maximum(np.floor(rims.min(axis=0)).astype(int) - 80, 0).tolist()
        right, bottom = (np.ceil(rims.max(axis=0)).astype(int) + 80).tolist()
        part = picture[top:bottom, left:right]
        cover = np.zeros(part.shape[:2], np.uint8)
        for number, line in enumerate(pixels):
            hidden = number in (1, 3) and (yaw > 4 if number == 3 else yaw < -4)
            if not hidden:
                fixed = np.rint((line - (left, top)) * 16).astype(np.int32)
                cv2.polylines(cover, [fixed], False, 255, self._wide, cv2.LINE_AA, shift=4)
        rows, columns = np.nonzero(cover)
        share = cover[rows, columns, None].astype(np.float32) / 255
        under = part[rows, columns].astype(np.float32)
        part[rows, columns] = (under + share * (self._tone - under)).astype(np.uint8)
