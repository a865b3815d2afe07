"""The pages of `fedn report` (everything a run has left) and of `fedn evaluate --html`, each in one HTML file."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]
from markupsafe import Markup

from fedn_lightning.metrics.functional.evaluation import flat_scores
from fedn_lightning.metrics.functional.spotting import SpottingScores, show
from fedn_lightning.reports.console import explain_choice, explain_subjects, froc_table, header, scores_table
from fedn_lightning.reports.html import render, render_page
from fedn_lightning.reports.html.attention import attention_section
from fedn_lightning.reports.html.charts import (
    all_folds,
    one_run,
    overlap_chart,
    overview_charts,
    threshold_charts,
    tradeoff_charts,
)
from fedn_lightning.reports.html.strips import Clips, strips_section
from fedn_lightning.reports.html.timelines import colours_of, timelines_section
from fedn_lightning.results.names import METRICS_LOG, SELECTIONS, headlines
from fedn_lightning.results.report import GIVEN, Report, subject_table
from fedn_lightning.results.run_folder import RunFiles
from fedn_lightning.utils.files import write_text

FEW_SUBJECTS = 5
"""With fewer subjects, a bootstrap interval would look more precise than it is."""

NOTHING_SPOTTED = "The intervals were given to a recogniser, so there is no spotting to score."

GENERATED = (
    "These are generated faces. The results show that the code works, not how well the network does on real faces."
)


def describe_subjects(run: RunFiles) -> str:
    """On how many expressions, videos and subjects the numbers were measured."""
    subjects = sorted({video.subject for video in run.videos})
    if not run.pooled and run.result.get("subjects"):
        return f"{explain_subjects(dict(run.result))}."
    minutes = sum(n / v.fps for n, v in zip(run.n_frames, run.videos, strict=True)) / 60
    whom = f"{len(subjects)} subjects, each" if run.pooled else f"subjects {', '.join(subjects)},"
    return (
        f"{len(run.truths)} expressions in {len(run.videos)} videos ({minutes:.0f} minutes) of {whom} never seen in "
        "training."
    )


def warnings_of(run: RunFiles) -> Iterator[str]:
    """What a reader must know before any number."""
    if run.generated:
        yield GENERATED
    if run.generated is None:
        yield "The corpus of this run was not found, so it is unknown whether its faces are real."
    if run.result.get("split") == "validation":
        yield "Thresholds and epoch were chosen on these subjects: this is not a result to report."
    if run.given:
        yield f"This is {GIVEN}. Intervals and types are those of the labels."
    if run.result.get("missing"):
        yield f"Partial: {len(run.result['missing'])} subjects are missing ({', '.join(run.result['missing'])})."


def summary_section(run: RunFiles) -> Markup:
    """Headline scores with their intervals, counts by type, the choice of thresholds, subjects, and confusion."""
    head, *scores = scores_table(run.strict)
    title = "Emotions of the labelled intervals" if run.given else "Emotions of what was spotted"
    label = run.published.selection.label if run.published is not None else ""
    return render(
        "summary.html",
        tiles=list(_tiles(run)),
        choice=_choice(run),
        notes=run.notes,
        spotting=[] if run.given else spotting_rows(run.strict.evaluation.spotting),
        both=[("score", SELECTIONS["strict"], "95 %", SELECTIONS["published"], "95 %"), *_both(run)] if label else [],
        published=f"{label.capitalize()}.",
        scores=[head, *(row for row in scores if not run.given or row[0].startswith("recognition."))],
        subjects=[] if run.given else subject_table(run.strict.per_subject or {}),
        nothing_spotted=NOTHING_SPOTTED,
        confusion_title=title,
        confusion=list(_confusion(run)) if run.confusion.any() else [],
    )


def _choice(run: RunFiles) -> str:
    subjects = _subjects(run)
    spread = f"Intervals: 95 %, {run.strict.draws} draws of the {subjects} subjects with replacement."
    if subjects < FEW_SUBJECTS:
        whom = "1 subject is" if subjects == 1 else f"{subjects} subjects are"
        spread = f"{whom} too few for an interval over subjects."
    if run.pooled and not run.given:
        label = run.strict.selection.label
        return f"Strict: {label}; protocol {run.strict.evaluation.protocol}, IoU >= 0.5. {spread}"
    if run.given or "threshold" not in run.result:
        return spread
    choice = explain_choice(dict(run.result))
    return f"{choice[0].upper()}{choice[1:]}. {spread}"


def _subjects(run: RunFiles) -> int:
    return len({video.subject for video in run.videos})


def _tiles(run: RunFiles) -> Iterator[dict[str, Any]]:
    values = flat_scores(run.strict.evaluation)
    for path, name in headlines(run.given).items():
        interval = (run.strict.intervals or {}).get(path)
        if interval and (math.isnan(interval.low) or _subjects(run) < FEW_SUBJECTS):
            interval = None
        spread = f"95 % {show(interval.low, 3)} to {show(interval.high, 3)}" if interval else "no interval"
        value = values[path]
        yield {"name": name, "value": value, "text": show(value, 3), "interval": interval, "spread": spread}


def _both(run: RunFiles) -> Iterator[tuple[str, ...]]:
    reports = [report for report in (run.strict, run.published) if report]
    scores = [flat_scores(report.evaluation) for report in reports]
    for path, name in headlines(run.given).items():
        cells = [name]
        for report, values in zip(reports, scores, strict=True):
            interval = (report.intervals or {}).get(path) if _subjects(run) >= FEW_SUBJECTS else None
            cells += [show(values[path]), f"[{show(interval.low)}, {show(interval.high)}]" if interval else ""]
        yield tuple(cells)


def _confusion(run: RunFiles) -> Iterator[tuple[Any, ...]]:
    """True emotions as rows, predicted emotions as columns; a cell is a count and its share of the row."""
    yield ("true \\ predicted", *run.emotions, "none")
    for name, counts in zip(run.emotions, run.confusion.tolist(), strict=True):
        total = max(sum(counts), 1)
        yield (name, *({"count": count, "share": count / total} for count in counts))


def spotting_rows(scores: SpottingScores) -> list[tuple[str, ...]]:
    """Counts and ratios by expression type; the first row is the head."""
    rows: list[tuple[str, ...]] = [("type", "TP", "FP", "FN", "precision", "recall", "F1")]
    for group in SpottingScores.groups():
        c = getattr(scores, group)
        counts = str(c.tp), str(c.fp), str(c.fn)
        rows.append((group.replace("_", "-"), *counts, show(c.precision), show(c.recall), show(c.f1)))
    return rows


NAVIGATION = {
    "summary": "Summary",
    "subjects": "Subjects",
    "confusion": "Emotions",
    "curves": "Operating curves",
    "timelines": "Timelines",
    "errors": "Worst errors",
    "attention": "Attention",
    "training": "Training",
    "origin": "Origin",
}


def write_report(path: str | Path, run: RunFiles, strips: int = 8, looks: int = 5) -> Path:
    """Writes the page; an existing file is replaced atomically.

    Args:
        path: the HTML file.
        run: what it shows.
        strips: false positives and false negatives shown as film strips, at most so many of each.
        looks: events whose attention is shown, at most.
    """
    return write_text(path, report_page(run, strips, looks))


def report_page(run: RunFiles, strips: int = 8, looks: int = 5) -> str:
    """The page as text; see :func:`write_report`."""
    clips, name = Clips(run), str(run.config.experiment or run.folder.name)
    return render_page(
        "report.html",
        title=f"{name}: fedn report",
        name=name,
        kind="leave one subject out" if run.pooled else "one run",
        about=describe_subjects(run),
        warnings=list(warnings_of(run)),
        navigation=NAVIGATION,
        colours=colours_of(run.emotions),
        parts=[
            summary_section(run),
            _curves(run),
            timelines_section(run),
            strips_section(run, clips, strips),
            attention_section(run, clips, looks),
            _training(run),
            _origin(run),
        ],
    )


def _curves(run: RunFiles) -> Markup:
    section = {"anchor": "curves", "title": "Operating curves"}
    if run.given:
        return render("curves.html", **section, reasons=[NOTHING_SPOTTED], note="", charts=[])
    curves, detection = run.strict.curves, run.strict.evaluation.detection
    charts = [
        *threshold_charts(curves, run.thresholds),
        overlap_chart(detection, run.emotions),
        *tradeoff_charts(curves),
    ]
    note = (
        f"Protocol megc. The vertical lines are the thresholds chosen on {run.result.get('chosen_on', 'validation')} "
        "subjects. Where F1 has its maximum elsewhere, a threshold chosen on these subjects would look better, but it "
        "would be selected on test data."
    )
    return render("curves.html", **section, reasons=[], note=note, charts=charts)


def _training(run: RunFiles) -> Markup:
    """The curves of `metrics.csv`, of the run or of all folds."""
    logs = {home.name: home / METRICS_LOG for home in dict.fromkeys(run.homes.values())}
    found = {name: path for name, path in logs.items() if path.is_file()}
    missing = ", ".join(sorted(set(logs) - set(found)))
    reasons = [f"metrics.csv is not there ({missing}), so the curves of that training cannot be shown."]
    charts = [chart for log in found.values() for chart in one_run(log)] if len(logs) == 1 else list(all_folds(found))
    return render(
        "curves.html", anchor="training", title="Training", reasons=reasons if missing else [], note="", charts=charts
    )


def _origin(run: RunFiles) -> Markup:
    """Where the numbers come from: folder, versions, configuration."""
    facts = {"result in": str(run.folder.resolve()), **run.environment}
    if "folder" in facts:
        facts["started in"] = facts.pop("folder")
    config = yaml.safe_dump(dict(run.config.content), sort_keys=False, allow_unicode=True) if run.config else ""
    return render("origin.html", rows=[("what", "value"), *facts.items()], config=config)


def write_evaluation(path: str | Path, report: Report) -> Path:
    """Writes the page of an evaluation: tables and operating curves; an existing file is replaced atomically."""
    page = render_page(
        "evaluation.html",
        title=f"Evaluation, {report.evaluation.protocol}",
        header=[("what", "how"), *header(report)],
        spotting=spotting_rows(report.evaluation.spotting),
        charts=overview_charts(report.curves),
        froc=[] if math.isnan(report.curves.minutes) else froc_table(report.curves),
        scores=scores_table(report),
        subjects=[] if report.per_subject is None else subject_table(report.per_subject),
    )
    return write_text(path, page)
