"""Pictures of a run's errors. Colours differ in lightness and bars in hatching, so that they differ in grey."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from fedn_lightning.analysis.errors import KINDS
from fedn_lightning.analysis.oracles import ORACLES
from fedn_lightning.analysis.run import Group
from fedn_lightning.analysis.summary import Summary
from fedn_lightning.events import EXPRESSION_TYPES
from fedn_lightning.utils.drawing import save_figure

DARK, LIGHT = "#1b4965", "#e0a458"
"""Macro and micro, F1 and mAP: far apart in lightness and for every kind of colour vision."""
FALSE_POSITIVES: Final = KINDS[:-1]
FALSE_NEGATIVES: Final = ("classification", "localisation", "missed")
"""The kinds of false positives, and those of false negatives."""
HATCHES: Final = ("", "////")
SHADES: Final = ("#1b4965", "#e0a458", "#7aa6c2", "#8c4a3c", "#c9c9c9")
"""Of runs beside each other."""

FEW: Final = 10
"""Groups with fewer truths are drawn hollow: their recall says little."""


def save_pictures(summary: Summary, folder: Path) -> list[Path]:
    """Writes `kinds.png`, `corrected.png` and `sensitivity.png`."""
    return [
        save_kinds(summary, folder / "kinds.png"),
        save_oracles(summary, folder / "corrected.png"),
        save_sensitivity(summary, folder / "sensitivity.png"),
    ]


def save_kinds(summary: Summary, path: Path) -> Path:
    """Draws the number of false positives and of false negatives of each kind, macro and micro stacked."""
    run = summary.run
    wrong = [run.spotting.false_positives(run.predictions.type == kind) for kind in range(len(EXPRESSION_TYPES))]
    missed = [run.spotting.false_negatives(run.truths.type == kind) for kind in range(len(EXPRESSION_TYPES))]
    figure = _figure(9.0, 3.4)
    axes = figure.subplots(1, 2)
    most = max(sum(each[kind] for each in counts) for counts in (wrong, missed) for kind in KINDS)
    for place, (title, counts) in enumerate((("false positives", wrong), ("false negatives", missed))):
        kinds = [kind for kind in KINDS if kind in (FALSE_POSITIVES, FALSE_NEGATIVES)[place]]
        _stack(axes[place], kinds, [[each[kind] for kind in kinds] for each in counts], most)
        axes[place].set_title(f"{title}: {sum(sum(each.values()) for each in counts)}", loc="left", fontsize=11)
    axes[0].legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=2, fontsize=9, frameon=False)
    figure.suptitle(f"{run.name}: spotting errors by kind", x=0.01, ha="left", fontsize=12, fontweight="bold")
    return save_figure(figure, path, 120)


def _stack(axes: Any, kinds: Sequence[str], counts: Sequence[Sequence[int]], most: int) -> None:
    """Horizontal bars, macro then micro, with their numbers inside or behind."""
    left = [0] * len(kinds)
    for name, colour, hatch, values in zip(EXPRESSION_TYPES, (DARK, LIGHT), HATCHES, counts, strict=True):
        axes.barh(kinds, values, left=left, color=colour, hatch=hatch, edgecolor="white", label=name, height=0.66)
        left = [before + value for before, value in zip(left, values, strict=True)]
    for place, (total, parts) in enumerate(zip(left, zip(*counts, strict=True), strict=True)):
        text = f"{total}" if 0 in parts else f"{total}  ({' + '.join(map(str, parts))})"
        axes.annotate(text, (total, place), xytext=(4, 0), textcoords="offset points", va="center", fontsize=9)
    axes.set_xlim(0, max(most, 1) * 1.35)
    axes.invert_yaxis()
    _plain(axes, grid="x")


def save_oracles(summary: Summary, path: Path) -> Path:
    """Draws what spotting F1 and detection mAP would gain from correcting each kind alone, and F1's losses by kind."""
    figure = _figure(9.0, 3.9)
    axes = figure.subplots(1, 2, width_ratios=(1.5, 1))
    places = range(len(ORACLES))
    gains = [[summary.f1_gain(o) for o in ORACLES], [summary.map_gain(o) for o in ORACLES]]
    labels = (f"spotting F1 (now {_now(summary, 'f1')})", f"detection mAP@0.5 (now {_now(summary, 'map')})")
    for k, (label, colour, hatch, values) in enumerate(zip(labels, (DARK, LIGHT), HATCHES, gains, strict=True)):
        shown = [0.0 if math.isnan(value) else value for value in values]
        heights = [place + (k - 0.5) * 0.38 for place in places]
        axes[0].barh(heights, shown, height=0.36, color=colour, hatch=hatch, edgecolor="white", label=label)
        _number(axes[0], heights, shown, [("-" if math.isnan(v) else f"{v:+.3f}") for v in values])
    axes[0].set_yticks(places, ORACLES)
    axes[0].axhline(len(KINDS) - 0.5, color="#888888", linewidth=0.8)
    axes[0].set_xlim(0, _most(gains) * 1.25)
    axes[0].set_title("gain if one kind were corrected", loc="left", fontsize=11)
    axes[0].legend(loc="upper center", bbox_to_anchor=(0.5, -0.1), ncols=2, fontsize=9, frameon=False)
    axes[0].invert_yaxis()
    lost = [summary.lost[kind] for kind in KINDS]
    shown = [0.0 if math.isnan(value) else value for value in lost]
    axes[1].barh(KINDS, shown, color="#6b6b6b", height=0.6)
    _number(axes[1], range(len(KINDS)), shown, [f"{value:.3f}" for value in lost])
    axes[1].set_xlim(0, max([*shown, 0.01]) * 1.3)
    axes[1].set_title(f"F1 lost, {sum(shown):.3f} in all", loc="left", fontsize=11)
    axes[1].invert_yaxis()
    for each in axes:
        _plain(each, grid="x")
    return save_figure(figure, path, 120)


def _now(summary: Summary, which: str) -> str:
    value = summary.counts["nothing"]["overall"].f1 if which == "f1" else summary.mean_ap["nothing"]
    return "-" if math.isnan(value) else f"{value:.3f}"


def _most(gains: Sequence[Sequence[float]]) -> float:
    return max([0.01, *(value for each in gains for value in each if math.isfinite(value))])


def save_sensitivity(summary: Summary, path: Path) -> Path:
    """Draws the recall of each group of truths with its 95 % interval, a panel for each trait."""
    traits = summary.sensitivity
    columns = 3
    rows = math.ceil(len(traits) / columns)
    figure = _figure(11.0, 2.9 * rows)
    panels = figure.subplots(rows, columns, sharey=True, squeeze=False).ravel()
    for axes, (trait, groups) in zip(panels, traits.items(), strict=False):
        _recalls(axes, trait, groups, crowded=len(groups) > 6)
    for axes in panels[len(traits) :]:
        axes.set_visible(False)
    for row in range(rows):
        panels[row * columns].set_ylabel("recall")
    figure.legend(
        *panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=9, frameon=False
    )
    title = f"{summary.run.name}: which truths are found (hollow: fewer than {FEW} truths)"
    figure.suptitle(title, x=0.01, ha="left", fontsize=12, fontweight="bold")
    return save_figure(figure, path, 120)


def _recalls(axes: Any, trait: str, groups: Sequence[Group], crowded: bool) -> None:
    for place, group in enumerate(groups):
        axes.plot([place, place], [group.low, group.high], color="#9a9a9a", linewidth=2.5, solid_capstyle="butt")
        fill = DARK if group.n >= FEW else "white"
        first = place == 0
        dot = {"color": DARK, "markerfacecolor": fill, "markersize": 7, "linestyle": "none"}
        axes.plot([place], [group.recall], "o", **dot, label="recall, 95 % interval" if first else None)
        score = {"marker": "_", "color": "#b5651d", "markersize": 13, "markeredgewidth": 2.5, "linestyle": "none"}
        axes.plot([place], [group.score], **score, label="mean score of the proposal that fits" if first else None)
    labels = [f"{group.name}\n{group.hits}/{group.n}" for group in groups]
    axes.set_xticks(range(len(groups)), labels, rotation=60 if crowded else 0, fontsize=7.5 if len(groups) > 3 else 9)
    axes.set(ylim=(-0.03, 1.03), xlim=(-0.6, len(groups) - 0.4))
    axes.set_title(f"{trait}", loc="left", fontsize=11)
    _plain(axes, grid="y")


def save_losses(summaries: Sequence[Summary], path: Path) -> Path:
    """Draws the F1 that each kind costs each of several runs."""
    figure = _figure(8.0, 1.4 + 0.28 * len(KINDS) * max(len(summaries), 2))
    axes = figure.subplots()
    step = 0.8 / len(summaries)
    for k, summary in enumerate(summaries):
        heights = [place + (k - (len(summaries) - 1) / 2) * step for place in range(len(KINDS))]
        values = [0.0 if math.isnan(summary.lost[kind]) else summary.lost[kind] for kind in KINDS]
        colour, hatch = SHADES[k % len(SHADES)], HATCHES[k % 2]
        label = f"{summary.run.name}: F1 {_now(summary, 'f1')}"
        axes.barh(heights, values, height=0.92 * step, color=colour, hatch=hatch, edgecolor="white", label=label)
        _number(axes, heights, values, [f"{value:.3f}" for value in values])
    axes.set_yticks(range(len(KINDS)), KINDS)
    axes.set_xlim(0, max([0.01, *(v for s in summaries for v in s.lost.values() if math.isfinite(v))]) * 1.2)
    axes.set_title("spotting F1 lost to each kind of error", loc="left", fontsize=12, fontweight="bold")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.08), ncols=2, fontsize=9, frameon=False)
    axes.invert_yaxis()
    _plain(axes, grid="x")
    return save_figure(figure, path, 120)


def _number(axes: Any, heights: Sequence[float], values: Sequence[float], texts: Sequence[str]) -> None:
    for height, value, text in zip(heights, values, texts, strict=True):
        near = {"xytext": (4, 0), "textcoords": "offset points", "va": "center", "fontsize": 8.5}
        axes.annotate(text, (max(value, 0), height), **near)


def _plain(axes: Any, grid: str) -> None:
    axes.grid(axis=grid, color="#e4e4e4", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _figure(width: float, height: float) -> Any:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")
