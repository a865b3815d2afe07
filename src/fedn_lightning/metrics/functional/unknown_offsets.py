"""The second reading of truths whose offset the release does not know.

Under the first one such a truth counts like any other, with the end that a policy gave it (CAS(ME)^2: its apex), which
hardly any detector hits. Under the second, as crowds in COCO, it is neither to be found nor in the way: it leaves the
truths, and a prediction that could be it is neither a hit nor a false positive.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fedn_lightning.events import BoolArray, EventTable
from fedn_lightning.metrics.functional.matching import UNMATCHED, match


def without_unknown_offsets(
    predictions: EventTable,
    truths: EventTable,
    iou_threshold: float = 0.5,
    within: Sequence[str] = ("video", "type"),
) -> tuple[EventTable, EventTable]:
    """Leaves out the truths without a known offset, and the predictions that could be one of them.

    Args:
        predictions: N events that count, after any threshold.
        truths: M truths.
        iou_threshold: least IoU of a true positive.
        within: columns in which a prediction and a truth must agree.

    Returns:
        The predictions that stay, in their order, and the truths whose offset is known. A prediction that hits a truth
        with a known offset stays whatever else it meets.

    >>> truths = EventTable.from_rows([[0, 0, 10, 20, 0, -1, 1, 1, 0], [0, 0, 90, 99, 0, -1, 1, 1, 1]])
    >>> found = EventTable.from_rows([[0, 0, 12, 45, 0, -1, 1], [0, 0, 40, 60, 0, -1, 1], [0, 0, 91, 99, 0, -1, 1]])
    >>> [table.start.tolist() for table in without_unknown_offsets(found, truths)]
    [[40.0, 91.0], [90.0]]
    """
    known = truths[truths.end_known]
    if len(known) == len(truths):
        return predictions, truths
    hit = match(predictions, known, iou_threshold, within) != UNMATCHED
    return predictions[hit | ~could_be(predictions, truths[~truths.end_known], iou_threshold, within)], known


def could_be(
    predictions: EventTable, unknown: EventTable, iou_threshold: float = 0.5, within: Sequence[str] = ("video", "type")
) -> BoolArray:
    """Which predictions would hit a truth if it ended where it suits them best, but not before the end it has.

    Of all ends from the truth's own on, the prediction's own gives the greatest IoU.

    Args:
        predictions: N events.
        unknown: truths whose offset is unknown.
        iou_threshold: least IoU of a true positive.
        within: columns in which a prediction and a truth must agree.

    Returns:
        `(N,)`.
    """
    found = np.zeros(len(predictions), np.bool_)
    for row in range(len(unknown)):
        start, end = unknown.start[row], np.maximum(predictions.end, unknown.end[row])
        shared = np.minimum(predictions.end, end) - np.maximum(predictions.start, start)
        fits = shared >= iou_threshold * (end - np.minimum(predictions.start, start))
        for name in within:
            fits &= getattr(predictions, name) == getattr(unknown, name)[row]
        found |= fits
    return found
