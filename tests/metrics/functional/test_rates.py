""""""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import poisson, sem, t
from torchmetrics.functional.classification import multiclass_cohen_kappa

from fedn_lightning.events import EventTable
from fedn_lightning.metrics.functional.rates import (
    Differences,
    cohen_kappa,
    frame_classes,
    frame_confusion,
    matched_rows,
    mean_of,
    poisson_rate,
    rate,
    ratio,
)


@pytest.mark.parametrize("count", [1, 3, 40])
def test_the_bounds_of_a_count_leave_a_fortieth_on_each_side(count):
    _, low, high = poisson_rate(count, 2.0)
    assert poisson.sf(count - 1, 2 * low) == pytest.approx(0.025)
    assert poisson.cdf(count, 2 * high) == pytest.approx(0.025)


def test_with_equal_wholes_the_interval_is_that_of_a_mean():
    rng = np.random.default_rng(0)
    values = rng.gamma(2, 3, 12)
    low, high = t.interval(0.95, len(values) - 1, values.mean(), sem(values))
    assert ratio(values * 5, np.full(12, 5.0)) == pytest.approx((values.mean(), low, high))


def test_the_interval_of_people_covers_the_truth():
    """People differ (gamma), so Poisson's interval would be too narrow; 95 % +- 3 are expected of 600 draws."""
    rng = np.random.default_rng(1)
    hits = []
    for _ in range(600):
        minutes = rng.uniform(2, 8, 15)
        counts = rng.poisson(rng.gamma(4, 0.5, 15) * minutes)
        _, low, high = rate(counts, minutes)
        hits.append(low <= 2 <= high)
    assert 0.90 < np.mean(hits) < 0.98


def test_what_is_undefined_is_nan_and_nobody_is_counted_twice():
    assert np.isnan(poisson_rate(0, 0).value)
    assert np.isnan(ratio([], []).value)
    assert rate([0, 0, 0], [5, 5, 5]) == poisson_rate(0, 15)
    assert rate([4, 0], [5, 0]) == poisson_rate(4, 5)
    assert rate([30, 0, 0], [5, 5, 5]).low == 0
    with pytest.raises(ValueError, match="one length"):
        rate([1], [1, 2])


def test_a_mean_over_people_weighs_events_and_varies_by_people():
    values, people = np.array([1.0, 1, 1, 5]), np.array([0, 0, 0, 1])
    found = mean_of(values, people)
    assert found.value == 2
    assert found == pytest.approx(ratio([3, 5], [3, 1]))
    alone = mean_of(values, np.zeros(4, np.int64))
    low, high = t.interval(0.95, len(values) - 1, values.mean(), sem(values))
    assert alone == pytest.approx((2, low, high))
    assert np.isnan(mean_of(np.empty(0), np.empty(0, np.int64)).value)


@pytest.mark.parametrize("seed", range(5))
def test_kappa_is_that_of_torchmetrics(seed):
    rng = np.random.default_rng(seed)
    one = rng.integers(0, 4, 500)
    other = np.where(rng.random(500) < 0.6, one, rng.integers(0, 4, 500))
    expected = float(multiclass_cohen_kappa(torch.from_numpy(other), torch.from_numpy(one), num_classes=4))
    assert cohen_kappa(frame_confusion(one, other, 4)) == pytest.approx(expected, abs=1e-6)


def test_kappa_is_undefined_where_chance_agrees():
    assert np.isnan(cohen_kappa(np.array([[9, 0], [0, 0]])))
    assert np.isnan(cohen_kappa(np.zeros((0, 0), np.int64)))


def test_each_frame_belongs_to_the_event_that_covers_its_middle():
    rng = np.random.default_rng(1)
    for _ in range(30):
        start = rng.uniform(-5, 40, 6)
        end, label = start + rng.uniform(0.2, 30, 6), rng.integers(0, 3, 6)
        found = frame_classes(start, end, label, 40)
        for frame, got in enumerate(found.tolist()):
            covering = np.flatnonzero((start <= frame + 0.5) & (frame + 0.5 < end))
            shortest = min(covering, key=lambda row: end[row] - start[row], default=None)
            assert got == (0 if shortest is None else label[shortest] + 1)


def test_differences_of_matched_boundaries():
    truths = EventTable.from_rows([[0, 0, 100, 500, 0, -1, 1], [0, 0, 900, 1100, 1, -1, 1]])
    found = EventTable.from_rows([[0, 0, 920, 1110, 1, -1, 1], [0, 0, 90, 520, 0, -1, 1], [0, 0, 100, 500, 1, -1, 1]])
    rows, taken = matched_rows(found, truths)
    assert dict(zip(rows.tolist(), taken.tolist(), strict=True)) == {0: 1, 1: 0}
    onset = Differences.of(found.start[rows] - truths.start[taken])
    assert onset == (2, 5.0, 15.0, pytest.approx(np.std([20, -10], ddof=1)))
    assert Differences.of(np.empty(0)).pairs == 0
    assert np.isnan(Differences.of(np.array([3.0])).deviation)
