"""Hair of the head: a surface over the scalp with painted strands, transparent at its ends."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from fedn_synth.face.identity import Hair
from fedn_synth.head3d.mesh import Float32Array, IntArray, Uint8Array
from fedn_synth.head3d.raster import rasterise

Floats = npt.NDArray[np.float64]

CENTRE: Final = np.array([0, 0.25, -0.75], np.float32)
"""Middle of the skull, dm from the middle of the eyes."""
COLUMNS: Final = 73
ROWS: Final = 20
SHEET: Final = (512, 1024)
"""Height and width of the sheet of strands in px; its width goes once round the head."""
REACH: Final = 3.0
"""Arc (dm) from the crown that the sheet's height shows."""

# Degrees from the middle of the face, and how high (degrees over the skull's middle) hair ends there.
AROUND: Final = (0, 15, 32, 48, 60, 70, 78, 86, 104, 120, 180)
SHORT: Final = (25, 25, 23, 15, 5, -8, -24, -8, -4, -40, -52)
TIED: Final = (25, 24.5, 22, 14, 4, -4, -10, -6, -8, -36, -46)
FRINGE: Final = (7, 6, 4, 2, 0, -8, -24, -12, -6, -40, -52)


class HairShape:
    """The hair of one head at rest.

    Attributes:
        vertices: `(N, 3)` float32 dm from the middle of the eyes.
        triangles: `(M, 3)`, clockwise on the picture as seen from outside.
        hanging: those of them that are not over the top of the head.
        place: `(N, 2)` px on the sheet.
        sheet: `(*SHEET, 4)` uint8: red, green, blue, and how much of the ground is covered.
        gloss: how much the strands shine.
    """

    def __init__(self, hair: Hair, head: Float32Array, skin: IntArray, rng: np.random.Generator) -> None:
        self._hair, self._long = hair, hair.style == "long"
        self._curtain = float(rng.uniform(44, 60))
        self._angle = np.linspace(-np.pi, np.pi, COLUMNS)
        low = np.radians(self._end(rng))
        elevation = np.pi / 2 - np.linspace(0, 1, ROWS)[:, None] * (np.pi / 2 - low)
        scalp = _look_up(_skull_radius(head, skin), self._angle, np.maximum(elevation, -0.2))
        radius = scalp + self._thickness(elevation, low, rng)
        grid = self._let_down(radius, elevation, low, drop=rng.uniform(0.9, 1.75)) + CENTRE
        self.vertices = np.ascontiguousarray(grid.reshape(-1, 3), np.float32)
        step = np.linalg.norm(np.diff(grid, axis=0), axis=2)
        length = np.concatenate([np.zeros((1, COLUMNS)), np.cumsum(step, axis=0)])
        across = np.broadcast_to((self._angle / (2 * np.pi) + 0.5) * (SHEET[1] - 1), length.shape)
        self.place = np.stack([across, length * (SHEET[0] / REACH)], axis=2).reshape(-1, 2).astype(np.float32)
        self.triangles = _grid_triangles(ROWS, COLUMNS)
        self.hanging = self.triangles[(self.triangles >= COLUMNS * (ROWS // 3)).all(axis=1)]
        self.sheet = _paint(hair, length[-1], rng)
        self.gloss = 0.25 if hair.style == "buzz" else 0.9

    @property
    def _hangs(self) -> npt.NDArray[np.bool_]:
        """`(COLUMNS,)`, where hair hangs down instead of following the skull."""
        return np.asarray((np.abs(np.degrees(self._angle)) > self._curtain - 2) & self._long, np.bool_)

    def _thickness(self, elevation: Floats, low: Floats, rng: np.random.Generator) -> Floats:
        """How far the hair's surface lies over the scalp, dm: thin where it ends."""
        hair, degrees = self._hair, np.degrees(self._angle)
        volume = {"buzz": 0.035, "tied": 0.07}.get(hair.style, 0.06 + hair.volume / 190)
        from_end = elevation - low
        thick = volume * np.clip(from_end / 0.4, 0.06, 1) ** 0.7
        if hair.style == "fringe":
            front = np.clip((64 - np.abs(degrees)) / 12, 0, 1)
            thick = thick + front * (volume * np.clip(from_end / 0.35, 0.45, 1) - thick)
        thick = np.where(self._hangs, volume, thick)
        groove = 0.35 if hair.style in ("parted", "long") else 0.0
        thick *= 1 - groove * np.exp(-(((degrees - hair.parting) / 10) ** 2))
        from_crown = (np.pi / 2 - elevation) / (np.pi / 2 - low)
        thick *= 1 + hair.curl * 0.12 * np.sin(7 * self._angle + 9 * from_crown + rng.uniform(0, 6))
        return np.asarray(thick * (0.85 + 0.3 * np.cos(self._angle * 2) ** 2 * (elevation > 0.6)), np.float64)

    def _let_down(self, radius: Floats, elevation: Floats, low: Floats, drop: float) -> Floats:
        """The surface in dm from the skull's middle; long hair hangs down by `drop` instead of following the neck."""
        flat = radius * np.cos(np.maximum(elevation, -0.1 if self._long else -2.0))
        y = radius * np.sin(elevation)
        if self._long:
            below = np.clip(-elevation, 0, None) / np.abs(low).max()
            y = np.where(self._hangs & (elevation < 0), -below * drop - 0.02, y)
            flat = flat * (1 - 0.1 * below * (np.abs(self._angle) > 1.9))
        return np.stack([flat * np.sin(self._angle), y, flat * np.cos(self._angle)], axis=2)

    def _end(self, rng: np.random.Generator) -> Floats:
        """Degrees over the skull's middle at which the hair ends in every direction."""
        hair = self._hair
        table = {"tied": TIED, "fringe": FRINGE}.get(hair.style, SHORT)
        degrees = np.abs(np.degrees(self._angle))
        end = np.interp(degrees, AROUND, table)
        end += 0.5 * hair.recession * np.exp(-(((degrees - 36) / 13) ** 2))
        if self._long:
            hanging = np.clip((degrees - self._curtain) / 6, 0, 1)
            end = end * (1 - hanging) - 60 * hanging
        soft = np.convolve(np.pad(end, 2, mode="wrap"), [0.15, 0.2, 0.3, 0.2, 0.15], "valid")
        return np.asarray(soft + 1.2 * np.convolve(rng.normal(0, 1, COLUMNS + 4), np.ones(5) / 5, "valid"))


def _skull_radius(head: Float32Array, triangles: IntArray) -> Float32Array:
    """`(90, 180)`, distance of the skin from the skull's middle, by elevation (down from the crown) and angle."""
    away = head - CENTRE
    radius = np.linalg.norm(away, axis=1)
    angle = np.arctan2(away[:, 0], away[:, 2])
    elevation = np.arcsin(away[:, 1] / radius)
    at = np.stack([(angle / np.pi + 1) * 90, 90 - np.degrees(elevation)], axis=1).astype(np.float32)
    at[:, 1] = at[:, 1] / 2
    kept = triangles[(np.ptp(angle[triangles], axis=1) < np.pi) & (np.abs(away[triangles, 0]) < 0.86).all(axis=1)]
    kept = np.concatenate([kept, kept[:, ::-1]])
    seen = rasterise(at, radius, kept, 90, 180)
    found = np.zeros((90, 180), np.float32)
    found.ravel()[seen.cells] = seen.interpolate(kept, radius[:, None].astype(np.float32))[:, 0]
    weight = (found > 0).astype(np.float32)
    wide = np.concatenate([found] * 3, axis=1), np.concatenate([weight] * 3, axis=1)
    filled = wide[0].copy()
    for sigma in (2.0, 6.0, 20.0):
        near = cv2.GaussianBlur(wide[0], (0, 0), sigma) / np.maximum(cv2.GaussianBlur(wide[1], (0, 0), sigma), 1e-4)
        filled = np.where(filled > 0.2, filled, near)
    return np.asarray(cv2.GaussianBlur(filled, (0, 0), 2.5)[:, 180:360], np.float32)


def _look_up(table: Float32Array, angle: Floats, elevation: Floats) -> Float32Array:
    angle = np.broadcast_to(angle, elevation.shape)
    column = ((angle / np.pi + 1) * 90).astype(np.float32)
    row = ((90 - np.degrees(elevation)) / 2).astype(np.float32)
    return np.asarray(cv2.remap(table, column, row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))


def _grid_triangles(rows: int, columns: int) -> IntArray:
    first = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)).ravel()
    return np.concatenate(
        [
            np.stack([first, first + 1, first + columns], 1),
            np.stack([first + 1, first + columns + 1, first + columns], 1),
        ]
    )


def _paint(hair: Hair, length: Floats, rng: np.random.Generator) -> Uint8Array:
    """The sheet of strands: light and dark ones side by side, ragged and thin where they end."""
    height, width = SHEET
    y, x = np.mgrid[:height, :width].astype(np.float32)
    short = hair.style in ("short", "buzz")
    run = 14 if short else 90
    strands = cv2.GaussianBlur(rng.standard_normal((height, width)).astype(np.float32), (0, 0), sigmaX=0.7, sigmaY=run)
    locks = cv2.GaussianBlur(rng.standard_normal((height, width)).astype(np.float32), (0, 0), sigmaX=6, sigmaY=run)
    bend = (6 + 16 * hair.curl) * np.sin(y / (26 + 20 * (1 - hair.curl)) + x / 60 + 3 * locks / locks.std())
    strands, locks = (
        cv2.remap(m / m.std(), x + bend, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT) for m in (strands, locks)
    )
    end = np.interp(np.arange(width), np.linspace(0, width - 1, COLUMNS), length) * (height / REACH)
    ragged = {"tied": 3.0, "buzz": 5.0, "short": 7.0}.get(hair.style, 10.0)
    round_face = np.abs(x / width - 0.5) * 360
    front = np.clip((62 - round_face) / 8, 0, 1) * (0 if hair.style == "fringe" else 1)
    ends = end[None] - y - ragged * (1.2 + 0.8 * strands + 0.6 * locks)
    cut = np.clip(ends / (ragged * 1.2) + 0.5, 0, 1)
    # Over the forehead hair does not end, it begins: sparse and fine.
    roots = np.clip((end[None] - y - 2) / 30 + 0.1 * strands + 0.08 * locks, 0, 1)
    cover = cut + front * (roots**0.7 - cut)
    cover *= np.clip(0.97 + 0.06 * strands, 0, 1)
    if hair.style == "buzz":
        cover *= np.clip(0.62 + 0.25 * rng.standard_normal((height, width)), 0, 1)
    value = 1 + 0.24 * strands + 0.2 * locks
    value *= 0.8 + 0.25 * np.clip(ends / 60, 0, 1)
    colour = np.array(hair.tone, np.float32) * np.clip(value, 0.35, 1.8)[..., None] + 5
    grey = np.clip(0.5 * strands - 0.9, 0, 1)[..., None] * 30
    return np.dstack([np.clip(colour + grey, 0, 255), 255 * cover]).astype(np.uint8)
