"""The face's form: a height map of skull and soft parts, and the light that falls on it."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from fedn_lightning.corpora.synthesis.anatomy import Anatomy
from fedn_lightning.corpora.synthesis.canvas import Canvas, Float32Array, ramp


class Shading(NamedTuple):
    """Light on the head, `(rows, columns)` each.

    Attributes:
        diffuse: brightness of matt skin, about 1 where the light is full.
        gloss: strength of the mirror reflection, 0 to 1.
    """

    diffuse: Float32Array
    gloss: Float32Array


def head_relief(anatomy: Anatomy, canvas: Canvas, head: Float32Array) -> Float32Array:
    """Height towards the camera in face units.

    Args:
        anatomy: the face.
        canvas: the pixels.
        head: `(rows, columns)` mask of the head without ears and hair.

    Returns:
        `(rows, columns)` float32, 0 outside the head.
    """
    depth = cv2.distanceTransform((head > 0.5).astype(np.uint8), cv2.DIST_L2, 3) / canvas.density
    roundness = np.clip(depth / (0.36 * anatomy.height), 0, 1)
    # An inflated outline: steep at the rim, level in the middle; blurred because the distance has ridges.
    form = 78 * canvas.blur(np.sqrt(1 - (1 - roundness) ** 2).astype(np.float32), 7)
    form = form + _midface(anatomy, canvas) + _nose(anatomy, canvas) + _mouth(anatomy, canvas)
    for side in (-1, 1):
        form = form + _eye_region(anatomy, canvas, side)
    return np.asarray(form, np.float32)


def _midface(anatomy: Anatomy, canvas: Canvas) -> Float32Array:
    """Forehead, cheekbones, chin."""
    skull, h = anatomy.identity.skull, anatomy.height
    form = 5 * canvas.bump(0, anatomy.level(0.82), 0.22 * h, 0.1 * h)
    form += 5 * canvas.bump(0, anatomy.level(0.055), 0.075 * h, 0.042 * h)
    form -= 2.4 * canvas.bump(0, anatomy.level(0.115), 0.09 * h, 0.018 * h)
    for side in (-1, 1):
        form += skull.cheekbone * canvas.bump(side * 0.25 * h, anatomy.level(0.46), 0.085 * h, 0.055 * h)
        form += 3.5 * canvas.bump(side * 0.19 * h, anatomy.level(0.36), 0.08 * h, 0.08 * h)
        form -= 4 * canvas.bump(side * 0.27 * h, anatomy.level(0.27), 0.06 * h, 0.09 * h)
        form += skull.brow_ridge * canvas.bump(side * 0.15 * h, anatomy.level(0.685), 0.09 * h, 0.026 * h)
    return form


def _eye_region(anatomy: Anatomy, canvas: Canvas, side: int) -> Float32Array:
    """Socket, eyeball under the lids, fold of the upper lid."""
    eyes, y = anatomy.identity.eyes, anatomy.eye_y
    x = side * eyes.half_distance
    form = -8.5 * canvas.bump(x, y - 3, 24, 15)
    form -= 5.5 * canvas.bump(x - side * 21, y - 7, 9, 12)
    form += 5.5 * canvas.bump(x, y - 1, 16, 9.5)
    form -= 1.2 * eyes.bags * canvas.bump(x - side * 2, y + 14, 17, 3.5)
    return np.asarray(form, np.float32)


def _nose(anatomy: Anatomy, canvas: Canvas) -> Float32Array:
    """Bridge, tip and wings."""
    nose = anatomy.identity.nose
    top, base = anatomy.eye_y - 14, anatomy.nose_y
    along = np.clip((canvas.y - top) / (base - 8 - top), -0.2, 1.1)
    down = np.clip(along, 0, 1)
    floor = canvas.y + 4.5 * ((canvas.x - nose.bend) / (nose.width * 0.30)) ** 2
    inside = ramp(along, -0.2, 0.3) * (1 - ramp(floor, base - 7, base + 5))
    width = nose.bridge_width + 4.5 * down**2
    height = nose.bridge_height * (0.42 + 0.50 * down) * inside
    form = height * np.exp(-0.5 * ((canvas.x - nose.bend * down) / width) ** 2)
    form = form + nose.tip * 0.85 * canvas.bump(nose.bend, base - 11, 11.5, 9.5)
    for side in (-1, 1):
        wing = nose.bend + side * (nose.width / 2 - 7)
        form = form + 6.0 * canvas.bump(wing, base - 8, 6.5, 6.5)
        form = form - 1.6 * canvas.bump(nose.bend + side * (nose.width / 2 + 5), base - 8, 4.5, 9)
    return np.asarray(form, np.float32)


def _mouth(anatomy: Anatomy, canvas: Canvas) -> Float32Array:
    """The muzzle, the philtrum, the fullness of the lips, the corners."""
    mouth, y = anatomy.identity.mouth, anatomy.mouth_y
    form = 6 * canvas.bump(0, y, 36, 26)
    form -= 1.8 * canvas.bump(0, (anatomy.nose_y + y - mouth.upper) / 2 + 1, 3.8, 8)
    form += 2.6 * canvas.bump(0, y - mouth.upper * 0.55, mouth.width * 0.24, mouth.upper * 0.45)
    form += 4.2 * canvas.bump(0, y + mouth.lower * 0.5, mouth.width * 0.23, mouth.lower * 0.45)
    for side in (-1, 1):
        form -= 3.0 * canvas.bump(side * (mouth.width / 2 + 3), y + mouth.corners + 1, 6, 7)
    return form


def light(anatomy: Anatomy, canvas: Canvas, relief: Float32Array, grain: Float32Array) -> Shading:
    """Lights the head: a soft main light from above and one side, a fill light, sky light, and ambient occlusion.

    Args:
        anatomy: the face; its outfit says on which side the main light stands.
        canvas: the pixels.
        relief: `(rows, columns)` height in face units.
        grain: `(rows, columns)` fine relief of the skin (pores), in face units.
    """
    form = relief + grain
    slope_x = cv2.Sobel(form, cv2.CV_32F, 1, 0, ksize=3) * (canvas.density / 8)
    slope_y = cv2.Sobel(form, cv2.CV_32F, 0, 1, ksize=3) * (canvas.density / 8)
    length = 1 / np.sqrt(slope_x**2 + slope_y**2 + 1)
    side = anatomy.identity.outfit.light_side
    key = (0.55 * side, -0.42, 0.75)
    facing = (-slope_x * key[0] - slope_y * key[1] + key[2]) * length
    wrapped = np.clip((facing + 0.25) / 1.25, 0, None)
    sky = 0.5 + 0.5 * slope_y * length  # a surface that rises downwards looks up
    hollow = canvas.blur(relief, 9) - relief
    occlusion = np.clip(1 - 0.035 * np.clip(hollow, 0, None), 0.6, 1)
    near = canvas.blur(relief, 3.5) - relief
    occlusion = occlusion * np.clip(1 - 0.09 * np.clip(near, -1.2, None), 0.6, 1.1)
    diffuse = (0.45 * length + 0.17 * sky + 0.46 * wrapped) * occlusion
    gloss = np.clip(facing, 0, 1) ** 18
    return Shading(np.asarray(diffuse, np.float32), np.asarray(gloss, np.float32))
