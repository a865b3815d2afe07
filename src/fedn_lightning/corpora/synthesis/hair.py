"""Hair of the head, eyebrows and beard: strands that share one direction and light, painted over the skin."""

from __future__ import annotations

import cv2
import numpy as np

from fedn_lightning.corpora.synthesis.anatomy import Anatomy
from fedn_lightning.corpora.synthesis.canvas import Canvas, Float32Array, ramp


def _lay(picture: Float32Array, colour: Float32Array, mask: Float32Array) -> None:
    """Lays a colour image over a picture in place."""
    picture += (colour - picture) * mask[..., None]


def _strands(anatomy: Anatomy, canvas: Canvas, rng: np.random.Generator) -> Float32Array:
    """`(rows, columns)`, streaks that run from the parting outwards, about -1 to 1."""
    hair = anatomy.identity.hair
    dx, dy = canvas.x - hair.parting * 0.8, canvas.y - (anatomy.hairline_y - 25)
    radius = np.sqrt(dx**2 + (1.15 * dy) ** 2) + np.zeros(canvas.shape, np.float32)
    angle = np.arctan2(dx, dy + 1e-3) + np.zeros(canvas.shape, np.float32)
    angle = angle + (0.015 + 0.07 * hair.curl) * np.sin(radius / (22 - 8 * hair.curl) + 3 * np.sin(angle * 5))
    streaks = rng.standard_normal((48, 1024), np.float32)
    streaks = 0.6 * streaks + 0.9 * cv2.GaussianBlur(streaks, (0, 0), 3.0) * 4
    row = np.clip(radius / 9, 0, 46)
    column = (angle / (2 * np.pi) + 0.5) * 1022
    sampled = cv2.remap(streaks, column.astype(np.float32), row.astype(np.float32), cv2.INTER_LINEAR)
    return np.tanh(sampled * 0.8).astype(np.float32)


def _hair_colour(anatomy: Anatomy, canvas: Canvas, rng: np.random.Generator) -> Float32Array:
    """`(rows, columns, 3)`, hair as lit from above: a band of shine across the strands."""
    hair = anatomy.identity.hair
    strands = _strands(anatomy, canvas, rng)
    side = anatomy.identity.outfit.light_side
    top = anatomy.hairline_y - hair.volume
    shine = canvas.bump(60 * side, top + 12, 80, 17) + 0.35 * canvas.bump(40 * side, top + 150, 200, 60)
    rim = 0.9 - 0.25 * ramp(np.abs(canvas.x), 90, 160)
    shade = rim * (0.74 + 0.24 * strands) + 0.42 * shine * (0.7 + 0.5 * strands)
    shade = shade * (1 - 0.35 * ramp(canvas.y, anatomy.eye_y, anatomy.identity.skull.chin_y + 40))
    gloss = 16 * np.clip(shine * (0.6 + 0.6 * strands), 0, None)
    return np.asarray(shade[..., None] * np.array(hair.tone, np.float32) + gloss[..., None], np.float32)


def _crown(anatomy: Anatomy, volume: float, low: float, widen: float = 0.0) -> list[tuple[float, float]]:
    """The outer outline of hair that stands `volume` over the skull, from one side at level `low` round to the other."""
    skull, h = anatomy.identity.skull, anatomy.height
    wide, top = skull.cheek * h + volume * 0.42 + widen, anatomy.level(1.09) - volume
    angles = np.linspace(0, np.pi, 50)
    middle = anatomy.level(0.66)
    arc = [(float(wide * np.cos(a) * (1 + 0.0 * a)), float(middle - (middle - top) * np.sin(a) ** 0.9)) for a in angles]
    return [(wide - 2, low), *arc, (-wide + 2, low)]


def _hairline(anatomy: Anatomy, low: float) -> list[tuple[float, float]]:
    """The edge of the hair on the forehead and temples, from the left of the picture to its right."""
    skull, hair, h = anatomy.identity.skull, anatomy.identity.hair, anatomy.height
    temple, cheek = skull.temple * h, skull.cheek * h
    y = anatomy.hairline_y + 4
    if hair.style == "fringe":
        y = anatomy.eye_y - anatomy.identity.brows.height - 24
    part = hair.parting if hair.style in ("parted", "long") else 0.0
    rise = 0.0 if hair.style == "fringe" else hair.recession
    half = [
        (0.0, y),
        (temple * 0.42, y - rise * 0.55),
        (temple * 0.72, y - rise * 0.3 + 10),
        (temple * 0.93, y + 0.17 * h),
        (cheek - 3, anatomy.level(0.60)),
        (cheek - 1, min(low, anatomy.level(0.50))),
    ]
    right = [(x + part * max(0.0, 1 - x / temple), yy) for x, yy in half]
    left = [(-x + part * max(0.0, 1 - x / temple), yy) for x, yy in half[1:]]
    return [*reversed(left), *right]


def paint_back_hair(anatomy: Anatomy, canvas: Canvas, picture: Float32Array, rng: np.random.Generator) -> None:
    """Long hair that hangs behind the neck."""
    hair = anatomy.identity.hair
    if hair.style not in ("long", "fringe"):
        return
    crown = _crown(anatomy, hair.volume, 440, widen=6)
    wide = crown[0][0]
    outline = [(wide + 4, 478), *crown, (-wide - 4, 478)]
    if hair.style == "fringe":
        low = anatomy.level(0.08)
        outline = [(wide - 12, low), *_crown(anatomy, hair.volume, low - 24, widen=6), (-wide + 12, low)]
    mask = canvas.polygon(outline, 2.2)
    fray = canvas.blur(rng.standard_normal(canvas.shape, np.float32), 1.2)
    _lay(picture, _hair_colour(anatomy, canvas, rng) * 0.72, np.clip(mask * (1 + 0.3 * fray), 0, 1))


def paint_hair(anatomy: Anatomy, canvas: Canvas, picture: Float32Array, rng: np.random.Generator) -> None:
    """Hair over the skull and in front of the face."""
    hair = anatomy.identity.hair
    if hair.style == "bald":
        return
    colour = _hair_colour(anatomy, canvas, rng)
    low = {"buzz": 0.5, "short": 0.47, "parted": 0.47, "tied": 0.52}.get(hair.style, 0.36)
    volume = {"buzz": 3.0, "tied": 9.0}.get(hair.style, hair.volume)
    low_y = anatomy.level(low)
    outer = _crown(anatomy, volume, low_y, widen=6 if hair.style in ("long", "fringe") else 0)
    if hair.style == "long":
        inner = _hairline(anatomy, low_y)
        cheek = anatomy.identity.skull.cheek * anatomy.height
        fall = [(cheek + 6, anatomy.level(0.2)), (cheek + 10, 478), (outer[0][0] + 4, 478)]
        outer = [*fall, *outer, *[(-x, y) for x, y in reversed(fall)]]
    else:
        inner = _hairline(anatomy, low_y)
    soft = 5.0 if hair.style == "buzz" else 1.6
    mask = canvas.polygon([*outer, *inner], soft)
    fray = canvas.blur(rng.standard_normal(canvas.shape, np.float32), 0.9)
    strands = _strands(anatomy, canvas, rng)
    mask = ramp(mask + (0.35 * strands + 0.3 * fray) * (mask * (1 - mask) * 4), 0.25, 0.75)
    shadow = canvas.blur(mask, 5) * (1 - mask)
    picture *= 1 - (0.16 if hair.style == "buzz" else 0.34) * shadow[..., None]
    if hair.style == "buzz":
        mask = mask * np.clip(0.62 + 0.35 * fray * 2, 0, 0.9)
    if hair.style == "tied":
        bun = canvas.polygon(_disc(0, anatomy.level(1.09) - 20, 38, 26), 2)
        _lay(picture, colour * 0.85, bun * (1 - mask))
    _lay(picture, colour, np.asarray(mask, np.float32))


def _disc(x: float, y: float, half_width: float, half_height: float) -> Float32Array:
    """An ellipse as polygon."""
    angle = np.linspace(0, 2 * np.pi, 48)
    return np.stack([x + half_width * np.cos(angle), y + half_height * np.sin(angle)], axis=1).astype(np.float32)


def paint_brows(
    anatomy: Anatomy, canvas: Canvas, colour: Float32Array, shade: Float32Array, rng: np.random.Generator
) -> None:
    """Eyebrows: a soft ground and single hairs that lean outwards."""
    brows = anatomy.identity.brows
    hairs = np.zeros(canvas.shape, np.float32)
    ground = np.zeros(canvas.shape, np.float32)
    for name, side in (("left", 1), ("right", -1)):
        inner, outer = (np.array(anatomy.points[f"{part}_{name}"]) for part in ("brow_inner", "brow_outer"))
        t = rng.beta(1.1, 1.2, int(150 * brows.density)).astype(np.float32)
        arch = 4 * brows.arch * t * (1 - t) * (0.6 + 0.8 * t)
        spine = inner + (outer - inner) * t[:, None] - np.stack([np.zeros_like(t), arch], 1)
        width = brows.thickness * np.clip(np.minimum(0.55 + 2.2 * t, 1.35 - 1.15 * t), 0.12, 1)
        root = spine + np.stack([np.zeros_like(t), rng.uniform(-0.5, 0.5, len(t)) * width], 1)
        lean = np.deg2rad(75 - 95 * t**0.7 + rng.normal(0, 9, len(t)))
        length = (5.5 + 3.5 * (1 - t)) * rng.uniform(0.7, 1.2, len(t))
        tip = root + length[:, None] * np.stack([side * np.cos(lean), -np.sin(lean) * 0.6], 1)
        hairs += canvas.strokes([np.stack([a, b]).astype(np.float32) for a, b in zip(root, tip, strict=True)], 1)
        ordered = np.argsort(t)
        upper = (spine - np.stack([np.zeros_like(t), width * 0.45], 1))[ordered]
        lower = (spine + np.stack([np.zeros_like(t), width * 0.45], 1))[ordered]
        ground += canvas.polygon(np.concatenate([upper, lower[::-1]]), 1.8)
    tone = np.array(anatomy.identity.hair.tone, np.float32)
    tone = np.minimum(tone * 0.75, np.array(anatomy.identity.skin.tone) * 0.62)
    dark = (tone * np.clip(shade, 0.5, 1.1)[..., None]).astype(np.float32)
    _lay(colour, dark, 0.55 * brows.density * ground)
    _lay(colour, dark * 0.85, 0.62 * canvas.blur(hairs, 0.5))


def paint_beard(
    anatomy: Anatomy, canvas: Canvas, colour: Float32Array, shade: Float32Array, rng: np.random.Generator
) -> None:
    """Stubble or beard; it is part of the skin and moves with it."""
    style = anatomy.identity.hair.beard
    if style == "none":
        return
    mouth, h = anatomy.identity.mouth, anatomy.height
    chin = anatomy.identity.skull.chin_y
    t = np.abs(canvas.x) / (0.36 * h)
    edge = anatomy.mouth_y - 12 - 56 * np.clip(t, 0, 1) ** 2.5
    jaw = ramp(canvas.y, edge - 6 + 22 * (t < 0.42), edge + 22 + 14 * (t < 0.42))
    moustache = ramp(canvas.y, anatomy.nose_y - 1, anatomy.nose_y + 7) * (
        1 - ramp(np.abs(canvas.x), mouth.width * 0.5, mouth.width * 0.62)
    )
    above = canvas.y < anatomy.mouth_y
    goatee = (1 - ramp(np.abs(canvas.x), mouth.width * 0.42, mouth.width * 0.6)) * ramp(
        canvas.y, anatomy.mouth_y - 30, anatomy.mouth_y - 4
    )
    zones = {
        "stubble": np.maximum(jaw, moustache * above),
        "moustache": moustache * above,
        "goatee": np.maximum(goatee, moustache * above),
        "full": np.maximum(jaw, moustache * above),
    }
    lips = np.hypot(
        canvas.x / (mouth.width * 0.5), (canvas.y - anatomy.mouth_y - 2) / (mouth.lower + mouth.upper * 0.5)
    )
    zone = canvas.blur(np.asarray(zones[style] + np.zeros(canvas.shape), np.float32), 2.5) * ramp(lips, 0.92, 1.12)
    zone = zone * (1 - ramp(canvas.y, chin + 8, chin + 20))
    rough = rng.standard_normal(canvas.shape, np.float32)
    fibres = cv2.blur(rough, (1, 5)) * 2.2
    density = {"stubble": 0.26}.get(style, 0.74)
    tone = np.minimum(np.array(anatomy.identity.hair.tone) * 0.8, np.array(anatomy.identity.skin.tone) * 0.55)
    dark = (tone * np.clip(shade, 0.4, 1.1)[..., None] * (1 + 0.3 * fibres[..., None])).astype(np.float32)
    cover = np.clip(zone * density * (1 + (0.5 if style == "stubble" else 0.18) * fibres), 0, 0.94)
    _lay(colour, dark, np.asarray(cover, np.float32))
