"""Thresholds that are chosen on few validation videos."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedn_lightning.events import EventTable
from fedn_lightning.metrics.functional.operating_point import SHARED, choose_thresholds
from fedn_lightning.metrics.functional.spotting import spotting_scores
from fedn_lightning.metrics.functional.threshold import at_threshold


def videos(n_videos: int, kinds=(0, 1), seed=0, found=0.9, noise=20):
    """Truths at 100, 200, ... in each video; most are found with scores about 0.7, false ones have about 0.3."""
    rng = np.random.default_rng(seed)
    truths, predictions = [], []
    for video in range(n_videos):
        for kind in kinds:
            for start in range(100, 600, 100):
                truths.append([0, video, start + 50 * kind, start + 50 * kind + 20, kind, -1, 1])
                if rng.random() < found:
                    predictions.append([*truths[-1][:6], rng.normal(0.7, 0.1)])
        for _ in range(noise):
            start = rng.uniform(1000, 5000)
            predictions.append([0, video, start, start + 20, rng.integers(2), -1, rng.normal(0.3, 0.1)])
    return EventTable.from_rows(predictions), EventTable.from_rows(truths)


def test_with_many_truths_it_lies_between_hits_and_false_positives():
    point = choose_thresholds(*videos(8), minutes=20.0)
    assert all(0.4 < threshold < 0.65 for threshold in point.threshold)
    assert point.warnings() == []


def test_it_is_the_mean_of_all_thresholds_that_are_nearly_as_good():
    truths = EventTable.from_rows(
        [[0, 0, 0, 10, 0, -1, 1], [0, 0, 50, 60, 0, -1, 1]] + [[0, 1, 90 * k, 90 * k + 9, 1, -1, 1] for k in range(10)]
    )
    hits = [[0, 0, 0, 10, 0, -1, 0.9], [0, 0, 50, 60, 0, -1, 0.8]] + [
        [0, 1, 90 * k, 90 * k + 9, 1, -1, 0.8] for k in range(10)
    ]
    false = [[0, 0, 100, 110, 0, -1, 0.2], [0, 1, 950, 960, 1, -1, 0.4], [0, 1, 970, 980, 1, -1, 0.1]]
    macro, micro = choose_thresholds(EventTable.from_rows(hits + false), truths, 10.0).threshold
    # Macro alone would be 0.5, from 0.2 to 0.8. Of micro, ten of ten with one false positive is within 5 %, with two it
    # is not: 0.45, from 0.1 to 0.8. Both together: twelve with one false positive are within 5 %, 0.2 to 0.8.
    assert macro == pytest.approx((2 * 0.5 + SHARED * 0.5) / (2 + SHARED))
    assert micro == pytest.approx((10 * 0.45 + SHARED * 0.5) / (10 + SHARED))


@pytest.mark.parametrize("kinds", [(0,), (1,)])
def test_a_type_without_truths_takes_the_threshold_of_both_and_says_so(kinds):
    point = choose_thresholds(*videos(8, kinds), minutes=1e9)
    there, missing = kinds[0], 1 - kinds[0]
    assert 0.4 < point.threshold[missing] < 0.65
    assert point.threshold[there] == pytest.approx(point.threshold[missing], abs=0.05)
    assert point.n_truths[missing] == 0
    (warning,) = point.warnings()
    assert "Only 0" in warning


def test_without_any_truth_the_ceiling_decides():
    predictions, _ = videos(3, noise=400)
    false = predictions[predictions.start >= 1000]
    point = choose_thresholds(false, EventTable(), minutes=1.0)
    assert all((at_threshold(false, point.threshold).type == kind).sum() <= 3 for kind in (0, 1))
    assert len(point.warnings()) == 2


def test_nothing_at_all_gives_a_threshold():
    assert choose_thresholds(EventTable(), EventTable(), minutes=1.0).threshold == (0.5, 0.5)


@given(st.integers(0, 30), st.floats(0, 4), st.floats(0.5, 4))
def test_no_type_has_more_false_positives_than_the_ceiling(seed, ceiling, minutes):
    predictions, truths = videos(2, seed=seed, found=0.2, noise=80)
    point = choose_thresholds(predictions, truths, minutes, ceiling)
    scores = spotting_scores(at_threshold(predictions, point.threshold), truths)
    assert scores.macro.fp <= ceiling * minutes
    assert scores.micro.fp <= ceiling * minutes


def test_what_could_be_a_truth_without_a_known_offset_is_no_false_positive_to_the_ceiling():
    truths = EventTable.from_rows([[0, 0, 100, 140, 0, -1, 1, 1, 1], [0, 0, 500, 515, 0, -1, 1, 1, 0]])
    found = EventTable.from_rows([[0, 0, 500, 545, 0, -1, 0.9], [0, 0, 100, 140, 0, -1, 0.6]])
    elsewhere = EventTable.from_rows([[0, 0, 800, 845, 0, -1, 0.9], [0, 0, 100, 140, 0, -1, 0.6]])
    assert choose_thresholds(found, truths, 1.0, 0.0).threshold[0] <= 0.6
    assert choose_thresholds(elsewhere, truths, 1.0, 0.0).threshold[0] > 0.9


def test_the_order_of_the_rows_and_the_number_of_other_videos_do_not_matter():
    predictions, truths = videos(5)
    turned = choose_thresholds(predictions[np.arange(len(predictions))[::-1]], truths, 10.0)
    assert turned == choose_thresholds(predictions, truths, 10.0)


def test_a_ceiling_that_is_none_is_refused():
    with pytest.raises(ValueError, match="0 or more"):
        choose_thresholds(EventTable(), EventTable(), 1.0, math.nan)
