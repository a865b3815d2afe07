"""Intervals and differences of a study's rows, drawn from their files alone.

The bootstrap is hierarchical. A draw takes subjects with replacement, the same for all rows on the same people, and
seeds with replacement; each drawn seed is scored on the drawn subjects, counts summed before any ratio, and the scores
of the drawn seeds are averaged. So an interval covers other subjects and other trainings. A row of one seed has no
second training to draw: its interval covers other subjects alone, and is too narrow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from fedn_lightning.analysis.comparison import Difference, difference
from fedn_lightning.events import FloatArray, IntArray
from fedn_lightning.metrics.functional.bootstrap import RankedDetections, SubjectCounts, Tally, weighted_scores
from fedn_lightning.metrics.functional.spotting import Counts, SpottingScores, ratio
from fedn_lightning.results.names import STUDY_SCORES
from fedn_lightning.study.plan import fits
from fedn_lightning.study.rows import RowResult, SeedResult

OVERALL = SpottingScores.groups().index("overall")
FALSE_POSITIVES = 1
"""Position among TP, FP and FN."""

KNOWN_OFFSETS = "without_unknown_offsets.spotting.overall.f1"

Samples = dict[str, FloatArray]
"""By score `(1 + D,)` float64: the plain value, then one of each draw."""


@dataclass(frozen=True)
class Estimate:
    """A score of a row."""

    value: float  # mean over seeds; NaN where it is not defined
    low: float  # lower bound of the 95 % interval over subjects and seeds
    high: float  # upper bound
    by_seed: dict[int, float]  # the score of each seed


@dataclass(frozen=True)
class Line:
    """A row with its uncertainty."""

    row: RowResult  # its result
    estimates: dict[str, Estimate]  # by score
    # from the baseline on their common seeds, by score; empty for the baseline itself, and for a row that has other
    # subjects or shares no seed
    differences: dict[str, Difference]
    common: tuple[int, ...] = ()  # the seeds of the differences

    @property
    def seconds_an_epoch(self) -> float:
        """Median over the folds that were not interrupted; NaN if there is none."""
        folds = [fold for result in self.row.seeds.values() for fold in result.folds.values()]
        known = [fold.seconds_an_epoch for fold in folds if fold.seconds_an_epoch is not None]
        return float(np.median(known)) if known else float("nan")


def lines_of(rows: Sequence[RowResult], baseline: str, draws: int = 1000, seed: int = 0) -> list[Line]:
    """Every row with its intervals and its differences from the baseline."""
    sampled = {row.name: sample_row(row, draws, seed) for row in rows}
    first = next((row for row in rows if row.name == baseline), None)
    lines = []
    for row in rows:
        mine = sampled[row.name]
        common = shared_seeds(row, first) if first is not None and first is not row else ()
        lines.append(
            Line(
                row,
                {path: estimate(mine, path, seed) for path in STUDY_SCORES},
                {path: paired(mine, sampled[baseline], path, common, seed) for path in STUDY_SCORES} if common else {},
                common,
            )
        )
    return lines


def restrict(row: RowResult, patterns: Sequence[str]) -> RowResult | None:
    """A row on the subjects whose names fit some shell patterns; None if it has none of them."""
    seeds = {seed: _restricted(result, patterns) for seed, result in row.seeds.items()}
    known = {seed: result for seed, result in seeds.items() if result.subjects}
    return replace(row, seeds=known) if known else None


def _restricted(result: SeedResult, patterns: Sequence[str]) -> SeedResult:
    keep = np.array([fits(name, patterns) for name in result.subjects], np.bool_)
    place = np.cumsum(keep) - 1
    found, ranked = result.tally.subjects, result.tally.ranked
    mine, theirs = keep[found.index], [keep[who] for who in ranked.subject]
    return replace(
        result,
        subjects=tuple(np.array(result.subjects)[keep].tolist()),
        minutes=result.minutes[keep],
        known_offsets=None if result.known_offsets is None else result.known_offsets[keep],
        tally=Tally(
            SubjectCounts(place[found.index[mine]], found.counts[mine], found.confusion[mine], found.in_truth[mine]),
            RankedDetections(
                classes=ranked.classes,
                score=[score[which] for score, which in zip(ranked.score, theirs, strict=True)],
                hit=[hit[which] for hit, which in zip(ranked.hit, theirs, strict=True)],
                subject=[place[who[which]] for who, which in zip(ranked.subject, theirs, strict=True)],
                truth_subject=[place[who[keep[who]]] for who in ranked.truth_subject],
            ),
        ),
    )


def shared_seeds(one: RowResult, other: RowResult) -> tuple[int, ...]:
    """Seeds that both rows have, on the same people."""
    both = sorted(set(one.seeds) & set(other.seeds))
    return tuple(k for k in both if sorted(one.seeds[k].subjects) == sorted(other.seeds[k].subjects))


def sample_row(row: RowResult, draws: int, seed: int) -> dict[int, Samples]:
    """Each seed of a row, plain and on the drawn subjects; the draws depend on the number of subjects alone."""
    return {key: sample(result, draws, seed) for key, result in sorted(row.seeds.items())}


def sample(result: SeedResult, draws: int, seed: int = 0) -> Samples:
    """One seed's scores, plain and on drawn subjects."""
    weights = subject_draws(len(result.subjects), draws, seed)
    place = np.argsort(np.argsort(np.array(result.subjects)))
    values = [scores_under(result, weight[place]) for weight in weights]
    return {path: np.array([value[path] for value in values]) for path in STUDY_SCORES}


def subject_draws(count: int, draws: int, seed: int) -> IntArray:
    """How often each of `count` subjects is drawn: `(1 + draws, count)` int64, the first row all ones."""
    rng = np.random.default_rng([seed, count])
    return np.concatenate([np.ones((1, count), np.int64), rng.multinomial(count, [1 / count] * count, size=draws)])


def scores_under(result: SeedResult, weight: IntArray) -> dict[str, float]:
    """The scores of :data:`STUDY_SCORES` with each subject `(S,)` counted so many times."""
    subjects = result.tally.subjects
    scores: Mapping[str, float] = weighted_scores(result.tally, weight[subjects.index])
    wrong = float(weight[subjects.index] @ subjects.counts[:, OVERALL, FALSE_POSITIVES])
    rate = ratio(wrong, float(weight @ result.minutes))
    # Who names no emotion in any proposal has no STRS, as it has no mAP.
    spots_only = not len(result.tally.ranked.classes)
    known = {path: scores[path] for path in STUDY_SCORES if path in scores}
    return {
        **known,
        "strs": float("nan") if spots_only else known["strs"],
        "false_positives_per_minute": rate,
        KNOWN_OFFSETS: known_offsets_f1(result, weight),
    }


def known_offsets_f1(result: SeedResult, weight: IntArray) -> float:
    """Overall F1 without the truths of unknown offset, each subject counted so many times; NaN if never counted."""
    if result.known_offsets is None:
        return float("nan")
    return Counts(*(int(count) for count in weight @ result.known_offsets)).f1


def plain_scores(result: SeedResult) -> dict[str, float]:
    """The scores of :data:`STUDY_SCORES` of one seed."""
    return scores_under(result, np.ones(len(result.subjects), np.int64))


def seed_draws(count: int, draws: int, seed: int) -> IntArray:
    """Which of `count` seeds a draw takes: `(draws, count)` int64."""
    return np.random.default_rng([seed, count, 1]).integers(0, count, size=(draws, count))


def over_seeds(samples: Mapping[int, Samples], path: str, seeds: Sequence[int], seed: int) -> FloatArray:
    """`(1 + D,)`: the mean of the plain scores, then of each draw's seeds on its subjects."""
    grid = np.stack([samples[key][path] for key in seeds])
    picks = seed_draws(len(seeds), grid.shape[1] - 1, seed)
    drawn = np.take_along_axis(grid[:, 1:].T, picks, axis=1).mean(axis=1)
    return np.concatenate([grid[:, :1].mean(axis=0), drawn])


def estimate(samples: Mapping[int, Samples], path: str, seed: int = 0) -> Estimate:
    """A row's score and its 95 % interval, from the draws in which it is defined."""
    values = over_seeds(samples, path, list(samples), seed)
    known = values[1:][~np.isnan(values[1:])]
    low, high = np.quantile(known, [0.025, 0.975]) if len(known) else (float("nan"), float("nan"))
    by_seed = {key: float(sample[path][0]) for key, sample in samples.items()}
    return Estimate(float(values[0]), float(low), float(high), by_seed)


def paired(
    mine: Mapping[int, Samples], first: Mapping[int, Samples], path: str, common: Sequence[int], seed: int = 0
) -> Difference:
    """How a row's score differs from the baseline's, with the same people and the same seeds in each draw."""
    return difference(over_seeds(mine, path, common, seed), over_seeds(first, path, common, seed))
