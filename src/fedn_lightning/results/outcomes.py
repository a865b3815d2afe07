"""Every event as a row of a table: a true positive (hit), a false negative (miss) or a false positive (false alarm)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from fedn_lightning.events import EXPRESSION_TYPES, EventTable, Video, to_inclusive
from fedn_lightning.metrics.functional.matching import UNMATCHED, interval_iou, match

Kind = Literal["hit", "miss", "false alarm"]

OUTCOME_COLUMNS: Final = (
    "subject", "video", "kind", "type", "onset", "offset", "emotion", "true_emotion", "score", "iou",
)  # fmt: skip
"""`onset` and `offset` are those of the prediction, for a miss those of the truth: inclusive frames as the release
counts them."""

Cell = str | float | None


@dataclass(frozen=True)
class Outcome:
    """One event.

    Attributes:
        kind: of the event; these words stand in stored tables.
        prediction: its row among the predictions, `UNMATCHED` for a miss.
        truth: its row among the truths, `UNMATCHED` for a false alarm.
        iou: of prediction and truth; None where one of them is missing.
    """

    kind: Kind
    prediction: int
    truth: int
    iou: float | None


def outcomes(predicted: EventTable, truths: EventTable) -> list[Outcome]:
    """Pairs predictions and truths (protocol `megc`, IoU >= 0.5).

    Args:
        predicted: N predictions at or above the thresholds.
        truths: M truths.

    Returns:
        Hits and false alarms by descending score, then misses by video and start.

    >>> truths = EventTable.from_rows([[0, 0, 0, 10, 0, -1, 1], [0, 0, 50, 60, 0, -1, 1]])
    >>> [o.kind for o in outcomes(EventTable.from_rows([[0, 0, 0, 9, 0, -1, 0.6], [0, 0, 30, 40, 0, -1, 0.7]]), truths)]
    ['false alarm', 'hit', 'miss']
    """
    taken = match(predicted, truths)
    hit = np.flatnonzero(taken != UNMATCHED)
    iou = np.full(len(predicted), np.nan)
    iou[hit] = interval_iou(predicted.start[hit], predicted.end[hit], truths.start[taken[hit]], truths.end[taken[hit]])
    found = [
        Outcome("false alarm", row, UNMATCHED, None)
        if taken[row] == UNMATCHED
        else Outcome("hit", row, int(taken[row]), float(iou[row]))
        for row in np.argsort(-predicted.score, kind="stable").tolist()
    ]
    missed = np.setdiff1d(np.arange(len(truths)), taken)
    by_place = missed[np.lexsort((truths.start[missed], truths.video[missed]))]
    return found + [Outcome("miss", UNMATCHED, int(row), None) for row in by_place]


def outcome_rows(
    predicted: EventTable, truths: EventTable, videos: Sequence[Video], emotions: Sequence[str]
) -> list[list[Cell]]:
    """One row per event, in the order of :data:`OUTCOME_COLUMNS` and of :func:`outcomes`.

    Args:
        predicted: N predictions at or above the thresholds.
        truths: M truths.
        videos: the position is the `video` index of both tables.
        emotions: class names in the order of the `emotion` index.
    """
    return [_row(outcome, predicted, truths, videos, emotions) for outcome in outcomes(predicted, truths)]


def _row(
    outcome: Outcome, predicted: EventTable, truths: EventTable, videos: Sequence[Video], emotions: Sequence[str]
) -> list[Cell]:
    missed = outcome.kind == "miss"
    table, row = (truths, outcome.truth) if missed else (predicted, outcome.prediction)
    video = videos[int(table.video[row])]
    onset, offset = to_inclusive(float(table.start[row]), float(table.end[row]), video.first_frame)
    return [
        video.subject,
        video.name,
        outcome.kind,
        EXPRESSION_TYPES[int(table.type[row])],
        round(onset, 4),
        round(offset, 4),
        _emotion(predicted, outcome.prediction, emotions),
        _emotion(truths, outcome.truth, emotions),
        None if missed else round(float(table.score[row]), 6),
        None if outcome.iou is None else round(outcome.iou, 4),
    ]


def _emotion(table: EventTable, row: int, emotions: Sequence[str]) -> str:
    """Name of an event's emotion; empty where there is no event, or none that is analysed."""
    return emotions[int(table.emotion[row])] if row != UNMATCHED and table.emotion[row] >= 0 else ""
