"""Paints one person's skin on the sheet: tone, blotches, pores, freckles, lips, brows, beard and make-up."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from fedn_synth.face.identity import Colour, Identity
from fedn_synth.head3d.atlas import HEIGHT, SCALE, TOP, WIDTH, Atlas, blob, load_atlas, noise, ramp, to_sheet
from fedn_synth.head3d.facial_hair import paint_beard, paint_brows
from fedn_synth.head3d.mesh import Float32Array

Uint8Array = npt.NDArray[np.uint8]


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
