"""The pages of `fedn report` (everything a run has left) and of `fedn evaluate --html`, each in one HTML file."""

from __future__ import annotations

import math
from pathlib import Path

import yaml  # type: ignore[import-untyped]
from markupsafe import Markup

from fedn_lightning.reports.clips import Clips
from fedn_lightning.reports.console import froc_table, header, scores_table
from fedn_lightning.reports.html.attention import attention_section
from fedn_lightning.reports.html.charts import (
    all_folds,
    one_run,
    overlap_chart,
    overview_charts,
    threshold_charts,
    tradeoff_charts,
)
from fedn_lightning.reports.html.page import render, render_page
from fedn_lightning.reports.html.strips import strips_section
from fedn_lightning.reports.html.summary import (
    NOTHING_SPOTTED,
    describe_subjects,
    spotting_rows,
    summary_section,
    warnings_of,
)
from fedn_lightning.reports.html.timelines import colours_of, timelines_section
from fedn_lightning.results.names import METRICS_LOG
from fedn_lightning.results.report import Report, subject_table
from fedn_lightning.results.run_scores import RunFiles
from fedn_lightning.utils.files import write_text

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

    Returns:
        `path`.
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
    """Writes the page of an evaluation: tables and operating curves; an existing file is replaced atomically.

    Args:
        path: the HTML file.
        report: what it shows.

    Returns:
        `path`.
    """
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
