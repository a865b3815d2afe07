"""Compares runs on the same subjects: what differs, for whom, and whether other people would show it too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fedn_lightning.errors import PredictionFileError
from fedn_lightning.event_files import EventFile, Names, find_run, read_events, read_videos
from fedn_lightning.events import EventTable, FloatArray, IntArray
from fedn_lightning.metrics.functional.bootstrap import resampled_scores
from fedn_lightning.metrics.functional.spotting import SpottingScores
from fedn_lightning.reports.scoring import by_name

SCORES = (
    "spotting.overall.f1",
    "spotting.macro.f1",
    "spotting.micro.f1",
    "detection.map@0.5",
    "recognition.f1_analysis",
    "strs",
)
"""Scores compared, by their path in `fedn evaluate --json`."""


@dataclass(frozen=True)
class Difference:
    """How a score differs from the first run's.

    Attributes:
        value: this run's score minus the first run's.
        low: lower bound of the 95 % interval over subjects.
        high: upper bound.
        better: share of draws in which this run is better; draws in which a score is undefined are left out.
    """

    value: float
    low: float
    high: float
    better: float


@dataclass(frozen=True)
class Comparison:
    """Runs side by side.

    Attributes:
        names: of the runs; the first is what the others are compared with.
        folders: of the runs.
        scores: of each run, by path.
        differences: of each run but the first, by path.
        subjects: of each run, counts by subject.
        draws: of the paired bootstrap.
    """

    names: tuple[str, ...]
    folders: tuple[str, ...]
    scores: tuple[dict[str, float], ...]
    differences: tuple[dict[str, Difference], ...]
    subjects: tuple[dict[str, SpottingScores], ...]
    draws: int


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
    read_videos(found[0] / "videos.csv", known)
    truths = _same_truths(found, known)
    rng = np.random.default_rng(seed)
    count = len(known.subjects)
    weights = np.concatenate([np.ones((1, count), np.int64), rng.multinomial(count, [1 / count] * count, size=draws)])
    claimed = [read_events(folder / "predictions.csv", known).events for folder in found]
    sampled = [_sample(folder, mine, truths, known, weights) for folder, mine in zip(found, claimed, strict=True)]
    return Comparison(
        names=labels,
        folders=tuple(map(str, found)),
        scores=tuple({path: float(run[path][0]) for path in SCORES} for run in sampled),
        differences=tuple({path: difference(run[path], sampled[0][path]) for path in SCORES} for run in sampled[1:]),
        subjects=tuple(by_name(mine, truths, known) for mine in claimed),
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
    folder: Path, claimed: EventTable, truths: EventTable, known: Names, weights: IntArray
) -> dict[str, FloatArray]:
    """All scores of a run under all weights: spotting of what it claims, mAP of all its proposals."""
    proposals = read_events(folder / "proposals.csv", known).events
    sampled = resampled_scores(claimed, truths, weights)
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
        read_videos(folder / "videos.csv", own)
        if set(own.videos) != set(known.videos):
            odd = sorted(set(own.videos) ^ set(known.videos))
            msg = (
                f"{folders[0]} and {folder} are not about the same videos: {len(odd)} are in one alone, e.g. "
                f"{'/'.join(odd[0])}. Compare runs on the same subjects."
            )
            raise PredictionFileError(msg)
        truths = read_events(folder / "truth.csv", known, truth=True)
        if first is not None and not _equal(first.events, truths.events):
            msg = f"{folders[0]}/truth.csv and {folder}/truth.csv differ: the runs read the labels in different ways."
            raise PredictionFileError(msg)
        first = first or truths
    assert first is not None  # there is at least one folder
    return first.events


def _equal(one: EventTable, other: EventTable) -> bool:
    mine, theirs = one.to_rows(), other.to_rows()
    return np.array_equal(mine[np.lexsort(mine.T)], theirs[np.lexsort(theirs.T)])
