"""Every single error as a row of `errors.csv`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np

from fedn_lightning.events import EXPRESSION_TYPES, EventTable, to_inclusive
from fedn_lightning.metrics.functional.errors import KINDS, SortedErrors
from fedn_lightning.metrics.functional.matching import UNMATCHED
from fedn_lightning.reports.errors.run import RunErrors
from fedn_lightning.reports.errors.witness import DISTRACTORS, NONE
from fedn_lightning.reports.tables import write_csv

COLUMNS: Final = (
    *("judged", "error", "kind", "subject", "video", "onset", "offset", "type", "emotion", "score"),
    *("iou", "other_onset", "other_offset", "other_type", "other_emotion"),
    *("distractor", "distractors", "intensity"),
)
"""What a row tells. Frames are inclusive, as in the run's own files. `other` is the truth that explains a false alarm,
or the false alarm that covers a miss, and `iou` their overlap; the `score` of a miss is that of the proposal that fits
it. `distractor` is the one that fits the false alarm best, `distractors` are all that were there; `intensity` is the
truth's."""

UNKNOWN: Final = "unknown"
"""Stands where only a generated corpus could tell."""


def write_errors(path: Path, run: RunErrors) -> Path:
    """Writes every false alarm and every miss, first judged by type, then by emotion."""
    return write_csv(
        path, COLUMNS, [row for errors in (run.spotting, run.detection) for row in error_rows(run, errors)]
    )


def error_rows(run: RunErrors, errors: SortedErrors) -> Iterator[list[str]]:
    """The errors of one judgement in the order of :data:`COLUMNS`, false alarms first."""
    for row in np.flatnonzero(errors.kind >= 0).tolist():
        truth = int(errors.truth[row])
        what = [errors.label, "false alarm", KINDS[errors.kind[row]], *_place(run, run.predictions, row)]
        score = f"{run.predictions.score[row]:.6g}"
        yield [*what, score, *_pair(run, errors, row, run.truths, truth), *_witness(run, row, truth)]
    for row in np.flatnonzero(errors.truth_kind >= 0).tolist():
        alarm = int(errors.prediction[row])
        what = [errors.label, "miss", KINDS[errors.truth_kind[row]], *_place(run, run.truths, row)]
        score = f"{run.scores[row]:.6g}"
        yield [*what, score, *_pair(run, errors, alarm, run.predictions, alarm), *_witness(run, alarm, row)]


def _place(run: RunErrors, table: EventTable, row: int) -> list[str]:
    return [*run.videos[table.video[row]], *_event(run, table, row)]


def _event(run: RunErrors, table: EventTable, row: int) -> list[str]:
    """Onset, offset, type and emotion; empty if there is no such event."""
    if row == UNMATCHED:
        return [""] * 4
    onset, offset = to_inclusive(float(table.start[row]), float(table.end[row]))
    emotion = int(table.emotion[row])
    name = run.emotions[emotion] if emotion >= 0 else ""
    return [f"{onset:.10g}", f"{offset:.10g}", EXPRESSION_TYPES[int(table.type[row])], name]


def _pair(run: RunErrors, errors: SortedErrors, alarm: int, table: EventTable, other: int) -> list[str]:
    """Overlap and the event that an error is about."""
    iou = "" if alarm == UNMATCHED or other == UNMATCHED else f"{errors.iou[alarm]:.4f}"
    return [iou, *_event(run, table, other)]


def _witness(run: RunErrors, alarm: int, truth: int) -> list[str]:
    """What a generated corpus knows of a false alarm and of a truth, either of which may be missing."""
    if run.witness is None:
        return [UNKNOWN] * 3
    there = [name for name, was in zip(DISTRACTORS, run.witness.there[alarm], strict=True) if was]
    seen = ["", ""] if alarm == UNMATCHED else [run.witness.main[alarm], "+".join(there) or NONE]
    return [*seen, "" if truth == UNMATCHED else f"{run.witness.peak[truth]:.4g}"]
