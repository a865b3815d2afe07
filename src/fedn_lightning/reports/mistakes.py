"""False alarms and misses of a run, the worst first, each with what lies nearest to it on the other side."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fedn_lightning.events import EventTable, FloatArray
from fedn_lightning.metrics.functional.errors import KINDS, Kind, sort_errors
from fedn_lightning.metrics.functional.interval import interval_iou
from fedn_lightning.metrics.functional.matching import UNMATCHED


@dataclass(frozen=True)
class Mistake:
    """A prediction that found nothing, or a truth that nothing found.

    Attributes:
        kind: of error (:mod:`.metrics.functional.errors`, judged by expression type).
        event: its row, of the predictions or of the truths.
        other: row on the other side, `UNMATCHED` if there is none: for a false alarm the truth that explains it, for a
            miss the nearest proposal.
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

    They are ordered by the confidence of their nearest proposal times its IoU, and among equals by length, the longest
    first.

    Args:
        claimed: N predictions from the thresholds on.
        truths: M truths.
        proposals: every proposal; the nearest one stands beside a miss.
    """
    errors = sort_errors(claimed, truths)
    rows = np.flatnonzero(errors.truth_kind >= 0)
    found = [Mistake(KINDS[errors.truth_kind[r]], int(r), *nearest(truths[r : r + 1], proposals)) for r in rows]

    def known(miss: Mistake) -> tuple[float, float]:
        sure = float(proposals.score[miss.other]) if miss.other != UNMATCHED else 0.0
        return sure * miss.iou, float(truths.start[miss.event] - truths.end[miss.event])

    return sorted(found, key=known)


def nearest(event: EventTable, others: EventTable) -> tuple[int, float]:
    """The row of `others` whose confidence times its IoU with an event of the same video is greatest, and that IoU.

    Returns:
        `(UNMATCHED, 0.0)` if none overlaps.

    >>> truth = EventTable.from_rows([[0, 0, 0, 10, 1, -1, 1]])
    >>> nearest(truth, EventTable.from_rows([[0, 0, 0, 10, 1, -1, 0.3], [0, 0, 0, 5, 0, -1, 0.9]]))
    (1, 0.5)
    """
    rows = np.flatnonzero(others.video == event.video[0])
    iou: FloatArray = interval_iou(event.start, event.end, others.start[rows], others.end[rows])
    if not (iou > 0).any():
        return UNMATCHED, 0.0
    best = int(np.lexsort((-iou, -iou * others.score[rows]))[0])
    return int(rows[best]), float(iou[best])
