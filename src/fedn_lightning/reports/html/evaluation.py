"""An evaluation as one self-contained HTML page: tables and operating curves, nothing loaded from anywhere."""

from __future__ import annotations

import math
from pathlib import Path

from fedn_lightning.metrics.functional.spotting import SpottingScores, show
from fedn_lightning.reports.console import froc_table, header, scores_table
from fedn_lightning.reports.html.charts import overview_charts
from fedn_lightning.reports.html.skeleton import html_page, paragraph, section, table
from fedn_lightning.results.report import Report, subject_table
from fedn_lightning.utils.files import write_text


def write_page(path: str | Path, report: Report) -> None:
    """Writes the page; an existing file is replaced whole.

    Args:
        path: the HTML file.
        report: what it shows.
    """
    write_text(path, page(report))


def page(report: Report) -> str:
    """The page as text."""
    head = table([("what", "how"), *header(report)], "protocol, selection and files", "words")
    charts = f"<div class='charts'>{''.join(overview_charts(report.curves))}</div>"
    parts = [
        f"<header class='top'><h1>Evaluation</h1></header>\n<main>{head}",
        section("spotting", "Spotting", table(spotting_rows(report.evaluation.spotting), "spotting")),
        section("curves", "Operating curves", paragraph(CURVES), charts),
    ]
    if not math.isnan(report.curves.minutes):
        title = "Recall at most so many false alarms per minute"
        parts.append(section("froc", title, table(froc_table(report.curves), title)))
    parts.append(section("scores", "All scores", table(scores_table(report), "all scores")))
    if report.per_subject is not None:
        parts.append(section("subjects", "Per subject", table(subject_table(report.per_subject), "per subject")))
    return html_page(f"Evaluation, {report.evaluation.protocol}", "\n".join([*parts, "</main>"]))


CURVES = "Matched by the protocol megc, one threshold for all predictions."


def spotting_rows(scores: SpottingScores) -> list[tuple[str, ...]]:
    """Counts and ratios by expression type; the first row is the head."""
    rows = []
    for group in SpottingScores.groups():
        c = getattr(scores, group)
        rows.append(
            (group.replace("_", "-"), str(c.tp), str(c.fp), str(c.fn), show(c.precision), show(c.recall), show(c.f1))
        )
    return [("type", "TP", "FP", "FN", "precision", "recall", "F1"), *rows]
