"""An evaluation as one self-contained HTML page: tables and operating curves, nothing loaded from anywhere."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fedn_lightning import __version__
from fedn_lightning.events import FloatArray
from fedn_lightning.files import write_text
from fedn_lightning.metrics.functional.curves import OperatingCurves, false_alarms_per_minute, thinned
from fedn_lightning.metrics.functional.spotting import SpottingScores, show
from fedn_lightning.reports.evaluation import Report, froc_table, header, scores_table, subject_table
from fedn_lightning.reports.svg import Line, line_chart

FROC_LIMIT = 10.0
"""Greatest number of false alarms per minute drawn; beyond it nobody would look through the hits."""

_STYLE = """
body{font:15px/1.45 system-ui,sans-serif;max-width:64rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}
table{border-collapse:collapse;margin:.5rem 0 1.5rem}
td,th{padding:.15rem .7rem;text-align:right;border-bottom:1px solid #ddd;font-variant-numeric:tabular-nums}
td:first-child,th:first-child{text-align:left}
.curves{display:flex;flex-wrap:wrap;gap:1rem}
.head td{text-align:left;border:0;vertical-align:top}
.head td:first-child{font-weight:bold}
"""


def write_page(path: str | Path, report: Report) -> None:
    """Writes the page; an existing file is replaced whole.

    Args:
        path: the HTML file.
        report: what it shows.
    """
    write_text(path, page(report))


def page(report: Report) -> str:
    """The page as text."""
    head = "".join(f"<tr><td>{html.escape(a)}</td><td>{html.escape(b)}</td></tr>" for a, b in header(report))
    parts = [
        f"<!DOCTYPE html><html lang='en'><meta charset='utf-8'><title>Evaluation, {report.evaluation.protocol}</title>",
        f"<style>{_STYLE}</style><h1>Evaluation</h1><table class='head'>{head}</table>",
        "<h2>Spotting</h2>",
        _table(_spotting_rows(report.evaluation.spotting)),
        "<h2>Operating curves</h2><p>Matched by the protocol megc, one threshold for all predictions.</p>",
        f"<div class='curves'>{''.join(charts(report.curves))}</div>",
    ]
    if not math.isnan(report.curves.minutes):
        parts += ["<h3>Recall at most so many false alarms per minute</h3>", _table(froc_table(report.curves))]
    parts += ["<h2>All scores</h2>", _table(scores_table(report))]
    if report.per_subject is not None:
        parts += ["<h2>Per subject</h2>", _table(subject_table(report.per_subject))]
    return "\n".join([*parts, f"<p><small>fedn-lightning {__version__}</small></p></html>\n"])


def charts(curves: OperatingCurves) -> list[str]:
    """F1 against threshold, precision against recall, and (where the duration is known) the FROC, as SVG."""
    f1, pr, froc = [], [], []
    scores = np.concatenate([sweep.score for sweep in curves.sweeps().values()])
    # Confidences lie between 0 and 1, and so do the ticks then; other scores have a scale of their own.
    span = (float(scores.min(initial=0.0)), float(scores.max(initial=0.0)))
    span = (0.0, 1.0) if span[0] >= 0 and span[1] <= 1 else span
    for name, sweep in curves.sweeps().items():
        few = thinned(len(sweep.score))
        f1.append(Line(name, *_steps(sweep.score[few], sweep.f1[few])))
        pr.append(Line(name, sweep.recall[few], sweep.precision[few]))
        if not math.isnan(curves.minutes):
            rate = false_alarms_per_minute(sweep, curves.minutes)
            drawn = np.flatnonzero(rate <= FROC_LIMIT)
            few = drawn[thinned(len(drawn))]
            froc.append(Line(name, rate[few], sweep.recall[few]))
    all_charts = [
        line_chart("F1 against threshold", "score threshold", "F1", f1, span),
        line_chart("Precision against recall", "recall", "precision", pr),
    ]
    if froc:
        all_charts.append(line_chart("FROC", "false alarms per minute", "recall", froc, (0.0, FROC_LIMIT)))
    return all_charts


def _steps(score: FloatArray, f1: FloatArray) -> tuple[FloatArray, FloatArray]:
    """A threshold between two scores predicts what the higher one predicts."""
    return np.repeat(score, 2)[1:], np.repeat(f1, 2)[:-1]


def _spotting_rows(scores: SpottingScores) -> list[tuple[str, ...]]:
    rows = []
    for group in SpottingScores.groups():
        c = getattr(scores, group)
        rows.append(
            (group.replace("_", "-"), str(c.tp), str(c.fp), str(c.fn), show(c.precision), show(c.recall), show(c.f1))
        )
    return [("", "TP", "FP", "FN", "precision", "recall", "F1"), *rows]


def _table(rows: Sequence[Sequence[str]]) -> str:
    first, *rest = ("".join(f"<{{0}}>{html.escape(cell)}</{{0}}>" for cell in row) for row in rows)
    body = "".join(f"<tr>{row.replace('{0}', 'td')}</tr>" for row in rest)
    return f"<table><tr>{first.replace('{0}', 'th')}</tr>{body}</table>"
