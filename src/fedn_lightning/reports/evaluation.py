"""An evaluation as a reader wants it: as text for a terminal and as JSON for a program."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from fedn_lightning.metrics.functional.curves import RATES, OperatingCurves
from fedn_lightning.metrics.functional.evaluation import HEADLINE
from fedn_lightning.metrics.functional.protocols import PROTOCOLS
from fedn_lightning.metrics.functional.spotting import SpottingScores, show
from fedn_lightning.reports.console import unknown_offsets_line
from fedn_lightning.results.report import Report, _interval, scores_to_dict, subject_table

ROWS_SHOWN = 5
"""How many rows that were set aside are quoted."""


def to_text(report: Report) -> str:
    """The report for a terminal."""
    parts = ["\n".join(f"{name:<12}{value}" for name, value in header(report)), str(report.evaluation.spotting)]
    parts.append("\n".join(lines("", scores_table(report))))
    parts += unknown_offsets_line(scores_to_dict(report.evaluation, report.emotions)["without_unknown_offsets"])
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


def lines(title: str, table: list[tuple[str, ...]]) -> Iterator[str]:
    """A table as aligned lines of text, after its title if it has one; the first column is aligned left."""
    if title:
        yield title
    widths = [max(len(cell) for cell in column) for column in zip(*table, strict=True)]
    for row in table:
        cells = [f"{row[0]:<{widths[0]}}", *(f"{cell:>{w}}" for cell, w in zip(row[1:], widths[1:], strict=True))]
        yield "  ".join(cells).rstrip()
