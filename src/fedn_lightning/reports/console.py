"""Results as text: the card that ends a run, the report of `fedn evaluate`, the agreement of two coders."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from fedn_lightning.metrics.functional.evaluation import HEADLINE, PROTOCOLS
from fedn_lightning.metrics.functional.spotting import SpottingScores, show
from fedn_lightning.metrics.functional.threshold import RATES, OperatingCurves
from fedn_lightning.results.names import PREDICTIONS, RESULT
from fedn_lightning.results.report import (
    GIVEN,
    STRICT,
    VALIDATION,
    Report,
    _interval,
    flatten,
    scores_to_dict,
    subject_table,
)

if TYPE_CHECKING:
    from fedn_lightning.metrics.functional.rates import Differences
    from fedn_lightning.results.agreement import Agreement
    from fedn_lightning.results.coded import CodedVideo

ROWS_SHOWN = 5
"""How many rows that were set aside are quoted."""


def to_text(report: Report) -> str:
    """The report for a terminal."""
    parts = ["\n".join(f"{name:<12}{value}" for name, value in header(report)), str(report.evaluation.spotting)]
    parts.append("\n".join(lines("", scores_table(report))))
    parts += unknown_offsets_line(scores_to_dict(report.evaluation, report.emotions)["without_unknown_offsets"])
    if not math.isnan(report.curves.minutes):
        parts.append("\n".join(lines("recall at a limit of false positives per minute", froc_table(report.curves))))
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
            kept = "kept, so false positives" if file is report.predictions else "kept, so always false negatives"
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


GROUPS = {"macro": "macro", "micro": "micro", "overall": "overall", "type_agnostic": "any type"}
FILES = {
    "timelines": "one picture per video: truth, predictions, confidence",
    PREDICTIONS: "what was found, inclusive frames",
    RESULT: "these numbers",
    "curves.png": "losses and validation scores",
    "checkpoints": "best.ckpt, last.ckpt",
}


def explain_subjects(result: dict[str, Any]) -> str:
    """The subjects and videos on which the numbers were measured."""
    subjects = result["subjects"]
    many = "subject" if len(subjects) == 1 else "subjects"
    whom = f"{result['n_videos']} videos of {many} {', '.join(subjects)}"
    return f"{result['n_truths']} expressions in {whom}, never seen in training"


def spotting_table(spotting: dict[str, dict[str, Any]]) -> Table:
    """Counts and scores by expression type."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("spotting")
    for name in ("TP", "FP", "FN", "precision", "recall", "F1"):
        table.add_column(name, justify="right")
    for group, label in GROUPS.items():
        row = spotting[group]
        style = "bold" if group == "overall" else ""
        counts = [str(row[key]) for key in ("tp", "fp", "fn")]
        table.add_row(label, *counts, *(show(row[key]) for key in ("precision", "recall", "f1")), style=style)
    return table


def detection_table(detection: dict[str, Any]) -> Table:
    """Mean average precisions, and that of each class at IoU 0.5."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    columns = {"mAP@0.5": detection["map@0.5"], "mAP@0.3:0.7": detection["map@0.3:0.7"]}
    columns |= {f"AP {name}": value for name, value in detection["per_class"].items()}
    table.add_column("detection")
    for name in columns:
        table.add_column(name, justify="right")
    table.add_row("found and named", *(show(value) for value in columns.values()))
    return table


def explain_choice(result: dict[str, Any]) -> str:
    """The thresholds and the subjects on which they were chosen."""
    if result["selection"] != STRICT:
        chosen = "selected on test data: compare only with papers that do the same"
    elif result.get("split") == VALIDATION and "chosen_on" not in result:
        chosen = "chosen on these subjects: not a result to report"
    else:
        chosen = f"chosen on {result.get('chosen_on', 'validation')} subjects, never on these"
    # An infinite threshold: none found an expression of that type, so none is predicted.
    both = [
        f"{kind} {'none' if value is None or math.isinf(value) else f'{value:.3f}'}"
        for kind, value in result["threshold"].items()
    ]
    return f"score thresholds {', '.join(both)}, {chosen}; protocol {result['protocol']}, IoU >= 0.5"


def unknown_offsets_line(without: dict[str, Any]) -> list[str]:
    """The second reading in a sentence; nothing where every offset is known."""
    if not without.get("unknown"):
        return []
    f1 = ", ".join(f"{group} {show(without['spotting'][group]['f1'])}" for group in ("macro", "micro", "overall"))
    return [
        f"The release gives no offset for {without['unknown']} truths; above they count with the end that the "
        f"offset policy gives them. Without them, and without predictions that could be them: F1 {f1}, "
        f"mAP@0.5 {show(without['map@0.5'])}."
    ]


def render_card(result: dict[str, Any], folder: str, files: Sequence[str], next_command: str = "") -> RenderableType:
    """Lays the card out."""
    parts: list[RenderableType] = []
    if "spotting" in result:
        parts += [Text(explain_subjects(result)), Text(explain_choice(result), style="dim"), ""]
        parts += [spotting_table(result["spotting"]), "", detection_table(result["detection"])]
        parts += [Text(line, style="dim") for line in unknown_offsets_line(result.get("without_unknown_offsets", {}))]
    else:
        if result.get("intervals") == "truth":
            parts += [Text(explain_subjects(result)), Text(GIVEN, style="dim"), ""]
        parts.append(_plain_table(flatten(result.get("scores", {}))))
    parts += ["", f"files in [bold]{folder}[/bold]", _file_table(files)]
    if next_command:
        parts += ["", f"next: [bold]{next_command}[/bold]"]
    whose = "validation" if result.get("split") == VALIDATION else "held-out"
    title = f"result on {whose} subjects" if "spotting" in result else "result"
    return Panel(Group(*parts), title=title, title_align="left", border_style="green", padding=(1, 2))


def _plain_table(numbers: dict[str, float]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    for name, value in numbers.items():
        table.add_row(name, str(value) if isinstance(value, int) else show(value))
    return table


def _file_table(files: Sequence[str]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 2), show_header=False)
    for name, meaning in FILES.items():
        if name in files:
            table.add_row(name, Text(meaning, style="dim"))
    return table


def print_card(
    result: dict[str, Any], folder: str, files: Sequence[str], next_command: str = "", console: Console | None = None
) -> None:
    """Prints the card on stdout; it is the command's result."""
    (console or Console()).print(render_card(result, folder, files, next_command))


def agreement_text(result: Agreement, first: Sequence[CodedVideo], second: Sequence[CodedVideo]) -> str:
    """F1 at several overlaps, kappa per frame, and differences of boundaries."""
    head = [
        ("truth", _who(first)),
        ("predictions", _who(second)),
        ("videos", f"{len(result.videos)} that both coded, {result.minutes:.2f} minutes, {result.n_frames} frames"),
    ]
    parts = ["\n".join(f"{name:<12}{value}" for name, value in head)]
    parts.append("\n".join(lines("events of one type at an overlap (IoU) of at least", list(_f1_rows(result)))))
    kappas = [("kappa", *result.kappas), ("", *(show(value) for value in result.kappas.values()))]
    parts.append("\n".join(lines("frames, agreement beyond chance", kappas)))
    _, middle, _ = result.spotting
    boundaries = [
        ("boundary", "pairs", "mean", "mean size", "SD"),
        *(_boundary(name, getattr(result, name)) for name in ("onset", "offset")),
    ]
    parts.append("\n".join(lines(f"predictions minus truth in ms, pairs at IoU {middle:g}", boundaries)))
    same, of = result.same_emotion
    if of:
        parts.append(f"emotions of these pairs: the same in {same} of {of}, kappa {show(result.emotion_kappa)}")
    return "\n\n".join(parts)


def _who(videos: Sequence[CodedVideo]) -> str:
    coders = ", ".join(sorted({video.coder for video in videos if video.coder}))
    count = sum(len(video.events) for video in videos)
    more = f" and {len(videos) - 1} more" if len(videos) > 1 else ""
    return f"{videos[0].source}{more} ({coders + ': ' if coders else ''}{count} events)"


def _f1_rows(result: Agreement) -> Iterator[tuple[str, ...]]:
    _, middle, _ = result.spotting
    yield ("type", *(f"F1@{iou:g}" for iou in result.spotting), f"both@{middle:g}", "truth alone", "predictions alone")
    for group in SpottingScores.groups():
        counts = getattr(result.spotting[middle], group)
        scores = [show(getattr(at, group).f1) for at in result.spotting.values()]
        yield (group.replace("_", "-"), *scores, str(counts.tp), str(counts.fn), str(counts.fp))


def _boundary(name: str, found: Differences) -> tuple[str, ...]:
    return name, str(found.pairs), *(f"{value:+.0f}" if k == 0 else f"{value:.0f}" for k, value in enumerate(found[1:]))
