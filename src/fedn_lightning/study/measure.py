"""From the folders of finished folds to a seed's result."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fedn_lightning.event_files import read_run_tables
from fedn_lightning.loso.experiment import Experiment
from fedn_lightning.loso.folds import Fold
from fedn_lightning.loso.pooling import read_result, read_thresholds
from fedn_lightning.loso.status import read_status, training_seconds
from fedn_lightning.metrics.functional.tally import tally
from fedn_lightning.run_folder import read_environment
from fedn_lightning.study.row_file import FoldCost, SeedResult


def measure(pooled: Path, truth: Path | None = None) -> SeedResult:
    """Tallies the pooled files of a set of folds, in the strict selection.

    Args:
        pooled: folder with `predictions.csv`, `proposals.csv`, `truth.csv` and `videos.csv`.
        truth: truths to score by instead of the folder's own.
    """
    tables = read_run_tables(pooled, truth)
    names = tables.names
    minutes = np.zeros(len(names.subjects))
    for (subject, _), (n_frames, fps) in names.lengths.items():
        minutes[names.subjects[subject]] += n_frames / fps / 60
    return SeedResult(
        subjects=tuple(names.subjects),
        minutes=minutes,
        emotions=tuple(names.emotions),
        tally=tally(tables.claimed.events, tables.truths.events, proposals=tables.proposals.events),
    )


def digest(experiment: Experiment, folds: Sequence[Fold]) -> str:
    """A hash of what all finished folds have written, as their status files vouch for it."""
    statuses = [read_status(experiment.fold_folder(fold)) for fold in folds]
    sums = [sorted(status.checksums.items()) if status else None for status in statuses]
    return hashlib.sha256(repr(sums).encode()).hexdigest()[:16]


def cost(experiment: Experiment, fold: Fold) -> FoldCost:
    """Thresholds, times and source of a finished fold."""
    folder = experiment.fold_folder(fold)
    status, seconds = read_status(folder), training_seconds(folder)
    fresh = status is not None and not status.resumed and seconds is not None and experiment.max_epochs > 0
    macro, micro = (value if np.isfinite(value) else None for value in read_thresholds(folder))
    return FoldCost(
        thresholds=(macro, micro),
        seconds=status.seconds if status else 0.0,
        seconds_an_epoch=round(seconds / experiment.max_epochs, 3) if fresh and seconds is not None else None,
        commit=read_environment(folder).get("commit", ""),
        chosen_on=str(read_result(folder).get("chosen_on", "validation")),
    )
