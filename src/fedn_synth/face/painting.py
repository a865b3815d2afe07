"""Paints one identity once: wall, clothes, neck, ears, skin, lips; lids and lips are shut, to be parted per frame."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from fedn_synth.face.anatomy import Anatomy, Canvas, Float32Array, Uint8Array, ramp
from fedn_synth.face.hair import paint_back_hair, paint_beard, paint_brows, paint_hair
from fedn_synth.face.skin import Shading, head_relief, light

SHADOW_TINT: Final = np.array([0.80, 1.0, 1.10], np.float32)
"""Exponents of shade per channel: light that has passed through skin comes back red, so its shadows are warm."""

LENS_BLUR: Final = 0.55
"""Standard deviation (face units) of the camera's softness."""


def blend(picture: Float32Array, colour: npt.ArrayLike, mask: Float32Array) -> None:
    """Lays a colour over a picture `(rows, columns, 3)` in place, where the mask `(rows, columns)` says how much."""
    difference = np.asarray(colour, np.float32) - picture
    difference *= mask[..., None]
    picture += difference


def paint(anatomy: Anatomy, whole: Canvas, head_canvas: Canvas) -> Uint8Array:
    """Paints the resting face with its surroundings.

    Returns:
        `(height, width, 3)` uint8 RGB.
    """
    rng = np.random.default_rng(anatomy.identity.texture_seed)
    picture = _wall(anatomy, whole, rng)
    head = picture[head_canvas.slices]
    paint_back_hair(anatomy, head_canvas, head, rng)
    _neck(anatomy, head_canvas, head, rng)
    _clothes(anatomy, whole, picture, rng)
    _ears(anatomy, head_canvas, head)
    _face(anatomy, head_canvas, head, rng)
    paint_hair(anatomy, head_canvas, head, rng)
    soft = cv2.GaussianBlur(picture, (0, 0), LENS_BLUR * whole.scale)
    return np.asarray(np.clip(soft + 0.5, 0, 255), np.uint8)


def _wall(anatomy: Anatomy, canvas: Canvas, rng: np.random.Generator) -> Float32Array:
    """A plain wall, brighter towards the light."""
    side = anatomy.identity.outfit.light_side
    across = 1 + 0.10 * side * canvas.x / 320 - 0.10 * (canvas.x / 320) ** 2
    down = -0.10 * (canvas.y - 200) / 280 - 0.10 * ((canvas.y - 220) / 240) ** 2
    glow = across + down + 0.006 * canvas.clouds(rng, 60)
    return np.asarray(glow[..., None] * np.array(anatomy.identity.outfit.wall, np.float32), np.float32)


def _skin_colour(anatomy: Anatomy, shade: Float32Array) -> Float32Array:
    """`(rows, columns, 3)`, skin of the identity's tone under the given brightness."""
    # A table of 8-bit shades spares three powers per pixel; linear in between.
    steps = np.linspace(0, 1.6, 257, dtype=np.float32)
    table = np.array(anatomy.identity.skin.tone, np.float32) * np.maximum(steps, 0.02)[:, None] ** SHADOW_TINT
    place = np.clip(shade, 0, 1.59) * (256 / 1.6)
    low = place.astype(np.int32)
    share = (place - low)[..., None]
    return np.asarray(table[low] * (1 - share) + table[low + 1] * share, np.float32)


def _neck(anatomy: Anatomy, canvas: Canvas, picture: Float32Array, rng: np.random.Generator) -> None:
    """The neck, in the shadow of the chin."""
    skull, h = anatomy.identity.skull, anatomy.height
    half, chin = skull.jaw * h * 0.82, skull.chin_y
    canvas, part = canvas.near(0, chin + 15, half * 2.4, 90)
    flare = [(half, chin - 70), (half, chin + 14), (half * 1.07, chin + 36), (half * 1.5, chin + 62), (half * 2.2, 490)]
    mask = canvas.polygon([*flare, *[(-x, y) for x, y in reversed(flare)]], 1.2)
    across = np.clip(np.abs(canvas.x) / (half * 1.35), 0, 1)
    shade = 0.93 * np.sqrt(1 - 0.72 * across**2) + 0.1 * anatomy.identity.outfit.light_side * canvas.x / half
    shadow = 1 - 0.42 * (1 - ramp(canvas.y - 10 * (1 - (canvas.x / half) ** 2), chin + 4, chin + 46))
    tendon = 0.05 * (canvas.bump(-half * 0.42, chin + 50, 7, 34) + canvas.bump(half * 0.42, chin + 50, 7, 34))
    hollow = 0.12 * canvas.bump(0, chin + 62, 12, 10)
    shade = shade * shadow + tendon - hollow + 0.012 * canvas.clouds(rng, 9)
    blend(picture[part], _skin_colour(anatomy, np.asarray(shade, np.float32)), mask)


def _clothes(anatomy: Anatomy, canvas: Canvas, picture: Float32Array, rng: np.random.Generator) -> None:
    """Shoulders in a shirt, with a round or pointed neckline or a collar."""
    identity = anatomy.identity
    chin, half = identity.skull.chin_y, identity.skull.jaw * anatomy.height * 0.82
    canvas, part = canvas.near(0, chin + 90, 320, 70)
    picture = picture[part]
    dip = {"crew": 16, "v": 52, "collar": 40}[identity.outfit.neckline]
    sides = [(half * 1.22, chin + 32), (half * 1.9, chin + 46), (half * 3.1, chin + 62), (half * 4.1, 494)]
    power = 2.2 if identity.outfit.neckline == "crew" else 1.15
    neck = [(half * 1.22 * a, chin + 36 + dip * (1 - abs(a) ** power)) for a in np.linspace(1, -1, 21)]
    mask = canvas.polygon([*[(-x, y) for x, y in reversed(sides)], *neck[::-1], *sides], 0.8)
    folds = 0.07 * canvas.clouds(rng, 34) + 0.03 * canvas.clouds(rng, 10)
    shade = 0.95 - 0.25 * (canvas.x / 240) ** 2 + 0.12 * identity.outfit.light_side * canvas.x / 200 + folds
    weave = 0.02 * rng.standard_normal(canvas.shape, np.float32)
    cloth = np.asarray((shade + weave)[..., None] * np.array(identity.outfit.clothes, np.float32), np.float32)
    blend(picture, cloth, mask)
    seam = canvas.strokes([np.array([(x, y + 3.5) for x, y in neck], np.float32)], 2)
    picture *= 1 - 0.35 * canvas.blur(seam, 0.9)[..., None]
    if identity.outfit.neckline == "collar":
        _collar(canvas, picture, cloth, chin, half)


def _collar(canvas: Canvas, picture: Float32Array, cloth: Float32Array, chin: float, half: float) -> None:
    """The two wings of a shirt collar."""
    for side in (-1, 1):
        tips = [(half * 1.2, chin + 30), (5, chin + 78), (half * 0.75, chin + 98), (half * 1.55, chin + 44)]
        wing = canvas.polygon([(side * x, y) for x, y in tips], 0.8)
        picture *= 1 - 0.22 * (canvas.blur(wing, 4) * (1 - wing))[..., None]
        blend(picture, cloth * 1.08, wing)


def _ears(anatomy: Anatomy, canvas: Canvas, picture: Float32Array) -> None:
    """Ears beside the head, from the brows to the base of the nose."""
    h = anatomy.height
    for side in (-1, 1):
        x, y = side * (anatomy.identity.skull.cheek * h + 2), anatomy.level(0.49)
        near, part = canvas.near(x, y, 24, 46)
        angle = np.linspace(0, 2 * np.pi, 40)
        widen = 1 + 0.22 * np.sin(angle)
        lobe = np.stack([x + side * 2.5 * np.sin(angle) + 10.5 * widen * np.cos(angle), y - 31 * np.sin(angle)], 1)
        mask = near.polygon(lobe, 0.9)
        inner = near.bump(x + side * 1.5, y - 5, 4.0, 12)
        rim = near.bump(x + side * 8.5, y - 10, 2.6, 17)
        shade = 0.76 + 0.12 * anatomy.identity.outfit.light_side * side - 0.30 * inner + 0.12 * rim
        colour = _skin_colour(anatomy, np.asarray(shade, np.float32)) * np.array([1.03, 0.94, 0.93], np.float32)
        blend(picture[part], colour, mask)


def _face(anatomy: Anatomy, canvas: Canvas, picture: Float32Array, rng: np.random.Generator) -> None:
    """Skin, lips, nostrils, lids, brows and beard, lit together."""
    skin, chin = anatomy.identity.skin, anatomy.identity.skull.chin_y
    middle = (chin + anatomy.level(1.14)) / 2
    canvas, part = canvas.near(0, middle, anatomy.identity.skull.cheek * anatomy.height + 8, chin - middle + 8)
    head = canvas.polygon(anatomy.outline)
    fine = rng.standard_normal(canvas.shape, np.float32)
    pores = canvas.blur(fine, 0.55) - canvas.blur(fine, 1.2)
    shading = light(anatomy, canvas, head_relief(anatomy, canvas, head), 0.30 * skin.pores * pores)
    colour = _complexion(anatomy, canvas, shading, rng)
    _lips(anatomy, canvas, colour, shading, fine)
    _nostrils(anatomy, canvas, colour)
    for side in (-1, 1):
        _lid_skin(anatomy, canvas, colour, side)
    paint_brows(anatomy, canvas, colour, shading.diffuse, rng)
    paint_beard(anatomy, canvas, colour, shading.diffuse, rng)
    colour += (shading.gloss * (1 + 0.9 * pores) * (skin.shine * 24))[..., None]
    blend(picture[part], colour, canvas.blur(head, 0.9))


def _complexion(anatomy: Anatomy, canvas: Canvas, shading: Shading, rng: np.random.Generator) -> Float32Array:
    """Skin with its redness, blotches, freckles and the darkness around the eyes."""
    skin, eyes, h = anatomy.identity.skin, anatomy.identity.eyes, anatomy.height
    shade = shading.diffuse + 0.013 * skin.blotches * (canvas.clouds(rng, 3.5) + 1.3 * canvas.clouds(rng, 14))
    red = 0.9 * canvas.bump(0, anatomy.nose_y - 10, 18, 13) + 0.35 * canvas.bump(0, anatomy.level(0.05), 24, 12)
    for side in (-1, 1):
        x = side * eyes.half_distance
        shade -= (0.03 + 0.07 * eyes.bags) * canvas.bump(x - side * 4, anatomy.eye_y + 11, 17, 7)
        shade -= 0.05 * canvas.bump(x - side * 3, anatomy.eye_y - 7, 20, 8)
        red += 0.8 * canvas.bump(side * 0.22 * h, anatomy.level(0.40), 30, 24)
    colour = _skin_colour(anatomy, np.asarray(shade, np.float32))
    red = red * (1 + 0.35 * canvas.clouds(rng, 11)) + 0.12 * skin.blotches * canvas.clouds(rng, 7)
    colour *= 1 + (red * skin.redness)[..., None] * np.array([0.015, -0.085, -0.075], np.float32)
    if skin.freckles:
        spots = ramp(canvas.blur(rng.standard_normal(canvas.shape, np.float32), 0.9), 0.55, 0.9)
        zone = np.sum([canvas.bump(s * 0.2 * h, anatomy.level(0.43), 34, 22) for s in (-1, 0, 1)], axis=0)
        cover = 0.6 * spots * np.clip(zone, 0, 1) * skin.freckles
        blend(colour, colour * np.array([0.80, 0.68, 0.60], np.float32), np.asarray(cover, np.float32))
    return colour


def _lips(anatomy: Anatomy, canvas: Canvas, colour: Float32Array, shading: Shading, fine: Float32Array) -> None:
    """The red of the lips, its fine vertical folds, and the dark line between them."""
    mouth, tone = anatomy.identity.mouth, np.array(anatomy.identity.skin.tone, np.float32)
    canvas, part = canvas.near(0, anatomy.mouth_y, mouth.width / 2 + 10, 30)
    colour, diffuse, gloss = colour[part], shading.diffuse[part], shading.gloss[part]
    line = anatomy.lip_line(canvas.x)
    inside = _lip_mask(anatomy, canvas, line)
    red = tone * np.array([0.88, 0.62, 0.62], np.float32) + np.array([12, 0, 4], np.float32)
    row = cv2.GaussianBlur(fine[part][:1], (0, 0), 0.9) * 1.6
    shade = np.where(canvas.y < line, 0.86, 1.0) * diffuse * (1 + 0.05 * row)
    wet = 16 * gloss * (canvas.y > line)
    lips = red * np.clip(shade, 0.2, 1.3)[..., None] + wet[..., None]
    blend(colour, lips, np.asarray(inside * (0.35 + 0.5 * mouth.redness), np.float32))
    ends = 1 - ramp(np.abs(canvas.x), mouth.width / 2 - 5, mouth.width / 2 + 3)
    dark = np.exp(-(((canvas.y - line) / 1.5) ** 2)) * ends
    blend(colour, tone * np.array([0.34, 0.22, 0.21], np.float32), np.asarray(0.85 * dark, np.float32))
    colour *= 1 - 0.13 * canvas.bump(0, anatomy.mouth_y + mouth.lower + 5, mouth.width * 0.22, 3.5)[..., None]


def _lip_mask(anatomy: Anatomy, canvas: Canvas, line: Float32Array) -> Float32Array:
    """`(rows, columns)` in 0 to 1, the red of both lips."""
    mouth = anatomy.identity.mouth
    t = np.clip(np.abs(canvas.x) / (mouth.width / 2), 0, 1)
    bow = 1 - mouth.bow * 0.30 * np.exp(-((canvas.x / 5.0) ** 2)) + 0.10 * np.exp(-(((np.abs(canvas.x) - 9) / 6) ** 2))
    upper = line - mouth.upper * bow * (1 - t**1.9) ** 0.9
    lower = line + mouth.lower * (1 - t**2.4) ** 0.75
    inside = ramp(canvas.y - upper, -1.4, 1.4) * (1 - ramp(canvas.y - lower, -2.0, 2.0))
    return np.asarray(inside * (1 - ramp(t, 0.93, 1.0)), np.float32)


def _nostrils(anatomy: Anatomy, canvas: Canvas, colour: Float32Array) -> None:
    """Nostrils, the crease round the wings, and the shadow under the nose."""
    nose, base = anatomy.identity.nose, anatomy.nose_y
    tone = np.array(anatomy.identity.skin.tone, np.float32)
    canvas, part = canvas.near(0, base - 4, nose.width / 2 + 18, 26)
    colour = colour[part]
    for side in (-1, 1):
        x = nose.bend + side * nose.width * 0.225
        hole = canvas.bump(x, base - 3.2, 5.0, 2.2)
        blend(colour, tone * np.array([0.28, 0.18, 0.16], np.float32), ramp(hole, 0.25, 0.9) * 0.85)
        wing = (nose.bend + side * (nose.width / 2 - 7.5), base - 8.5)
        ring = np.hypot(canvas.x - wing[0], (canvas.y - wing[1]) * 0.92)
        outside = ramp((canvas.x - wing[0]) * side - 0.5 * (canvas.y - wing[1]), -9, 5)
        colour *= 1 - (0.20 * np.exp(-(((ring - 8.6) / 1.7) ** 2)) * outside)[..., None]
    colour *= 1 - 0.14 * canvas.bump(nose.bend, base + 3, nose.width * 0.27, 3.6)[..., None]


def _lid_skin(anatomy: Anatomy, canvas: Canvas, colour: Float32Array, side: int) -> None:
    """The fold of the upper lid and the moist rim of the lower one."""
    eyes = anatomy.identity.eyes
    x = side * eyes.half_distance
    canvas, part = canvas.near(x, anatomy.eye_y - 4, eyes.width / 2 + 12, 28)
    colour = colour[part]
    t = (canvas.x - x) * side / (eyes.width / 2)
    line = anatomy.lid_line(canvas.x, side)
    reach = np.clip(1 - (np.abs(t - 0.02) / 1.16) ** 2, 0, 1)
    fold = line - 5 - (eyes.upper + 2.5) * reach**0.7 * (1 - 0.10 * t**2) * (1 + 0.06 * t)
    depth = np.exp(-(((canvas.y - fold) / 1.5) ** 2)) * ramp(reach, 0.0, 0.4)
    soft = np.exp(-(((canvas.y - fold + 2.5) / 5.0) ** 2)) * ramp(reach, 0.0, 0.5)
    shade = np.clip((0.20 + 0.34 * eyes.crease) * depth + 0.10 * soft, 0, 1)
    tone = np.array(anatomy.identity.skin.tone, np.float32)
    blend(colour, tone * np.array([0.45, 0.33, 0.29], np.float32), np.asarray(shade, np.float32))
    rim = np.exp(-(((canvas.y - line - 1.4) / 1.3) ** 2)) * ramp(reach, 0.1, 0.6)
    blend(colour, np.minimum(colour * np.array([1.08, 1.0, 0.98], np.float32), 245), np.asarray(0.6 * rim, np.float32))
