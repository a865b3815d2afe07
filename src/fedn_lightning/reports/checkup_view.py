"""A checkup to look at: tables for the terminal, and one picture of lengths, labels and agreement."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from fedn_lightning.events import EXPRESSION_TYPES, Repair
from fedn_lightning.files import write_atomically
from fedn_lightning.reports.checkup import VALENCES, Agreement, Checkup
from fedn_lightning.reports.timeline import TYPE_COLOURS

LISTED = 12
"""Rows of a long list that are shown; `--all` and `--json` give the rest."""


def print_checkup(checkup: Checkup, console: Console, *, everything: bool = False) -> None:
    """Prints counts, labels, agreement, and every row that was repaired or cannot be used.

    Args:
        checkup: what to print.
        console: where to.
        everything: whether to list all rows, however many.
    """
    console.print(_counts(checkup))
    for source, labels in checkup.labels().items():
        console.print(f"{source} labels: " + ", ".join(f"{label} {n}" for label, n in labels.items()))
    for kind, lengths in checkup.lengths().items():
        if lengths:
            low, middle, high = np.percentile(lengths, [0, 50, 100])
            console.print(f"{kind} lengths: {low:g} to {high:g} frames, median {middle:g}")
    console.print("frame rates: " + ", ".join(f"{fps} fps in {n} videos" for fps, n in checkup.rates().items()))
    both = checkup.agreement()
    if both:
        _print_agreement(console, both)
    limit = None if everything else LISTED
    _print_repairs(console, "cannot be used", checkup.faults, limit)
    _print_repairs(console, "repaired or dropped by policy", checkup.repairs, limit)
    overlaps = checkup.overlaps()
    lines = [f"{o.video}: rows {o.rows[0]} ({o.frames[0]}) and {o.rows[1]} ({o.frames[1]})" for o in overlaps]
    _print_list(console, f"{len(overlaps)} pairs of expressions overlap", lines, limit)


def _counts(checkup: Checkup) -> Table:
    """Counts on disk, beside the published ones where there are any."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column(checkup.corpus.name)
    table.add_column("here", justify="right")
    if checkup.published:
        table.add_column("published", justify="right")
    for name, number in checkup.counts().items():
        published = (checkup.published or {}).get(name)
        differs = published is not None and published != number
        row = [name, f"[bold yellow]{number}[/]" if differs else str(number)]
        table.add_row(*row, *([str(published) if published is not None else "-"] if checkup.published else []))
    return table


def _print_agreement(console: Console, both: Agreement) -> None:
    """Expert valences in rows, self-reported ones in columns."""
    part = both.analysed()
    console.print(
        f"\n[bold]expert (rows) and self-report agree on {both.agreeing} of {both.confusion.sum()}[/], "
        f"kappa {both.kappa:.2f}; without expert others on {part.agreeing} of {part.confusion.sum()}, "
        f"kappa {part.kappa:.2f}",
        highlight=False,
        soft_wrap=True,
    )
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("", *VALENCES):
        table.add_column(name, justify="right" if name else "left")
    for name, row in zip(VALENCES, both.confusion, strict=True):
        table.add_row(name, *(str(n) for n in row))
    console.print(table)


def _print_repairs(console: Console, what: str, repairs: tuple[Repair, ...], limit: int | None) -> None:
    """One line a row: where, by which rule, before and after."""
    lines = [f"{_where(r)}: {r.rule}: {r.before} -> {r.after}" for r in repairs]
    _print_list(console, f"{len(repairs)} rows or files {what}", lines, limit)


def _where(repair: Repair) -> str:
    return f"{Path(repair.file).name}, row {repair.row}" if repair.row else repair.file


def _print_list(console: Console, title: str, lines: list[str], limit: int | None) -> None:
    if not lines:
        return
    console.print(f"\n[bold]{title}[/]")
    for line in lines[:limit]:
        console.print(f"  {line}", markup=False, highlight=False, soft_wrap=True)
    if limit is not None and len(lines) > limit:
        console.print(f"  ... and {len(lines) - limit} more (--all lists them)")


def draw_checkup(checkup: Checkup) -> Figure:
    """Draws histograms of lengths and labels, and the confusion of expert labels with self-reports.

    Args:
        checkup: what to draw.

    Returns:
        A figure with one panel each.
    """
    labels, both = checkup.labels(), checkup.agreement()
    panels = 1 + len(labels) + (both is not None)
    figure = Figure(figsize=(4.2 * panels, 3.4), dpi=110, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    axes: Iterator[Any] = iter(np.atleast_1d(np.asarray(figure.subplots(1, panels), object)))
    _draw_lengths(next(axes), checkup.lengths())
    for source, counts in labels.items():
        _draw_labels(next(axes), source, counts)
    if both:
        _draw_confusion(next(axes), both)
    return figure


def _draw_lengths(axes: Any, lengths: dict[str, list[float]]) -> None:
    """Lengths of both types on one logarithmic axis: macro-expressions are up to 20 times longer."""
    longest = max((values[-1] for values in lengths.values() if values), default=2.0)
    edges = np.geomspace(1, max(longest, 2) * 1.01, 25)
    for kind in EXPRESSION_TYPES:
        axes.hist(lengths[kind], edges, color=TYPE_COLOURS[kind], alpha=0.75, label=f"{kind} ({len(lengths[kind])})")
    axes.set_xscale("log")
    ticks = [n for n in (1, 3, 10, 30, 100, 300, 1000, 3000) if n <= edges[-1]]
    axes.set_xticks(ticks, [str(n) for n in ticks])
    axes.minorticks_off()
    axes.set(title="length", xlabel="frames", ylabel="expressions")
    axes.legend(frameon=False)


def _draw_labels(axes: Any, source: str, counts: dict[str, int]) -> None:
    names = list(counts)[::-1]
    axes.barh(names, [counts[name] for name in names], color="#3b4a5c")
    axes.bar_label(axes.containers[0], padding=3)
    axes.margins(x=0.15)
    axes.set(title=f"{source} labels", xlabel="expressions")


def _draw_confusion(axes: Any, both: Agreement) -> None:
    axes.imshow(both.confusion, cmap="Blues")
    dark = both.confusion.max() / 2
    for (row, column), number in np.ndenumerate(both.confusion):
        axes.text(column, row, number, ha="center", va="center", color="white" if number > dark else "black")
    axes.set_xticks(range(len(VALENCES)), VALENCES, rotation=30, ha="right")
    axes.set_yticks(range(len(VALENCES)), VALENCES)
    axes.set(title=f"kappa {both.kappa:.2f}", xlabel="self-reported", ylabel="expert")


def save_checkup(checkup: Checkup, path: str | Path) -> None:
    """Writes the picture."""
    figure = draw_checkup(checkup)
    write_atomically(path, lambda temporary: figure.savefig(temporary))
