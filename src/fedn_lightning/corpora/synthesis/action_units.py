"""Facial action units (FACS) that generated faces can perform, and the emotions they make up.

The codes and their combinations follow the Facial Action Coding System (Ekman and Friesen) and its emotion prototypes;
which of them the generated corpus uses is our own choice.
"""

from __future__ import annotations

from typing import Final

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
"""The codes in the order of the action-unit axis of :class:`~.performance.Performance`."""

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
