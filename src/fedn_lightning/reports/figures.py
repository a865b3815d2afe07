"""Pictures with matplotlib: one video's truth, predictions and confidence, and how a training went."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from fedn_lightning.errors import PredictionFileError
from fedn_lightning.events import EXPRESSION_TYPES, DetectionRecord, EventTable, IntArray
from fedn_lightning.metrics.functional.matching import UNMATCHED, match
from fedn_lightning.metrics.functional.threshold import at_threshold
from fedn_lightning.utils.drawing import (
    FAINT,
    INK,
    MISSED,
    ROW_SECONDS,
    TYPE_COLOURS,
    confidence_top,
    emotion_colours,
    save_figure,
)

HEADER = 0.98
"""Inches above the first row: video, counts, legend."""

LANES = ("macro truth", "macro found", "micro truth", "micro found")


def draw_timeline(record: DetectionRecord, video: int) -> Figure:
    """Draws one video of a record.

    Truths and predictions lie in lanes by type and have the colour of their emotion. A prediction that found a truth
    (IoU >= 0.5, protocol `megc`) is solid, a false positive is hatched; a false negative is pale with a
    coloured rim. Below, the network's confidence in each frame and the threshold.

    Returns:
        A figure with the time in seconds.
    """
    length = record.n_frames[video] / record.videos[video].fps
    n_rows = max(1, int(np.ceil(length / ROW_SECONDS - 1e-9)))
    shown = length / n_rows
    figure = Figure(figsize=(14, HEADER + 3.1 * n_rows), dpi=110, facecolor="white")
    height = figure.get_figheight()
    figure.subplots_adjust(left=0.075, right=0.985, top=1 - HEADER / height, bottom=0.5 / height)
    grid = figure.add_gridspec(n_rows, 1, hspace=0.16)
    truths = record.truths[record.truths.video == video]
    found = at_threshold(record.predictions, record.threshold)
    found = found[found.video == video]
    hits = match(found, truths)
    for row in range(n_rows):
        pair = grid[row].subgridspec(2, 1, height_ratios=[1.15, 1.0], hspace=0.1)
        lanes = figure.add_subplot(pair[0])
        curve = figure.add_subplot(pair[1], sharex=lanes)
        _draw_lanes(lanes, record, video, (truths, found, hits))
        _draw_curve(curve, record, video)
        lanes.set_xlim(row * shown, (row + 1) * shown)
        lanes.tick_params(labelbottom=False)
        if row == n_rows - 1:
            curve.set_xlabel("seconds", color=INK)
    _draw_title(figure, record, video, (truths, found, hits))
    return figure


Events = tuple[EventTable, EventTable, IntArray]


def _draw_lanes(axis: Any, record: DetectionRecord, video: int, events: Events) -> None:
    truths, found, hits = events
    colours = emotion_colours(record.emotions)
    fps = record.videos[video].fps
    taken = set(hits[hits != UNMATCHED].tolist())
    for index in range(len(truths)):
        style: dict[str, Any] = {} if index in taken else {"alpha": 0.35}
        _bar(axis, truths, index, fps, 2 * int(truths.type[index]), _colour(truths, index, record, colours), style)
    for index in range(len(found)):
        style = {} if hits[index] != UNMATCHED else {"hatch": "//////"}
        _bar(axis, found, index, fps, 2 * int(found.type[index]) + 1, _colour(found, index, record, colours), style)
    axis.set_ylim(len(LANES) - 0.4, -0.6)
    axis.set_yticks(range(len(LANES)), LANES, fontsize=9)
    axis.axhline(1.5, color=MISSED, linewidth=0.8)
    _clean(axis, ("left", "bottom"))
    axis.tick_params(axis="both", length=0)
    axis.grid(axis="x", color="#eceef0", linewidth=0.8)
    axis.set_axisbelow(True)


def _colour(table: EventTable, index: int, record: DetectionRecord, colours: dict[str, str]) -> str:
    emotion = int(table.emotion[index])
    return colours[record.emotions[emotion]] if emotion >= 0 else FAINT


def _bar(axis: Any, table: EventTable, index: int, fps: float, lane: int, colour: str, style: dict[str, Any]) -> None:
    start, width = table.start[index] / fps, (table.end[index] - table.start[index]) / fps
    face = {"facecolor": colour, **style} if "hatch" not in style else {"facecolor": "white", "hatch": style["hatch"]}
    axis.barh(lane, width, left=start, height=0.72, linewidth=0, **face, edgecolor=colour)
    # The rim is drawn apart, as `alpha` would fade it as well; it also keeps the shortest event visible.
    axis.barh(lane, width, left=start, height=0.72, facecolor="none", edgecolor=colour, linewidth=1.1)


def _draw_curve(axis: Any, record: DetectionRecord, video: int) -> None:
    fps = record.videos[video].fps
    if record.curves:
        curve = record.curves[video]
        seconds = (np.arange(len(curve)) + 0.5) / fps
        for column, kind in enumerate(EXPRESSION_TYPES):
            axis.fill_between(seconds, curve[:, column], color=TYPE_COLOURS[kind], alpha=0.13, linewidth=0)
            axis.plot(seconds, curve[:, column], color=TYPE_COLOURS[kind], linewidth=1.2, label=kind)
    for kind, threshold in zip(EXPRESSION_TYPES, record.threshold, strict=True):
        if np.isfinite(threshold):
            _draw_threshold(axis, kind, threshold)
    top = confidence_top(record)
    axis.set_ylim(0, 1.02 * top)
    axis.set_yticks([0, top / 2, top])
    axis.set_ylabel("confidence", fontsize=9, color=INK)
    _clean(axis, ("left", "bottom"))
    axis.grid(axis="x", color="#eceef0", linewidth=0.8)
    axis.set_axisbelow(True)


def _draw_threshold(axis: Any, kind: str, threshold: float) -> None:
    axis.axhline(threshold, color=TYPE_COLOURS[kind], linewidth=0.9, linestyle=(0, (4, 3)))
    # Side by side, so that two equal thresholds stay readable.
    place = 1.0 if kind == EXPRESSION_TYPES[0] else 0.88
    axis.annotate(
        f"{kind} threshold {threshold:.2g}", (place, threshold), xycoords=("axes fraction", "data"),
        xytext=(-3, 3), textcoords="offset points", ha="right", fontsize=8, color=TYPE_COLOURS[kind],
    )  # fmt: skip


def _clean(axis: Any, kept: tuple[str, ...]) -> None:
    for side, spine in axis.spines.items():
        spine.set_visible(side in kept)
        spine.set_color(MISSED)
    axis.tick_params(colors=INK, labelsize=9)


def _draw_title(figure: Figure, record: DetectionRecord, video: int, events: Events) -> None:
    truths, found, hits = events
    height = figure.get_figheight()
    top = 1 - 0.12 / height
    name = record.videos[video]
    figure.text(0.012, top, f"subject {name.subject}   {name.name}", fontsize=13, weight="bold", color=INK, va="top")
    figure.text(0.012, top - 0.27 / height, summary(truths, found, hits), fontsize=10, color="#555c64", va="top")
    colours = emotion_colours(record.emotions)
    handles = [Patch(color=colours[emotion], label=emotion) for emotion in record.emotions]
    handles += [Patch(facecolor=FAINT, label="not analysed")] if (truths.emotion < 0).any() else []
    handles += [
        Patch(facecolor="white", edgecolor=INK, hatch="//////", label="false positive"),
        Patch(facecolor=MISSED, edgecolor=INK, label="false negative"),
    ]
    handles += [Patch(color=TYPE_COLOURS[kind], label=f"{kind} confidence") for kind in EXPRESSION_TYPES]
    figure.legend(
        handles=handles, loc="upper left", ncols=len(handles), frameon=False, fontsize=9, handlelength=1.4,
        columnspacing=1.3, handletextpad=0.5, borderpad=0, borderaxespad=0, labelcolor=INK,
        bbox_to_anchor=(0.012, top - 0.56 / height),
    )  # fmt: skip


def summary(truths: EventTable, found: EventTable, hits: IntArray) -> str:
    """One line on a video: how many of each type were found, and the false positives.

    Args:
        truths: M truths of the video.
        found: N predictions from the threshold on.
        hits: `(N,)` the truth each prediction took, or :data:`UNMATCHED`.
    """
    matched = hits[hits != UNMATCHED]
    parts = []
    for index, kind in enumerate(EXPRESSION_TYPES):
        total = int((truths.type == index).sum())
        parts.append(f"{int((truths.type[matched] == index).sum())} of {total} {kind} found")
    wrong = len(found) - len(matched)
    return ", ".join([*parts, f"{wrong} false positive{'' if wrong == 1 else 's'}"])


def save_timeline(record: DetectionRecord, video: int, path: str | Path) -> Path:
    """Draws one video into a PNG file, atomically."""
    figure = draw_timeline(record, video)
    return save_figure(figure, path)


def save_timelines(record: DetectionRecord, folder: str | Path) -> list[Path]:
    """Draws every video of a record into `<folder>/<subject>_<video>.png`."""
    return [
        save_timeline(record, index, Path(folder) / f"{video.subject}_{video.name}.png".replace("/", "_"))
        for index, video in enumerate(record.videos)
    ]


COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b59a00", "#56b4e9", "#8a4fbf", "#7d858e")

Series = dict[str, tuple[list[float], list[float]]]


def read_metrics(path: str | Path) -> Series:
    """Reads the CSV log of a run.

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
