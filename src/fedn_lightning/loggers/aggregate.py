"""The W&B run of all folds of one seed: pooled scores, subjects, events, confusion, timelines, lineage."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fedn_lightning.events import EventTable, Video
from fedn_lightning.loggers import media
from fedn_lightning.loggers.wandb import (
    Identity,
    WandbSettings,
    log_artifact,
    predictions_artifact,
    resolve_mode,
    start,
    use_artifact,
    wandb_session,
)

JOB_TYPE = "aggregate"

TIMELINES = 12
"""Timelines of the run; each fold's own run has more."""

PREFIX = "pooled/"
"""Of its tables and pictures."""


@dataclass(frozen=True)
class Aggregate:
    """What the run shows."""

    settings: WandbSettings  # project, entity and mode (WANDB_MODE goes before it), and what may be logged
    group: str  # of the folds
    name: str  # of the run
    folder: Path  # where its files lie, those of the pooled predictions among them
    config: Mapping[str, Any]  # of the experiment
    scores: Mapping[str, float]  # numbers of the summary
    subjects: Sequence[Sequence[Any]]  # rows of text, the first is the head
    predicted: EventTable  # predictions of all folds at or above their thresholds
    truths: EventTable  # of all folds
    videos: Sequence[Video]  # the position is the `video` index of both tables
    emotions: Sequence[str]  # class names in the order of the `emotion` index
    timelines: Sequence[tuple[str, Path]]  # caption and picture
    folds: Sequence[Path]  # folders of the folds, whose predictions these are


def aggregate_id(project: str, group: str, name: str = "pooled") -> str:
    """Id of the run that stands for a group's folds; it follows from their names.

    >>> aggregate_id("fedn-lightning", "casme2-0badcafe-seed7")
    '5396a34395c6'
    """
    return hashlib.sha256("/".join([project, group, JOB_TYPE, name]).encode()).hexdigest()[:12]


def log_aggregate(aggregate: Aggregate) -> None:
    """Writes the run; the same folds take the same place again, so that pooling anew replaces the numbers."""
    mode = resolve_mode(aggregate.settings.mode)
    if mode == "disabled":
        return
    run_id = aggregate_id(aggregate.settings.project, aggregate.group, aggregate.name)
    identity = Identity(run_id, aggregate.group, JOB_TYPE, aggregate.name)
    with wandb_session(aggregate.folder, mode):
        run = start(aggregate.settings, identity, aggregate.folder, mode).experiment
        run.config.update(dict(aggregate.config), allow_val_change=True)
        run.log({f"{PREFIX}subjects": media.make_table(aggregate.subjects)})
        run.summary.update(dict(aggregate.scores))
        if aggregate.settings.events:
            _log_events(run, aggregate)


def _log_events(run: Any, aggregate: Aggregate) -> None:
    """Logs what lies in the videos, and the folds' predictions as what it was pooled from."""
    tables = aggregate.predicted, aggregate.truths, aggregate.videos, aggregate.emotions
    pictures = media.timelines(PREFIX, aggregate.timelines, TIMELINES)
    run.log(media.events_tables(PREFIX, *tables) | pictures)
    for fold in aggregate.folds:
        use_artifact(run, predictions_artifact(fold))
    log_artifact(run, predictions_artifact(aggregate.folder, f"{aggregate.group}-{aggregate.name}"))


STUDY_JOB = "study"


@dataclass(frozen=True)
class StudyRow:
    """What a row's run shows."""

    name: str  # of the row, and of the run
    config: Mapping[str, Any]  # of its experiment
    scores: Mapping[str, float]  # numbers of the summary


def log_study_rows(settings: WandbSettings, group: str, folder: Path, rows: Sequence[StudyRow]) -> None:
    """Writes a run for each row; a row takes the same place again, so that a later table replaces the numbers."""
    mode = resolve_mode(settings.mode)
    if mode == "disabled":
        return
    for row in rows:
        token = "/".join([settings.project, group, STUDY_JOB, row.name])
        identity = Identity(hashlib.sha256(token.encode()).hexdigest()[:12], group, STUDY_JOB, row.name)
        home = folder / row.name
        home.mkdir(parents=True, exist_ok=True)
        with wandb_session(home, mode):
            run = start(settings, identity, home, mode).experiment
            run.config.update(dict(row.config), allow_val_change=True)
            run.summary.update(dict(row.scores))
