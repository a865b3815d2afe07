"""Glasses: rigid, so they follow the head's pose and none of its muscles."""

from __future__ import annotations

import cv2
import numpy as np

from fedn_lightning.corpora.synthesis.anatomy import Anatomy
from fedn_lightning.corpora.synthesis.canvas import Canvas, Float32Array, Uint8Array, ramp


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
