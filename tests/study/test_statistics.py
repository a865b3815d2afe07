from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from fedn_lightning.metrics.functional.bootstrap import Tally, resampled_scores, tally
from fedn_lightning.study.rows import RowResult, SeedResult
from fedn_lightning.study.statistics import (
    lines_of,
    over_seeds,
    paired,
    plain_scores,
    restrict,
    sample,
    seed_draws,
    subject_draws,
)
from metrics.random_events import realistic

F1, MAP = "spotting.overall.f1", "detection.map@0.5"


def truths():
    return realistic(np.random.default_rng(0), 22, 6)


def proposals(seed: int, keep: float = 0.0):
    """Jittered copies of the truths; the higher `keep`, the fewer are wrong."""
    found = realistic(np.random.default_rng(seed), 22, 12, near=truths())
    return found[found.score > keep]


def result(seed: int, keep: float = 0.0) -> SeedResult:
    names = tuple(f"s{k:02d}" for k in range(22))
    return SeedResult(names, np.ones(22), ("a", "b", "c"), tally(proposals(seed, keep), truths()))


def row(name: str, *seeds: int, keep: float = 0.0) -> RowResult:
    return RowResult(name, "0badcafe", 1, 15, 0, 0, {seed: result(seed, keep) for seed in seeds})


def test_a_sample_is_the_bootstrap_of_its_predictions() -> None:
    weights = subject_draws(22, 30, seed=3)
    expected = resampled_scores(proposals(1), truths(), weights)
    found = sample(result(1), 30, seed=3)
    for path in (F1, MAP, "strs"):
        assert found[path] == pytest.approx(expected[path], nan_ok=True)


def test_false_positives_are_counted_over_the_drawn_minutes() -> None:
    alarms = int(result(1).tally.subjects.counts[:, 2, 1].sum())
    assert plain_scores(result(1))["false_positives_per_minute"] == pytest.approx(alarms / 22)
    assert plain_scores(replace(result(1), minutes=np.full(22, 2.0)))["false_positives_per_minute"] == alarms / 44


def test_subjects_are_drawn_by_name_whatever_their_order() -> None:
    one = result(1)
    turned = list(reversed(range(22)))
    table = [realistic_rows(found, turned) for found in (proposals(1), truths())]
    other = replace(one, subjects=tuple(one.subjects[k] for k in turned), tally=tally(*table))
    assert sample(other, 20)[MAP] == pytest.approx(sample(one, 20)[MAP])


def realistic_rows(found, order):
    place = np.argsort(np.array(order))
    return replace(found, subject=place[found.subject])


def test_seeds_are_drawn_beside_subjects() -> None:
    samples = {7: {F1: np.array([0.4, 0.0, 0.1, 0.2])}, 8: {F1: np.array([0.6, 1.0, 1.1, 1.2])}}
    values = over_seeds(samples, F1, [7, 8], seed=5)
    grid = np.array([samples[7][F1][1:], samples[8][F1][1:]])
    expected = [grid[picks, draw].mean() for draw, picks in enumerate(seed_draws(2, 3, 5))]
    assert values == pytest.approx([0.5, *expected])
    assert over_seeds(samples, F1, [8], seed=5) == pytest.approx(samples[8][F1])


def test_a_second_seed_widens_the_interval_by_what_trainings_differ() -> None:
    steady, shaky = row("steady", 7), replace(row("shaky", 7), seeds={7: result(7), 8: result(8, keep=0.7)})
    one, two = (line.estimates[F1] for line in lines_of([steady, shaky], "steady", draws=300))
    assert two.high - two.low > one.high - one.low
    assert two.value == pytest.approx(sum(two.by_seed.values()) / 2)
    assert one.low <= one.value <= one.high


def test_a_row_differs_from_itself_by_nothing_and_pairing_narrows() -> None:
    sampled = {7: sample(result(7), 200)}
    same = paired(sampled, sampled, F1, [7])
    assert (same.value, same.low, same.high) == (0.0, 0.0, 0.0)
    lines = lines_of([row("fedn", 7, 8), row("better", 7, keep=0.5)], "fedn", draws=200)
    assert lines[0].differences == {}
    assert lines[1].common == (7,)
    found = lines[1].differences[F1]
    assert found.value == pytest.approx(lines[1].estimates[F1].by_seed[7] - lines[0].estimates[F1].by_seed[7])
    alone = lines[1].estimates[F1]
    assert found.high - found.low < (alone.high - alone.low) * 1.5


def test_no_difference_without_a_common_seed_or_on_other_people() -> None:
    others = replace(result(7), subjects=tuple(f"x{k:02d}" for k in range(22)))
    rows = [row("fedn", 7), row("later", 9), replace(row("elsewhere", 7), seeds={7: others})]
    assert [line.differences for line in lines_of(rows, "fedn", draws=20)] == [{}, {}, {}]
    assert all(not line.differences for line in lines_of(rows, "absent", draws=20))


def test_a_row_on_some_subjects_is_scored_as_if_there_were_no_others() -> None:
    some = restrict(row("fedn", 7), ["s0*", "s13"])
    assert some is not None
    assert some.seeds[7].subjects == (*(f"s0{k}" for k in range(10)), "s13")
    kept = [*range(10), 13]
    found, wanted = (table[np.isin(table.subject, kept)] for table in (proposals(7), truths()))
    alone = SeedResult(some.seeds[7].subjects, np.ones(11), ("a", "b", "c"), tally(found, wanted))
    expected = plain_scores(replace(alone, tally=realigned(alone.tally, kept)))
    assert plain_scores(some.seeds[7]) == pytest.approx(expected, nan_ok=True)
    assert restrict(row("fedn", 7), ["x*"]) is None


def realigned(found: Tally, kept: list[int]) -> Tally:
    """A tally of some subjects, their indices counted from 0."""
    place = {subject: at for at, subject in enumerate(kept)}
    subjects = replace(found.subjects, index=np.array([place[k] for k in found.subjects.index]))
    columns = {
        name: [np.array([place[k] for k in who], np.int64) for who in getattr(found.ranked, name)]
        for name in ("subject", "truth_subject")
    }
    return Tally(subjects, replace(found.ranked, **columns))


def test_spotting_alone_has_no_map_and_no_strs() -> None:
    spotted = replace(proposals(1), emotion=np.full(len(proposals(1)), -1))
    scores = plain_scores(replace(result(1), tally=tally(spotted, truths())))
    assert math.isnan(scores[MAP])
    assert math.isnan(scores["strs"])
    assert scores[F1] > 0
