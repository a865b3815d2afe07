"""Eyeballs and lashes: painted once a person, laid between the lids."""

from __future__ import annotations

import math
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from fedn_synth.face.identity import Identity
from fedn_synth.head3d.mesh import Float32Array
from fedn_synth.head3d.patch import mix, opening_mask

Uint8Array = npt.NDArray[np.uint8]

IRIS: Final = 64
"""Side of the painted iris in px; its disc fills it."""
IRIS_SHARE: Final = 0.46
"""Radius of the iris as a share of the eyeball's."""
GAZE_DEGREES: Final = (26.0, 18.0)
"""Turn of the eyeballs for a gaze of 1, to the side and upward."""
KEEPS_LOOKING: Final = 0.55
"""Share of the head's turn that the eyes take back, so as to go on looking at the screen."""


class EyeLayer:
    """Both eyes of one person.

    Args:
        person: whose.
        female: longer lashes.
        rng: source of the iris' pattern.
    """

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
