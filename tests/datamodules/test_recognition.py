"""Intervals cut from videos: where the points lie, what training moves, and that nothing else is random."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedn_lightning.datamodules.base import LabelledClip
from fedn_lightning.datamodules.recognition import (
    ExpressionSource,
    IntervalConfig,
    IntervalDataset,
    TrainingIntervals,
    all_draws,
    cut,
    positions,
)
from fedn_lightning.errors import ConfigError
from fedn_lightning.events import EventTable

ROWS = [[0, 0, 20, 60, 0, 1, 1], [0, 0, 70, 80, 1, -1, 1], [0, 0, 90, 99, 1, 0, 1]]


def source(n_frames: int = 100) -> ExpressionSource:
    """A video whose only feature is the number of the frame; the labels are at half its frame rate."""
    truths = EventTable.from_rows(ROWS)
    clip = LabelledClip(3, None, None, replace(truths, start=truths.start / 2, end=truths.end / 2))
    features = np.arange(n_frames, dtype=np.float16)[:, None]
    return ExpressionSource((features, features + 1000), clip, truths)


@given(st.floats(0, 1e4), st.floats(0.5, 1e3), st.integers(4, 64), st.floats(0, 2))
def test_points_are_even_and_lie_around_the_middle(start, length, points, context):
    found = positions(start, start + length, IntervalConfig(points=points, context=context))
    step = length * (1 + 2 * context) / points
    np.testing.assert_allclose(np.diff(found), step, rtol=1e-6)
    np.testing.assert_allclose(found.mean(), start + length / 2 - 0.5, rtol=1e-6, atol=1e-6)


def test_an_interval_is_cut_with_its_context_and_beyond_the_video_its_edges_repeat():
    config = IntervalConfig(points=8, context=0.5, window=10)
    sequence, around = cut(source().variants[0], 90, 98, config)
    np.testing.assert_allclose(sequence.ravel(), [86.5, 88.5, 90.5, 92.5, 94.5, 96.5, 98.5, 99])
    assert around == np.arange(89, 99).mean()
    assert cut(source().variants[0], 96, 100, config)[1] == np.arange(90, 100).mean()
    assert cut(source(6).variants[0], 0, 4, config)[1] == np.arange(6).mean()


def test_a_sample_tells_the_label_and_shows_the_stored_frames():
    sample = IntervalDataset([source()], IntervalConfig(points=4, context=0))[all_draws([source()])[0]]
    assert sample["features"].ravel().tolist() == [24.5, 34.5, 44.5, 54.5]
    assert (sample["interval"].tolist(), sample["video"], sample["type"], sample["emotion"]) == ([10, 30], 3, 0, 1)


def test_training_draws_each_analysed_expression_equally_often_and_moves_its_ends_within_bounds():
    sampler = TrainingIntervals([source()], IntervalConfig(jitter=0.2, repeats=50), variants=2, seed=1)
    draws = list(sampler)
    assert len(draws) == len(sampler) == 100
    assert sorted(draw.expression for draw in draws) == [0] * 50 + [2] * 50
    moves = np.array([[draw.before, draw.after] for draw in draws])
    assert 0.15 < np.abs(moves).max() <= 0.2
    assert {draw.variant for draw in draws} == {0, 1}


def test_an_epoch_repeats_exactly_and_the_next_differs():
    sampler = TrainingIntervals([source()], IntervalConfig(), variants=1, seed=1)
    first = list(sampler)
    assert list(sampler) == first
    sampler.set_epoch(1)
    assert list(sampler) != first


def test_without_jitter_training_sees_what_is_labelled():
    sampler = TrainingIntervals([source()], IntervalConfig(jitter=0, repeats=1), variants=1, seed=1)
    assert {(draw.before, draw.after) for draw in sampler} == {(0.0, 0.0)}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"points": 3}, r"data.intervals.points = 3 must be at least 4"),
        ({"repeats": 0}, r"data.intervals.repeats = 0"),
        ({"jitter": 0.5}, r"jitter = 0.5 must lie in \[0, 0.5\)"),
        ({"context": -1.0}, r"context = -1.0 must not be negative"),
    ],
)
def test_numbers_that_cannot_work_are_named(change, message):
    with pytest.raises(ConfigError, match=message):
        IntervalConfig(**change)
