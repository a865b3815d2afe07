import numpy as np
import pytest
from scipy.stats import poisson, sem, t

from fedn_lightning.metrics.functional.rates import mean_of, poisson_rate, rate, ratio


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
