"""The two kinds of opening in a face: the skin is painted shut and parts per frame, showing an eyeball or the mouth.

An opening lies along a line (where lids or lips meet). Above it the skin is squeezed towards a level that stays, below
it likewise, column by column and linearly, so that the edges move exactly as far as asked; what lies behind appears
between them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

import cv2
import numpy as np

from fedn_synth.face.anatomy import Anatomy, Canvas, Float32Array, Uint8Array, ramp

FINENESS: Final = 32
"""Openings are rounded to this share of a pixel, the precision with which images are sampled."""


class _Gap(NamedTuple):
    """An opening parted by a certain amount, `(rows, columns)` each."""

    source_x: Float32Array
    source_y: Float32Array
    keep: Float32Array
    hole: Float32Array
    shade: Uint8Array


@dataclass
class Opening:
    """A slit in the skin that can part."""

    canvas: Canvas  # the rectangle that the skin around the slit moves in
    line: Float32Array  # `(1, columns)`, row of the closed slit, px in the rectangle
    # `(1, columns)`, share of the opening by which the upper edge moves, 1 in the middle, 0 at the corners
    upper: Float32Array
    lower: Float32Array  # `(1, columns)`, the same for the lower edge
    reach_up: float  # px above the line at which the skin stays
    reach_down: float  # px below the line at which the skin stays
    fringe: float  # px over which the upper edge is darkened (lashes); 0 for none
    shadow: float  # px over which the upper edge shades what is behind

    def __post_init__(self) -> None:
        self._latest: tuple[tuple[float, float], _Gap] | None = None

    def part(self, skin: Uint8Array, behind: Uint8Array, up: float, down: float) -> None:
        """Parts the skin.

        Args:
            skin: `(rows, columns, 3)` uint8 of the shut slit; changed in place.
            behind: `(rows, columns, 3)` uint8, what shows in the opening.
            up: px by which the upper edge rises in the middle, at least 0.
            down: px by which the lower edge falls, at least 0.
        """
        amount = (round(up * FINENESS) / FINENESS, round(down * FINENESS) / FINENESS)
        if self._latest is None or self._latest[0] != amount:  # an eye stays open by one amount for many frames
            self._latest = amount, self._part(*amount)
        gap = self._latest[1]
        moved = cv2.remap(skin, gap.source_x, gap.source_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        cv2.blendLinear(moved, behind, gap.keep, gap.hole, dst=skin)
        cv2.multiply(skin, gap.shade, dst=skin, scale=1 / 255)

    def _part(self, up: float, down: float) -> _Gap:
        """The maps for one amount of opening, in px."""
        rows, columns = self.canvas.shape
        y = np.arange(rows, dtype=np.float32)[:, None]
        rise, fall = up * self.upper, down * self.lower
        depth, height = y - (self.line - rise), (self.line + fall) - y
        # Squeezed towards the level that stays; the edge's own colour continues into the opening.
        above = np.minimum(self._pull(y, rise, -self.reach_up), self.line)
        below = np.maximum(self._pull(y, fall, self.reach_down), self.line)
        source_y = np.where(depth < height, above, below).astype(np.float32)
        source_x = np.ascontiguousarray(np.broadcast_to(np.arange(columns, dtype=np.float32), (rows, columns)))
        # Never more than the gap itself, so that the corners, where both edges meet, stay shut.
        hole = np.clip(np.minimum(np.minimum(depth, height) + 0.5, rise + fall), 0, 1).astype(np.float32)
        shade = 1 - hole * np.clip(0.55 - depth * (0.55 / self.shadow), 0, 0.55)
        if self.fringe:
            shade = shade * (1 - 0.85 * np.maximum(1 - np.abs(depth + 0.4) / self.fringe, 0) * np.sqrt(self.upper))
        grey = (255 * shade + 0.5).astype(np.uint8)
        return _Gap(source_x, source_y, 1 - hole, hole, cv2.merge([grey, grey, grey]))

    def _pull(self, y: Float32Array, distance: Float32Array, reach: float) -> Float32Array:
        """The source row of every pixel on one side of the slit, of skin beyond `reach` the pixel's own."""
        stays = self.line + reach
        source = stays + (y - stays) * (abs(reach) / (abs(reach) - distance))
        far = y < stays if reach < 0 else y > stays
        return np.asarray(np.where(far, y, source), np.float32)


def eye_opening(anatomy: Anatomy, whole: Canvas, side: int) -> Opening:
    """The lids of one eye; `side` is 1 on the right of the picture, -1 on its left."""
    eyes = anatomy.identity.eyes
    x, half = side * eyes.half_distance, eyes.width / 2
    reach_up, reach_down = eyes.upper + 9.5, 14.0
    canvas = whole.around(x - half - 6, anatomy.eye_y - reach_up - 6, x + half + 6, anatomy.eye_y + reach_down + 5)
    t = (canvas.x - x) * side / half
    inside = np.clip(1 - np.abs(t + 0.06) ** 2.1, 0, 1) * (np.abs(t) < 1)
    edge = np.clip((1 - np.abs(t)) / 0.12, 0, 1)
    upper = inside**0.62 * edge**0.4
    lower = np.clip(1 - np.abs(t - 0.10) ** 2.4, 0, 1) ** 0.8 * (np.abs(t) < 1) * edge
    line = anatomy.lid_line(canvas.x, side) * canvas.scale - canvas.top
    s = canvas.scale
    return Opening(
        canvas=canvas,
        line=line.astype(np.float32),
        upper=upper.astype(np.float32),
        lower=lower.astype(np.float32),
        reach_up=reach_up * s,
        reach_down=reach_down * s,
        fringe=2.6 * s,
        shadow=6.0 * s,
    )


def mouth_opening(anatomy: Anatomy, whole: Canvas) -> Opening:
    """The lips."""
    mouth = anatomy.identity.mouth
    half = mouth.width / 2
    reach_up = anatomy.mouth_y - anatomy.nose_y - 2
    reach_down = anatomy.identity.skull.chin_y - anatomy.mouth_y - 4
    canvas = whole.around(-half - 5, anatomy.mouth_y - reach_up - 6, half + 5, anatomy.mouth_y + reach_down + 8)
    t = np.clip(canvas.x / (half - 1), -1, 1)
    lens = np.clip(1 - np.abs(t) ** 2.2, 0, 1) ** 0.85
    line = anatomy.lip_line(canvas.x) * canvas.scale - canvas.top
    s = canvas.scale
    return Opening(
        canvas=canvas,
        line=line.astype(np.float32),
        upper=lens.astype(np.float32),
        lower=lens.astype(np.float32),
        reach_up=reach_up * s,
        reach_down=reach_down * s,
        fringe=0.0,
        shadow=7.0 * s,
    )


class Eyeball:
    """The white of an eye and an iris that turns over it; painted for the rectangle of one eye's opening."""

    def __init__(self, anatomy: Anatomy, opening: Opening, side: int, rng: np.random.Generator) -> None:
        eyes, canvas = anatomy.identity.eyes, opening.canvas
        self.canvas = canvas
        x = side * eyes.half_distance
        t = (canvas.x - x) * side / (eyes.width / 2)
        form = np.clip(1 - 0.42 * np.abs(t) ** 2.2, 0, 1) * (1 - 0.10 * canvas.bump(x, anatomy.eye_y + 5, 30, 3))
        veins = 1 - 0.02 * np.abs(canvas.clouds(rng, 3))
        tone = 0.5 + 0.5 * anatomy.identity.skin.tone[0] / 240
        white = np.array([205, 193, 184], np.float32) * tone
        sclera = white * (form * veins)[..., None]
        caruncle = np.asarray(np.exp(-(((t + 0.95) / 0.13) ** 2)) + np.zeros(canvas.shape), np.float32)
        pink = np.array([186, 122, 110], np.float32) * tone
        sclera += (pink - sclera) * (0.75 * caruncle)[..., None]
        self.sclera: Uint8Array = np.clip(sclera, 0, 255).astype(np.uint8)
        centre = canvas.to_pixels((x, anatomy.eye_y - 0.30 * eyes.upper)) - (canvas.left, canvas.top)
        self.centre = (float(centre[0]), float(centre[1]))
        self.radius = eyes.iris_radius * canvas.scale
        self.iris, self.cover = _paint_iris(eyes.iris, self.radius, anatomy.identity.outfit.light_side, rng)
        self._latest: tuple[tuple[float, float], Uint8Array] | None = None

    def turned(self, gaze_x: float, gaze_y: float) -> Uint8Array:
        """`(rows, columns, 3)`, the eyeball looking right in the picture and up, -1 to 1; not to be changed."""
        gaze = (float(gaze_x), float(gaze_y))
        if self._latest is None or self._latest[0] != gaze:
            self._latest = gaze, self._paint(*gaze)
        return self._latest[1]

    def _paint(self, gaze_x: float, gaze_y: float) -> Uint8Array:
        """Lays the iris over the white."""
        size = self.iris.shape[0]
        x = self.centre[0] + gaze_x * 0.95 * self.radius - (size - 1) / 2
        y = self.centre[1] - gaze_y * 0.55 * self.radius - (size - 1) / 2
        rows, columns = self.canvas.shape
        shift = np.array([[1, 0, x], [0, 1, y]], np.float32)
        iris = cv2.warpAffine(self.iris, shift, (columns, rows))
        cover = cv2.warpAffine(self.cover, shift, (columns, rows))
        return np.asarray(cv2.blendLinear(iris, self.sclera, cover, 1 - cover), np.uint8)


def _paint_iris(
    tone: tuple[float, float, float], radius: float, light_side: float, rng: np.random.Generator
) -> tuple[Uint8Array, Float32Array]:
    """A square sprite of iris, pupil and the reflection of the lamp, and its `(size, size)` coverage."""
    size = 2 * int(radius + 3) + 1
    axis = np.arange(size, dtype=np.float32) - (size - 1) / 2
    x, y = axis[None], axis[:, None]
    r, angle = np.hypot(x, y) / radius, np.arctan2(y, x)
    fibres = np.interp(angle, np.linspace(-np.pi, np.pi, 49), rng.standard_normal(49)) * 0.16
    shade = (1.0 + fibres) * (1.18 - 0.30 * r + 0.22 * y / radius) * (1 - 0.55 * ramp(r, 0.78, 1.0))
    image = shade[..., None] * np.array(tone, np.float32)
    pupil = 1 - ramp(r, 0.36, 0.46)
    image = image * (1 - pupil)[..., None] + 9 * pupil[..., None]
    spot = np.exp(-(((x - 0.34 * radius * np.sign(light_side)) ** 2 + (y + 0.36 * radius) ** 2) / (0.17 * radius) ** 2))
    image = image + (np.array([240, 240, 244], np.float32) - image) * np.clip(1.3 * spot, 0, 1)[..., None]
    cover = 1 - ramp(r, 1 - 1.0 / radius, 1 + 0.8 / radius)
    return np.clip(image, 0, 255).astype(np.uint8), cover.astype(np.float32)


def paint_mouth_cavity(anatomy: Anatomy, opening: Opening) -> Uint8Array:
    """`(rows, columns, 3)` uint8, what shows between parted lips: upper teeth, the dark, the tongue."""
    mouth, canvas = anatomy.identity.mouth, opening.canvas
    half, y0 = mouth.width / 2, anatomy.mouth_y
    image = np.zeros((*canvas.shape, 3), np.float32) + np.array([38, 14, 14], np.float32)
    tongue = canvas.bump(0, y0 + 27, half * 0.55, 9)
    image += (np.array([150, 72, 70], np.float32) - image) * (0.75 * tongue)[..., None]
    arch = np.clip(canvas.x / (half * 0.92), -1, 1)
    edge = y0 + 5.5 - 3.2 * arch**2 - 0.3 * np.cos(canvas.x * 2 * np.pi / 8.2)
    teeth = (1 - ramp(canvas.y, edge - 0.9, edge + 0.9)) * (1 - ramp(np.abs(arch), 0.80, 0.98))
    gaps = 1 - 0.22 * np.exp(-((np.sin(canvas.x * np.pi / 8.2) / 0.16) ** 2))
    round_shade = (1 - 0.55 * arch**2) * gaps * (0.90 + 0.02 * (canvas.y - y0))
    tone = 0.65 + 0.35 * anatomy.identity.skin.tone[0] / 240
    ivory = np.array([226, 218, 202], np.float32) * tone * round_shade[..., None]
    image += (ivory - image) * teeth[..., None]
    return np.clip(image, 0, 255).astype(np.uint8)
