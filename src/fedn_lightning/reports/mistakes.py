"""False alarms and misses of a run, the worst first, each with what lies nearest to it on the other side."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fedn_lightning.events import EventTable, FloatArray, IntArray
from fedn_lightning.metrics.functional.errors import FOREGROUND, KINDS, Kind, sort_errors
from fedn_lightning.metrics.functional.interval import interval_iou
from fedn_lightning.metrics.functional.matching import UNMATCHED


@dataclass(frozen=True)
class Mistake:
    """A prediction that found nothing, or a truth that nothing found.

    Attributes:
        kind: of error (:mod:`.metrics.functional.errors`, judged by expression type).
        event: its row, of the predictions or of the truths.
        other: row of the event on the other side that explains it, `UNMATCHED` if there is none: for a false alarm a
            truth, for a miss a proposal.
        iou: of the two, 0 without one.
    """

    kind: Kind
    event: int
    other: int
    iou: float


def false_alarms(claimed: EventTable, truths: EventTable) -> list[Mistake]:
    """Predictions that found no truth (protocol `megc`), the surest first.

    Args:
        claimed: N predictions from the thresholds on.
        truths: M truths.
    """
    errors = sort_errors(claimed, truths)
    rows = np.flatnonzero(errors.kind >= 0)
    rows = rows[np.argsort(-claimed.score[rows], kind="stable")]
    return [Mistake(KINDS[errors.kind[r]], int(r), int(errors.truth[r]), float(errors.iou[r])) for r in rows]


def misses(claimed: EventTable, truths: EventTable, proposals: EventTable) -> list[Mistake]:
    """Truths that nothing found, first those of which the network knew least.

    They are ordered by the confidence of the surest proposal that would have found them, and among equals by length,
    the longest first.

    Args:
        claimed: N predictions from the thresholds on.
        truths: M truths.
        proposals: every proposal; the one that overlaps a miss best stands beside it.
    """
    errors = sort_errors(claimed, truths)
    rows = np.flatnonzero(errors.truth_kind >= 0)
    sure = np.array([confidence_in(truths[r : r + 1], proposals) for r in rows])
    rows = rows[np.lexsort((truths.start[rows] - truths.end[rows], sure))] if len(rows) else rows
    return [Mistake(KINDS[errors.truth_kind[r]], int(r), *nearest(truths[r : r + 1], proposals)) for r in rows]


def confidence_in(truth: EventTable, proposals: EventTable) -> float:
    """Confidence of the surest proposal of a truth's type that would have found it; 0 if there is none.

    >>> truth = EventTable.from_rows([[0, 0, 0, 10, 1, -1, 1]])
    >>> confidence_in(truth, EventTable.from_rows([[0, 0, 1, 10, 1, -1, 0.3], [0, 0, 1, 10, 0, -1, 0.8]]))
    0.3
    """
    same: IntArray = np.flatnonzero((proposals.video == truth.video[0]) & (proposals.type == truth.type[0]))
    near = interval_iou(truth.start, truth.end, proposals.start[same], proposals.end[same]) >= FOREGROUND
    return float(proposals.score[same][near].max(initial=0.0))


def nearest(event: EventTable, others: EventTable) -> tuple[int, float]:
    """The row of `others` that overlaps an event best in its video, the surer of equals, and their IoU.

    Returns:
        `(UNMATCHED, 0.0)` if none overlaps.
    """
    rows = np.flatnonzero(others.video == event.video[0])
    iou: FloatArray = interval_iou(event.start, event.end, others.start[rows], others.end[rows])
    if not (iou > 0).any():
        return UNMATCHED, 0.0
    best = int(np.lexsort((-others.score[rows], -iou))[0])
    return int(rows[best]), float(iou[best])
