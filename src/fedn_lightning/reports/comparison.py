"""A comparison of runs for a reader: on the terminal, as Markdown, LaTeX, JSON and as a picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fedn_lightning.files import plain, write_atomically
from fedn_lightning.metrics.functional.spotting import show
from fedn_lightning.reports.loso import markdown_table

if TYPE_CHECKING:
    from fedn_lightning.comparison import Comparison, Difference

NAMES = {
    "spotting.overall.f1": "F1 overall",
    "spotting.macro.f1": "F1 macro",
    "spotting.micro.f1": "F1 micro",
    "detection.map@0.5": "mAP@0.5",
    "recognition.f1_analysis": "F1 analysis",
    "strs": "STRS",
}

COLOURS = ("#444444", "#1b6ca8", "#c8553d", "#4a7c59", "#8e6c8a", "#b8860b")


def comparison_json(comparison: Comparison) -> dict[str, Any]:
    """As plain values."""
    others = zip(comparison.names[1:], comparison.differences, strict=True)
    result: dict[str, Any] = plain(
        {
            "runs": dict(zip(comparison.names, comparison.folders, strict=True)),
            "baseline": comparison.names[0],
            "draws": comparison.draws,
            "scores": dict(zip(comparison.names, comparison.scores, strict=True)),
            "differences": {
                name: {path: asdict(difference) for path, difference in differences.items()}
                for name, differences in others
            },
            "subjects": {
                subject: {
                    name: counts[subject].overall.to_dict()
                    for name, counts in zip(comparison.names, comparison.subjects, strict=True)
                }
                for subject in comparison.subjects[0]
            },
        }
    )
    return result


def score_rows(comparison: Comparison) -> list[tuple[str, ...]]:
    """Scores of each run; behind each run but the first its difference. The first row is the head."""
    first, *others = comparison.names
    head = ("score", first, *(cell for name in others for cell in (name, "difference", "better in")))
    rows = [head]
    for path, label in NAMES.items():
        cells = [label, show(comparison.scores[0][path])]
        for scores, differences in zip(comparison.scores[1:], comparison.differences, strict=True):
            better = differences[path].better
            share = "-" if math.isnan(better) else f"{better:.0%}"
            cells += [show(scores[path]), signed(differences[path]), share]
        rows.append(tuple(cells))
    return rows


def signed(difference: Difference) -> str:
    """A difference and its interval.

    >>> from fedn_lightning.comparison import Difference
    >>> signed(Difference(0.05, -0.01, 0.11, 0.9))
    '+0.0500 [-0.0100, +0.1100]'
    """
    if math.isnan(difference.value):
        return "-"
    if math.isnan(difference.low):
        return f"{difference.value:+.4f}"
    return f"{difference.value:+.4f} [{difference.low:+.4f}, {difference.high:+.4f}]"


def subject_rows(comparison: Comparison) -> list[tuple[str, ...]]:
    """Overall F1 of each subject in each run, and the difference from the first run; the first row is the head."""
    first, *others = comparison.names
    rows = [("subject", first, *(cell for name in others for cell in (name, "difference")))]
    for subject in comparison.subjects[0]:
        values = [counts[subject].overall.f1 for counts in comparison.subjects]
        cells = [subject, show(values[0])]
        for value in values[1:]:
            delta = value - values[0]
            cells += [show(value), "-" if math.isnan(delta) else f"{delta:+.4f}"]
        rows.append(tuple(cells))
    return rows


def comparison_markdown(comparison: Comparison) -> str:
    """A page of Markdown."""
    note = (
        f"Differences from {comparison.names[0]}; 95 % intervals of {comparison.draws} draws of subjects, the same for "
        f"all runs; thresholds as each run has chosen them."
    )
    tables = markdown_table(score_rows(comparison)), markdown_table(subject_rows(comparison))
    return f"# Comparison\n\n{tables[0]}\n\n{note}\n\n## Subjects (overall F1)\n\n{tables[1]}\n"


def comparison_latex(comparison: Comparison) -> str:
    """The table of scores for a paper, with the rules of booktabs."""
    head, *body = [[latex_escape(cell) for cell in row] for row in score_rows(comparison)]
    lines = [f"\\begin{{tabular}}{{l{'r' * (len(head) - 1)}}}", "\\toprule"]
    lines += [" & ".join(head) + r" \\", "\\midrule", *(" & ".join(row) + r" \\" for row in body)]
    return "\n".join([*lines, "\\bottomrule", "\\end{tabular}", ""])


def latex_escape(text: str) -> str:
    r"""Text for LaTeX.

    >>> latex_escape("a_b 5%")
    'a\\_b 5\\%'
    """
    return "".join(f"\\{letter}" if letter in "&%$#_{}" else letter for letter in text)


def save_comparison(comparison: Comparison, path: str | Path) -> Path:
    """Draws each subject's overall F1 in all runs, and the differences of the pooled scores with their intervals."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    subjects = list(comparison.subjects[0])
    figure = Figure(figsize=(11, max(3.2, 0.26 * len(subjects) + 1.6)), layout="constrained")
    left, right = figure.subplots(1, 2)
    _draw_subjects(left, comparison, subjects)
    _draw_differences(right, comparison)
    FigureCanvasAgg(figure)
    return write_atomically(path, lambda temporary: figure.savefig(temporary, dpi=120))


def _draw_subjects(axes: Any, comparison: Comparison, subjects: Sequence[str]) -> None:
    places, count = range(len(subjects)), len(comparison.names)
    for place, subject in enumerate(subjects):
        axes.axhline(place, color="#eeeeee", zorder=0)
        values = [v for counts in comparison.subjects if not math.isnan(v := counts[subject].overall.f1)]
        if values:
            axes.plot([min(values), max(values)], [place, place], color="#bbbbbb", linewidth=1, zorder=1)
    for index, (name, counts) in enumerate(zip(comparison.names, comparison.subjects, strict=True)):
        # One above the other, so that equal values do not hide each other.
        heights = [place + (index - (count - 1) / 2) * 0.5 / count for place in places]
        values = [counts[subject].overall.f1 for subject in subjects]
        axes.plot(values, heights, "o", color=COLOURS[index % len(COLOURS)], label=name, markersize=4.5)
    axes.set_yticks(places, subjects)
    axes.invert_yaxis()
    axes.set(xlabel="overall F1", title="each subject", xlim=(-0.03, 1.03))
    axes.grid(axis="x", color="#eeeeee")
    axes.legend(fontsize="small", frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1.06), ncols=2)


def _draw_differences(axes: Any, comparison: Comparison) -> None:
    count = len(comparison.differences)
    for index, differences in enumerate(comparison.differences):
        for place, path in enumerate(NAMES):
            found = differences[path]
            if math.isnan(found.low):
                continue
            y = place + (index - (count - 1) / 2) * 0.6 / max(count, 1)
            colour = COLOURS[(index + 1) % len(COLOURS)]
            axes.plot([found.low, found.high], [y, y], color=colour, linewidth=2)
            axes.plot([found.value], [y], "o", color=colour, markersize=5)
    axes.axvline(0, color="#888888", linewidth=1)
    axes.set_yticks(range(len(NAMES)), list(NAMES.values()))
    axes.invert_yaxis()
    axes.set(xlabel=f"difference from {comparison.names[0]}", title="all subjects, 95 % interval")
    axes.grid(axis="x", color="#eeeeee")
