"""Charts of a page: operating curves, mAP over IoU, training."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from fedn_lightning.events import EXPRESSION_TYPES, FloatArray, IntArray
from fedn_lightning.metrics.functional.curves import OperatingCurves, false_alarms_per_minute, thinned
from fedn_lightning.metrics.functional.detection import DetectionScores
from fedn_lightning.metrics.functional.threshold import Sweep
from fedn_lightning.reports.svg import Line, Mark, Range, line_chart

FROC_LIMIT = 10.0
"""Greatest number of false alarms per minute drawn; beyond it nobody would look through the hits."""

Thresholds = Mapping[str, tuple[float, float]]
"""(macro, micro) by the name of the fold that chose them; one without a name for a single run."""


def overview_charts(curves: OperatingCurves) -> list[str]:
    """F1 against threshold, precision against recall, and (where the duration is known) the FROC."""
    sweeps = curves.sweeps()
    f1 = [Line(name, *steps(s.score[few], s.f1[few])) for name, s in sweeps.items() for few in [_few(s)]]
    return [line_chart("F1 against threshold", "score threshold", "F1", f1, span(curves)), *tradeoff_charts(curves)]


def tradeoff_charts(curves: OperatingCurves) -> list[str]:
    """Precision against recall, and the FROC where the duration is known."""
    pr, froc = [], []
    for name, sweep in curves.sweeps().items():
        few = _few(sweep)
        pr.append(Line(name, sweep.recall[few], sweep.precision[few]))
        if not math.isnan(curves.minutes):
            rate = false_alarms_per_minute(sweep, curves.minutes)
            drawn = np.flatnonzero(rate <= FROC_LIMIT)
            shown = drawn[thinned(len(drawn))]
            froc.append(Line(name, rate[shown], sweep.recall[shown]))
    drawn_charts = [line_chart("Precision against recall", "recall", "precision", pr)]
    if froc:
        drawn_charts.append(line_chart("FROC", "false alarms per minute", "recall", froc, (0.0, FROC_LIMIT)))
    return drawn_charts


def threshold_charts(curves: OperatingCurves, chosen: Thresholds) -> list[str]:
    """Precision, recall and F1 of each expression type against the threshold, with the thresholds that were chosen."""
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


def overlap_chart(detection: DetectionScores, emotions: Sequence[str]) -> str:
    """Average precision against the IoU a detection must reach: the mean, and each class."""
    x = np.asarray(detection.thresholds)
    order = np.argsort(x)
    lines = [Line("mAP", x[order], detection.ap[order].mean(axis=1) if len(detection.classes) else x * np.nan)]
    for column, emotion in enumerate(detection.classes.tolist()):
        lines.append(Line(emotions[emotion], x[order], detection.ap[order, column]))
    return line_chart("Average precision against IoU", "IoU a detection must reach", "AP", lines, (0.25, 1.0))


def training_chart(title: str, lines: Sequence[Line], fixed_top: float | None = None) -> str:
    """Curves over epochs; the ordinate begins at 0.

    Args:
        title: above the chart.
        lines: at least one.
        fixed_top: the greatest ordinate, that of the curves by default.
    """
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
