"""Paints one person's skin on the sheet: tone, freckles, lips, brows, beard, make-up, and furrows that come and go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from fedn_synth.face.identity import Colour, Identity
from fedn_synth.face.muscles import AU_CODES
from fedn_synth.head3d.mesh import Float32Array, Uint8Array, load_mesh
from fedn_synth.head3d.topology import HEIGHT, SCALE, TOP, WIDTH, Atlas, blob, load_atlas, noise, ramp, to_sheet

BROW: Final = (208, 6996, 6982)
"""Vertices (as the release numbers them) under the inner end, the middle and the outer end of a brow."""


def strokes(
    roots: npt.NDArray[np.float64], angles: npt.NDArray[np.float64], lengths: npt.NDArray[np.float64],
    strength: npt.NDArray[np.float64], bend: float = 0.0,
) -> Float32Array:  # fmt: skip
    """How much of every pixel is covered by hairs, 0 to 1.

    Args:
        roots: `(N, 2)` px.
        angles: `(N,)` direction of growth in radians, 0 to the right, positive downward.
        lengths: `(N,)` px.
        strength: `(N,)` opacity of every hair, 0 to 1.
        bend: radians by which a hair turns from root to tip.
    """
    drawn = np.zeros((HEIGHT, WIDTH), np.uint8)
    middle = roots + 0.5 * lengths[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    tips = middle + 0.5 * lengths[:, None] * np.stack([np.cos(angles + bend), np.sin(angles + bend)], axis=1)
    paths = np.rint(np.stack([roots, middle, tips], axis=1) * 16).astype(np.int32)
    order = np.argsort(strength)
    for path, value in zip(paths[order], strength[order], strict=True):
        cv2.polylines(drawn, [path], isClosed=False, color=int(255 * value), lineType=cv2.LINE_AA, shift=4)
    return drawn.astype(np.float32) / np.float32(255)


def paint_brows(sheet: Float32Array, atlas: Atlas, person: Identity, male: bool, rng: np.random.Generator) -> None:
    """Hairs along the brow, upright at its inner end and level at its outer."""
    brows = person.brows
    tone = np.array(person.hair.tone, np.float32) * 0.75
    tone = np.minimum(tone, np.array(person.skin.tone, np.float32) * 0.72)
    thickness = brows.thickness * (1.35 if male else 1.0)
    total = np.zeros((HEIGHT, WIDTH), np.float32)
    for side in (-1, 1):
        places = atlas.place[load_mesh().index[list(BROW)]]
        knots = np.stack([WIDTH / 2 + side * np.abs(places[:, 0] - WIDTH / 2), places[:, 1]], axis=1)
        knots[0] += side * rng.uniform(-8, 0), 2
        knots[2] += side * rng.uniform(0, 8), brows.slope
        knots[1, 1] -= brows.arch * 0.5 - 2
        count = int(300 * brows.density * thickness / 8)
        t = rng.beta(1.05, 1.15, count)
        weights = np.stack([2 * (t - 0.5) * (t - 1), 4 * t * (1 - t), 2 * t * (t - 0.5)], axis=1)
        along = weights @ knots
        width = thickness * 1.15 * np.minimum(1, (1.08 - t) ** 0.7) * np.minimum(1, t * 8 + 0.45)
        across = rng.uniform(-0.5, 0.5, count)
        along[:, 1] += across * width
        lean = np.radians(-75 + 78 * np.minimum(t * 1.5, 1) + 22 * -across) + rng.normal(0, 0.16, count)
        angles = lean if side > 0 else np.pi - lean
        total = np.maximum(total, strokes(along, angles, rng.uniform(6, 11, count), rng.uniform(0.4, 0.95, count)))
        soft = strokes(along, angles, rng.uniform(6, 11, count), np.full(count, 0.9))
        total = np.maximum(total, 0.5 * brows.density * cv2.GaussianBlur(soft, (0, 0), 2.0))
    sheet += (total * (0.55 + 0.45 * brows.density))[..., None] * (tone - sheet)


def paint_beard(sheet: Float32Array, atlas: Atlas, person: Identity, male: bool, rng: np.random.Generator) -> None:
    """Stubble and beards; men without one are shaved."""
    style = person.hair.beard if male else "none"
    side = np.abs(atlas.x)
    top = -0.52 + 0.32 * ramp(side, 0.5, 0.85) + 0.05 * noise(rng, 20)
    jaw = ramp(atlas.y, -1.28, -1.1) * ramp(top - atlas.y, -0.02, 0.08) * ramp(side, 0.98, 0.86)
    jaw *= 1 - ramp(side, 0.16, 0.3) * ramp(atlas.y, -0.72, -0.6) * (1 - ramp(side, 0.42, 0.52)) * 0.6
    lip = ramp(atlas.y, -0.62, -0.58) * ramp(atlas.y, -0.43, -0.48) * ramp(side, 0.34, 0.26)
    chin = ramp(side, 0.27, 0.2) * ramp(atlas.y, -0.76, -0.82)
    ring = ramp(side, 0.24, 0.27) * ramp(side, 0.38, 0.33) * ramp(atlas.y, -0.52, -0.58) * ramp(atlas.y, -1.0, -0.9)
    goatee = np.maximum(np.maximum(lip * 0.9, chin * jaw), ring * jaw)
    shaved = np.maximum(jaw, lip)
    areas = {"full": np.maximum(shaved, ring), "moustache": lip, "goatee": goatee}
    area = areas.get(style, shaved) * (1 - ramp(atlas.lips, 0.2, 0.6)) * (atlas.z > -1.3) * (1 - atlas.ears)
    if not male:
        return
    tone = np.array(person.hair.tone, np.float32) * 0.8
    shadow = {"stubble": 0.22, "none": 0.05}.get(style, 0.42)
    speckle = np.clip(0.9 + 0.5 * noise(rng, 0.9) + 0.2 * noise(rng, 6), 0, 2)
    sheet += np.clip(area * shadow * speckle, 0, 0.85)[..., None] * (0.75 * tone + (14, 14, 16) - sheet)
    if style == "none":
        return
    count = {"stubble": 4000, "full": 9000, "moustache": 1500, "goatee": 2600}[style]
    rows, columns = np.nonzero(area > rng.uniform(0.15, 0.9, area.shape))
    chosen = rng.integers(0, len(rows), count)
    roots = np.stack([columns[chosen], rows[chosen]], axis=1) + rng.uniform(0, 1, (count, 2))
    outward = np.clip((roots[:, 0] - WIDTH / 2) / 90, -1, 1)
    moustache = rows[chosen] < (TOP + 0.62) * SCALE
    angles = np.pi / 2 - outward * np.where(moustache, 0.9, 0.25) + rng.normal(0, 0.3, count)
    lengths = rng.uniform(1.0, 2.4, count) if style == "stubble" else rng.uniform(5, 11, count)
    covered = strokes(roots, angles, lengths, rng.uniform(0.3, 0.85, count))
    sheet += covered[..., None] * (tone * (1 + 0.12 * noise(rng, 1.5)[..., None]) - sheet)


FURROWS_AT: Final = (256, 120)
"""Left and top px of the part of the sheet that can furrow."""
FURROWS_SIZE: Final = (496, 512)
"""Its height and width in px; it is kept at half its size."""

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
    """The furrows of one person."""

    def __init__(self, depth: float) -> None:
        self._maps: dict[tuple[int, int], Float32Array] = {}
        for unit, code in enumerate(AU_CODES):
            for half, side in enumerate((1, -1)):
                if code in LINES:
                    self._maps[unit, half] = _draw_lines(LINES[code], side) * np.float32(depth)

    def shade(self, intensities: Float32Array) -> Float32Array | None:
        """Sum of the maps for intensities `(len(AU_CODES), 2)`: how much darker the skin is; None if nothing acts."""
        total: Float32Array | None = None
        for (unit, half), drawn in self._maps.items():
            amount = float(intensities[unit, half])
            if amount > 1e-3:
                part = drawn * np.float32(amount)
                total = part if total is None else np.add(total, part, out=total)
        return total


def _draw_lines(lines: tuple[Line, ...], side: int) -> Float32Array:
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
    (left, top), (height, width) = FURROWS_AT, FURROWS_SIZE
    part = sheet[top : top + height, left : left + width]
    part[[0, -1]] = part[:, [0, -1]] = 0  # what lies beyond the border has the border's value
    return np.asarray(cv2.resize(part, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), np.float32)


@dataclass(frozen=True)
class MakeUp:
    """Strength of make-up, 0 to 1, and its colours."""

    shadow: float
    liner: float
    blush: float
    lipstick: float
    shadow_tone: Colour
    lip_tone: Colour

    @classmethod
    def sample(cls, rng: np.random.Generator, male: bool) -> MakeUp:
        """Draws make-up; most men and many women wear none."""
        worn = rng.random() < (0.04 if male else 0.6)
        shadow, liner, blush, lipstick = (rng.uniform(0.2, 1.0, 4) * worn).tolist()
        shadows = ((92, 66, 58), (70, 74, 96), (120, 84, 96), (84, 92, 80))
        lips = ((168, 40, 52), (188, 78, 88), (140, 56, 66), (176, 96, 84), (110, 34, 52))
        return cls(shadow, liner, blush, lipstick, shadows[rng.integers(4)], lips[rng.integers(5)])


def paint_skin(person: Identity, male: bool, old: float, rng: np.random.Generator) -> Uint8Array:
    """Paints the sheet.

    Returns:
        `(HEIGHT, WIDTH, 4)` uint8: red, green, blue, and gloss (0 dull to 255 wet).
    """
    atlas, skin = load_atlas(), person.skin
    sheet = np.empty((HEIGHT, WIDTH, 3), np.float32)
    sheet[:] = skin.tone
    fair = skin.tone[0] / 255
    flush = np.array([10, -16, -15], np.float32) * skin.redness
    places = ((0.5, -0.42, 0.2, 0.17, 1.0), (0.0, -0.36, 0.1, 0.1, 1.0), (0.0, -0.95, 0.16, 0.1, 0.5),
              (0.17, -0.4, 0.08, 0.1, 0.7), (0.26, 0.0, 0.2, 0.07, 0.5))  # fmt: skip
    red = sum(blob(atlas, x, y, w, h) * s for x, y, w, h, s in places) + 1.1 * atlas.ears
    red *= 1 + 0.25 * noise(rng, 16)
    sheet += red[..., None] * flush
    yellow = blob(atlas, 0.0, 0.45, 0.5, 0.25)
    sheet += yellow[..., None] * np.array([2, 1, -6], np.float32)
    tone = 2.6 * noise(rng, 50) + skin.blotches * (2.2 * noise(rng, 14) + 1.8 * noise(rng, 5))
    hue = skin.blotches * 2.4 * noise(rng, 9)
    sheet += (tone + 0)[..., None] + hue[..., None] * np.array([0.9, -0.5, -0.4], np.float32)
    _shade_eyes(sheet, atlas, person, old)
    _spots(sheet, atlas, person, rng)
    oily = blob(atlas, 0, 0.4, 0.35, 0.2) + blob(atlas, 0, -0.28, 0.12, 0.2) + 0.6 * blob(atlas, 0.42, -0.3, 0.15, 0.12)
    pores = noise(rng, 0.9) - 0.8 * noise(rng, 2.2)
    sheet += (pores * skin.pores * (1.6 + 2.2 * np.clip(oily, 0, 1)) * (0.5 + 0.5 * fair))[..., None]
    gloss = skin.shine * (0.25 + 0.55 * np.clip(oily, 0, 1)) * (1 + 0.1 * noise(rng, 1.2)) * (1 + 0.12 * noise(rng, 9))
    make_up = MakeUp.sample(rng, male)
    gloss = _lips(sheet, gloss, atlas, person, make_up, rng)
    _make_up(sheet, atlas, make_up)
    sheet *= (1 - _lines(atlas, old, skin.wrinkles, rng))[..., None]
    paint_brows(sheet, atlas, person, male, rng)
    paint_beard(sheet, atlas, person, male, rng)
    return np.dstack([np.clip(sheet, 0, 255), np.clip(gloss * 255, 0, 255)]).astype(np.uint8)


def _shade_eyes(sheet: Float32Array, atlas: Atlas, person: Identity, old: float) -> None:
    """Thin skin: lids darker and redder, rings under the eyes, a rosy rim."""
    shade = 0.6 * blob(atlas, 0.29, 0.04, 0.16, 0.06) + atlas.lids
    under = blob(atlas, 0.27, -0.135, 0.13, 0.035) * (0.25 + person.eyes.bags * 0.5 + 0.4 * old)
    inner = blob(atlas, 0.15, 0.0, 0.05, 0.06)
    sheet *= 1 - 0.07 * np.clip(shade, 0, 1)[..., None]
    sheet *= 1 - (0.16 * under + 0.1 * inner)[..., None] * np.array([0.7, 1.0, 0.9], np.float32)


def _spots(sheet: Float32Array, atlas: Atlas, person: Identity, rng: np.random.Generator) -> None:
    """Freckles, moles, and small blemishes."""
    marks = np.zeros((HEIGHT, WIDTH), np.float32)
    freckles = int(500 * person.skin.freckles)
    for count, low, high, depth in ((freckles, 0.8, 2.0, 0.2), (int(rng.poisson(3)), 1.6, 3.2, 0.55),
                                    (int(rng.poisson(14)), 1.0, 2.4, 0.12)):  # fmt: skip
        x = WIDTH / 2 + rng.normal(0, 130, count)
        y = (TOP + 0.25) * SCALE + rng.normal(0, 70, count)
        for cx, cy, radius in zip(x, y, rng.uniform(low, high, count), strict=True):
            spot = np.zeros((15, 15), np.float32)
            gy, gx = np.mgrid[-7:8, -7:8]
            spot[:] = (
                depth * rng.uniform(0.5, 1.0) / (1 + np.exp((np.hypot(gx, gy * rng.uniform(0.8, 1.25)) - radius) * 2.5))
            )
            r, c = int(cy), int(cx)
            if 8 < r < HEIGHT - 8 and 8 < c < WIDTH - 8:
                part = marks[r - 7 : r + 8, c - 7 : c + 8]
                np.maximum(part, spot, out=part)
    marks *= 1 - atlas.lips
    sheet *= 1 - marks[..., None] * np.array([0.62, 0.95, 1.1], np.float32)


def _lips(
    sheet: Float32Array, gloss: Float32Array, atlas: Atlas, person: Identity, make_up: MakeUp, rng: np.random.Generator
) -> Float32Array:
    """The red of the lips with its upright folds; returns the gloss with theirs."""
    mask = atlas.lips * (np.abs(atlas.x) < 0.5) * (atlas.y > -1.0)
    tone = np.array(person.skin.tone, np.float32)
    natural = tone * np.array([0.86, 0.66, 0.66], np.float32) + np.array([6, -4, 0], np.float32)
    natural = tone + (natural - tone) * (0.35 + 0.5 * person.mouth.redness)
    colour = natural + (np.array(make_up.lip_tone, np.float32) - natural) * 0.8 * make_up.lipstick
    folds = noise(rng, 1.3) + 2 * cv2.blur(noise(rng, 0.6), (1, 15))
    textured = colour + (2.4 * folds + 2.0 * noise(rng, 6))[..., None]
    strength = np.clip(mask * 1.15 + 0.12 * noise(rng, 4) * mask * (1 - mask) * 4, 0, 1)[..., None]
    sheet += (textured - sheet) * strength * 0.92
    wet = 0.55 + 0.4 * make_up.lipstick + 0.18 * folds
    return gloss + (wet - gloss) * mask


def _make_up(sheet: Float32Array, atlas: Atlas, make_up: MakeUp) -> None:
    """Eye-shadow, liner and blush."""
    lid = blob(atlas, 0.3, 0.06, 0.15, 0.05) * (atlas.y > -0.02) * make_up.shadow * 0.55
    sheet += lid[..., None] * (np.array(make_up.shadow_tone, np.float32) - sheet)
    line = atlas.lids * make_up.liner * 0.5
    sheet += line[..., None] * (np.array((40, 32, 32), np.float32) - sheet)
    cheek = blob(atlas, 0.5, -0.36, 0.15, 0.1) * ramp(atlas.z, -0.5, -0.15) * make_up.blush * 0.8
    sheet += cheek[..., None] * np.array([4, -22, -16], np.float32)


def _lines(atlas: Atlas, old: float, wrinkles: float, rng: np.random.Generator) -> Float32Array:
    """Lines that stay at rest: forehead, outer corners of the eyes, from nose to mouth, 0 to 1."""
    drawn = np.zeros((HEIGHT, WIDTH), np.uint8)
    depth = min(1.0, (0.15 + 0.85 * old) * wrinkles)
    for y in np.arange(0.34, 0.68, 0.09):
        xs = np.linspace(-0.5, 0.5, 24) * rng.uniform(0.7, 1.0)
        ys = y + 0.015 * np.cos(xs * 5) + 0.008 * np.cumsum(rng.normal(0, 0.4, 24)) / 2
        _curve(drawn, xs, ys, 150 * rng.uniform(0.3, 1.0), 1)
    for side in (-1, 1):
        for k in range(3):
            xs = side * np.linspace(0.47, 0.47 + rng.uniform(0.06, 0.14), 8)
            _curve(drawn, xs, -0.02 + (1 - k) * 0.035 + (np.abs(xs) - 0.47) * (0.5 - 0.55 * k), 130, 1)
        t = np.linspace(0, 1, 12)
        _curve(drawn, side * (0.17 + 0.17 * t**1.2), -0.38 - 0.3 * t, 210, 2)
        _curve(drawn, side * (0.16 + 0.2 * t), -0.1 - 0.11 * np.sin(np.pi * (0.2 + 0.6 * t)), 130, 1)
    soft = (
        cv2.GaussianBlur(drawn.astype(np.float32), (0, 0), 1.6) / 255
        + cv2.GaussianBlur(drawn.astype(np.float32), (0, 0), 5) / 255
    )
    return np.asarray(soft * 0.2 * depth, np.float32)


def _curve(drawn: Uint8Array, x: npt.NDArray[np.float64], y: npt.NDArray[np.float64], value: float, width: int) -> None:
    """Draws a line given in decimetres of the reference face, roughly a sphere in its middle."""
    points = np.rint(to_sheet(x, y) * 16).astype(np.int32)
    cv2.polylines(drawn, [points], isClosed=False, color=int(value), thickness=width, lineType=cv2.LINE_AA, shift=4)
