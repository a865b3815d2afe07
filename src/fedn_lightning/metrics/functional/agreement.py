"""How far two coders agree: Cohen's kappa of classes, frame by frame, and the differences of boundaries."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fedn_lightning.events import EventTable, FloatArray, IntArray
from fedn_lightning.metrics.functional.matching import UNMATCHED, match


def cohen_kappa(confusion: IntArray) -> float:
    """Agreement beyond chance, `(observed - expected) / (1 - expected)`; nan where chance alone would agree.

    Args:
        confusion: `(R, C)` counts with `R <= C`, whose first `R` columns name the rows' classes.

    >>> cohen_kappa(np.array([[20, 5], [10, 15]])).__round__(2)
    0.4
    """
    if not confusion.sum():
        return float("nan")
    share = confusion / confusion.sum()
    expected = float(share.sum(1) @ share.sum(0)[: len(share)])
    return float((np.trace(share) - expected) / (1 - expected)) if expected < 1 else float("nan")


def frame_classes(start: FloatArray, end: FloatArray, label: IntArray, n_frames: int) -> IntArray:
    """The class of each frame of one video: 0 without an event, else 1 more than its label; the shorter event wins.

    Args:
        start: `(N,)` first frames, may be fractional.
        end: `(N,)` one past the last frames.
        label: `(N,)` classes from 0 on.
        n_frames: of the video.

    Returns:
        `(n_frames,)` int64. A frame belongs to an event if its middle lies in it.

    >>> frame_classes(np.array([0.0, 2]), np.array([5.0, 4]), np.array([0, 1]), 6).tolist()
    [1, 1, 2, 2, 1, 0]
    """
    classes = np.zeros(n_frames, np.int64)
    for row in np.argsort(start - end, kind="stable"):
        first, stop = (int(np.ceil(edge - 0.5)) for edge in (start[row], end[row]))
        classes[max(first, 0) : max(stop, 0)] = label[row] + 1
    return classes


def frame_confusion(one: IntArray, other: IntArray, n_classes: int) -> IntArray:
    """`(n_classes, n_classes)` counts of frames by the class of one coder (row) and of another (column)."""
    return np.bincount(one * n_classes + other, minlength=n_classes**2).reshape(n_classes, n_classes)


class Differences(NamedTuple):
    """Differences of a boundary over matched events, second coder minus first, in the unit of the tables.

    `mean` is signed, `absolute` the mean size, `deviation` the standard deviation (nan below two pairs).
    """

    pairs: int
    mean: float
    absolute: float
    deviation: float

    @classmethod
    def of(cls, values: FloatArray) -> Differences:
        """The differences of some pairs."""
        if not len(values):
            return cls(0, np.nan, np.nan, np.nan)
        spread = float(values.std(ddof=1)) if len(values) > 1 else np.nan
        return cls(len(values), float(values.mean()), float(np.abs(values).mean()), spread)


def matched_rows(predictions: EventTable, truths: EventTable, iou_threshold: float = 0.5) -> tuple[IntArray, IntArray]:
    """Rows of the events that both marked with one type, at an IoU of at least the threshold: predictions, truths."""
    taken = match(predictions, truths, iou_threshold)
    rows = np.flatnonzero(taken != UNMATCHED)
    return rows, taken[rows]
