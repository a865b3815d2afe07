"""Glasses: two rims before the eyes, a bridge, and temples that reach back to the ears."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt

from fedn_synth.face.identity import Identity
from fedn_synth.head3d.mesh import Float32Array

Uint8Array = npt.NDArray[np.uint8]


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
