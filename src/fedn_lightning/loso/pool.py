"""Pools the predictions of all folds: joins their files and scores them with the functions of `fedn evaluate`.

Counts are summed over all subjects before any ratio is taken; no score that a fold computed is averaged or reused.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fedn_lightning.errors import FoldError
from fedn_lightning.events import EXPRESSION_TYPES, IntArray
from fedn_lightning.loso.experiment import Experiment, Fold
from fedn_lightning.loso.status import problem
from fedn_lightning.results import Names, read_run_tables, read_videos
from fedn_lightning.results.names import PREDICTIONS, PROPOSALS, RESULT, TABLES, TRUTH, VIDEOS
from fedn_lightning.results.report import Report, count_emotions, score_published, score_strict
from fedn_lightning.results.writing import PREDICTION_COLUMNS, TRUTH_COLUMNS, VIDEO_COLUMNS, write_csv

COLUMNS = {
    PREDICTIONS: PREDICTION_COLUMNS,
    PROPOSALS: PREDICTION_COLUMNS,
    TRUTH: TRUTH_COLUMNS,
    VIDEOS: VIDEO_COLUMNS,
}


@dataclass(frozen=True)
class Pooled:
    """The folds of one seed, scored together.

    Attributes:
        seed: of the folds.
        folder: where the pooled files lie.
        folds: names of the folds.
        missing: subjects of the corpus that no fold held out; empty if all folds are there.
        thresholds: (macro, micro) of each fold, by name.
        strict: every choice made on subjects that are not held out; the headline.
        published: threshold selected on test data, to stand beside papers that do so.
        confusion: `(C, C + 1)` int64 over the spotted expressions of the strict selection, row true, column predicted,
            the last column without an emotion.
        chosen_on: `validation` or `training`, the subjects that each fold chose its thresholds on.
        given: whether the intervals were given to a recogniser, so that nothing was spotted.
    """

    seed: int
    folder: Path
    folds: tuple[str, ...]
    missing: tuple[str, ...]
    thresholds: dict[str, tuple[float, float]]
    strict: Report
    published: Report
    confusion: IntArray
    chosen_on: str = "validation"
    given: bool = False


def pool(experiment: Experiment, folds: Sequence[Fold], draws: int = 1000) -> Pooled:
    """Scores folds of one seed together.

    Args:
        experiment: of the folds.
        folds: of one seed; each finished.
        draws: of subjects, for the 95 % intervals.

    Raises:
        FoldError: if a fold is unfinished, damaged or of another experiment, if a subject or a video occurs twice, or
            if videos of a subject are missing.
    """
    check(experiment, folds)
    held_out = {subject for fold in folds for subject in fold.subjects}
    missing = tuple(sorted(set(experiment.subjects) - held_out))
    folder = pooled_folder(experiment, folds[0].seed, partial=bool(missing))
    for name in TABLES:
        write_csv(folder / name, COLUMNS[name], gather(experiment, folds, name))
    check_videos(experiment, folds, folder / VIDEOS)
    tables = read_run_tables(folder)
    results = [read_result(experiment.fold_folder(fold)) for fold in folds]
    chosen_on = str(results[0].get("chosen_on", "validation"))
    return Pooled(
        seed=folds[0].seed,
        folder=folder,
        folds=tuple(fold.name for fold in folds),
        missing=missing,
        thresholds={fold.name: read_thresholds(experiment.fold_folder(fold)) for fold in folds},
        strict=score_strict(tables, draws, chosen_on),
        published=score_published(tables, draws),
        confusion=count_emotions(tables.predicted.events, tables.truths.events, len(tables.names.emotions)),
        chosen_on=chosen_on,
        given=results[0].get("intervals") == "truth",
    )


def pooled_folder(experiment: Experiment, seed: int, partial: bool) -> Path:
    """Where the pooled files of a seed lie; a partial set of folds never replaces a complete one."""
    grouped = f"-group{experiment.group}" if experiment.group > 1 else ""
    return experiment.folder / f"pooled-seed{seed}{grouped}{'-partial' if partial else ''}"


def check(experiment: Experiment, folds: Sequence[Fold]) -> None:
    """Checks that folds can be pooled.

    Raises:
        FoldError: as :func:`pool`.
    """
    if not folds or len({fold.seed for fold in folds}) != 1:
        raise FoldError(f"Folds of one seed are pooled, got seeds {sorted({fold.seed for fold in folds})}.")
    seen: dict[str, Fold] = {}
    for fold in folds:
        if reason := problem(experiment, fold):
            msg = f"The fold {fold} is not finished: {reason} ({experiment.fold_folder(fold)}). Run fedn loso again."
            raise FoldError(msg)
        for subject in fold.subjects:
            if subject in seen:
                raise FoldError(f"Subject {subject} is held out by two folds, {seen[subject].name} and {fold.name}.")
            seen[subject] = fold


def check_videos(experiment: Experiment, folds: Sequence[Fold], path: Path) -> None:
    """Checks that every video of every held-out subject was scored.

    Raises:
        FoldError: naming the subject.
    """
    names = Names()
    read_videos(path, names)
    wanted = {subject: experiment.subjects[subject] for fold in folds for subject in fold.subjects}
    found = {subject: sum(key[0] == subject for key in names.videos) for subject in {key[0] for key in names.videos}}
    for subject in sorted(set(wanted) | set(found)):
        if wanted.get(subject, 0) != found.get(subject, 0):
            raise FoldError(
                f"Subject {subject} has {wanted.get(subject, 0)} videos in the corpus and {found.get(subject, 0)} in "
                f"the folds' videos.csv; run the fold again."
            )


def gather(experiment: Experiment, folds: Sequence[Fold], name: str) -> list[list[str]]:
    """The rows of a table of all folds, after a check that they are about the fold's subjects alone.

    Raises:
        FoldError: naming the file.
    """
    rows: list[list[str]] = []
    for fold in folds:
        path = experiment.fold_folder(fold) / name
        with path.open(newline="", encoding="utf-8") as file:
            header, *body = csv.reader(file)
        if tuple(header) != COLUMNS[name] or {row[0] for row in body} - set(fold.subjects):
            msg = f"{path} is not about {fold.name} alone, or has other columns than {', '.join(COLUMNS[name])}."
            raise FoldError(msg)
        rows += body
    return rows


def read_result(folder: Path) -> dict[str, Any]:
    """The `result.json` of a finished fold."""
    result: dict[str, Any] = json.loads((folder / RESULT).read_text(encoding="utf-8"))
    return result


def read_thresholds(folder: Path) -> tuple[float, float]:
    """The thresholds (macro, micro) a fold has chosen; infinite where it found none."""
    stored: dict[str, Any] = read_result(folder)["threshold"]
    macro, micro = (math.inf if stored[kind] is None else float(stored[kind]) for kind in EXPRESSION_TYPES)
    return macro, micro
