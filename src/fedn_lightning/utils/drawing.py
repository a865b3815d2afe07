"""What pictures share: colours of emotions and expression types, rows of a timeline, the confidence axis, files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fedn_lightning.events import DetectionRecord
from fedn_lightning.utils.files import write_atomically

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


ROW_SECONDS = 60.0
"""A longer video is drawn in several rows, or half a second of micro-expression would be a hair's breadth."""


def confidence_top(record: DetectionRecord) -> float:
    """Upper end of the confidence axis, one for all videos of a record so that their pictures compare.

    It is 1 unless the network is never that sure: thresholds and curves near 0 would then lie on the axis.
    """
    peaks = [float(curve.max(initial=0.0)) for curve in record.curves]
    return axis_top([*peaks, *record.threshold])


def axis_top(reached: Sequence[float]) -> float:
    """Upper end of a confidence axis that reaches some confidences and thresholds; infinite ones do not count."""
    most = max((value for value in reached if np.isfinite(value)), default=1.0)
    return next(top for top in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0) if most <= 0.9 * top or top == 1.0)


def save_figure(figure: Any, path: str | Path, dpi: float | None = None) -> Path:
    """Writes a figure of matplotlib into a PNG file, atomically; `dpi` is that of the figure by default."""
    return write_atomically(path, lambda temporary: figure.savefig(temporary, dpi=dpi or figure.dpi))
