"""Hair of the head, eyebrows and beard: strands that share one direction and light, painted over the skin."""

from __future__ import annotations

import cv2
import numpy as np

from fedn_synth.face.anatomy import Anatomy, Canvas, Float32Array, Uint8Array, ramp

Outline = list[tuple[float, float]]


def _lay(picture: Float32Array, colour: Float32Array, mask: Float32Array) -> None:
    """Lays a colour image over a picture in place."""
    difference = colour - picture
    difference *= mask[..., None]
    picture += difference


def _strands(anatomy: Anatomy, canvas: Canvas, rng: np.random.Generator) -> Float32Array:
    """`(rows, columns)`, streaks that run down from the crown or the parting, about -1 to 1."""
    hair = anatomy.identity.hair
    shift = hair.parting if hair.style in ("parted", "long") else hair.parting * 0.2
    dx, dy = canvas.x - shift, canvas.y - (_top(anatomy) + (16 if hair.style == "parted" else -6))
    radius = np.hypot(dx, 1.1 * dy).astype(np.float32)
    angle = cv2.phase(np.broadcast_to(dy, canvas.shape).copy(), np.broadcast_to(dx, canvas.shape).copy())
    wave = (0.012 + 0.04 * hair.curl) * np.sin(radius / (24 - 8 * hair.curl) + 3 * np.sin(angle * 5))
    fine = rng.standard_normal((48, 1100), np.float32)
    streaks = 0.30 * fine + 3.2 * cv2.GaussianBlur(fine, (0, 0), 2.5) + 3 * cv2.GaussianBlur(fine, (0, 0), 7)
    column = np.mod(angle / (2 * np.pi) + 0.5 + wave / 6, 1) * 1090
    sampled = cv2.remap(streaks, column.astype(np.float32), np.clip(radius / 10, 0, 46), cv2.INTER_LINEAR)
    # Strands converge at the crown, where single ones can no longer be distinguished.
    return np.asarray(np.tanh(sampled * 0.7) * ramp(radius, 4, 50), np.float32)


def _top(anatomy: Anatomy) -> float:
    """Level of the highest hair."""
    return anatomy.level(1.14) - 0.55 * _volume(anatomy)


def _volume(anatomy: Anatomy) -> float:
    """How far hair stands from the skull."""
    return {"buzz": 3.0, "tied": 8.0}.get(anatomy.identity.hair.style, anatomy.identity.hair.volume)


def _coloured(anatomy: Anatomy, canvas: Canvas, strands: Float32Array) -> Float32Array:
    """`(rows, columns, 3)`, hair as lit from above: a band of shine across the strands."""
    hair, side = anatomy.identity.hair, anatomy.identity.outfit.light_side
    top = _top(anatomy)
    shine = canvas.bump(60 * side, top + 34, 85, 15) + 0.35 * canvas.bump(40 * side, top + 160, 200, 60)
    rim = 0.92 - 0.25 * ramp(np.abs(canvas.x), 80, 160) - 0.25 * (1 - ramp(canvas.y, top, top + 22))
    shade = rim * (0.80 + 0.26 * strands) + 0.34 * shine * (0.7 + 0.6 * strands)
    shade *= 1 - 0.35 * ramp(canvas.y, anatomy.eye_y, anatomy.identity.skull.chin_y + 40)
    gloss = 17 * np.clip(shine * (0.6 + 0.7 * strands), 0, None)
    return np.asarray(shade[..., None] * np.array(hair.tone, np.float32) + gloss[..., None], np.float32)


def _crown(anatomy: Anatomy, low: float, widen: float) -> Outline:
    """The outer outline of the hair from one side at level `low` over the crown to the other."""
    skull, h, volume = anatomy.identity.skull, anatomy.height, _volume(anatomy)
    wide, top, middle = skull.cheek * h + volume * 0.36 + widen, _top(anatomy), anatomy.level(0.74)
    angles = np.linspace(0, np.pi, 50)
    arc = [(float(wide * np.cos(a)), float(middle - (middle - top) * np.sin(a) ** 0.92)) for a in angles]
    narrow = skull.cheek * h + volume * 0.10 + widen
    side = [(narrow - 3, low), (narrow, (low + middle) / 2)]
    return [*side, *arc, *[(-x, y) for x, y in reversed(side)]]


def _hairline(anatomy: Anatomy, low: float) -> Outline:
    """The edge of the hair on the forehead and temples, from the left of the picture to its right."""
    skull, hair, h = anatomy.identity.skull, anatomy.identity.hair, anatomy.height
    temple, cheek = skull.temple * h, skull.cheek * h
    fringe = hair.style == "fringe"
    y = anatomy.eye_y - anatomy.identity.brows.height - 24 if fringe else anatomy.hairline_y + 4
    part = hair.parting if hair.style in ("parted", "long") else 0.0
    rise = 0.0 if fringe else hair.recession
    half = [
        (0.0, y),
        (temple * 0.22, y - rise * 0.12),
        (temple * 0.45, y - rise * 0.55),
        (temple * 0.64, y - rise * 0.5 + 4),
        (temple * 0.80, y - rise * 0.1 + 20),
        (temple * 0.91, y + 0.15 * h),
        (cheek - 5, anatomy.level(0.62)),
        (cheek - (10 if hair.style == "long" else 5), min(low, anatomy.level(0.54))),
    ]
    right = [(x + part * max(0.0, 1 - x / temple), yy) for x, yy in half]
    left = [(-x + part * max(0.0, 1 - x / temple), yy) for x, yy in half[1:]]
    return [*reversed(left), *right]


def paint_back_hair(anatomy: Anatomy, canvas: Canvas, picture: Float32Array, rng: np.random.Generator) -> None:
    """Hair that hangs behind the neck."""
    hair = anatomy.identity.hair
    if hair.style not in ("long", "fringe"):
        return
    low = 486.0 if hair.style == "long" else anatomy.level(0.06)
    crown = _crown(anatomy, min(low - 24, 440), widen=6)
    wide = crown[0][0] + (6 if hair.style == "long" else -10)
    mask = canvas.polygon([(wide, low), *crown, (-wide, low)], 2.0)
    strands = _strands(anatomy, canvas, rng)
    _lay(picture, _coloured(anatomy, canvas, strands) * 0.62, np.clip(mask * (1 + 0.25 * strands), 0, 1))


def paint_hair(anatomy: Anatomy, canvas: Canvas, picture: Float32Array, rng: np.random.Generator) -> None:
    """Hair over the skull and in front of the face."""
    hair = anatomy.identity.hair
    if hair.style == "bald":
        return
    strands = _strands(anatomy, canvas, rng)
    # Hair frays along its length; cropped hair is too short for that.
    along = 0.8 if hair.style == "buzz" else 3.5
    grain = rng.standard_normal(canvas.shape, np.float32)
    fray = np.sqrt(along) * 1.4 * cv2.GaussianBlur(grain, (0, 0), 0.7, sigmaY=along)
    mask = _hair_mask(anatomy, canvas)
    mask = ramp(mask + (0.28 * strands + 0.25 * fray) * (mask * (1 - mask) * 4), 0.15, 0.85)
    shadow = canvas.blur(mask, 6) * (1 - mask)
    picture *= 1 - (0.10 if hair.style == "buzz" else 0.30) * shadow[..., None]
    if hair.style == "buzz":
        mask = mask * np.clip(0.62 + 0.5 * fray, 0, 0.9)
    colour = _coloured(anatomy, canvas, strands)
    if hair.style == "tied":
        bun = canvas.polygon(_ellipse(0, _top(anatomy) - 6, 36, 24), 1.5)
        _lay(picture, colour * 0.8, bun * (1 - mask))
    _lay(picture, colour, np.asarray(mask, np.float32))


def _hair_mask(anatomy: Anatomy, canvas: Canvas) -> Float32Array:
    """`(rows, columns)` in 0 to 1, where hair grows or falls before the face."""
    style = anatomy.identity.hair.style
    low = anatomy.level({"buzz": 0.53, "short": 0.50, "parted": 0.50, "tied": 0.56}.get(style, 0.36))
    outer = _crown(anatomy, low, widen=6 if style in ("long", "fringe") else 0)
    if style == "long":
        cheek = anatomy.identity.skull.cheek * anatomy.height
        wide = outer[0][0]
        fall = [
            (cheek - 6, anatomy.level(0.2)),
            (cheek - 16, 440.0),
            (cheek - 22, 486.0),
            (wide + 20, 486.0),
            (wide + 9, 410.0),
        ]
        outer = [*fall, *outer, *[(-x, y) for x, y in reversed(fall)]]
    return canvas.polygon([*outer, *_hairline(anatomy, low)], 5.0 if style == "buzz" else 2.6)


def _ellipse(x: float, y: float, half_width: float, half_height: float) -> Float32Array:
    """An ellipse as polygon."""
    angle = np.linspace(0, 2 * np.pi, 48)
    return np.stack([x + half_width * np.cos(angle), y + half_height * np.sin(angle)], axis=1).astype(np.float32)


def paint_brows(
    anatomy: Anatomy, canvas: Canvas, colour: Float32Array, shade: Float32Array, rng: np.random.Generator
) -> None:
    """Eyebrows: a soft ground and single hairs that lean outwards."""
    brows = anatomy.identity.brows
    canvas, part = canvas.near(0, anatomy.eye_y - brows.height, anatomy.identity.eyes.half_distance + 46, 34)
    colour, shade = colour[part], shade[part]
    hairs, ground = (np.zeros(canvas.shape, np.float32) for _ in range(2))
    for name, side in (("left", 1), ("right", -1)):
        inner, outer = (np.array(anatomy.points[f"{part}_{name}"]) for part in ("brow_inner", "brow_outer"))
        t = np.sort(rng.beta(1.1, 1.2, int(170 * brows.density)))
        arch = 4 * brows.arch * t * (1 - t) * (0.6 + 0.8 * t)
        spine = inner + (outer - inner) * t[:, None] - _upwards(arch)
        width = brows.thickness * np.clip(np.minimum(0.55 + 2.2 * t, 1.35 - 1.15 * t), 0.12, 1)
        root = spine + _upwards(rng.uniform(-0.5, 0.5, len(t)) * width)
        lean = np.deg2rad(75 - 95 * t**0.7 + rng.normal(0, 9, len(t)))
        length = (5.5 + 3.5 * (1 - t)) * rng.uniform(0.7, 1.2, len(t))
        tip = root + length[:, None] * np.stack([side * np.cos(lean), -np.sin(lean) * 0.6], 1)
        hairs += canvas.strokes([np.stack(pair).astype(np.float32) for pair in zip(root, tip, strict=True)], 1)
        edge = np.concatenate([spine - _upwards(width * 0.45), (spine + _upwards(width * 0.45))[::-1]])
        ground += canvas.polygon(edge, 2.0)
    tone = np.array(anatomy.identity.hair.tone, np.float32) * 0.75
    tone = np.minimum(tone, np.array(anatomy.identity.skin.tone, np.float32) * 0.6)
    dark = (tone * np.clip(shade, 0.5, 1.1)[..., None]).astype(np.float32)
    _lay(colour, dark, 0.45 * brows.density * ground)
    _lay(colour, dark * 0.85, 0.70 * canvas.blur(hairs, 0.45))


def _upwards(amount: np.ndarray) -> np.ndarray:
    """`(N, 2)` offsets along y."""
    return np.stack([np.zeros_like(amount), amount], axis=1)


def paint_beard(
    anatomy: Anatomy, canvas: Canvas, colour: Float32Array, shade: Float32Array, rng: np.random.Generator
) -> None:
    """Stubble or beard; it is part of the skin and moves with it."""
    style = anatomy.identity.hair.beard
    if style == "none":
        return
    middle = (anatomy.level(0.54) + anatomy.identity.skull.chin_y + 8) / 2
    canvas, part = canvas.near(0, middle, 130, anatomy.identity.skull.chin_y + 8 - middle)
    colour, shade = colour[part], shade[part]
    zone = _beard_zone(anatomy, canvas)
    fibres = cv2.blur(rng.standard_normal(canvas.shape, np.float32), (1, 5)) * 2.2
    stubble = style == "stubble"
    tone = np.array(anatomy.identity.hair.tone, np.float32) * 0.8
    tone = np.minimum(tone, np.array(anatomy.identity.skin.tone, np.float32) * 0.55)
    dark = (tone * np.clip(shade, 0.4, 1.1)[..., None] * (1 + 0.3 * fibres[..., None])).astype(np.float32)
    cover = zone * (0.26 if stubble else 0.74) * (1 + (0.5 if stubble else 0.18) * fibres)
    _lay(colour, dark, np.clip(cover, 0, 0.94).astype(np.float32))


def _beard_zone(anatomy: Anatomy, canvas: Canvas) -> Float32Array:
    """`(rows, columns)` in 0 to 1, where the beard of the identity's style grows; never on the lips."""
    mouth, h, style = anatomy.identity.mouth, anatomy.height, anatomy.identity.hair.beard
    x = np.abs(canvas.x)
    t = np.clip(x / (0.36 * h), 0, 1)
    edge = anatomy.mouth_y + 8 - 26 * ramp(t, 0.30, 0.62) - 46 * t**4
    jaw = ramp(canvas.y - edge, -10, 16)
    share = x / (mouth.width * 0.5)
    top = anatomy.nose_y + 3 + 9 * share**2
    over_lip = ramp(canvas.y - top, -3, 5) * (1 - ramp(canvas.y, anatomy.mouth_y + 2, anatomy.mouth_y + 8))
    moustache = over_lip * (1 - ramp(share, 0.95, 1.22)) * (0.75 + 0.25 * ramp(x, 1, 5))
    goatee = (1 - ramp(share, 0.72, 1.16)) * ramp(canvas.y, anatomy.mouth_y + 2, anatomy.mouth_y + 14)
    sides = np.exp(-0.5 * ((share - 1.08) / 0.17) ** 2 - 0.5 * ((canvas.y - anatomy.mouth_y - 4) / 9) ** 2)
    below = {
        "stubble": jaw,
        "full": jaw,
        "goatee": np.maximum(goatee, np.clip(1.4 * sides, 0, 1)),
        "moustache": 0 * jaw,
    }
    zone = canvas.blur(np.asarray(np.maximum(below[style], moustache), np.float32), 2.5)
    thickness = np.where(canvas.y < anatomy.mouth_y, mouth.upper, mouth.lower) + 1.0
    lips = np.hypot(canvas.x / (mouth.width * 0.51), (canvas.y - anatomy.mouth_y) / thickness)
    return np.asarray(zone * ramp(lips, 0.88, 1.15), np.float32)


def paint_glasses(anatomy: Anatomy, head: Canvas, align: int) -> tuple[Canvas, Uint8Array] | None:
    """Paints the glasses of an identity.

    Args:
        anatomy: the face.
        head: the rectangle of the head.
        align: the rectangle of the glasses lies at multiples of this many px.

    Returns:
        The rectangle they lie in and `(rows, columns, 4)` uint8: premultiplied RGB and opacity; None if none are worn.
    """
    outfit = anatomy.identity.outfit
    if outfit.glasses == "none":
        return None
    reach = anatomy.identity.skull.cheek * anatomy.height + 22
    y = anatomy.eye_y + 3
    canvas = head.around(-reach, y - 52, reach, y + 54, align)
    frame = np.zeros(canvas.shape, np.float32)
    lens = np.zeros(canvas.shape, np.float32)
    for side in (-1, 1):
        rim, inside = _lens(anatomy, canvas, side)
        frame, lens = np.maximum(frame, rim), np.maximum(lens, inside)
    frame = np.maximum(frame, _bridge_and_temples(anatomy, canvas))
    glare = lens * ramp(np.sin((canvas.x * 0.8 + canvas.y) / 21 + outfit.light_side * 2), 0.55, 1.0) * 0.10
    highlight = 0.6 + 0.4 * ramp(np.roll(frame, 1, 0) - frame, -0.2, 0.6)
    colour = np.array(outfit.glasses_tone, np.float32) * highlight[..., None]
    opacity = np.clip(0.97 * frame + glare * (1 - frame), 0, 1)
    premultiplied = colour * (0.97 * frame)[..., None] + 235 * (glare * (1 - frame))[..., None]
    return canvas, np.dstack([premultiplied, 255 * opacity]).clip(0, 255).astype(np.uint8)


def _lens(anatomy: Anatomy, canvas: Canvas, side: int) -> tuple[Float32Array, Float32Array]:
    """Rim and inside of one lens, `(rows, columns)` in 0 to 1."""
    eyes, style = anatomy.identity.eyes, anatomy.identity.outfit.glasses
    half_width, half_height, power = (30.0, 27.0, 2.2) if style == "round" else (33.0, 23.5, 3.8)
    x = (canvas.x - side * (eyes.half_distance + 1.5)) / half_width
    y = (canvas.y - anatomy.eye_y - 4) / half_height
    radius = (np.abs(x) ** power + np.abs(y) ** power) ** (1 / power)
    distance = (radius - 1) * half_height
    thickness = 1.2 if style == "round" else 1.9
    rim = 1 - ramp(np.abs(distance), thickness - 0.6, thickness + 0.6)
    return np.asarray(rim, np.float32), np.asarray(1 - ramp(distance, -0.5, 0.5), np.float32)


def _bridge_and_temples(anatomy: Anatomy, canvas: Canvas) -> Float32Array:
    """The bow over the nose and the pieces that run to the ears."""
    eyes, y = anatomy.identity.eyes, anatomy.eye_y
    half_width = 30.0 if anatomy.identity.outfit.glasses == "round" else 33.0
    inner, outer = eyes.half_distance + 1.5 - half_width, eyes.half_distance + 1.5 + half_width
    t = np.linspace(-1, 1, 15)
    lines = [np.stack([inner * t, y - 3 - 4 * (1 - t**2)], 1).astype(np.float32)]
    edge = anatomy.identity.skull.cheek * anatomy.height + 4
    lines += [np.array([[s * outer, y - 5], [s * edge, y - 8]], np.float32) for s in (-1, 1) if edge > outer]
    return np.asarray(cv2.GaussianBlur(canvas.strokes(lines, 3), (0, 0), 0.5), np.float32)
