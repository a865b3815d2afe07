"""A picture of the detections in one video, without ground truth."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from fedn_lightning.events import EXPRESSION_TYPES
from fedn_lightning.inference.detections import GENERATED_ONLY, DetectedExpression, Detections, FaceTrack
from fedn_lightning.utils.drawing import FAINT, INK, MISSED, ROW_SECONDS, TYPE_COLOURS, confidence_top, emotion_colours
from fedn_lightning.utils.text import timecode

MAX_ROWS = 12
"""A longer video is drawn at a smaller scale: an hour in rows of a minute would be a picture of 130 MB."""

MAX_POINTS = 4000
"""Points of a confidence curve in a row; each shows the maximum of its frames."""

WHOLE = 10.0
"""Seconds in a row from which its axis tells whole seconds."""

HEADER, ROW = 0.85, 1.9
"""Inches above the first row, and of a row."""


def draw(detections: Detections) -> Figure:
    """Draws a timeline; each face has its own rows.

    Returns:
        A figure with the time in minutes and seconds.
    """
    n_rows = min(MAX_ROWS, max(1, int(np.ceil(detections.duration / ROW_SECONDS - 1e-9))))
    shown = detections.duration / n_rows
    height = HEADER + 0.35 + ROW * n_rows * len(detections.faces)
    figure = Figure(figsize=(14, height), dpi=110, facecolor="white")
    FigureCanvasAgg(figure)
    figure.subplots_adjust(left=0.075, right=0.985, top=1 - HEADER / height, bottom=0.4 / height)
    grid = figure.add_gridspec(n_rows * len(detections.faces), 1, hspace=0.3)
    top = confidence_top(detections.to_record())
    for place, face in enumerate(detections.faces):
        for row in range(n_rows):
            pair = grid[place * n_rows + row].subgridspec(2, 1, height_ratios=[1.0, 1.3], hspace=0.1)
            lanes = figure.add_subplot(pair[0])
            curve = figure.add_subplot(pair[1], sharex=lanes)
            span = detections.start + row * shown, detections.start + (row + 1) * shown
            _draw_lanes(lanes, detections, [e for e in detections if e.face == face.number])
            _draw_curve(curve, detections, face, span)
            for stretch in (s for s in detections.unreliable if s.face == face.number):
                edges = [float(detections.seconds_at(edge)) for edge in (stretch.start, stretch.end)]
                for axis in (lanes, curve):
                    axis.axvspan(*edges, color=FAINT, alpha=0.35, linewidth=0)
            lanes.set_xlim(*span)
            lanes.tick_params(labelbottom=False)
            curve.set_ylim(0, 1.02 * top)
            # Steps of 2.5 would be told as 2 and 3.
            curve.xaxis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 5, 10], integer=shown >= WHOLE))
            curve.xaxis.set_major_formatter(lambda seconds, _: _mark(seconds, shown))
    _draw_title(figure, detections)
    return figure


def _draw_lanes(axis: Any, detections: Detections, expressions: list[DetectedExpression]) -> None:
    colours = emotion_colours(detections.emotions)
    for e in expressions:
        colour = colours[e.emotion] if e.emotion else FAINT
        lane, width = EXPRESSION_TYPES.index(e.type), e.end_seconds - e.start_seconds
        # The rim keeps the shortest event visible.
        axis.barh(lane, width, left=e.start_seconds, height=0.72, facecolor=colour, edgecolor=colour, linewidth=1.1)
    axis.set_ylim(len(EXPRESSION_TYPES) - 0.4, -0.6)
    axis.set_yticks(range(len(EXPRESSION_TYPES)), EXPRESSION_TYPES, fontsize=9)
    _clean(axis)
    axis.tick_params(axis="both", length=0)


def _draw_curve(axis: Any, detections: Detections, face: FaceTrack, span: tuple[float, float]) -> None:
    middle = detections.seconds_at(np.arange(detections.n_frames) + 0.5)
    inside = slice(*np.searchsorted(middle, span))
    seconds, values = thinned(middle[inside], face.curve[inside])
    for column, (kind, threshold) in enumerate(zip(EXPRESSION_TYPES, detections.threshold, strict=True)):
        axis.fill_between(seconds, values[:, column], color=TYPE_COLOURS[kind], alpha=0.13, linewidth=0)
        axis.plot(seconds, values[:, column], color=TYPE_COLOURS[kind], linewidth=1.2)
        if np.isfinite(threshold):
            axis.axhline(threshold, color=TYPE_COLOURS[kind], linewidth=0.9, linestyle=(0, (4, 3)))
    axis.set_ylabel("confidence", fontsize=9, color=INK)
    _clean(axis)


def _mark(seconds: float, shown: float) -> str:
    """A time on the axis, as exact as a row of `shown` seconds needs it."""
    text = timecode(max(seconds, 0.0))
    return (text if seconds >= 3600 else text[3:])[: -4 if shown >= WHOLE else -2 if shown >= 2 else -1]


def thinned(seconds: Any, values: Any, most: int = MAX_POINTS) -> tuple[Any, Any]:
    """At most about `most` points of a curve, each the maximum of its neighbours, so that no peak is lost.

    >>> thinned(np.arange(4.0), np.array([[0.0], [3.0], [1.0], [0.0]]), most=2)[1].ravel().tolist()
    [3.0, 1.0]
    """
    step = max(1, int(np.ceil(len(seconds) / most)))
    first = np.arange(0, len(seconds), step)
    return seconds[first], np.maximum.reduceat(values, first, axis=0) if len(first) else values


def _clean(axis: Any) -> None:
    for side, spine in axis.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(MISSED)
    axis.tick_params(colors=INK, labelsize=9)
    axis.grid(axis="x", color="#eceef0", linewidth=0.8)
    axis.set_axisbelow(True)


def _draw_title(figure: Figure, detections: Detections) -> None:
    height = figure.get_figheight()
    top = 1 - 0.1 / height
    title, _, rest = repr(detections).splitlines()[0].partition(": ")
    rest += f"; {GENERATED_ONLY}" if detections.generated_only else ""
    figure.text(0.012, top, title, fontsize=13, weight="bold", color=INK, va="top")
    figure.text(0.012, top - 0.26 / height, rest, fontsize=10, color="#555c64", va="top")
    handles = [Patch(color=colour, label=name) for name, colour in emotion_colours(detections.emotions).items()]
    handles += [Patch(color=TYPE_COLOURS[kind], label=f"{kind} confidence") for kind in EXPRESSION_TYPES]
    figure.legend(
        handles=handles, loc="upper left", ncols=len(handles), frameon=False, fontsize=9, handlelength=1.4,
        borderpad=0, borderaxespad=0, labelcolor=INK, bbox_to_anchor=(0.012, top - 0.5 / height),
    )  # fmt: skip
