"""How the training went: a run's curves, or those of all folds with their median."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from fedn_lightning.reports.curves import panels_of, read_metrics
from fedn_lightning.reports.html.charts import training_chart
from fedn_lightning.reports.html.skeleton import Markup, missing, section
from fedn_lightning.reports.svg import Line
from fedn_lightning.results.names import METRICS_LOG
from fedn_lightning.results.run_scores import RunFiles

FOLD_METRICS = {
    "train/loss": "Training loss of each fold",
    "val/loss": "Validation loss of each fold",
    "val/joint": "Validation score of each fold (val/joint)",
}
STEPS = 60
"""Abscissae of the median of all folds."""


def training_section(run: RunFiles) -> Markup:
    """The curves of `metrics.csv`, of the run or of all folds."""
    logs = {home.name: home / METRICS_LOG for home in dict.fromkeys(run.homes.values())}
    there = {name: path for name, path in logs.items() if path.is_file()}
    parts: list[str] = []
    if len(there) < len(logs):
        gone = ", ".join(sorted(set(logs) - set(there)))
        parts.append(missing(f"metrics.csv is not there ({gone}), so the curves of that training cannot be shown."))
    charts = [chart for log in there.values() for chart in one_run(log)] if len(logs) == 1 else all_folds(there)
    parts.append(f"<div class='charts'>{''.join(charts)}</div>")
    return section("training", "Training", *parts)


def one_run(log: Path) -> Iterator[str]:
    """A chart for each kind of metric; losses of training and validation apart, which are seldom of one size."""
    for title, series in panels_of(read_metrics(log)):
        for part in ("train/", "val/") if title == "loss" else ("",):
            chosen = [
                Line(name.removeprefix(part).removeprefix("val/").removesuffix("_loss"), np.asarray(x), np.asarray(y))
                for name, (x, y) in sorted(series.items())
                if name.startswith(part)
            ]
            if chosen:
                name = f"{title} ({part[:-1]})" if part else title
                yield training_chart(name.capitalize(), chosen, 1.0 if "score" in title else None)


def all_folds(logs: dict[str, Path]) -> Iterator[str]:
    """Charts with a faint line for each fold, and the median of all."""
    series = [read_metrics(log) for log in logs.values()]
    for metric, title in FOLD_METRICS.items():
        known = [each[metric] for each in series if metric in each]
        lines = [Line("", np.asarray(x), np.asarray(y), faint=True) for x, y in known]
        if lines:
            yield training_chart(title, [*lines, _median(lines)], 1.0 if metric == "val/joint" else None)


def _median(lines: Sequence[Line]) -> Line:
    """The median of curves, at abscissae that one of them reaches."""
    grid = np.linspace(min(line.x.min() for line in lines), max(line.x.max() for line in lines), STEPS)
    known = [np.interp(grid, line.x, line.y, left=np.nan, right=np.nan) for line in lines]
    return Line(f"median of {len(lines)} folds", grid, np.nanmedian(known, axis=0))
