"""Pools what the folds predicted: their files are put together and scored by the functions of `fedn evaluate`.

Counts are summed over all subjects before any ratio is taken; nothing that a fold computed is averaged or trusted.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from fedn_lightning.errors import FoldError
from fedn_lightning.event_files import EventFile, Names, read_events, read_videos
from fedn_lightning.events import EXPRESSION_TYPES, EventTable, IntArray
from fedn_lightning.loso.experiment import Experiment
from fedn_lightning.loso.folds import Fold
from fedn_lightning.loso.status import TABLES, problem
from fedn_lightning.metrics.functional.bootstrap import Interval, bootstrap_intervals
from fedn_lightning.metrics.functional.curves import operating_curves
from fedn_lightning.metrics.functional.detection import detection_scores
from fedn_lightning.metrics.functional.evaluation import evaluate, spotting_by_subject
from fedn_lightning.metrics.functional.protocols import PROTOCOLS
from fedn_lightning.metrics.functional.recognition import confusion
from fedn_lightning.metrics.functional.spotting import Counts, SpottingScores, spot_groups
from fedn_lightning.metrics.functional.threshold import Threshold, at_threshold, select_threshold
from fedn_lightning.reports.evaluation import Report, Selection
from fedn_lightning.reports.tables import PREDICTION_COLUMNS, TRUTH_COLUMNS, VIDEO_COLUMNS, write_csv

STRICT_LABEL = "each fold's threshold and epoch were chosen on validation subjects among its training subjects"
PUBLISHED_LABEL = "selected on test data: one pair of thresholds for all folds, the best on these very predictions"

COLUMNS = {
    "predictions.csv": PREDICTION_COLUMNS,
    "proposals.csv": PREDICTION_COLUMNS,
    "truth.csv": TRUTH_COLUMNS,
    "videos.csv": VIDEO_COLUMNS,
}


@dataclass(frozen=True)
class Pooled:
    """The folds of one seed, scored together.

    Attributes:
        seed: of the folds.
        folder: where the pooled files lie.
        folds: names of the folds.
        missing: subjects of the corpus that no fold held out; empty if the study is complete.
        thresholds: (macro, micro) of each fold, by name.
        strict: every choice made on validation subjects; the headline.
        published: threshold selected on test data, to stand beside papers that do so.
        confusion: `(C, C + 1)` int64 over the spotted expressions of the strict selection, row true, column predicted,
            the last column without an emotion.
    """

    seed: int
    folder: Path
    folds: tuple[str, ...]
    missing: tuple[str, ...]
    thresholds: dict[str, tuple[float, float]]
    strict: Report
    published: Report
    confusion: IntArray


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
    names = Names()
    minutes = read_videos(folder / "videos.csv", names)
    check_videos(experiment, folds, names)
    truths = read_events(folder / "truth.csv", names, truth=True)
    claimed = read_events(folder / "predictions.csv", names)
    proposals = read_events(folder / "proposals.csv", names)
    return Pooled(
        seed=folds[0].seed,
        folder=folder,
        folds=tuple(fold.name for fold in folds),
        missing=missing,
        thresholds={fold.name: read_thresholds(experiment.fold_folder(fold)) for fold in folds},
        strict=score(claimed, proposals, truths, names, minutes, draws, None),
        published=score(proposals, proposals, truths, names, minutes, draws, best_thresholds(proposals, truths)),
        confusion=count_emotions(claimed.events, truths.events, len(names.emotions)),
    )


def pooled_folder(experiment: Experiment, seed: int, partial: bool) -> Path:
    """Where the pooled files of a seed lie; a partial study never takes the place of a complete one."""
    grouped = f"-group{experiment.group}" if experiment.group > 1 else ""
    return experiment.folder / f"pooled-seed{seed}{grouped}{'-partial' if partial else ''}"


def check(experiment: Experiment, folds: Sequence[Fold]) -> None:
    """Refuses folds that cannot be pooled.

    Raises:
        FoldError: as :func:`pool`.
    """
    if not folds or len({fold.seed for fold in folds}) != 1:
        msg = f"Folds of one seed are pooled, got seeds {sorted({fold.seed for fold in folds})}."
        raise FoldError(msg)
    seen: dict[str, Fold] = {}
    for fold in folds:
        if reason := problem(experiment, fold):
            msg = f"The fold {fold} is not finished: {reason} ({experiment.fold_folder(fold)}). Run fedn loso again."
            raise FoldError(msg)
        for subject in fold.subjects:
            if subject in seen:
                msg = f"Subject {subject} is held out by two folds, {seen[subject].name} and {fold.name}."
                raise FoldError(msg)
            seen[subject] = fold


def check_videos(experiment: Experiment, folds: Sequence[Fold], names: Names) -> None:
    """Checks that every video of every held-out subject was looked at.

    Raises:
        FoldError: naming the subject.
    """
    wanted = {subject: experiment.subjects[subject] for fold in folds for subject in fold.subjects}
    found = {subject: sum(key[0] == subject for key in names.videos) for subject in {key[0] for key in names.videos}}
    for subject in sorted(set(wanted) | set(found)):
        if wanted.get(subject, 0) != found.get(subject, 0):
            msg = (
                f"Subject {subject} has {wanted.get(subject, 0)} videos in the corpus and {found.get(subject, 0)} in "
                f"the folds' videos.csv; run the fold again."
            )
            raise FoldError(msg)


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


def read_thresholds(folder: Path) -> tuple[float, float]:
    """The thresholds (macro, micro) a fold has chosen on its validation subjects; infinite where it found none."""
    stored: dict[str, Any] = json.loads((folder / "result.json").read_text(encoding="utf-8"))["threshold"]
    macro, micro = (math.inf if stored[kind] is None else float(stored[kind]) for kind in EXPRESSION_TYPES)
    return macro, micro


def best_thresholds(proposals: EventFile, truths: EventFile) -> tuple[float, float]:
    """The thresholds (macro, micro) with the greatest F1 on these very truths: for `published` alone."""
    return select_threshold(proposals.events, truths.events, per_type=True)


def score(
    counted: EventFile,
    proposals: EventFile,
    truths: EventFile,
    names: Names,
    minutes: float,
    draws: int,
    selected: tuple[float, float] | None,
) -> Report:
    """Scores spotting on `counted` and detection on all proposals.

    For `strict`, `counted` is what each fold claims and nothing was `selected`; for `published` it is all proposals,
    and the threshold was `selected` on them.
    """
    protocol, wanted = PROTOCOLS["megc"], truths.events
    threshold: Threshold = -math.inf if selected is None else selected
    selection = (
        Selection("strict", threshold, STRICT_LABEL)
        if selected is None
        else Selection("published", selected, PUBLISHED_LABEL)
    )
    evaluation = evaluate(counted.events, wanted, protocol, threshold)
    return Report(
        evaluation=replace(evaluation, detection=detection_scores(proposals.events, wanted)),
        selection=selection,
        predictions=counted,
        truths=truths,
        emotions=tuple(names.emotions),
        n_videos=len(names.videos),
        curves=operating_curves(proposals.events, wanted, minutes),
        per_subject=by_name(at_threshold(counted.events, threshold), wanted, names),
        intervals=_intervals(counted.events, proposals.events, wanted, threshold, draws),
        draws=draws,
    )


def _intervals(
    counted: EventTable, proposals: EventTable, truths: EventTable, threshold: Threshold, draws: int
) -> dict[str, Interval]:
    """Intervals over subjects; that of mAP from all proposals."""
    intervals = bootstrap_intervals(counted, truths, threshold=threshold, draws=draws)
    if counted is not proposals:
        every = bootstrap_intervals(proposals, truths, threshold=np.inf, draws=draws)
        intervals["detection.map@0.5"] = every["detection.map@0.5"]
    return intervals


def by_name(counted: EventTable, truths: EventTable, names: Names) -> dict[str, SpottingScores]:
    """Counts of every subject, also of one with nothing to find and nothing found."""
    scores = spotting_by_subject(counted, truths)
    nothing = SpottingScores(*(Counts() for _ in SpottingScores.groups()))
    return {name: scores.get(index, nothing) for name, index in sorted(names.subjects.items())}


def count_emotions(counted: EventTable, truths: EventTable, n_classes: int) -> IntArray:
    """The confusion matrix of the emotions of all true positives, macro and micro."""
    hits = spot_groups(counted, truths)["overall"]
    return confusion(counted.emotion[hits.prediction], truths.emotion[hits.truth], n_classes)
