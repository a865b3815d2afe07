"""A run's tables scored, once as the run has chosen its thresholds, and once with the best ones on these very data."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from fedn_lightning.events import EventTable, IntArray
from fedn_lightning.metrics.functional.bootstrap import Interval, bootstrap_intervals
from fedn_lightning.metrics.functional.curves import operating_curves
from fedn_lightning.metrics.functional.detection import detection_scores
from fedn_lightning.metrics.functional.evaluation import evaluate, spotting_by_subject
from fedn_lightning.metrics.functional.protocols import PROTOCOLS
from fedn_lightning.metrics.functional.recognition import confusion
from fedn_lightning.metrics.functional.spotting import Counts, SpottingScores, spot_groups
from fedn_lightning.metrics.functional.threshold import Threshold, at_threshold, select_threshold
from fedn_lightning.results import EventFile, Names, RunTables
from fedn_lightning.results.report import Report, Selection

STRICT_LABELS = {
    "validation": "each fold's threshold and epoch were chosen on validation subjects among its training subjects",
    "training": "each fold's threshold and settings were chosen on its training subjects",
}
"""By the subjects that a fold's `result.json` names in `chosen_on`."""

PUBLISHED_LABEL = "selected on test data: one pair of thresholds for all folds, the best on these very predictions"


def score_strict(tables: RunTables, draws: int, chosen_on: str) -> Report:
    """Scores what each fold claims, at the thresholds it has chosen on the subjects that `chosen_on` names."""
    return _score(tables, tables.claimed, Selection("strict", -math.inf, STRICT_LABELS[chosen_on]), draws)


def score_published(tables: RunTables, draws: int) -> Report:
    """Scores all proposals at the thresholds (macro, micro) with the greatest F1 on these very truths."""
    best = select_threshold(tables.proposals.events, tables.truths.events, per_type=True)
    return _score(tables, tables.proposals, Selection("published", best, PUBLISHED_LABEL), draws)


def _score(tables: RunTables, counted: EventFile, selection: Selection, draws: int) -> Report:
    """Scores spotting on `counted`, of which the selection's threshold is still to be applied, and detection on all."""
    names, threshold = tables.names, selection.threshold
    wanted, proposals = tables.truths.events, tables.proposals.events
    evaluation = evaluate(counted.events, wanted, PROTOCOLS["megc"], threshold)
    return Report(
        evaluation=replace(evaluation, detection=detection_scores(proposals, wanted)),
        selection=selection,
        predictions=counted,
        truths=tables.truths,
        emotions=tuple(names.emotions),
        n_videos=len(names.videos),
        curves=operating_curves(proposals, wanted, tables.minutes),
        per_subject=by_name(at_threshold(counted.events, threshold), wanted, names),
        intervals=_intervals(counted.events, proposals, wanted, threshold, draws),
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
