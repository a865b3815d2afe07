import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedn_lightning.events import EventTable
from fedn_lightning.metrics.functional.spotting import spotting_scores
from fedn_lightning.metrics.functional.threshold import (
    SHARED,
    at_threshold,
    choose_thresholds,
    operating_curves,
    recall_at_rate,
    select_threshold,
    select_threshold_per_type,
    spotting_sweep,
    thinned,
)
from metrics import reference
from metrics.random_events import events, realistic, table
from metrics.reference import Event


@settings(max_examples=600, deadline=None)
@given(events(most=12), events(truth=True))
def test_the_sweep_equals_an_evaluation_at_every_threshold(predictions, truths):
    counts = spotting_sweep(table(predictions), table(truths))
    assert counts.score.tolist() == sorted({p.score for p in predictions}, reverse=True)
    for score, tp, n in zip(counts.score, counts.tp, counts.n, strict=True):
        overall = spotting_scores(at_threshold(table(predictions), score), table(truths)).overall
        assert (overall.tp, overall.tp + overall.fp) == (tp, n)
    assert (np.diff(counts.tp) >= 0).all()


@settings(max_examples=1000, deadline=None)
@given(events(most=12), events(truth=True))
def test_the_chosen_threshold_is_the_middle_of_the_widest_best_gap(predictions, truths):
    threshold = select_threshold(table(predictions), table(truths))
    top, gaps = reference.best_thresholds(predictions, truths)
    if not top:
        assert threshold == math.inf
        return
    widest = max(high - low if low is not None else 0 for low, high in gaps)
    low, high = next((low, high) for low, high in gaps if (high - low if low is not None else 0) == widest)
    assert threshold == (high if low is None else low + (high - low) / 2)
    assert spotting_scores(at_threshold(table(predictions), threshold), table(truths)).overall.f1 == top


@settings(max_examples=300, deadline=None)
@given(events(most=12), events(truth=True))
def test_a_threshold_per_type_is_best_for_each_type(predictions, truths):
    macro, micro = select_threshold_per_type(table(predictions), table(truths))
    scores = spotting_scores(at_threshold(table(predictions), (macro, micro)), table(truths))
    for kind, name in enumerate(("macro", "micro")):
        mine, true = ([e for e in side if e.type == kind] for side in (predictions, truths))
        top, _ = reference.best_thresholds(mine, true)
        got = getattr(scores, name).f1
        assert got == top or (top == 0 and (math.isnan(got) or got == 0))


def test_neighbouring_floats_have_no_middle():
    high = np.nextafter(0.5, 1)
    truths = [Event(0, 0, 1, 10, 0, 0)]
    found = [Event(0, 0, 1, 10, 0, 0, float(high)), Event(0, 0, 50, 60, 0, 0, 0.5)]
    assert select_threshold(table(found), table(truths)) == high


@pytest.mark.parametrize(("found", "truths"), [(0, 0), (3, 0), (0, 3)])
def test_where_nothing_can_be_found_nothing_is_predicted(found, truths):
    row = [0, 0, 0, 10, 0, -1, 0.5]
    tables = [EventTable.from_rows(np.array([row] * n).reshape(-1, 7)) for n in (found, truths)]
    assert select_threshold(*tables) == math.inf
    assert len(at_threshold(tables[0], math.inf)) == 0


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


def test_what_could_be_a_truth_without_a_known_offset_is_no_false_positive_to_the_ceiling():
    truths = EventTable.from_rows([[0, 0, 100, 140, 0, -1, 1, 1, 1], [0, 0, 500, 515, 0, -1, 1, 1, 0]])
    found = EventTable.from_rows([[0, 0, 500, 545, 0, -1, 0.9], [0, 0, 100, 140, 0, -1, 0.6]])
    elsewhere = EventTable.from_rows([[0, 0, 800, 845, 0, -1, 0.9], [0, 0, 100, 140, 0, -1, 0.6]])
    assert choose_thresholds(found, truths, 1.0, 0.0).threshold[0] <= 0.6
    assert choose_thresholds(elsewhere, truths, 1.0, 0.0).threshold[0] > 0.9


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


def test_the_order_of_the_rows_and_the_number_of_other_videos_do_not_matter():
    predictions, truths = videos(5)
    turned = choose_thresholds(predictions[np.arange(len(predictions))[::-1]], truths, 10.0)
    assert turned == choose_thresholds(predictions, truths, 10.0)


def test_a_ceiling_that_is_none_is_refused():
    with pytest.raises(ValueError, match="0 or more"):
        choose_thresholds(EventTable(), EventTable(), 1.0, math.nan)


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
