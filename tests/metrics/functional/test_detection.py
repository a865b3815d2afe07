import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedn_lightning.events import EventTable
from fedn_lightning.metrics.functional.detection import FINE, SUMMARIES, WIDE, detection_scores
from metrics import reference
from metrics.random_events import events, table
from metrics.reference import Event


@settings(max_examples=1000, deadline=None)
@given(events(most=12), events(truth=True), st.sampled_from((*WIDE, *FINE)))
def test_average_precisions_equal_the_reference(predictions, truths, threshold):
    scores = detection_scores(table(predictions), table(truths), [threshold])
    expected = reference.average_precisions(predictions, truths, threshold)
    assert scores.per_class(threshold) == pytest.approx(expected, abs=1e-12)
    mean = scores.mean((threshold,))
    assert mean == pytest.approx(sum(expected.values()) / len(expected)) if expected else math.isnan(mean)


@settings(max_examples=200, deadline=None)
@given(events(truth=True))
def test_perfect_predictions_score_one(truths):
    scores = detection_scores(table(truths), table(truths))
    assert (scores.ap == 1).all()


@settings(max_examples=200, deadline=None)
@given(events(most=12), events(truth=True), st.randoms())
def test_the_order_of_rows_carries_no_weight(predictions, truths, random):
    before = detection_scores(table(predictions), table(truths)).ap
    shuffled = table(random.sample(predictions, len(predictions)))
    np.testing.assert_allclose(detection_scores(shuffled, table(random.sample(truths, len(truths)))).ap, before)


def test_a_class_absent_from_the_truth_disturbs_no_other():
    truths = [Event(0, 0, 1, 10, 0, 0)]
    found = [Event(0, 0, 1, 10, 0, 0, 0.5)]
    stranger = [Event(0, 0, 1, 10, 0, 1, 0.9), Event(0, 0, 1, 10, 0, -1, 0.9)]
    assert (
        detection_scores(table(found + stranger), table(truths)).summary()
        == detection_scores(table(found), table(truths)).summary()
    )


def test_a_truth_without_an_emotion_is_neither_wanted_nor_forgiving():
    truths = [Event(0, 0, 1, 10, 0, 0), Event(0, 0, 50, 60, 0, -1)]
    found = [Event(0, 0, 50, 60, 0, 0, 0.9), Event(0, 0, 1, 10, 0, 0, 0.5)]
    assert detection_scores(table(found), table(truths)).mean((0.5,)) == 0.5


def test_detections_rank_by_both_confidences():
    truth = table([Event(0, 0, 1, 10, 0, 0)])
    rows = [[0, 0, 0, 10, 0, 0, 0.5, 0.9], [0, 0, 50, 60, 0, 0, 0.8, 0.5]]  # 0.45 against 0.40
    assert detection_scores(EventTable.from_rows(rows), truth).mean((0.5,)) == 1
    rows[1][-1] = 0.6  # 0.48
    assert detection_scores(EventTable.from_rows(rows), truth).mean((0.5,)) == 0.5


def test_without_a_class_in_the_truth_nothing_is_defined():
    summary = detection_scores(table([Event(0, 0, 1, 10, 0, 0)]), EventTable()).summary()
    assert list(summary) == list(SUMMARIES)
    assert all(math.isnan(value) for value in summary.values())


def test_spotting_alone_is_undefined_and_finding_nothing_is_not():
    truth = table([Event(0, 0, 1, 10, 0, 0)])
    spotted = EventTable.from_rows([[0, 0, 0, 10, 0, -1, 0.9], [0, 0, 50, 60, 0, -1, 0.8]])
    assert all(math.isnan(value) for value in detection_scores(spotted, truth).summary().values())
    assert detection_scores(EventTable(), truth).mean((0.5,)) == 0
    one_named = EventTable.from_rows([[0, 0, 0, 10, 0, 0, 0.9], [0, 0, 50, 60, 0, -1, 0.8]])
    assert detection_scores(one_named, truth).mean((0.5,)) == 1


def test_thresholds_are_the_decimals_they_seem():
    assert WIDE == (0.3, 0.4, 0.5, 0.6, 0.7)
    assert FINE == (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
