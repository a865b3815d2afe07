"""An evaluation as a reader wants it: as text for a terminal and as JSON for a program."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from fedn_lightning.event_files import EventFile
from fedn_lightning.files import plain
from fedn_lightning.metrics.functional.bootstrap import Interval
from fedn_lightning.metrics.functional.curves import RATES, OperatingCurves
from fedn_lightning.metrics.functional.evaluation import HEADLINE, Evaluation
from fedn_lightning.metrics.functional.protocols import PROTOCOLS
from fedn_lightning.metrics.functional.spotting import SpottingScores, show
from fedn_lightning.metrics.functional.threshold import Threshold

ROWS_SHOWN = 5
"""How many rows that were set aside are quoted."""


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


def to_text(report: Report) -> str:
    """The report for a terminal."""
    parts = ["\n".join(f"{name:<12}{value}" for name, value in header(report)), str(report.evaluation.spotting)]
    parts.append("\n".join(lines("", scores_table(report))))
    if not math.isnan(report.curves.minutes):
        parts.append("\n".join(lines("recall at most so many false alarms per minute", froc_table(report.curves))))
    if report.per_subject is not None:
        parts.append("\n".join(lines("per subject", subject_table(report.per_subject))))
    return "\n\n".join(parts)


def header(report: Report) -> Iterator[tuple[str, str]]:
    """What a number needs beside it: protocol, selection, files, and what was odd about them."""
    yield "protocol", f"{report.evaluation.protocol}: {PROTOCOLS[report.evaluation.protocol].summary}"
    yield "selection", f"{report.selection.mode}: {report.selection.label}"
    for name, file in (("predictions", report.predictions), ("truth", report.truths)):
        events = file.events
        where = f"{len(np.unique(events.video))} videos of {len(np.unique(events.subject))} subjects"
        yield name, f"{file.path} (format {file.format}): {len(events)} events in {where}"
        if file.duplicates:
            kept = "kept, so false positives" if file is report.predictions else "kept, so certain misses"
            yield "", f"{file.duplicates} rows repeat another exactly ({kept})"
        if file.set_aside:
            quoted = "; ".join(f"row {bad.row}: {bad.reason}" for bad in file.set_aside[:ROWS_SHOWN])
            more = " ..." if len(file.set_aside) > ROWS_SHOWN else ""
            yield "", f"{len(file.set_aside)} rows set aside ({quoted}{more})"
    videos, events_there = report.without_truth
    if videos:
        yield "", f"{videos} videos have predictions but no truth: {events_there} predictions, false positives"
    if report.intervals is not None:
        yield "intervals", f"95 %, {report.draws} draws of subjects with replacement; the threshold stays as it is"


def scores_table(report: Report) -> list[tuple[str, ...]]:
    """Rows of score, value and interval; the first is the head."""
    e = report.evaluation
    flat = {f"spotting.{g}.f1": getattr(e.spotting, g).f1 for g in SpottingScores.groups()}
    flat |= {f"detection.{name}": value for name, value in e.detection.summary().items()}
    flat |= {f"detection.ap@0.5 {name}": value for name, value in report.per_class().items()}
    for group in ("micro", "macro", "overall"):
        flat |= {f"recognition.{group}.{key}": value for key, value in e.recognition[group].to_dict().items()}
        flat[f"strs.{group}"] = e.strs[group]
    intervals = report.intervals or {}
    # The bootstrap names the headline group's scores without the group.
    named = {name.replace(f".{HEADLINE}.", ".") if name.startswith("rec") else name: name for name in flat}
    named |= {"strs": f"strs.{HEADLINE}"}
    by_row = {row: intervals[name] for name, row in named.items() if name in intervals}
    rows = [(name, show(value), _interval(by_row.get(name))) for name, value in flat.items()]
    return [("score", "value", "95 %" if intervals else ""), *rows]


def froc_table(curves: OperatingCurves) -> list[tuple[str, ...]]:
    """Rows of group and recall at each rate; the first is the head."""
    rows = [(group, *(show(value) for value in values)) for group, values in curves.recall_at().items()]
    return [("", *(f"{rate:g}" for rate in RATES)), *rows]


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


def lines(title: str, table: list[tuple[str, ...]]) -> Iterator[str]:
    """A table as aligned lines of text, after its title if it has one; the first column is aligned left."""
    if title:
        yield title
    widths = [max(len(cell) for cell in column) for column in zip(*table, strict=True)]
    for row in table:
        cells = [f"{row[0]:<{widths[0]}}", *(f"{cell:>{w}}" for cell, w in zip(row[1:], widths[1:], strict=True))]
        yield "  ".join(cells).rstrip()


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
