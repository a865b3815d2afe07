"""A row's file holds all that its scores need: what is read back gives the same under every weighting of subjects."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedn_lightning.errors import FoldError
from fedn_lightning.metrics.functional.bootstrap import tally
from fedn_lightning.study.rows import (
    FoldCost,
    RowResult,
    SeedResult,
    read_row,
    row_path,
    seed_from_json,
    seed_json,
    write_row,
)
from fedn_lightning.study.statistics import plain_scores, scores_under
from metrics.random_events import events, realistic, table


def result_of(predicted, truths, proposals=None, subjects=22) -> SeedResult:
    return SeedResult(
        subjects=tuple(f"s{k:02d}" for k in range(subjects)),
        minutes=np.linspace(1, 2, subjects),
        emotions=("negative", "positive", "surprise"),
        tally=tally(predicted, truths, proposals=proposals),
        known_offsets=np.arange(3 * subjects).reshape(subjects, 3),
    )


def through_json(result: SeedResult) -> SeedResult:
    return seed_from_json(json.loads(json.dumps(seed_json(result))))


@settings(max_examples=60, deadline=None)
@given(events(), events(truth=True), st.integers(0, 99))
def test_scores_survive_under_every_weighting(found, truths, seed) -> None:
    proposals = table(found)
    result = result_of(proposals[proposals.score > 0.3], table(truths), proposals, subjects=3)
    again = through_json(result)
    for weight in np.random.default_rng(seed).multinomial(3, [1 / 3] * 3, size=4):
        assert scores_under(again, weight) == pytest.approx(scores_under(result, weight), nan_ok=True)


def test_a_large_row_is_a_small_file_and_equal(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    truths = realistic(rng, 88, 8)
    proposals = realistic(rng, 88, 100, near=truths)
    result = replace(
        result_of(proposals[proposals.score > 0.9], truths, proposals),
        folds={"s00": FoldCost((0.5, None), 61.5, 2.25, "c0ffee")},
        digest="abc",
    )
    row = RowResult("fedn", "0badcafe", 4, 15, 2000, 1000, {7: result, 8: result})
    path = write_row(tmp_path, row, {seed: plain_scores(result) for seed in row.seeds})
    assert path == row_path(tmp_path, "fedn")
    assert path.stat().st_size < 150_000
    again = read_row(path)
    assert plain_scores(again.seeds[8]) == pytest.approx(plain_scores(result))
    assert again.seeds[7].folds == result.folds
    assert replace(again, seeds={}) == replace(row, seeds={})
    stored = json.loads(path.read_text())["seeds"]["7"]["scores"]
    assert stored == pytest.approx(plain_scores(result))


def test_the_score_without_unknown_offsets_counts_each_subject_by_its_weight() -> None:
    result = through_json(result_of(table([]), table([]), subjects=2))
    path = "without_unknown_offsets.spotting.overall.f1"
    assert scores_under(result, np.array([1, 1]))[path] == 2 * 3 / (2 * 3 + 5 + 7)
    assert scores_under(result, np.array([0, 2]))[path] == 2 * 6 / (2 * 6 + 8 + 10)
    # Files that were written before it was counted lack it.
    older = replace(result, known_offsets=None)
    assert np.isnan(plain_scores(through_json(older))[path])


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 9}', '{"format": 1, "seeds": {"7": {}}}'])
def test_a_damaged_file_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "fedn.json"
    path.write_text(text)
    with pytest.raises(FoldError, match=r"fedn\.json is not the result of a row"):
        read_row(path)
