"""Scores of a run: the report of an evaluation, the strict and the published one of its tables, and `result.json`."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fedn_lightning.events import EXPRESSION_TYPES, DetectionRecord, EventTable, IntArray
from fedn_lightning.metrics.functional.bootstrap import Interval, bootstrap_intervals
from fedn_lightning.metrics.functional.detection import detection_scores
from fedn_lightning.metrics.functional.evaluation import (
    HEADLINE,
    PROTOCOLS,
    Evaluation,
    Protocol,
    evaluate,
    spotting_by_subject,
)
from fedn_lightning.metrics.functional.recognition import confusion
from fedn_lightning.metrics.functional.spotting import Counts, SpottingScores, show, spot_groups
from fedn_lightning.metrics.functional.threshold import (
    RATES,
    OperatingCurves,
    Threshold,
    at_threshold,
    operating_curves,
    select_threshold_per_type,
)
from fedn_lightning.results import EventFile, Names, RunTables
from fedn_lightning.utils.files import plain


@dataclass(frozen=True)
class Selection:
    """How the score threshold was chosen."""

    mode: str  # `none`, `fixed`, `strict` or `published`
    threshold: Threshold  # one for all, or (macro, micro)
    label: str  # for a reader; `published` says that it was selected on test data


@dataclass(frozen=True)
class Report:
    """All results of one evaluation."""

    evaluation: Evaluation  # the scores
    selection: Selection  # the threshold and where it comes from
    predictions: EventFile  # the file of predictions
    truths: EventFile  # the file of truths
    emotions: tuple[str, ...]  # class names in the order of the `emotion` index
    n_videos: int  # number of videos known, with or without a truth
    curves: OperatingCurves  # the threshold swept
    per_subject: dict[str, SpottingScores] | None = None  # counts of each subject by name, if asked for
    intervals: dict[str, Interval] | None = None  # bootstrap intervals by score, if asked for
    draws: int = 0  # number of resamples of the bootstrap

    @property
    def without_truth(self) -> tuple[int, int]:
        """Number of videos with predictions but no truth, and number of those predictions."""
        outside = ~np.isin(self.predictions.events.video, self.truths.events.video)
        videos = self.predictions.events.video[outside]
        return len(np.unique(videos)), len(videos)

    def per_class(self) -> dict[str, float]:
        """AP@0.5 of each emotion of the truth."""
        return average_precision_by_name(self.evaluation, self.emotions)


def average_precision_by_name(evaluation: Evaluation, emotions: tuple[str, ...]) -> dict[str, float]:
    """AP@0.5 of each emotion of the truth, by the name of its index."""
    return {emotions[index]: ap for index, ap in evaluation.detection.per_class(0.5).items()}


def scores_to_dict(evaluation: Evaluation, emotions: tuple[str, ...]) -> dict[str, Any]:
    """The scores as nested dictionaries; undefined ones are NaN.

    Args:
        evaluation: the scores.
        emotions: class names in the order of the `emotion` index.
    """
    recognition = {group: scores.to_dict() for group, scores in evaluation.recognition.items()}
    spotting, mean_ap = evaluation.without_unknown
    return {
        "spotting": evaluation.spotting.to_dict(),
        "detection": {**evaluation.detection.summary(), "per_class": average_precision_by_name(evaluation, emotions)},
        "recognition": {**recognition[HEADLINE], "group": HEADLINE, "by_group": recognition},
        "strs": evaluation.strs[HEADLINE],
        "strs_by_group": evaluation.strs,
        "without_unknown_offsets": {
            "unknown": evaluation.unknown_offsets,
            "spotting": spotting.to_dict(),
            "map@0.5": mean_ap,
        },
    }


def to_json(report: Report) -> dict[str, Any]:
    """The report as plain values; undefined scores are None."""
    result: dict[str, Any] = {
        "protocol": report.evaluation.protocol,
        "selection": {
            "mode": report.selection.mode,
            "threshold": report.selection.threshold,
            "label": report.selection.label,
        },
        **scores_to_dict(report.evaluation, report.emotions),
        "files": {
            "n_videos": report.n_videos,
            "videos_without_truth": report.without_truth[0],
            "predictions_in_videos_without_truth": report.without_truth[1],
            "predictions": _file(report.predictions),
            "truth": _file(report.truths),
        },
    }
    if not math.isnan(report.curves.minutes):
        result["froc"] = {
            "minutes": report.curves.minutes,
            "false_positives_per_minute": list(RATES),
            "recall": report.curves.recall_at(),
        }
    if report.per_subject is not None:
        result["per_subject"] = {name: scores.to_dict() for name, scores in report.per_subject.items()}
    if report.intervals is not None:
        result["bootstrap"] = {
            "draws": report.draws,
            "level": 0.95,
            "intervals": {name: [i.low, i.high] for name, i in report.intervals.items()},
        }
    clean: dict[str, Any] = plain(result)
    return clean


def subject_table(per_subject: dict[str, SpottingScores]) -> list[tuple[str, ...]]:
    """Rows of subject, counts and F1s; a subject with nothing to find and nothing found shows `-`."""
    rows = [
        (
            name,
            *(str(getattr(scores.overall, key)) for key in ("tp", "fp", "fn")),
            *(show(getattr(scores, group).f1) for group in ("macro", "micro", "overall")),
        )
        for name, scores in per_subject.items()
    ]
    return [("subject", "TP", "FP", "FN", "macro F1", "micro F1", "overall F1"), *rows]


def _interval(interval: Interval | None) -> str:
    if interval is None:
        return ""
    rare = f" (defined in {interval.defined:.0%} of draws)" if interval.defined < 1 else ""
    return f"[{show(interval.low)}, {show(interval.high)}]{rare}"


def _file(file: EventFile) -> dict[str, Any]:
    return {
        "path": file.path,
        "format": file.format,
        "events": len(file.events),
        "duplicates": file.duplicates,
        "set_aside": [{"row": bad.row, "reason": bad.reason} for bad in file.set_aside],
    }


STRICT_LABELS = {
    "validation": "each fold's threshold and epoch were chosen on validation subjects among its training subjects",
    "training": "each fold's threshold and settings were chosen on its training subjects",
}
"""By the subjects that a fold's `result.json` names in `chosen_on`."""

PUBLISHED_LABEL = "selected on test data: one pair of thresholds for all folds, the best on these very predictions"


def score_strict(tables: RunTables, draws: int, chosen_on: str) -> Report:
    """Scores the predictions of each fold, at the thresholds it chose on the subjects that `chosen_on` names."""
    return _score(tables, tables.predicted, Selection("strict", -math.inf, STRICT_LABELS[chosen_on]), draws)


def score_published(tables: RunTables, draws: int) -> Report:
    """Scores all proposals at the thresholds (macro, micro) with the greatest F1 on these very truths."""
    best = select_threshold_per_type(tables.proposals.events, tables.truths.events)
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


def by_name(
    counted: EventTable, truths: EventTable, names: Names, protocol: Protocol = PROTOCOLS["megc"]
) -> dict[str, SpottingScores]:
    """Counts of every subject, also of one with nothing to find and nothing found."""
    scores = spotting_by_subject(counted, truths, protocol)
    nothing = SpottingScores(*(Counts() for _ in SpottingScores.groups()))
    return {name: scores.get(index, nothing) for name, index in sorted(names.subjects.items())}


def count_emotions(counted: EventTable, truths: EventTable, n_classes: int) -> IntArray:
    """The confusion matrix of the emotions of all true positives, macro and micro."""
    hits = spot_groups(counted, truths)["overall"]
    return confusion(counted.emotion[hits.prediction], truths.emotion[hits.truth], n_classes)


STRICT = "strict"
"""Every choice, here the epoch and the thresholds, was made on subjects that are not held out."""


GIVEN = "recognition on labelled intervals: what a recogniser could do if spotting were perfect"
"""Describes a run whose intervals were given; its spotting scores would be perfect and mean nothing."""

TEST, VALIDATION = "test", "validation"
"""Whose subjects were scored."""


def result_of(record: DetectionRecord, selection: str = STRICT, split: str = TEST) -> dict[str, Any]:
    """Scores a record by the default protocol.

    Args:
        record: truths, all proposals, and the thresholds from which a proposal counts for spotting.
        selection: how the thresholds were chosen, `strict` or `published`.
        split: whose subjects these are, `test` or `validation`.

    Returns:
        `protocol`, `selection`, `split`, `threshold.{macro,micro}`, `subjects`, `n_videos`, `n_truths`, then the
        scores under the keys of `fedn evaluate --json`. Undefined numbers are NaN. `chosen_on` is there if thresholds
        were not chosen on validation subjects. Where the intervals were given, only `recognition` is left of these
        scores, and `scores` has the same by flat names.
    """
    evaluation = evaluate(record.predictions, record.truths, threshold=record.threshold)
    head = {
        "protocol": evaluation.protocol,
        "selection": selection,
        "split": split,
        "threshold": dict(zip(EXPRESSION_TYPES, record.threshold, strict=True)),
        "subjects": list(record.subjects),
        "n_videos": len(record.videos),
        "n_truths": len(record.truths),
    }
    if record.chosen_on != "validation":
        head["chosen_on"] = record.chosen_on
    scores = scores_to_dict(evaluation, record.emotions)
    if record.intervals == "spotted":
        return {**head, **scores}
    groups = {name: evaluation.recognition[name].to_dict() for name in ("overall", *EXPRESSION_TYPES)}
    flat = {f"{group}_{key}": value for group, named in groups.items() for key, value in named.items()}
    return {**head, "intervals": record.intervals, "recognition": scores["recognition"], "scores": flat}


def flatten(result: dict[str, Any], prefix: str = "") -> dict[str, float]:
    """The numbers of a nested result by joined keys, as a tracker wants them; undefined ones are left out.

    >>> flatten({"spotting": {"micro": {"f1": 0.5}}, "protocol": "megc"}, "test/")
    {'test/spotting/micro/f1': 0.5}
    """
    flat: dict[str, float] = {}
    for key, value in result.items():
        if isinstance(value, dict):
            flat.update(flatten(value, f"{prefix}{key}/"))
        elif isinstance(value, int | float) and value == value:
            flat[f"{prefix}{key}"] = value
    return flat
