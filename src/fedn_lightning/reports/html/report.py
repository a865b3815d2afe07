"""The page of `fedn report`: everything a run has left, in one HTML file."""

from __future__ import annotations

import html
from pathlib import Path

import yaml  # type: ignore[import-untyped]

from fedn_lightning.reports.clips import Clips
from fedn_lightning.reports.html.attention import attention_section
from fedn_lightning.reports.html.charts import overlap_chart, threshold_charts, tradeoff_charts
from fedn_lightning.reports.html.skeleton import Markup, html_page, missing, paragraph, script_text, section, table
from fedn_lightning.reports.html.strips import strips_section
from fedn_lightning.reports.html.summary import (
    NOTHING_SPOTTED,
    confusion_section,
    subjects_section,
    summary_section,
    top,
)
from fedn_lightning.reports.html.timelines import emotion_style, timelines_section
from fedn_lightning.reports.html.training import training_section
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
    """Writes the page; an existing file is replaced whole.

    Args:
        path: the HTML file.
        run: what it shows.
        strips: false alarms and misses shown as film strips, at most so many of each.
        looks: events whose attention is shown, at most.

    Returns:
        `path`.
    """
    return write_text(path, report_page(run, strips, looks))


def report_page(run: RunFiles, strips: int = 8, looks: int = 5) -> str:
    """The page as text; see :func:`write_report`."""
    clips = Clips(run)
    parts = [
        top(run),
        _navigation(),
        "<main>",
        summary_section(run),
        f"<div class='pair'>{subjects_section(run)}{confusion_section(run)}</div>",
        _curves(run),
        timelines_section(run),
        strips_section(run, clips, strips),
        attention_section(run, clips, looks),
        training_section(run),
        _origin(run),
        "</main>",
    ]
    title = f"{run.config.experiment or run.folder.name}: fedn report"
    return html_page(title, "\n".join(parts), style=emotion_style(run.emotions), script=script_text())


def _navigation() -> str:
    entries = "".join(f"<li><a href='#{anchor}'>{name}</a></li>" for anchor, name in NAVIGATION.items())
    return f"<nav aria-label='sections'><ul>{entries}</ul></nav>"


def _curves(run: RunFiles) -> Markup:
    if run.given:
        return section("curves", "Operating curves", missing(NOTHING_SPOTTED))
    chosen_on = run.result.get("chosen_on", "validation")
    curves, detection = run.strict.curves, run.strict.evaluation.detection
    charts = [
        *threshold_charts(curves, run.thresholds),
        overlap_chart(detection, run.emotions),
        *tradeoff_charts(curves),
    ]
    note = (
        f"Protocol megc. The vertical lines are the thresholds chosen on {chosen_on} subjects; where F1 has its top "
        "elsewhere, a threshold chosen here would look better and mean less."
    )
    return section("curves", "Operating curves", paragraph(note), f"<div class='charts'>{''.join(charts)}</div>")


def _origin(run: RunFiles) -> Markup:
    """Where the numbers come from: folder, versions, configuration."""
    told = {"result in": str(run.folder.resolve()), **run.environment}
    if "folder" in told:
        told["started in"] = told.pop("folder")
    parts = [table([("what", "value"), *told.items()], "origin", "words")]
    if run.config:
        text = html.escape(yaml.safe_dump(dict(run.config.content), sort_keys=False, allow_unicode=True))
        text = f"<pre class='scroll' tabindex='0'>{text}</pre>"
        parts.append(Markup(f"<details><summary>Configuration</summary>{text}</details>"))
    return section("origin", "Origin", *parts)
