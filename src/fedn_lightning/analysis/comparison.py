"""Compares runs on the same subjects: what differs, for whom, and whether other people would show it too."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fedn_lightning.errors import PredictionFileError
from fedn_lightning.events import EventTable, FloatArray, IntArray
from fedn_lightning.metrics.functional.bootstrap import resampled_scores
from fedn_lightning.metrics.functional.spotting import SpottingScores, show
from fedn_lightning.results import EventFile, Names, find_run, read_events, read_videos
from fedn_lightning.results.names import PREDICTIONS, PROPOSALS, SCORE_NAMES, TRUTH, VIDEOS
from fedn_lightning.results.report import by_name
from fedn_lightning.results.writing import latex_table, markdown_table
from fedn_lightning.utils.drawing import save_figure
from fedn_lightning.utils.files import plain

SCORES = (
    "spotting.overall.f1",
    "spotting.macro.f1",
    "spotting.micro.f1",
    "detection.map@0.5",
    "recognition.f1_analysis",
    "strs",
)
"""Scores compared, by their path."""


@dataclass(frozen=True)
class Difference:
    """How a score differs from the first run's."""

    value: float  # this run's score minus the first run's
    low: float  # lower bound of the 95 % interval over subjects
    high: float  # upper bound
    better: float  # share of draws in which this run is better; draws in which a score is undefined are left out


@dataclass(frozen=True)
class Comparison:
    """Runs side by side."""

    names: tuple[str, ...]  # of the runs; the first is what the others are compared with
    folders: tuple[str, ...]  # of the runs
    scores: tuple[dict[str, float], ...]  # of each run, by path
    differences: tuple[dict[str, Difference], ...]  # of each run but the first, by path
    subjects: tuple[dict[str, SpottingScores], ...]  # of each run, counts by subject
    draws: int  # of the paired bootstrap


def compare(folders: Sequence[str | Path], names: Sequence[str] = (), draws: int = 2000, seed: int = 0) -> Comparison:
    """Compares the predictions that lie in run folders, at the thresholds each run has chosen.

    Args:
        folders: two or more folders of runs, or of pooled folds, about the same videos.
        names: what to call them; their folders by default.
        draws: of subjects with replacement, the same for all runs.
        seed: of the draws.

    Raises:
        PredictionFileError: if a folder holds no predictions, or the runs are not about the same videos and truths.
    """
    if len(folders) < 2 or (names and len(names) != len(folders)):
        msg = f"Two runs or more are compared, each with a name or none; got {len(folders)} and {len(names)} names."
        raise PredictionFileError(msg)
    found = [find_run(Path(folder)) for folder in folders]
    labels = tuple(names) or shortest_names(found)
    if len({folder.resolve() for folder in found}) < len(found) or len(set(labels)) < len(labels):
        msg = f"A run or a name is given twice: {', '.join(f'{n} ({f})' for n, f in zip(labels, found, strict=True))}."
        raise PredictionFileError(msg)
    known = Names()
    read_videos(found[0] / VIDEOS, known)
    truths = _same_truths(found, known)
    rng = np.random.default_rng(seed)
    count = len(known.subjects)
    weights = np.concatenate([np.ones((1, count), np.int64), rng.multinomial(count, [1 / count] * count, size=draws)])
    predicted = [read_events(folder / PREDICTIONS, known).events for folder in found]
    sampled = [_sample(folder, mine, truths, known, weights) for folder, mine in zip(found, predicted, strict=True)]
    return Comparison(
        names=labels,
        folders=tuple(map(str, found)),
        scores=tuple({path: float(run[path][0]) for path in SCORES} for run in sampled),
        differences=tuple({path: difference(run[path], sampled[0][path]) for path in SCORES} for run in sampled[1:]),
        subjects=tuple(by_name(mine, truths, known) for mine in predicted),
        draws=draws,
    )


def shortest_names(folders: Sequence[Path]) -> tuple[str, ...]:
    """The ends of the paths, as long as it takes to tell them apart.

    >>> shortest_names([Path("runs/a/1/pooled"), Path("runs/b/1/pooled")])
    ('a/1/pooled', 'b/1/pooled')
    """
    parts = [folder.resolve().parts for folder in folders]
    for length in range(1, max(map(len, parts))):
        names = tuple("/".join(each[-length:]) for each in parts)
        if len(set(names)) == len(names):
            return names
    return tuple(map(str, folders))


def difference(mine: FloatArray, first: FloatArray) -> Difference:
    """The difference of two paired samples, whose first value is that of everyone.

    >>> difference(np.array([0.5, 0.6, 0.7]), np.array([0.4, 0.4, 0.6])).better
    1.0
    """
    delta = mine - first
    known = delta[1:][~np.isnan(delta[1:])]
    if not len(known):
        return Difference(float(delta[0]), float("nan"), float("nan"), float("nan"))
    low, high = np.quantile(known, [0.025, 0.975])
    # An equal draw counts half, so that two equal runs are better than each other in half of the draws.
    better = float(np.mean((known > 0) + 0.5 * (known == 0)))
    return Difference(float(delta[0]), float(low), float(high), better)


def _sample(
    folder: Path, predicted: EventTable, truths: EventTable, known: Names, weights: IntArray
) -> dict[str, FloatArray]:
    """All scores of a run under all weights: spotting above the thresholds, mAP of all proposals."""
    proposals = read_events(folder / PROPOSALS, known).events
    sampled = resampled_scores(predicted, truths, weights)
    every = resampled_scores(proposals, truths, weights, threshold=np.inf)
    return {**sampled, "detection.map@0.5": every["detection.map@0.5"]}


def _same_truths(folders: Sequence[Path], known: Names) -> EventTable:
    """The truths of all runs.

    Raises:
        PredictionFileError: if two runs differ in videos or truths.
    """
    first: EventFile | None = None
    for folder in folders:
        own = Names()
        read_videos(folder / VIDEOS, own)
        if set(own.videos) != set(known.videos):
            odd = sorted(set(own.videos) ^ set(known.videos))
            raise PredictionFileError(
                f"{folders[0]} and {folder} are not about the same videos: {len(odd)} are in one alone, e.g. "
                f"{'/'.join(odd[0])}. Compare runs on the same subjects."
            )
        truths = read_events(folder / TRUTH, known, truth=True)
        if first is not None and not _equal(first.events, truths.events):
            msg = f"{folders[0]}/truth.csv and {folder}/truth.csv differ: the runs read the labels in different ways."
            raise PredictionFileError(msg)
        first = first or truths
    assert first is not None  # there is at least one folder
    return first.events


def _equal(one: EventTable, other: EventTable) -> bool:
    mine, theirs = one.to_rows(), other.to_rows()
    return np.array_equal(mine[np.lexsort(mine.T)], theirs[np.lexsort(theirs.T)])


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
    for path in SCORES:
        cells = [SCORE_NAMES[path], show(comparison.scores[0][path])]
        for scores, differences in zip(comparison.scores[1:], comparison.differences, strict=True):
            better = differences[path].better
            share = "-" if math.isnan(better) else f"{better:.0%}"
            cells += [show(scores[path]), signed(differences[path]), share]
        rows.append(tuple(cells))
    return rows


def signed(difference: Difference) -> str:
    """A difference and its interval.

    >>> from fedn_lightning.analysis.comparison import Difference
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
    return latex_table(score_rows(comparison))


def save_comparison(comparison: Comparison, path: str | Path) -> Path:
    """Draws each subject's overall F1 in all runs, and the differences of the pooled scores with their intervals."""
    from matplotlib.figure import Figure

    subjects = list(comparison.subjects[0])
    figure = Figure(figsize=(11, max(3.2, 0.26 * len(subjects) + 1.6)), layout="constrained")
    left, right = figure.subplots(1, 2)
    _draw_subjects(left, comparison, subjects)
    _draw_differences(right, comparison)
    return save_figure(figure, path, 120)


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
        for place, path in enumerate(SCORES):
            found = differences[path]
            if math.isnan(found.low):
                continue
            y = place + (index - (count - 1) / 2) * 0.6 / max(count, 1)
            colour = COLOURS[(index + 1) % len(COLOURS)]
            axes.plot([found.low, found.high], [y, y], color=colour, linewidth=2)
            axes.plot([found.value], [y], "o", color=colour, markersize=5)
    axes.axvline(0, color="#888888", linewidth=1)
    axes.set_yticks(range(len(SCORES)), [SCORE_NAMES[path] for path in SCORES])
    axes.invert_yaxis()
    axes.set(xlabel=f"difference from {comparison.names[0]}", title="all subjects, 95 % interval")
    axes.grid(axis="x", color="#eeeeee")
