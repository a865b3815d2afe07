import math

import numpy as np
import pytest
from hypothesis import given, settings

from fedn_lightning.metrics.functional.evaluation import PROTOCOLS, recognise
from fedn_lightning.metrics.functional.recognition import confusion, recognition_scores, recognition_strs_metric, strs
from fedn_lightning.metrics.functional.spotting import one_to_one
from metrics import reference
from metrics.random_events import events, table
from metrics.reference import Event


@settings(max_examples=800, deadline=None)
@given(events(), events(truth=True))
def test_equals_the_reference(predictions, truths):
    found, wanted = table(predictions), table(truths)
    got = recognise(found, wanted, one_to_one(found, wanted))
    hits = reference.match(predictions, truths, 0.5, reference.same_video)
    expected = reference.recognition(predictions, truths, hits)
    assert (got.f1_analysis, got.uf1, got.uar) == pytest.approx(expected, nan_ok=True)


def test_truths_that_are_not_analysed_are_left_out():
    counts = confusion(np.array([0, 1, 1]), np.array([0, 1, -1]), 2)
    assert recognition_scores(counts).uf1 == 1


def test_a_class_predicted_but_absent_costs_only_those_it_was_mistaken_for():
    counts = confusion(np.array([0, 2]), np.array([0, 0]), 3)
    scores = recognition_scores(counts)
    assert (scores.uar, scores.uf1) == (0.5, pytest.approx(2 / 3))


def test_predictions_without_emotions_are_undefined_but_one_missing_is_wrong():
    assert math.isnan(recognition_scores(confusion(np.array([-1, -1]), np.array([0, 1]), 2)).uf1)
    assert recognition_scores(confusion(np.array([0, -1]), np.array([0, 0]), 2)).uar == 0.5


def test_what_the_leaderboard_script_calls_uar_is_the_mean_precision():
    # Class 0: 2 of 2 right; class 1: 1 of 2 right, the other called 0.
    counts = confusion(np.array([0, 0, 1, 0]), np.array([0, 0, 1, 1]), 2)
    both = np.array([True, True])
    assert recognition_scores(counts).uar == 0.75
    assert recognition_strs_metric(counts, both).uar == pytest.approx((2 / 3 + 1) / 2)


def test_the_leaderboard_script_averages_over_classes_nobody_spotted():
    counts = confusion(np.array([0, 1]), np.array([0, 1]), 3)
    assert recognition_scores(counts).uf1 == 1
    assert recognition_strs_metric(counts, np.array([True] * 3)).uf1 == pytest.approx(2 / 3)


def test_the_leaderboard_script_gives_nothing_for_a_class_that_stands_alone():
    counts = confusion(np.array([0, 0]), np.array([0, 0]), 1)
    assert recognition_scores(counts).uf1 == 1
    scores = recognition_strs_metric(counts, np.array([True]))
    assert scores.uf1 == 0
    assert math.isnan(scores.f1_analysis)


def test_strs_is_the_product():
    truths = [Event(0, 0, 1, 10, 1, 0), Event(0, 0, 31, 40, 1, 1)]
    found = [Event(0, 0, 1, 10, 1, 0, 0.9), Event(0, 0, 60, 70, 1, 1, 0.8)]
    spotted = one_to_one(table(found), table(truths))
    scores = recognise(table(found), table(truths), spotted, PROTOCOLS["megc"])
    assert strs(spotted.counts.f1, scores.f1_analysis) == 0.5 * 1.0
