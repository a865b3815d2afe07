"""Colours of emotions and expression types in every picture."""

from __future__ import annotations

INK, FAINT, MISSED = "#22262b", "#8b929a", "#c9ced4"


# Distinct also for colour-blind readers (Okabe and Ito 2008); unknown class names take the rest in order.
EMOTION_COLOURS = {
    "negative": "#d55e00", "positive": "#009e73", "surprise": "#0072b2", "anger": "#d55e00", "happiness": "#009e73",
    "disgust": "#b59a00", "fear": "#8a4fbf", "sadness": "#56b4e9", "contempt": "#cc79a7", "repression": "#a0522d",
    "others": "#7d858e",
}  # fmt: skip


SPARE_COLOURS = ("#56b4e9", "#b59a00", "#cc79a7", "#8a4fbf", "#a0522d", "#7d858e")


TYPE_COLOURS = {"macro": "#3b4a5c", "micro": "#d1495b"}


def emotion_colours(emotions: tuple[str, ...]) -> dict[str, str]:
    """A colour for each class name, the same in every picture."""
    spare = iter(SPARE_COLOURS * (1 + len(emotions) // len(SPARE_COLOURS)))
    return {name: EMOTION_COLOURS.get(name) or next(spare) for name in emotions}
