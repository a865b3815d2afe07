"""Draws the pictures of docs/protocols.md and computes its table: `python docs/pictures/protocols.py`.

The counts beside the timelines are computed by the package, so the page cannot disagree with the code.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from fedn_lightning.events import EventTable
from fedn_lightning.metrics.functional.evaluation import PROTOCOLS
from fedn_lightning.metrics.functional.spotting import Counts
from fedn_lightning.metrics.functional.threshold import best_threshold, operating_curves, spotting_sweep

INK, TRUTH, FOUND = "#22262b", "#1b6ca8", "#c8553d"


class Case(NamedTuple):
    """A smallest case: subject, video, onset, offset (inclusive) of truths, and the same and a score of predictions."""

    title: str
    truths: tuple[tuple[int, int, int, int], ...]
    predictions: tuple[tuple[int, int, int, int, float], ...]


CASES = (
    Case("A. clean hits", ((0, 0, 2, 11), (0, 0, 21, 32)), ((0, 0, 3, 11, 0.9), (0, 0, 20, 33, 0.8))),
    Case("B. two predictions on one truth", ((0, 0, 8, 25),), ((0, 0, 8, 23, 0.9), (0, 0, 11, 26, 0.8))),
    Case("C. one prediction on two truths", ((0, 0, 8, 22), (0, 0, 10, 25)), ((0, 0, 9, 23, 0.9),)),
    Case("D. an IoU of exactly one half", ((0, 0, 8, 27),), ((0, 0, 18, 27, 0.9),)),
    Case("E. one frame", ((0, 0, 17, 17),), ((0, 0, 17, 17, 0.9),)),
    Case("F. a false positive in a video without a truth", ((0, 0, 4, 12),), ((0, 0, 4, 12, 0.9), (0, 1, 20, 30, 0.8))),
    Case("G. a subject for whom nothing was predicted", ((0, 0, 4, 12), (1, 1, 20, 30)), ((0, 0, 4, 12, 0.9),)),
)


def tables(case: Case) -> tuple[EventTable, EventTable]:
    """Predictions and truths of a case, all micro-expressions."""
    found = [[s, v, a - 1, b, 1, -1, c] for s, v, a, b, c in case.predictions]
    true = [[s, v, a - 1, b, 1, -1, 1] for s, v, a, b in case.truths]
    return EventTable.from_rows(found), EventTable.from_rows(true)


def counts(case: Case) -> dict[str, Counts]:
    """The counts of a case by protocol."""
    return {name: protocol.rule(*tables(case)).counts for name, protocol in PROTOCOLS.items()}


def markdown() -> str:
    """The table of docs/protocols.md: TP / FP / FN of every case under every protocol."""
    rows = [["case", *(f"`{name}`" for name in PROTOCOLS)], ["---"] * (len(PROTOCOLS) + 1)]
    rows += [[case.title, *(f"{c.tp} / {c.fp} / {c.fn}" for c in counts(case).values())] for case in CASES]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def draw_cases() -> Figure:
    """A timeline per case, truths above predictions, with the counts of every protocol."""
    figure = new_figure(8.6, 6.0)
    for row, case in enumerate(CASES):
        axes = figure.add_subplot(len(CASES), 1, row + 1)
        timeline(axes, case)
        for column, (name, c) in enumerate(counts(case).items()):
            x = 1.11 + 0.19 * column
            colour, weight = (INK, "normal") if c == counts(case)["megc"] else (FOUND, "bold")
            label = f"{c.tp} / {c.fp} / {c.fn}".replace("-", "\N{MINUS SIGN}")
            axes.text(x, 0.4, label, transform=axes.transAxes, ha="center", fontsize=9, color=colour, weight=weight)
            if row == 0:
                axes.text(x, 1.12, name, transform=axes.transAxes, ha="center", weight="bold", fontsize=8)
    figure.text(0.99, 0.985, "TP / FP / FN", ha="right", va="top", fontsize=8, color=INK)
    figure.text(0.02, 0.985, "truth", va="top", fontsize=8, color=TRUTH, weight="bold")
    figure.text(0.07, 0.985, "prediction, its score beside", va="top", fontsize=8, color=FOUND, weight="bold")
    figure.subplots_adjust(left=0.02, right=0.56, top=0.92, bottom=0.02, hspace=0.5)
    return figure


def timeline(axes: Axes, case: Case) -> None:
    """Truths (blue) above predictions (red, with score); a second video stands right of the dashed line."""
    two = len({v for _, v, *_ in (*case.truths, *case.predictions)}) > 1
    tracks = (("truth", case.truths, 1.0, TRUTH), ("prediction", case.predictions, 0.3, FOUND))
    for what, events, top, colour in tracks:
        for k, (_, video, onset, offset, *score) in enumerate(events):
            crowded = any(v == video and a <= offset and onset <= b for _, v, a, b, *_ in events[:k])
            y, shift = top - 0.32 * crowded, 38 * video - 1
            axes.barh(y, offset - onset + 1, left=onset + shift, height=0.26, color=colour, alpha=0.6, ec=colour)
            if what == "prediction":
                axes.text(offset + shift + 1.6, y, f"{score[0]:g}", va="center", fontsize=7, color=colour)
    if two:
        axes.axvline(37, color=INK, linewidth=0.8, linestyle="--")
    axes.set_xlim(0, 76 if two else 38)
    axes.set_ylim(-0.25, 1.2)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_color("#cccccc")
    axes.set_title(case.title, loc="left", fontsize=8, pad=2)


def example(seed: int = 4) -> tuple[EventTable, EventTable]:
    """A made-up set: 20 videos of two minutes, and proposals of which the surer are more often right."""
    rng = np.random.default_rng(seed)
    true, found = [], []
    for video in range(20):
        for start in rng.choice(34, 4, replace=False) * 100:
            length, kind = int(rng.integers(16, 80)), int(rng.random() < 0.25)
            true.append([video, video, start, start + length, kind, -1, 1])
            if rng.random() < 0.8:
                shift = rng.normal(0, length / 8, 2)
                found.append([video, video, start + shift[0], start + length + shift[1], kind, -1, rng.beta(4, 2)])
        for _ in range(12):
            start = rng.integers(0, 3500)
            found.append([video, video, start, start + rng.integers(12, 80), rng.integers(2), -1, rng.beta(1.6, 4)])
    return EventTable.from_rows(found), EventTable.from_rows(true)


def draw_operating() -> Figure:
    """Selection on the sweep, and the FROC of the same predictions."""
    predictions, truths = example()
    sweep = spotting_sweep(predictions, truths)
    figure = new_figure(8.6, 3.0)
    left, right = figure.subplots(1, 2)
    left.step(sweep.score, sweep.f1, where="pre", color=TRUTH, linewidth=1.2)
    best = best_threshold(sweep)
    left.axvline(best, color=FOUND, linewidth=1, linestyle="--")
    note = "chosen: the middle of\nthe widest gap between\nscores with the best F1"
    left.text(best - 0.02, 0.97, note, fontsize=8, color=FOUND, ha="right", va="top")
    left.set(xlabel="score threshold", ylabel="overall F1", ylim=(0, 1), xlim=(0, 1))
    curves = operating_curves(predictions, truths, minutes=40)
    for (name, one), colour in zip(curves.sweeps().items(), (TRUTH, FOUND, INK), strict=True):
        right.step((one.n - one.tp) / curves.minutes, one.recall, where="post", label=name, color=colour, linewidth=1.2)
    right.set(xlabel="false positives per minute", ylabel="recall", ylim=(0, 1), xlim=(0, 5))
    right.legend(frameon=False, fontsize=8, loc="lower right")
    figure.subplots_adjust(left=0.07, right=0.98, top=0.96, bottom=0.17, wspace=0.22)
    return figure


def new_figure(width: float, height: float) -> Figure:
    """A figure in inches that needs no display."""
    figure = Figure((width, height))
    FigureCanvasAgg(figure)
    return figure


def main(folder: Path) -> None:
    """Writes the pictures into a folder and prints the table."""
    for name, draw in (("protocol_cases", draw_cases), ("operating_curves", draw_operating)):
        # No version in the file: the picture changes only when what it shows changes.
        draw().savefig(folder / f"{name}.png", dpi=100, metadata={"Software": None})
    print(markdown())


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
