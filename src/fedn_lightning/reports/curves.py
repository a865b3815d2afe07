"""A picture of how a training went, from its `metrics.csv`."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from fedn_lightning.errors import PredictionFileError
from fedn_lightning.utils.drawing import INK, save_figure

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b59a00", "#56b4e9", "#8a4fbf", "#7d858e")

Series = dict[str, tuple[list[float], list[float]]]


def read_metrics(path: str | Path) -> Series:
    """Reads the CSV log of a run.

    Args:
        path: `metrics.csv`: one row per logged step, empty cells where a metric was not logged.

    Returns:
        For each metric the times at which it was logged, in epochs completed, and its values.
    """
    try:
        with Path(path).open(newline="", encoding="utf-8") as file:
            return _series(list(csv.DictReader(file)))
    except (ValueError, KeyError, TypeError, csv.Error) as error:
        msg = f"{path} cannot be read as the log of a run ({error}); move it away to do without curves."
        raise PredictionFileError(msg) from error


def _series(rows: list[dict[str, str]]) -> Series:
    # Every row has its step, but not every row its epoch; the last step of an epoch ends it.
    ends: dict[float, float] = {}
    for row in rows:
        if row.get("epoch"):
            ends[float(row["epoch"]) + 1] = max(float(row["step"]) + 1, ends.get(float(row["epoch"]) + 1, 0.0))
    epochs, steps = [0.0, *sorted(ends)], [0.0, *(ends[epoch] for epoch in sorted(ends))]
    series: Series = {}
    for row in rows:
        for key, cell in row.items():
            if key not in ("epoch", "step") and cell:
                x, y = series.setdefault(key, ([], []))
                x.append(float(np.interp(float(row["step"]) + 1, steps, epochs)))
                y.append(float(cell))
    return series


def panels_of(series: Series) -> list[tuple[str, Series]]:
    """Sorts metrics into panels: losses, scores of the validation subjects, learning rate.

    Panels without a metric are left out; values of the test are one point each and belong in the card.
    """
    losses = {k: v for k, v in series.items() if "loss" in k and not k.startswith("test")}
    rates = {k: v for k, v in series.items() if k.startswith("lr-")}
    scores = {k: v for k, v in series.items() if k.startswith("val") and k not in losses}
    panels = [("loss", losses), ("validation score", scores), ("learning rate", rates)]
    return [(title, content) for title, content in panels if content]


def draw_curves(metrics: str | Path) -> Figure | None:
    """Draws the curves of a run.

    Returns:
        A figure with one panel per kind of metric; None if the log holds none of them.
    """
    panels = panels_of(read_metrics(metrics))
    if not panels:
        return None
    figure = Figure(figsize=(5.2 * len(panels), 3.8), dpi=110, facecolor="white", layout="constrained")
    for axis, (title, content) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        _draw_panel(axis, title, content)
    return figure


def _draw_panel(axis: Any, title: str, content: Series) -> None:
    for index, (name, (x, y)) in enumerate(sorted(content.items())):
        marker = "o" if len(x) < 2 else None
        axis.plot(
            x, y, color=COLOURS[index % len(COLOURS)], linewidth=1.5, marker=marker, label=name,
            linestyle="--" if index >= len(COLOURS) else "-",
        )  # fmt: skip
    axis.set_title(title, fontsize=11, color=INK, loc="left", weight="bold")
    axis.set_xlabel("epoch", fontsize=9, color=INK)
    axis.set_ylim(bottom=0)
    axis.grid(color="#eceef0", linewidth=0.8)
    axis.tick_params(labelsize=9, colors=INK, length=0)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
    axis.legend(frameon=False, fontsize=8, ncols=1 + (len(content) > 6))


def save_curves(metrics: str | Path, path: str | Path) -> Path | None:
    """Draws the curves of a run into a PNG file, atomically; returns None if there was nothing to draw."""
    if not Path(metrics).is_file() or (figure := draw_curves(metrics)) is None:
        return None
    return save_figure(figure, path)
