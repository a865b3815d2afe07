"""Teeth and tongue: painted once a person, laid between the lips."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from fedn_synth.face.identity import Identity
from fedn_synth.head3d.mesh import Float32Array
from fedn_synth.head3d.patch import mix, opening_mask

Uint8Array = npt.NDArray[np.uint8]

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
