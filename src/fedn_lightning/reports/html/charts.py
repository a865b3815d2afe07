"""Line charts as SVG text, small and sharp at every size: operating curves, average precision, training."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from fedn_lightning.events import EXPRESSION_TYPES, FloatArray, IntArray
from fedn_lightning.metrics.functional.detection import DetectionScores
from fedn_lightning.metrics.functional.threshold import OperatingCurves, Sweep, false_positives_per_minute, thinned
from fedn_lightning.reports.figures import panels_of, read_metrics
from fedn_lightning.reports.html import render

WIDTH, HEIGHT = 380, 280
LEFT, RIGHT, TOP, BOTTOM = 44, 12, 46, 40
INNER_WIDTH, INNER_HEIGHT = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
COLOURS = 8
"""Classes `c0` to `c7` of page.css, one for each line in turn."""
TICKS = 5
LEGEND_ROW = 15
"""Height of a row of the legend."""
LETTER = 6.2
"""Width of a letter of the legend; it only has to be about right."""

Range = tuple[float, float]


@dataclass(frozen=True)
class Line:
    """A curve: its name in the legend (none if empty), `(K,)` abscissae and `(K,)` ordinates.

    A `faint` line is one of many of a kind: thin, pale, and of the colour of the first.
    """

    name: str
    x: FloatArray
    y: FloatArray
    faint: bool = False


@dataclass(frozen=True)
class Mark:
    """A dashed vertical line at an abscissa, with a word beside it."""

    x: float
    label: str = ""


def line_chart(
    title: str,
    x_label: str,
    y_label: str,
    lines: Sequence[Line],
    x_range: Range = (0.0, 1.0),
    y_range: Range = (0.0, 1.0),
    marks: Sequence[Mark] = (),
) -> Markup:
    """Draws curves.

    Args:
        title: above the chart.
        x_label: below the axis.
        y_label: beside the axis.
        lines: the curves; points outside the range of abscissae are left out, ordinates are cut off.
        x_range: first and last abscissa.
        y_range: lowest and highest ordinate.
        marks: abscissae that stand out; those outside the range are left out.
    """
    place = _Place(_widened(x_range), _widened(y_range))
    strong = [line for line in lines if not line.faint]
    legend = _legend_places([line.name for line in strong])
    above = LEGEND_ROW * max((row for _, row in legend), default=0)
    return render(
        "chart.html",
        title=title,
        x_label=x_label,
        y_label=y_label,
        above=above,
        width=WIDTH,
        height=HEIGHT,
        left=LEFT,
        top=TOP,
        bottom=TOP + INNER_HEIGHT,
        inner_width=INNER_WIDTH,
        ticks=[_tick(place, k / TICKS) for k in range(TICKS + 1)],
        marks=[_place_mark(mark, place) for mark in marks if place.x_range[0] <= mark.x <= place.x_range[1]],
        curves=[
            *(_curve(line, "faint", place) for line in lines if line.faint),
            *(_curve(line, f"c{k % COLOURS}", place) for k, line in enumerate(strong)),
        ],
        legend=[
            {"style": f"c{k % COLOURS}", "name": line.name, "x": x, "y": 35 - above + LEGEND_ROW * row}
            for k, (line, (x, row)) in enumerate(zip(strong, legend, strict=True))
            if line.name
        ],
    )


@dataclass(frozen=True)
class _Place:
    """Where a point of the data lies in the picture."""

    x_range: Range
    y_range: Range

    def x(self, value: FloatArray | float) -> FloatArray:
        low, high = self.x_range
        return np.asarray(LEFT + (np.asarray(value) - low) / (high - low) * INNER_WIDTH)

    def y(self, value: FloatArray | float) -> FloatArray:
        low, high = self.y_range
        part = np.clip((np.asarray(value) - low) / (high - low), 0, 1)
        return np.asarray(TOP + (1 - part) * INNER_HEIGHT)


def _widened(limits: Range) -> Range:
    """A range that can be divided by."""
    return limits if limits[1] > limits[0] else (limits[0] - 0.5, limits[0] + 0.5)


def _tick(place: _Place, share: float) -> dict[str, Any]:
    x, y = (low + share * (high - low) for low, high in (place.x_range, place.y_range))
    return {"x": place.x(x), "y": place.y(y), "x_text": f"{x:.3g}", "y_text": f"{y:.3g}"}


def _curve(line: Line, style: str, place: _Place) -> dict[str, Any]:
    low, high = place.x_range
    inside = (line.x >= low) & (line.x <= high) & np.isfinite(line.y)
    points = list(zip(place.x(line.x[inside]), place.y(line.y[inside]), strict=True))
    text = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return {"style": style, "points": text, "dot": points[0] if len(points) == 1 else None}


def _place_mark(mark: Mark, place: _Place) -> dict[str, Any]:
    """Its label stands on the side with more room."""
    x = float(place.x(mark.x))
    left = x > LEFT + INNER_WIDTH / 2
    return {"x": x, "label": mark.label, "left": left, "label_x": x - 4 if left else x + 4}


def _legend_places(names: Sequence[str]) -> list[tuple[float, int]]:
    """Abscissa and row of each entry of the legend, which takes as many rows as it needs."""
    places, x, row = [], float(LEFT), 0
    for name in names:
        width = 32 + LETTER * len(name) if name else 0.0
        if x > LEFT and x + width > WIDTH:
            x, row = float(LEFT), row + 1
        places.append((x, row))
        x += width
    return places


FROC_LIMIT = 10.0
"""Highest number of false positives per minute drawn; more are of no use to anybody."""

Thresholds = Mapping[str, tuple[float, float]]
"""(macro, micro) by the name of the fold that chose them; one without a name for a single run."""


def overview_charts(curves: OperatingCurves) -> list[Markup]:
    """F1 against threshold, precision against recall, and (where the duration is known) the FROC."""
    sweeps = curves.sweeps()
    f1 = [Line(name, *steps(s.score[few], s.f1[few])) for name, s in sweeps.items() for few in [_few(s)]]
    return [line_chart("F1 against threshold", "score threshold", "F1", f1, span(curves)), *tradeoff_charts(curves)]


def tradeoff_charts(curves: OperatingCurves) -> list[Markup]:
    """Precision against recall, and the FROC where the duration is known."""
    pr, froc = [], []
    for name, sweep in curves.sweeps().items():
        few = _few(sweep)
        pr.append(Line(name, sweep.recall[few], sweep.precision[few]))
        if not math.isnan(curves.minutes):
            rate = false_positives_per_minute(sweep, curves.minutes)
            drawn = np.flatnonzero(rate <= FROC_LIMIT)
            shown = drawn[thinned(len(drawn))]
            froc.append(Line(name, rate[shown], sweep.recall[shown]))
    drawn_charts = [line_chart("Precision against recall", "recall", "precision", pr)]
    if froc:
        drawn_charts.append(line_chart("FROC", "false positives per minute", "recall", froc, (0.0, FROC_LIMIT)))
    return drawn_charts


def threshold_charts(curves: OperatingCurves, chosen: Thresholds) -> list[Markup]:
    """Precision, recall and F1 of each expression type against the threshold, with the chosen thresholds."""
    charts = []
    for index, kind in enumerate(EXPRESSION_TYPES):
        sweep: Sweep = getattr(curves, kind)
        few = _few(sweep)
        values = {"precision": sweep.precision, "recall": sweep.recall, "F1": sweep.f1}
        lines = [Line(name, *steps(sweep.score[few], value[few])) for name, value in values.items()]
        picked = sorted(pair[index] for pair in chosen.values() if math.isfinite(pair[index]))
        title = f"{kind.capitalize()}: what each threshold gives"
        charts.append(line_chart(title, "score threshold", "", lines, span(curves), marks=_marks(picked)))
    return charts


def _marks(picked: Sequence[float]) -> list[Mark]:
    """One labelled mark for a run, one for each fold's choice with the first labelled."""
    if len(picked) == 1:
        return [Mark(picked[0], f"chosen {picked[0]:.2f}")]
    return [Mark(value, "chosen by each fold" if k == 0 else "") for k, value in enumerate(picked)]


def overlap_chart(detection: DetectionScores, emotions: Sequence[str]) -> Markup:
    """Average precision against the IoU a detection must reach: the mean, and each class."""
    x = np.asarray(detection.thresholds)
    order = np.argsort(x)
    lines = [Line("mAP", x[order], detection.ap[order].mean(axis=1) if len(detection.classes) else x * np.nan)]
    for column, emotion in enumerate(detection.classes.tolist()):
        lines.append(Line(emotions[emotion], x[order], detection.ap[order, column]))
    return line_chart("Average precision against IoU", "IoU a detection must reach", "AP", lines, (0.25, 1.0))


def training_chart(title: str, lines: Sequence[Line], fixed_top: float | None = None) -> Markup:
    """Curves over epochs; the ordinate starts at 0."""
    last = max((float(line.x.max(initial=0.0)) for line in lines), default=1.0)
    top = fixed_top or round_up(max((float(np.nanmax(line.y, initial=0.0)) for line in lines), default=1.0))
    return line_chart(title, "epoch", "", lines, (0.0, float(math.ceil(last))), (0.0, top))


def round_up(value: float) -> float:
    """The next number of one digit that five ticks divide well.

    >>> round_up(0.83), round_up(3.1), round_up(0.0004), round_up(0.0)
    (1.0, 5.0, 0.0005, 1.0)
    """
    if value <= 0 or not math.isfinite(value):
        return 1.0
    unit = float(f"1e{math.floor(math.log10(value))}")
    return next(float(f"{step * unit:.3g}") for step in (1, 2, 5, 10) if value <= step * unit)


def span(curves: OperatingCurves) -> Range:
    """Abscissae of the thresholds. Confidences lie between 0 and 1; other scores have a scale of their own."""
    scores = np.concatenate([sweep.score for sweep in curves.sweeps().values()])
    low, high = float(scores.min(initial=0.0)), float(scores.max(initial=0.0))
    return (0.0, 1.0) if low >= 0 and high <= 1 else (low, high)


def steps(score: FloatArray, value: FloatArray) -> tuple[FloatArray, FloatArray]:
    """A threshold between two scores predicts what the higher one predicts."""
    return np.repeat(score, 2)[1:], np.repeat(value, 2)[:-1]


def _few(sweep: Sweep) -> IntArray:
    return thinned(len(sweep.score))


FOLD_METRICS = {
    "train/loss": "Training loss of each fold",
    "val/loss": "Validation loss of each fold",
    "val/joint": "Validation score of each fold (val/joint)",
}
STEPS = 60
"""Abscissae of the median of all folds."""


def one_run(log: Path) -> Iterator[Markup]:
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


def all_folds(logs: dict[str, Path]) -> Iterator[Markup]:
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
