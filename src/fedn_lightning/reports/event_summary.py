"""The summary of coded videos as tables (CSV, Markdown, LaTeX, JSON) and as a picture."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from fedn_lightning.analysis.event_summary import ALL, Cell, Group
from fedn_lightning.events import EXPRESSION_TYPES
from fedn_lightning.metrics.functional.rates import Estimate
from fedn_lightning.results.writing import latex_table, markdown_table, write_csv
from fedn_lightning.utils.drawing import INK, TYPE_COLOURS, save_figure
from fedn_lightning.utils.files import plain, write_json, write_text

FILES = {
    "csv": "summary.csv",
    "md": "summary.md",
    "tex": "summary.tex",
    "json": "summary.json",
    "png": "summary.png",
}

Rows = list[tuple[str, ...]]

NOTE = (
    "Events a minute of the time analysed: without unreliable stretches, and without events that begin there. "
    "In brackets 95 % intervals: over people; of one person by Poisson's distribution for counts, and over its "
    "events for means. SD is over events."
)


def rate_rows(groups: Sequence[Group]) -> Rows:
    """People, time, and the rate and duration of each type; the head first. Intensity where it is known."""
    intense = any(math.isfinite(cell.intensity.value) for group in groups for cell in group.cells)
    head = [*groups[0].labels, "people", "minutes", "unreliable"]
    for kind in EXPRESSION_TYPES:
        head += [f"{kind}", f"{kind}/min", f"{kind} seconds (SD)"] + ([f"{kind} intensity (SD)"] if intense else [])
    rows: Rows = [tuple(head)]
    for group in groups:
        row = [*group.labels.values(), str(group.people), f"{group.minutes:.2f}", f"{group.unreliable_minutes:.2f}"]
        for kind in EXPRESSION_TYPES:
            cell = group.cell(kind)
            row += [str(cell.events), _interval(cell.per_minute), _spread(cell.duration, cell.duration_sd)]
            row += [_spread(cell.intensity, cell.intensity_sd)] if intense else []
        rows.append(tuple(row))
    return rows


def emotion_rows(groups: Sequence[Group]) -> Rows:
    """Events a minute by emotion, whatever the type; the head first."""
    emotions = list(dict.fromkeys(cell.emotion for cell in groups[0].cells if cell.emotion != ALL))
    rows: Rows = [(*groups[0].labels, *(f"{emotion}/min" for emotion in emotions))]
    for group in groups:
        cells = (_interval(group.cell(ALL, emotion).per_minute) for emotion in emotions)
        rows.append((*group.labels.values(), *cells))
    return rows


def _interval(estimate: Estimate) -> str:
    """A value and its interval.

    >>> _interval(Estimate(1.5, 1.25, 2.0)), _interval(Estimate(float("nan")))
    ('1.50 [1.25, 2.00]', '-')
    """
    if not math.isfinite(estimate.value):
        return "-"
    bounds = f" [{estimate.low:.2f}, {estimate.high:.2f}]" if math.isfinite(estimate.low) else ""
    return f"{estimate.value:.2f}{bounds}"


def _spread(estimate: Estimate, deviation: float) -> str:
    if not math.isfinite(estimate.value):
        return "-"
    return f"{_interval(estimate)}" + (f" ({deviation:.2f})" if math.isfinite(deviation) else "")


def long_rows(groups: Sequence[Group]) -> tuple[tuple[str, ...], list[list[str]]]:
    """Columns and rows of the CSV: a row for each group, type and emotion; what is undefined is empty."""
    columns = (
        *groups[0].labels, "people", "videos", "minutes", "unreliable_minutes", "events_in_unreliable", "type",
        "emotion", "events", "per_minute", "per_minute_low", "per_minute_high", "duration_mean", "duration_low",
        "duration_high", "duration_sd", "intensity_mean", "intensity_low", "intensity_high", "intensity_sd",
    )  # fmt: skip
    return columns, [[*group.labels.values(), *_long(group, cell)] for group in groups for cell in group.cells]


def _long(group: Group, cell: Cell) -> Iterator[str]:
    yield from (str(group.people), str(group.videos), f"{group.minutes:.6g}", f"{group.unreliable_minutes:.6g}")
    yield from (str(group.set_aside), cell.type, cell.emotion, str(cell.events))
    values = [*cell.per_minute, *cell.duration, cell.duration_sd, *cell.intensity, cell.intensity_sd]
    yield from ("" if math.isnan(value) else f"{value:.6g}" for value in values)


def summary_json(groups: Sequence[Group]) -> list[dict[str, Any]]:
    """The rows of the CSV as plain values; what is undefined is None."""
    words = {"type", "emotion", *groups[0].labels}
    columns, rows = long_rows(groups)
    clean: list[dict[str, Any]] = plain(
        [
            {
                name: text if name in words else (float(text) if text else None)
                for name, text in zip(columns, row, strict=True)
            }
            for row in rows
        ]
    )
    return clean


def summary_markdown(groups: Sequence[Group]) -> str:
    """The page: both tables and what their numbers mean."""
    tables = [markdown_table(rows) for rows in (rate_rows(groups), emotion_rows(groups))]
    return f"# Expressions\n\n{tables[0]}\n\n## By emotion\n\n{tables[1]}\n\n{NOTE}\n"


def write_summary(groups: Sequence[Group], folder: str | Path) -> list[Path]:
    """Writes :data:`FILES` into a folder."""
    folder = Path(folder)
    columns, rows = long_rows(groups)
    tex = f"% {NOTE}\n" + "\n".join(latex_table(rows) for rows in (rate_rows(groups), emotion_rows(groups)))
    return [
        write_csv(folder / FILES["csv"], columns, rows),
        write_text(folder / FILES["md"], summary_markdown(groups)),
        write_text(folder / FILES["tex"], tex),
        write_json(folder / FILES["json"], summary_json(groups)),
        save_picture(groups, folder / FILES["png"]),
    ]


def save_picture(groups: Sequence[Group], path: str | Path) -> Path:
    """Draws the rate of each type in each group, with its interval."""
    from matplotlib.figure import Figure

    names = [", ".join(value or "-" for value in group.labels.values()) for group in groups]
    figure = Figure(figsize=(8, max(2.2, 0.36 * len(groups) + 1.2)), layout="constrained")
    axes = figure.subplots()
    for shift, kind in zip((-0.14, 0.14), EXPRESSION_TYPES, strict=True):
        for place, group in enumerate(groups):
            value, low, high = group.cell(kind).per_minute
            label = kind if place == 0 else None
            axes.plot(value, place + shift, "o", color=TYPE_COLOURS[kind], label=label)
            axes.plot([low, high], [place + shift] * 2, color=TYPE_COLOURS[kind], linewidth=2)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlim(left=0)
    axes.set_xlabel("expressions a minute of the time analysed, with 95 % intervals", color=INK)
    axes.legend(frameon=False, loc="best")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="x", alpha=0.25)
    return save_figure(figure, path, 150)
