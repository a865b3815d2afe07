"""Paints one identity once: wall, clothes, neck, ears, skin, lips, brows; lids and lips shut, to be parted per frame."""

from __future__ import annotations

from typing import Final

import numpy as np

from fedn_lightning.corpora.synthesis.anatomy import Anatomy
from fedn_lightning.corpora.synthesis.canvas import Canvas, Float32Array, Uint8Array, ramp
from fedn_lightning.corpora.synthesis.hair import paint_back_hair, paint_beard, paint_brows, paint_hair
from fedn_lightning.corpora.synthesis.identity import Colour
from fedn_lightning.corpora.synthesis.relief import Shading, head_relief, light

SHADOW_TINT: Final = np.array([0.80, 1.0, 1.10], np.float32)
"""Exponents of shade per channel: light that has passed through skin comes back red, so its shadows are warm."""


def blend(picture: Float32Array, colour: Colour | Float32Array, mask: Float32Array) -> None:
    """Lays a colour over a picture `(rows, columns, 3)` in place, where the mask `(rows, columns)` says how much."""
    picture += (np.asarray(colour, np.float32) - picture) * mask[..., None]


def paint(anatomy: Anatomy, whole: Canvas, head_canvas: Canvas) -> Uint8Array:
    """Paints the resting face with its surroundings.

    Args:
        anatomy: the face.
        whole: the whole picture.
        head_canvas: the rectangle that holds head, hair and neck.

    Returns:
        `(height, width, 3)` uint8 RGB.
    """
    rng = np.random.default_rng(anatomy.identity.texture_seed)
    picture = _wall(anatomy, whole, rng)
    head = np.ascontiguousarray(picture[head_canvas.slices])
    paint_back_hair(anatomy, head_canvas, head, rng)
    _neck(anatomy, head_canvas, head, rng)
    picture[head_canvas.slices] = head
    _clothes(anatomy, whole, picture, rng)
    head = np.ascontiguousarray(picture[head_canvas.slices])
    _ears(anatomy, head_canvas, head)
    _face(anatomy, head_canvas, head, rng)
    paint_hair(anatomy, head_canvas, head, rng)
    picture[head_canvas.slices] = head
    return np.asarray(np.clip(picture + 0.5, 0, 255), np.uint8)


def _wall(anatomy: Anatomy, canvas: Canvas, rng: np.random.Generator) -> Float32Array:
    """A plain wall, brighter towards the light."""
    side = anatomy.identity.outfit.light_side
    glow = 1 + 0.10 * side * canvas.x / 320 - 0.10 * (canvas.y - 200) / 280
    glow = glow - 0.10 * ((canvas.x / 320) ** 2 + ((canvas.y - 220) / 240) ** 2)
    glow = glow + 0.012 * canvas.clouds(rng, 60)
    return np.asarray(glow[..., None] * np.array(anatomy.identity.outfit.wall, np.float32), np.float32)


def _skin_colour(anatomy: Anatomy, shade: Float32Array) -> Float32Array:
    """`(rows, columns, 3)`, skin of the identity's tone under the given brightness."""
    tone = np.array(anatomy.identity.skin.tone, np.float32)
    log = np.log(np.clip(shade, 0.02, None))[..., None]
    return np.asarray(tone * np.exp(log * SHADOW_TINT), np.float32)


def _neck(anatomy: Anatomy, canvas: Canvas, picture: Float32Array, rng: np.random.Generator) -> None:
    """The neck, in the shadow of the chin."""
    skull, h = anatomy.identity.skull, anatomy.height
    half = skull.jaw * h * 0.80
    chin = skull.chin_y
    flare = [(half * 1.0, chin - 70), (half, chin + 14), (half * 1.07, chin + 36), (half * 1.5, chin + 62)]
    outline = [*flare, (half * 2.2, 480), *[(-x, y) for x, y in reversed([*flare, (half * 2.2, 480)])]]
    mask = canvas.polygon(outline, 1.2)
    across = np.clip(np.abs(canvas.x) / (half * 1.35), 0, 1)
    shade = 0.93 * np.sqrt(1 - 0.72 * across**2) + 0.1 * anatomy.identity.outfit.light_side * canvas.x / half
    shadow = 1 - 0.42 * (1 - ramp(canvas.y - 10 * (1 - (canvas.x / half) ** 2), chin + 4, chin + 46))
    tendon = 0.05 * (canvas.bump(-half * 0.42, chin + 50, 7, 34) + canvas.bump(half * 0.42, chin + 50, 7, 34))
    hollow = 0.12 * canvas.bump(0, chin + 62, 12, 10)
    shade = shade * shadow + tendon - hollow + 0.012 * canvas.clouds(rng, 9)
    blend(picture, _skin_colour(anatomy, np.asarray(shade, np.float32)), mask)


def _clothes(anatomy: Anatomy, canvas: Canvas, picture: Float32Array, rng: np.random.Generator) -> None:
    """Shoulders in a shirt, with a round or pointed neckline or a collar."""
    identity = anatomy.identity
    chin, half = identity.skull.chin_y, identity.skull.jaw * anatomy.height * 0.80
    dip = {"crew": 16, "v": 52, "collar": 40}[identity.outfit.neckline]
    sides = [(half * 1.22, chin + 32), (half * 1.9, chin + 46), (half * 2.9, chin + 62), (half * 3.6, 482)]
    t = np.linspace(1, -1, 21)
    power = 2.2 if identity.outfit.neckline == "crew" else 1.15
    neck = [(half * 1.22 * a, chin + 36 + dip * (1 - abs(a) ** power)) for a in t]
    mask = canvas.polygon([*[(-x, y) for x, y in reversed(sides)][::1], *neck[::-1], *sides], 0.8)
    folds = 0.07 * canvas.clouds(rng, 34) + 0.03 * canvas.clouds(rng, 10)
    shade = 0.95 - 0.25 * (canvas.x / 240) ** 2 + 0.12 * identity.outfit.light_side * canvas.x / 200 + folds
    weave = 0.02 * rng.standard_normal(canvas.shape, np.float32)
    cloth = np.asarray((shade + weave)[..., None] * np.array(identity.outfit.clothes, np.float32), np.float32)
    blend(picture, cloth, mask)
    seam = canvas.strokes([np.array([(x, y + 3.5) for x, y in neck], np.float32)], 2)
    picture *= 1 - 0.35 * canvas.blur(seam, 0.9)[..., None]
    if identity.outfit.neckline == "collar":
        for side in (-1, 1):
            flap = [(side * half * 1.2, chin + 30), (side * 5, chin + 78), (side * half * 0.75, chin + 98),
                    (side * half * 1.55, chin + 44)]  # fmt: skip
            piece = canvas.polygon(flap, 0.8)
            picture *= 1 - 0.22 * (canvas.blur(piece, 4) * (1 - piece))[..., None]
            blend(picture, cloth * 1.08, piece)


def _ears(anatomy: Anatomy, canvas: Canvas, picture: Float32Array) -> None:
    """Ears beside the head, from the brows to the base of the nose."""
    h = anatomy.height
    for side in (-1, 1):
        x, y = side * (anatomy.identity.skull.cheek * h + 3), anatomy.level(0.49)
        angle = np.linspace(0, 2 * np.pi, 40)
        radius = 1 + 0.12 * np.sin(angle)
        shape = np.stack([x + side * 3 * np.sin(-angle) + 11 * np.cos(angle), y - 31 * np.sin(angle) * radius], 1)
        mask = canvas.polygon(shape, 0.9)
        inner = canvas.bump(x + side * 1.5, y - 5, 4.5, 13)
        rim = canvas.bump(x + side * 8.5, y - 8, 3, 18)
        facing = 0.12 * anatomy.identity.outfit.light_side * side
        shade = 0.74 + facing - 0.32 * inner + 0.14 * rim
        colour = _skin_colour(anatomy, np.asarray(shade, np.float32)) * np.array([1.03, 0.95, 0.94], np.float32)
        blend(picture, colour, mask)


def _face(anatomy: Anatomy, canvas: Canvas, picture: Float32Array, rng: np.random.Generator) -> None:
    """Skin, lips, nostrils, lids, brows and beard, lit together."""
    skin = anatomy.identity.skin
    head = canvas.polygon(anatomy.outline)
    fine = rng.standard_normal(canvas.shape, np.float32)
    pores = canvas.blur(fine, 0.7) - canvas.blur(fine, 1.8)
    relief = head_relief(anatomy, canvas, head)
    shading = light(anatomy, canvas, relief, 0.55 * skin.pores * pores)
    colour = _complexion(anatomy, canvas, shading, rng)
    _lips(anatomy, canvas, colour, shading, fine)
    _nostrils(anatomy, canvas, colour)
    for side in (-1, 1):
        _lid_skin(anatomy, canvas, colour, side)
    paint_brows(anatomy, canvas, colour, shading.diffuse, rng)
    paint_beard(anatomy, canvas, colour, shading.diffuse, rng)
    gloss = shading.gloss * (1 + 0.6 * pores) * (skin.shine * 26)
    blend(picture, colour + gloss[..., None], canvas.blur(head, 0.9))


def _complexion(anatomy: Anatomy, canvas: Canvas, shading: Shading, rng: np.random.Generator) -> Float32Array:
    """Skin with its redness, blotches, freckles and the darkness around the eyes."""
    skin, h = anatomy.identity.skin, anatomy.height
    shade = shading.diffuse + 0.012 * skin.blotches * (canvas.clouds(rng, 5) + canvas.clouds(rng, 14))
    for side in (-1, 1):
        eyes = anatomy.identity.eyes
        around = canvas.bump(side * (eyes.half_distance - 4), anatomy.eye_y + 11, 17, 7)
        shade = shade - (0.03 + 0.07 * eyes.bags) * around
        shade = shade - 0.05 * canvas.bump(side * (eyes.half_distance - 3), anatomy.eye_y - 7, 20, 8)
    colour = _skin_colour(anatomy, np.asarray(shade, np.float32))
    red = 0.9 * canvas.bump(0, anatomy.nose_y - 10, 18, 13) + 0.35 * canvas.bump(0, anatomy.level(0.05), 24, 12)
    for side in (-1, 1):
        red = red + 0.8 * canvas.bump(side * 0.22 * h, anatomy.level(0.40), 30, 24)
    red = red * (1 + 0.35 * canvas.clouds(rng, 11)) + 0.15 * skin.blotches * canvas.clouds(rng, 8)
    tint = (red * skin.redness)[..., None] * np.array([0.015, -0.085, -0.075], np.float32)
    colour = colour * (1 + tint)
    if skin.freckles:
        spots = ramp(canvas.blur(rng.standard_normal(canvas.shape, np.float32), 1.1), 0.42, 0.75)
        zone = sum(canvas.bump(s * 0.2 * h, anatomy.level(0.43), 34, 22) for s in (-1, 0, 1))
        blend(colour, colour * np.array([0.80, 0.68, 0.60], np.float32), spots * np.clip(zone, 0, 1) * skin.freckles)
    return np.asarray(colour, np.float32)


def _lips(anatomy: Anatomy, canvas: Canvas, colour: Float32Array, shading: Shading, fine: Float32Array) -> None:
    """The red of the lips, its fine vertical folds, and the dark line between them."""
    mouth, tone = anatomy.identity.mouth, np.array(anatomy.identity.skin.tone, np.float32)
    t = np.clip(np.abs(canvas.x) / (mouth.width / 2), 0, 1)
    line = anatomy.lip_line(canvas.x)
    bow = 1 - mouth.bow * 0.30 * np.exp(-((canvas.x / 5.0) ** 2)) + 0.10 * np.exp(-(((np.abs(canvas.x) - 9) / 6) ** 2))
    upper = line - mouth.upper * bow * (1 - t**1.9) ** 0.9
    lower = line + mouth.lower * (1 - t**2.4) ** 0.75
    inside = ramp(canvas.y, upper - 1.4, upper + 1.4) * (1 - ramp(canvas.y, lower - 2.0, lower + 2.0))
    inside = inside * (1 - ramp(t, 0.93, 1.0))
    red = tone * np.array([0.88, 0.62, 0.62], np.float32) + np.array([12, 0, 4], np.float32)
    folds = 1 + 0.05 * canvas.blur(np.broadcast_to(fine[:1] * 2.2, canvas.shape).copy(), 0.9)
    shade = np.where(canvas.y < line, 0.86, 1.0) * shading.diffuse * folds
    lips = red * np.clip(shade, 0.2, 1.3)[..., None] + 16 * (shading.gloss * (canvas.y > line))[..., None]
    blend(colour, np.asarray(lips, np.float32), np.asarray(inside * (0.35 + 0.5 * mouth.redness), np.float32))
    distance = np.abs(canvas.y - line)
    dark = np.exp(-((distance / 1.5) ** 2)) * (1 - ramp(np.abs(canvas.x), mouth.width / 2 - 5, mouth.width / 2 + 3))
    blend(colour, tone * np.array([0.34, 0.22, 0.21], np.float32), np.asarray(0.85 * dark, np.float32))
    under = canvas.bump(0, anatomy.mouth_y + mouth.lower + 5, mouth.width * 0.22, 3.5)
    colour *= 1 - 0.13 * under[..., None]


def _nostrils(anatomy: Anatomy, canvas: Canvas, colour: Float32Array) -> None:
    """Nostrils, the crease round the wings, and the shadow under the nose."""
    nose, base = anatomy.identity.nose, anatomy.nose_y
    tone = np.array(anatomy.identity.skin.tone, np.float32)
    for side in (-1, 1):
        x = nose.bend + side * nose.width * 0.24
        hole = canvas.bump(x, base - 2.2, 5.2, 2.3)
        blend(colour, tone * np.array([0.26, 0.17, 0.15], np.float32), ramp(hole, 0.25, 0.9) * 0.85)
        edge = nose.bend + side * (nose.width / 2 - 0.5)
        crease = canvas.bump(edge, base - 8, 1.9, 6.5) + 0.8 * canvas.bump(edge - side * 4, base - 1, 4.5, 1.7)
        colour *= 1 - 0.24 * crease[..., None]
    colour *= 1 - 0.20 * canvas.bump(nose.bend, base + 3, nose.width * 0.27, 3.6)[..., None]


def _lid_skin(anatomy: Anatomy, canvas: Canvas, colour: Float32Array, side: int) -> None:
    """The fold of the upper lid, the inner corner and the rim under the eye."""
    eyes = anatomy.identity.eyes
    x = side * eyes.half_distance
    t = (canvas.x - x) * side / (eyes.width / 2)
    line = anatomy.lid_line(canvas.x, side)
    reach = np.clip(1 - (np.abs(t - 0.02) / 1.16) ** 2, 0, 1)
    fold = line - 5 - (eyes.upper + 3.5) * np.sqrt(reach) * (1 + 0.06 * t)
    depth = np.exp(-(((canvas.y - fold) / 1.5) ** 2)) * ramp(reach, 0.0, 0.4)
    soft = np.exp(-(((canvas.y - fold + 2.5) / 5.0) ** 2)) * ramp(reach, 0.0, 0.5)
    shade = np.clip((0.20 + 0.34 * eyes.crease) * depth + 0.10 * soft, 0, 1)
    tone = np.array(anatomy.identity.skin.tone, np.float32)
    blend(colour, tone * np.array([0.45, 0.33, 0.29], np.float32), np.asarray(shade, np.float32))
    rim = np.exp(-(((canvas.y - line - eyes.lower * 0.3 - 2.5) / 2.0) ** 2)) * ramp(reach, 0.1, 0.6)
    blend(colour, np.minimum(colour * 1.10, 250), np.asarray(0.5 * rim, np.float32))
