"""Tables and pictures of a test for W&B, each bounded in number and size; every event is a row of a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from fedn_lightning.events import EXPRESSION_TYPES, DetectionRecord, EventTable, Video, to_inclusive
from fedn_lightning.metrics.functional.matching import UNMATCHED, interval_iou, match
from fedn_lightning.metrics.functional.recognition import confusion
from fedn_lightning.metrics.functional.threshold import at_threshold
from fedn_lightning.video.store import StoredVideo, cut_crops, join_crops, key_frames

Kind = Literal["true positive", "false negative", "false positive"]

OUTCOME_COLUMNS: Final = (
    "subject", "video", "kind", "type", "onset", "offset", "emotion", "true_emotion", "score", "iou",
)  # fmt: skip
"""`onset` and `offset` are those of the prediction, for a false negative those of the truth: inclusive frames as the
release counts them."""

Cell = str | float | None


@dataclass(frozen=True)
class Outcome:
    """One event."""

    kind: Kind
    prediction: int  # its row among the predictions, `UNMATCHED` for a false negative
    truth: int  # its row among the truths, `UNMATCHED` for a false positive
    iou: float | None  # of prediction and truth; None where one of them is missing


def outcomes(predicted: EventTable, truths: EventTable) -> list[Outcome]:
    """Pairs predictions and truths (protocol `megc`, IoU >= 0.5).

    Returns:
        Hits and false positives by descending score, then false negatives by video and start.

    >>> truths = EventTable.from_rows([[0, 0, 0, 10, 0, -1, 1], [0, 0, 50, 60, 0, -1, 1]])
    >>> [o.kind for o in outcomes(EventTable.from_rows([[0, 0, 0, 9, 0, -1, 0.6], [0, 0, 30, 40, 0, -1, 0.7]]), truths)]
    ['false positive', 'true positive', 'false negative']
    """
    taken = match(predicted, truths)
    hit = np.flatnonzero(taken != UNMATCHED)
    iou = np.full(len(predicted), np.nan)
    iou[hit] = interval_iou(predicted.start[hit], predicted.end[hit], truths.start[taken[hit]], truths.end[taken[hit]])
    found = [
        Outcome("false positive", row, UNMATCHED, None)
        if taken[row] == UNMATCHED
        else Outcome("true positive", row, int(taken[row]), float(iou[row]))
        for row in np.argsort(-predicted.score, kind="stable").tolist()
    ]
    missed = np.setdiff1d(np.arange(len(truths)), taken)
    by_place = missed[np.lexsort((truths.start[missed], truths.video[missed]))]
    return found + [Outcome("false negative", UNMATCHED, int(row), None) for row in by_place]


def outcome_rows(
    predicted: EventTable, truths: EventTable, videos: Sequence[Video], emotions: Sequence[str]
) -> list[list[Cell]]:
    """One row per event, in the order of :data:`OUTCOME_COLUMNS` and of :func:`outcomes`."""
    return [_row(outcome, predicted, truths, videos, emotions) for outcome in outcomes(predicted, truths)]


def _row(
    outcome: Outcome, predicted: EventTable, truths: EventTable, videos: Sequence[Video], emotions: Sequence[str]
) -> list[Cell]:
    missed = outcome.kind == "false negative"
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


ROWS = 5000
"""Rows of a table of events: more than any release gives, and about half a megabyte."""
TIMELINES = 6
"""Timelines of a run, about 100 kB each; the run folder holds all."""
STRIPS = 4
"""Film strips of each kind of outcome, about 50 kB each: the highest scoring predictions, the first false negatives."""


def events_tables(
    prefix: str, predicted: EventTable, truths: EventTable, videos: Sequence[Video], emotions: Sequence[str]
) -> dict[str, Any]:
    """The table of events, how many rows it has no room for, and the confusion matrix of the hits."""
    rows = outcome_rows(predicted, truths, videos, emotions)
    content = {
        f"{prefix}events": make_table([OUTCOME_COLUMNS, *rows[:ROWS]]),
        f"{prefix}confusion": make_table(confusion_rows(predicted, truths, emotions)),
    }
    return content | ({f"{prefix}events_left_out": len(rows) - ROWS} if len(rows) > ROWS else {})


def confusion_rows(predicted: EventTable, truths: EventTable, emotions: Sequence[str]) -> list[list[Any]]:
    """A row per true emotion with counts by predicted emotion, over all hits; the first row is the head."""
    hits = [
        outcome
        for outcome in outcomes(predicted, truths)
        if outcome.truth != UNMATCHED and outcome.kind == "true positive"
    ]
    rows = [[hit.prediction for hit in hits], [hit.truth for hit in hits]]
    counts = confusion(predicted.emotion[rows[0]], truths.emotion[rows[1]], len(emotions))
    named = [[name, *row] for name, row in zip(emotions, counts.tolist(), strict=True)]
    return [["true \\ predicted", *emotions, "none"], *named]


def make_table(rows: Sequence[Sequence[Any]]) -> Any:
    """A table of W&B; the first row is the head."""
    import wandb

    head, *body = rows
    return wandb.Table(columns=[str(cell) for cell in head], data=[list(row) for row in body])


def timelines(prefix: str, pictures: Sequence[tuple[str, Path]], most: int = TIMELINES) -> dict[str, Any]:
    """Pictures by numbered keys, the same in all runs, so that one panel shows those of every fold."""
    import wandb

    return {
        f"{prefix}timeline_{number:02}": wandb.Image(str(picture), caption=caption)
        for number, (caption, picture) in enumerate(pictures[:most], start=1)
    }


def film_strips(
    prefix: str, record: DetectionRecord, stored: Mapping[str, StoredVideo], apexes: Mapping[tuple[str, float], float]
) -> dict[str, Any]:
    """Onset, apex and offset of some false positives, false negatives and hits, in one gallery.

    Args:
        prefix: of the key.
        record: predictions, truths and confidence curves.
        stored: the crops, by the video's key.
        apexes: annotated apex by the video's key and the truth's start; where none is known, the peak of the
            confidence stands for it.
    """
    import wandb

    predicted = at_threshold(record.predictions, record.threshold)
    kinds: tuple[Kind, ...] = ("false positive", "false negative", "true positive")
    every = outcomes(predicted, record.truths)
    chosen = [outcome for kind in kinds for outcome in [o for o in every if o.kind == kind][:STRIPS]]
    rows = outcome_rows(predicted, record.truths, record.videos, record.emotions)
    captions = {id(outcome): _caption(row) for outcome, row in zip(every, rows, strict=True)}
    pictures = [
        wandb.Image(strip, caption=captions[id(outcome)])
        for outcome in chosen
        if (strip := _strip(outcome, record, predicted, stored, apexes)) is not None
    ]
    return {f"{prefix}film_strips": pictures} if pictures else {}


def _strip(
    outcome: Outcome,
    record: DetectionRecord,
    predicted: EventTable,
    stored: Mapping[str, StoredVideo],
    apexes: Mapping[tuple[str, float], float],
) -> Any:
    table, row = (record.truths, outcome.truth) if outcome.kind == "false negative" else (predicted, outcome.prediction)
    index = int(table.video[row])
    key, start, end = record.videos[index].key, float(table.start[row]), float(table.end[row])
    if key not in stored:
        return None
    curve = record.curves[index][:, int(table.type[row])] if record.curves else None
    apex = apexes.get((key, start)) if outcome.kind == "false negative" else None
    return join_crops(cut_crops(stored[key], key_frames(start, end, apex, curve)))


def _caption(row: Sequence[Any]) -> str:
    """One line on an event.

    >>> _caption(["s15", "v", "true positive", "micro", 3, 9, "positive", "negative", 0.71, 0.8])
    'true positive s15/v 3-9 micro, found positive, true negative, score 0.71, IoU 0.80'
    """
    subject, video, kind, expression, onset, offset, emotion, true, score, iou = row
    parts = [f"{kind} {subject}/{video} {onset:g}-{offset:g} {expression}"]
    parts += [f"found {emotion}"] if emotion else []
    parts += [f"true {true}"] if true else []
    parts += [f"score {score:.2f}"] if score is not None else []
    parts += [f"IoU {iou:.2f}"] if iou is not None else []
    return ", ".join(parts)
