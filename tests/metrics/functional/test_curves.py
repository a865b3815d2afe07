import math

import numpy as np
import pytest

from fedn_lightning.events import EventTable
from fedn_lightning.metrics.functional.curves import operating_curves, recall_at_rate, thinned
from fedn_lightning.metrics.functional.spotting import spotting_scores
from fedn_lightning.metrics.functional.threshold import at_threshold
from metrics.random_events import realistic


@pytest.fixture
def tables():
    rng = np.random.default_rng(2)
    truths = realistic(rng, 10, 4)
    return realistic(rng, 10, 12, near=truths), truths


def test_every_point_is_an_evaluation(tables):
    found, truths = tables
    curves = operating_curves(found, truths, minutes=20)
    for group, sweep in curves.sweeps().items():
        for k in (0, len(sweep.score) // 2, len(sweep.score) - 1):
            counts = getattr(spotting_scores(at_threshold(found, sweep.score[k]), truths), group)
            assert (sweep.precision[k], sweep.recall[k], sweep.f1[k]) == (counts.precision, counts.recall, counts.f1)


def test_recall_at_a_rate_is_the_best_that_keeps_it(tables):
    found, truths = tables
    sweep = operating_curves(found, truths).overall
    for rate in (0.0, 0.5, 2.0, 100.0):
        best = 0.0
        for score in [math.inf, *sorted(found.score, reverse=True)]:
            counts = spotting_scores(at_threshold(found, score), truths).overall
            if counts.fp / 20 <= rate:
                best = max(best, counts.recall)
        assert recall_at_rate(sweep, 20, rate) == best


def test_recall_grows_with_the_rate(tables):
    for recalls in operating_curves(*tables, minutes=20).recall_at().values():
        assert recalls == sorted(recalls)


def test_without_minutes_or_truths_the_rate_is_undefined(tables):
    found, truths = tables
    assert all(math.isnan(r) for r in operating_curves(found, truths).recall_at()["overall"])
    assert math.isnan(recall_at_rate(operating_curves(found, EventTable()).macro, 20, 1.0))


def test_a_thinned_curve_keeps_its_ends():
    assert thinned(0).tolist() == []
    assert thinned(5).tolist() == [0, 1, 2, 3, 4]
    few = thinned(10_000, at_most=50)
    assert (few[0], few[-1], len(few)) == (0, 9_999, 50)
