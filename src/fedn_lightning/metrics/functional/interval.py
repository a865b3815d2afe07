"""Overlap of intervals on the time axis."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fedn_lightning.events import FloatArray


def interval_iou(
    start_a: npt.ArrayLike, end_a: npt.ArrayLike, start_b: npt.ArrayLike, end_b: npt.ArrayLike
) -> FloatArray:
    """Intersection over union of half-open intervals, element by element.

    Lengths are `end - start`, so the value equals the field's IoU on inclusive frames: onset 1, offset 10 and
    onset 6, offset 10 are `[0, 10)` and `[5, 10)` and share 5 of 10 frames. It is one correctly rounded division of
    exact differences for frame numbers, hence exactly 0.5 where the field says "half".

    Args:
        start_a: first frames, any shape that broadcasts with the others.
        end_a: one past the last frames.
        start_b: first frames.
        end_b: one past the last frames.

    Returns:
        float64 of the broadcast shape, in `[0, 1]`; 0 where an interval is empty.

    >>> float(interval_iou(0, 10, 5, 10)), float(interval_iou(0, 5, 5, 9)), float(interval_iou(3, 3, 3, 3))
    (0.5, 0.0, 0.0)
    """
    a, b, c, d = (np.asarray(x, np.float64) for x in (start_a, end_a, start_b, end_b))
    shared = np.minimum(b, d) - np.maximum(a, c)
    # Of two intervals that touch, the union is one interval; of two that do not, it is not needed.
    together = np.maximum(b, d) - np.minimum(a, c)
    iou: FloatArray = np.maximum(shared, 0.0) / np.where(together > 0, together, 1.0)
    return iou
