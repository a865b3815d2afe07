"""A report of one evaluation: what was scored, how thresholds were chosen, and the scores."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from fedn_lightning.metrics.functional.bootstrap import Interval
from fedn_lightning.metrics.functional.curves import RATES, OperatingCurves
from fedn_lightning.metrics.functional.evaluation import HEADLINE, Evaluation
from fedn_lightning.metrics.functional.spotting import SpottingScores, show
from fedn_lightning.metrics.functional.threshold import Threshold
from fedn_lightning.results import EventFile
from fedn_lightning.utils.files import plain


@dataclass(frozen=True)
class Selection:
    """How the score threshold was come by.

    Attributes:
        mode: `none`, `fixed`, `strict` or `published`.
        threshold: one for all, or (macro, micro).
        label: for a reader; `published` says that it was selected on test data.
    """

    mode: str
    threshold: Threshold
    label: str


@dataclass(frozen=True)
class Report:
    """Everything there is to tell about one evaluation.

    Attributes:
        evaluation: the scores.
        selection: the threshold and where it comes from.
        predictions: the file of predictions.
        truths: the file of truths.
        emotions: class names in the order of the `emotion` index.
        n_videos: number of videos known, with or without a truth.
        curves: the threshold swept.
        per_subject: counts of each subject by name, if asked for.
        intervals: bootstrap intervals by score, if asked for.
        draws: number of resamples of the bootstrap.
    """

    evaluation: Evaluation
    selection: Selection
    predictions: EventFile
    truths: EventFile
    emotions: tuple[str, ...]
    n_videos: int
    curves: OperatingCurves
    per_subject: dict[str, SpottingScores] | None = None
    intervals: dict[str, Interval] | None = None
    draws: int = 0

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
    return {
        "spotting": evaluation.spotting.to_dict(),
        "detection": {**evaluation.detection.summary(), "per_class": average_precision_by_name(evaluation, emotions)},
        "recognition": {**recognition[HEADLINE], "group": HEADLINE, "by_group": recognition},
        "strs": evaluation.strs[HEADLINE],
        "strs_by_group": evaluation.strs,
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
            "false_alarms_per_minute": list(RATES),
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
