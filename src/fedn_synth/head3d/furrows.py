"""Furrows that come and go with the muscles: dark lines with a light fold beside them, per action unit and side."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from fedn_synth.face.muscles import AU_CODES
from fedn_synth.head3d.atlas import HEIGHT, WIDTH, to_sheet
from fedn_synth.head3d.mesh import Float32Array

LEFT: Final = 256
TOP: Final = 120
SIZE: Final = (496, 512)
"""The part of the sheet that can furrow: its left and top px, its height and width; kept at half its size."""

Line = tuple[float, tuple[tuple[float, float], ...]]

LINES: Final[dict[str, tuple[Line, ...]]] = {
    "1": tuple((0.8, ((0.0, y), (0.16, y + 0.012), (0.3, y - 0.01))) for y in (0.40, 0.50, 0.60)),
    "2": tuple((0.8, ((0.2, y + 0.02), (0.36, y + 0.02), (0.52, y - 0.05))) for y in (0.34, 0.44, 0.54)),
    "4": ((1.2, ((0.05, 0.10), (0.06, 0.2), (0.045, 0.3))), (0.6, ((0.0, 0.05), (0.05, 0.055))),
          (0.6, ((0.11, 0.13), (0.13, 0.22)))),
    "6": ((0.8, ((0.47, 0.0), (0.54, 0.03), (0.62, 0.07))), (0.8, ((0.47, -0.03), (0.56, -0.03), (0.63, -0.03))),
          (0.7, ((0.46, -0.06), (0.54, -0.1), (0.6, -0.15))), (0.7, ((0.14, -0.1), (0.26, -0.17), (0.42, -0.13)))),
    "7": ((0.7, ((0.17, -0.08), (0.28, -0.11), (0.4, -0.08))),),
    "9": ((0.9, ((0.04, 0.0), (0.09, -0.03), (0.13, -0.09))), (0.9, ((0.05, -0.06), (0.1, -0.1), (0.13, -0.16))),
          (0.8, ((0.0, 0.03), (0.05, 0.03))), (0.9, ((0.17, -0.32), (0.22, -0.38), (0.28, -0.5)))),
    "10": ((1.0, ((0.17, -0.34), (0.24, -0.42), (0.3, -0.54))),),
    "12": ((1.2, ((0.18, -0.36), (0.27, -0.45), (0.34, -0.58), (0.36, -0.68))),
           (0.5, ((0.48, -0.05), (0.55, -0.06), (0.61, -0.08)))),
    "14": ((1.4, ((0.29, -0.6), (0.32, -0.67), (0.29, -0.74))),),
    "15": ((1.1, ((0.24, -0.71), (0.28, -0.78), (0.29, -0.9))),),
    "17": ((0.8, ((0.0, -0.86), (0.09, -0.87), (0.16, -0.92))), (0.6, ((0.04, -0.93), (0.06, -0.98))),
           (0.6, ((0.1, -0.95), (0.11, -1.0)))),
    "20": ((0.9, ((0.3, -0.55), (0.36, -0.66), (0.34, -0.78))),),
    "23": tuple((0.5, ((x, -0.5), (x * 1.05, -0.57))) for x in (0.04, 0.1, 0.16)),
    "24": ((0.7, ((0.2, -0.7), (0.25, -0.76))), (0.6, ((0.0, -0.83), (0.1, -0.82)))),
}  # fmt: skip
"""Depth and course of every line on the person's left half, dm from the middle of the eyes; mirrored on the other."""


class Furrows:
    """The furrows of one person.

    Args:
        depth: how deep they are, about 1.
    """

    def __init__(self, depth: float) -> None:
        self._maps: dict[tuple[int, int], Float32Array] = {}
        for unit, code in enumerate(AU_CODES):
            for half, side in enumerate((1, -1)):
                if code in LINES:
                    self._maps[unit, half] = _draw(LINES[code], side) * np.float32(depth)

    def shade(self, intensities: Float32Array) -> Float32Array | None:
        """Sum of the maps for intensities `(len(AU_CODES), 2)`: how much darker the skin is; None if nothing acts."""
        total: Float32Array | None = None
        for (unit, half), drawn in self._maps.items():
            amount = float(intensities[unit, half])
            if amount > 1e-3:
                part = drawn * np.float32(amount)
                total = part if total is None else np.add(total, part, out=total)
        return total


def _draw(lines: tuple[Line, ...], side: int) -> Float32Array:
    sheet = np.zeros((HEIGHT, WIDTH), np.float32)
    for depth, points in lines:
        drawn = np.zeros((HEIGHT, WIDTH), np.uint8)
        x, y = np.array(points).T
        fine = np.linspace(0, len(x) - 1, 30)
        knots = np.arange(len(x))
        path = to_sheet(side * np.interp(fine, knots, x), np.interp(fine, knots, y))
        cv2.polylines(drawn, [np.rint(path * 16).astype(np.int32)], False, 255, 2, cv2.LINE_AA, shift=4)
        fade = drawn.astype(np.float32) / 255
        narrow, wide = cv2.GaussianBlur(fade, (0, 0), 2.4), cv2.GaussianBlur(fade, (0, 0), 6.0)
        lit = np.roll(wide, 5, axis=0)
        sheet += depth * (0.55 * narrow + 0.9 * wide - 0.5 * lit)
    part = sheet[TOP : TOP + SIZE[0], LEFT : LEFT + SIZE[1]]
    part[[0, -1]] = part[:, [0, -1]] = 0  # what lies beyond the border has the border's value
    return np.asarray(cv2.resize(part, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), np.float32)
