"""How facial muscles move the skin: a displacement field for every action unit and every other motion of the face.

A muscle pulls the skin around its insertion towards its origin. Each pull is a Gaussian neighbourhood around a
landmark and a motion at full intensity (FACS level E); the field of a unit is the sum of its pulls. Sizes are those of
a face with 88 px between the eye centres, and grow with the face.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from fedn_synth.face.anatomy import SIDES, Anatomy, Canvas, Float32Array, ramp


class Pull(NamedTuple):
    """What one muscle head does on one side of the face.

    Lengths are face units; `x` is positive away from the middle of the face, `y` positive down.
    """

    landmark: str  # the landmark next to the insertion, without its side
    offset: tuple[float, float]  # of the insertion from the landmark
    motion: tuple[float, float]  # of the skin at the insertion, at full intensity
    spread: tuple[float, float]  # standard deviations of the neighbourhood that follows


PULLS: Final[dict[str, tuple[Pull, ...]]] = {
    # Frontalis, medial and lateral part.
    "1": (Pull("brow_inner", (4, -1), (-1.0, -8.6), (17, 16)), Pull("brow_inner", (4, -32), (0, -4.0), (20, 20))),
    "2": (Pull("brow_outer", (-12, -1), (1.0, -8.6), (19, 16)), Pull("brow_outer", (-12, -32), (0, -4.0), (22, 20))),
    # Corrugator, depressor supercilii and procerus.
    "4": (
        Pull("brow_inner", (4, 0), (-6.0, 6.5), (17, 14)),
        Pull("brow_middle", (6, 0), (-3.0, 3.5), (18, 13)),
        Pull("brow_inner", (0, -26), (-1.5, 2.5), (18, 18)),
    ),
    # Levator palpebrae: the lid itself is moved by its opening.
    "5": (Pull("upper_lid", (0, -14), (0, -1.5), (16, 6)),),
    # Orbicularis oculi, outer and inner ring.
    "6": (
        Pull("cheek", (-6, -6), (-1.0, -8.5), (24, 19)),
        Pull("eye_outer", (12, 4), (-5.0, -1.0), (12, 16)),
        Pull("lower_lid", (0, 10), (0, -3.0), (20, 8)),
        Pull("brow_outer", (-8, 2), (0, 2.8), (18, 10)),
    ),
    "7": (Pull("lower_lid", (-3, 9), (-1.5, -2.6), (18, 7)), Pull("upper_lid", (2, -16), (0, 1.8), (18, 8))),
    # Levator labii superioris alaeque nasi.
    "9": (
        Pull("nose_tip", (12, -20), (1.0, -5.6), (11, 15)),
        Pull("nose_wing", (0, 3), (2.0, -5.4), (12, 12)),
        Pull("upper_lip", (14, 2), (0, -5.0), (20, 12)),
        Pull("brow_inner", (0, 4), (-3.5, 5.0), (15, 13)),
        Pull("lower_lid", (-8, 12), (0, -2.2), (18, 8)),
        Pull("cheek", (-24, -2), (0, -4.0), (14, 18)),
    ),
    # Levator labii superioris.
    "10": (
        Pull("upper_lip", (11, 2), (0.5, -7.6), (22, 10)),
        Pull("nose_wing", (5, 4), (2.2, -2.4), (12, 12)),
        Pull("cheek", (-20, 16), (0, -3.4), (16, 16)),
    ),
    # Zygomaticus major.
    "12": (
        Pull("mouth_corner", (1, -1), (7.0, -7.9), (14, 15)),
        Pull("mouth_corner", (17, -30), (2.6, -4.8), (21, 18)),
        Pull("upper_lip", (14, 4), (3.0, -2.5), (15, 10)),
        Pull("lower_lip", (14, -3), (3.0, -2.0), (15, 10)),
    ),
    # Buccinator.
    "14": (Pull("mouth_corner", (0, 0), (7.0, -1.5), (13, 11)), Pull("mouth_corner", (16, -4), (-3.0, 0), (9, 14))),
    # Depressor anguli oris.
    "15": (Pull("mouth_corner", (0, 1), (1.5, 7.6), (13, 14)), Pull("mouth_corner", (3, 20), (1.5, 3.6), (16, 14))),
    # Mentalis.
    "17": (
        Pull("chin", (0, -24), (0, -8.0), (24, 13)),
        Pull("lower_lip", (0, -2), (0, -5.0), (26, 9)),
        Pull("upper_lip", (0, 4), (0, -2.2), (24, 8)),
        Pull("mouth_corner", (-2, 2), (0, 2.0), (10, 9)),
    ),
    # Risorius.
    "20": (Pull("mouth_corner", (2, 0), (8.8, 2.0), (17, 14)), Pull("mouth_corner", (20, 6), (3.6, 1.2), (19, 24))),
    # Orbicularis oris: tightened and narrowed; pressed.
    "23": (
        Pull("upper_lip", (0, -1), (0, 4.2), (27, 6)),
        Pull("lower_lip", (0, 2), (0, -5.2), (27, 7)),
        Pull("mouth_corner", (-2, 0), (-5.5, 0), (13, 12)),
    ),
    "24": (
        Pull("upper_lip", (0, -2), (0, 4.6), (30, 6)),
        Pull("lower_lip", (0, 2), (0, -5.8), (30, 7)),
        Pull("chin", (0, -26), (0, -2.5), (22, 12)),
    ),
    "25": (Pull("lower_lip", (0, 6), (0, 1.5), (22, 10)),),
    # Lateral pterygoid and gravity; the chin and what hangs on it, the lips part by their opening.
    "26": (
        Pull("chin", (0, 2), (0, 16.5), (46, 20)),
        Pull("chin", (36, -14), (-3.5, 9.0), (24, 22)),
        Pull("mouth_corner", (6, 8), (-3.0, 5.0), (17, 20)),
    ),
    "jaw": (
        Pull("chin", (0, 0), (0, 10.0), (44, 24)),
        Pull("chin", (36, -14), (-2.0, 5.0), (24, 22)),
        Pull("mouth_corner", (6, 8), (-2.0, 2.5), (17, 20)),
    ),
    "rounding": (
        Pull("mouth_corner", (-1, 0), (-8.5, 0), (15, 14)),
        Pull("upper_lip", (0, -3), (0, -1.5), (20, 8)),
        Pull("lower_lip", (0, 3), (0, 1.8), (20, 8)),
    ),
    "swallow": (
        Pull("chin", (0, 32), (0, -7.0), (24, 13)),
        Pull("chin", (0, -14), (0, -2.6), (26, 13)),
        Pull("mouth_corner", (-1, 0), (-1.2, 0.4), (12, 10)),
    ),
}
"""The pulls of every action unit by its code, and of the motions `jaw` and `rounding` (speech) and `swallow`."""

MIDLINE_BLEND: Final = 11.0
"""Half the width (face units) of the strip around the middle in which one half of the face hands over to the other."""


def half_weight(canvas: Canvas, side: int) -> Float32Array:
    """`(1, columns)`, the share of one half of the face in every column; the two halves add up to 1."""
    return ramp(canvas.x * side, -MIDLINE_BLEND, MIDLINE_BLEND)


def displacement_field(anatomy: Anatomy, canvas: Canvas, motion: str, side: int) -> Float32Array:
    """The field of one motion on one half of the face at full intensity.

    Args:
        anatomy: the face.
        canvas: samples at which the field is wanted.
        motion: a key of :data:`PULLS`.
        side: 1 for the half on the right of the picture (the person's left), -1 for the other.

    Returns:
        `(rows, columns, 2)` float32 px, where the skin that is seen at a sample has come from: sample minus source.
    """
    field = np.zeros((*canvas.shape, 2), np.float32)
    size = anatomy.identity.eyes.half_distance / 44
    name = {sign: label for label, sign in SIDES}[side]
    for pull in PULLS[motion]:
        point = anatomy.points.get(f"{pull.landmark}_{name}") or anatomy.points[pull.landmark]
        motion_x, motion_y = side * pull.motion[0] * size, pull.motion[1] * size
        # The field is read where the skin arrives, so its neighbourhood is centred half way there.
        x = point[0] + side * pull.offset[0] * size + motion_x / 2
        y = point[1] + pull.offset[1] * size + motion_y / 2
        bump = canvas.bump(x, y, pull.spread[0] * size, pull.spread[1] * size)
        field[..., 0] += bump * motion_x
        field[..., 1] += bump * motion_y
    share = half_weight(canvas, side) * _around_eyes(anatomy, canvas) * np.float32(canvas.scale)
    return field * share[..., None]


def _around_eyes(anatomy: Anatomy, canvas: Canvas) -> Float32Array:
    """`(rows, columns)`, 0 over the eyeballs, which no facial muscle moves, rising to 1 around them."""
    eyes = anatomy.identity.eyes
    x = (np.abs(canvas.x) - eyes.half_distance) / (eyes.width / 2 + 12)
    above = anatomy.identity.brows.height + 2
    y = (canvas.y - anatomy.eye_y) / np.where(canvas.y < anatomy.eye_y, above, 20)
    # The whole way from lid to brow is stretched, so that a raised brow never tears the fold of the lid.
    return ramp(np.hypot(x, y), 0.32, 1.12)


def half_fields(anatomy: Anatomy, canvas: Canvas, motion: str) -> tuple[Float32Array, Float32Array]:
    """The fields of both halves, in the order of the action units' last axis: the person's left, right."""
    left, right = (displacement_field(anatomy, canvas, motion, side) for _, side in SIDES)
    return left, right


AU_NAMES: Final[dict[str, str]] = {
    "1": "inner brow raiser",
    "2": "outer brow raiser",
    "4": "brow lowerer",
    "5": "upper lid raiser",
    "6": "cheek raiser",
    "7": "lid tightener",
    "9": "nose wrinkler",
    "10": "upper lip raiser",
    "12": "lip corner puller",
    "14": "dimpler",
    "15": "lip corner depressor",
    "17": "chin raiser",
    "20": "lip stretcher",
    "23": "lip tightener",
    "24": "lip pressor",
    "25": "lips part",
    "26": "jaw drop",
}
"""FACS code of every action unit, with its name."""

AU_CODES: Final[tuple[str, ...]] = tuple(AU_NAMES)
"""The codes in the order of the action-unit axis of :class:`~fedn_synth.face.motion.FaceTracks`."""

AU_INDEX: Final[dict[str, int]] = {code: index for index, code in enumerate(AU_CODES)}
"""Position of a code on that axis."""

LEFT: Final = 0
"""Index of the person's own left half, which is on the right of the picture."""
RIGHT: Final = 1
"""Index of the person's own right half, which is on the left of the picture."""

EMOTION_UNITS: Final[dict[str, tuple[tuple[str, ...], ...]]] = {
    "happiness": (("6", "12"),),
    "disgust": (("9", "17"), ("9", "15"), ("10", "17"), ("10", "15")),
    "anger": (("4", "5", "7", "23"),),
    "fear": (("1", "2", "4", "5", "20"),),
    "sadness": (("1", "4", "15"), ("1", "4", "15", "17")),
    "surprise": (("1", "2", "5", "26"),),
    "contempt": (("14",),),
    "others": (("4",), ("14",), ("24",), ("7",), ("17",), ("1", "2"), ("20",), ("23",)),
}
"""Alternative sets of action units that show an emotion. `others` are single units without one emotion."""

STRONG_UNITS: Final[dict[str, tuple[str, ...]]] = {"happiness": ("25",), "fear": ("25",), "surprise": ("25",)}
"""Units that join an emotion's set when it is strong (intensity from about 0.6): the lips part."""

UNILATERAL_EMOTIONS: Final[frozenset[str]] = frozenset({"contempt"})
"""Emotions shown by one half of the face only."""


def action_unit_label(codes: tuple[str, ...]) -> str:
    """Writes units as releases do: ascending, joined by `+`.

    >>> action_unit_label(("12", "6"))
    '6+12'
    """
    return "+".join(sorted(codes, key=int))
