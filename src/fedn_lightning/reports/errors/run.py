"""Reads a run's files and sorts its errors."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fedn_lightning.event_files import read_run_tables
from fedn_lightning.events import EventTable, FloatArray
from fedn_lightning.metrics.functional.errors import SortedErrors, sort_errors
from fedn_lightning.metrics.functional.sensitivity import best_scores
from fedn_lightning.reports.errors.witness import Witness, bear_witness


@dataclass(frozen=True)
class RunErrors:
    """A run's predictions and truths, each with its kind of error.

    Attributes:
        name: what to call the run.
        folder: where its files lie.
        subjects: names in the order of the `subject` index.
        videos: (subject, video) in the order of the `video` index.
        emotions: names in the order of the `emotion` index.
        fps: frames per second of each video.
        minutes: duration of all videos.
        predictions: what the run claims, i.e. proposals from its thresholds on.
        proposals: all proposals.
        truths: the truths.
        spotting: the claims judged by type.
        detection: the claims judged by emotion.
        ranking: all proposals judged by emotion, which mAP ranks.
        scores: `(M,)` score of the proposal that fits each truth, 0 where there is none.
        witness: what a generated corpus knows about the videos; None for any other.
    """

    name: str
    folder: str
    subjects: tuple[str, ...]
    videos: tuple[tuple[str, str], ...]
    emotions: tuple[str, ...]
    fps: tuple[float, ...]
    minutes: float
    predictions: EventTable
    proposals: EventTable
    truths: EventTable
    spotting: SortedErrors
    detection: SortedErrors
    ranking: SortedErrors
    scores: FloatArray
    witness: Witness | None


def read_run_errors(folder: Path, name: str, truth: str | None = None) -> RunErrors:
    """Reads `predictions.csv`, `proposals.csv`, `truth.csv` and `videos.csv` of a run and sorts its errors.

    Args:
        folder: of a run, or of pooled folds.
        name: what to call it.
        truth: root of the generated corpus that the run was tested on; by default that of the run's `config.yaml`.

    Raises:
        PredictionFileError: if a file or a row cannot be used.
        AnnotationError: if the generated corpus is not the one of the run.
    """
    tables = read_run_tables(folder)
    names, truths, predictions = tables.names, tables.truths.events, tables.claimed.events
    proposals = tables.proposals.events
    lengths = [names.lengths[video] for video in names.videos]
    return RunErrors(
        name=name,
        folder=str(folder),
        subjects=tuple(names.subjects),
        videos=tuple(names.videos),
        emotions=tuple(names.emotions),
        fps=tuple(fps for _, fps in lengths),
        minutes=tables.minutes,
        predictions=predictions,
        proposals=proposals,
        truths=truths,
        spotting=sort_errors(predictions, truths, "type"),
        detection=sort_errors(predictions, truths, "emotion"),
        ranking=sort_errors(proposals, truths, "emotion"),
        scores=best_scores(proposals, truths),
        witness=bear_witness(folder, truth, tuple(names.videos), [n for n, _ in lengths], predictions, truths),
    )
