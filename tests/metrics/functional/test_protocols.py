"""Each compatibility protocol on the smallest case that shows its difference, and on thousands of random ones."""

import numpy as np
import pytest
from hypothesis import given, settings

from fedn_lightning.metrics.functional.evaluation import PROTOCOLS, by_subject
from fedn_lightning.metrics.functional.spotting import Counts, SpottingScores, spotting_scores
from metrics import reference
from metrics.random_events import events, table
from metrics.reference import Event


def score(name, predictions, truths):
    return PROTOCOLS[name].rule(table(predictions), table(truths)).counts


@pytest.mark.parametrize("name", PROTOCOLS)
@settings(max_examples=700, deadline=None)
@given(events(), events(truth=True))
def test_counts_equal_the_reference(name, predictions, truths):
    scores = spotting_scores(table(predictions), table(truths), rule=PROTOCOLS[name].rule)
    expected = reference.spotting(predictions, truths, reference.RULES[name])
    assert {g: (c.tp, c.fp, c.fn) for g in expected for c in [getattr(scores, g)]} == expected


@pytest.mark.parametrize("name", PROTOCOLS)
@settings(max_examples=200, deadline=None)
@given(events(), events(truth=True))
def test_subjects_add_up_and_hits_are_real(name, predictions, truths):
    rule = PROTOCOLS[name].rule
    found, wanted = table(predictions), table(truths)
    parts = [rule(mine, true).counts for _, mine, true in by_subject(found, wanted)]
    whole = rule(found, wanted)
    assert sum(parts, start=Counts()) == whole.counts
    assert len(whole.prediction) == len(whole.truth) == whole.counts.tp
    assert all(predictions[i].video == truths[j].video for i, j in zip(whole.prediction, whole.truth, strict=True))


def test_megc2020_lets_one_prediction_serve_two_truths():
    truths = [Event(0, 0, 1, 10, 1, 0), Event(0, 0, 2, 11, 1, 0)]
    found = [Event(0, 0, 1, 10, 1, 0, 0.9)]
    assert score("megc", found, truths) == Counts(tp=1, fp=0, fn=1)
    counts = score("megc2020", found, truths)
    assert counts == Counts(tp=2, fp=-1, fn=0)
    assert counts.precision == 2.0  # what that code prints


def test_megc2020_does_not_punish_the_order_in_which_truths_are_taken():
    truths = [Event(0, 0, 1, 10, 1, 0), Event(0, 0, 5, 16, 1, 0)]
    # The surer prediction overlaps both and takes the second, the only one the other reaches.
    found = [Event(0, 0, 4, 13, 1, 0, 0.9), Event(0, 0, 8, 16, 1, 0, 0.8)]
    assert score("megc", found, truths).tp == 1
    assert score("megc2020", found, truths).tp == 2


def test_megc2020_never_matches_one_frame():
    one = [Event(0, 0, 5, 5, 1, 0, 0.9)]
    assert score("megc", one, one) == Counts(1, 0, 0)
    assert score("megc2020", one, one) == Counts(0, 1, 1)


def test_strs_metric_drops_subjects_without_predictions():
    truths = [Event(0, 0, 1, 10, 1, 0), Event(1, 1, 1, 10, 1, 0)]
    found = [Event(0, 0, 1, 10, 1, 0, 0.9)]
    assert score("megc", found, truths) == Counts(1, 0, 1)
    assert score("strs_metric", found, truths) == Counts(1, 0, 0)


def test_strs_metric_drops_predictions_in_videos_without_truths():
    truths = [Event(0, 0, 1, 10, 1, 0)]
    found = [Event(0, 0, 1, 10, 1, 0, 0.9), Event(0, 1, 1, 10, 1, 0, 0.9)]
    assert score("megc", found, truths) == Counts(1, 1, 0)
    assert score("strs_metric", found, truths) == Counts(1, 0, 0)


def test_strs_metric_counts_one_prediction_twice_and_goes_by_list_order():
    truths = [Event(0, 0, 1, 10, 1, 0), Event(0, 0, 2, 11, 1, 0)]
    found = [Event(0, 0, 1, 10, 1, 0, 0.1), Event(0, 0, 2, 11, 1, 0, 0.9)]
    assert score("megc", found, truths) == Counts(2, 0, 0)
    spotted = PROTOCOLS["strs_metric"].rule(table(found), table(truths))
    assert spotted.counts == Counts(2, 1, 0)
    assert spotted.prediction.tolist() == [0, 0]


def test_exclusive_needs_more_than_half_and_leaves_the_last_frame_out():
    truths = [Event(0, 0, 1, 9, 1, 0)]
    exactly_half = [Event(0, 0, 5, 9, 1, 0, 0.9)]  # 5 of 9 frames inclusively, 4 of 8 exclusively
    assert score("megc", exactly_half, truths) == Counts(1, 0, 0)
    assert score("exclusive", exactly_half, truths) == Counts(0, 1, 1)
    one = [Event(0, 0, 5, 5, 1, 0, 0.9)]
    assert score("exclusive", one, one).tp == 0


def test_every_protocol_agrees_on_clean_predictions():
    rng = np.random.default_rng(0)
    truths = [
        Event(v // 2, v, 100 * k + 1, 100 * k + int(rng.integers(8, 60)), k % 2, 0) for v in range(6) for k in range(4)
    ]
    results = {name: spotting_scores(table(truths), table(truths), rule=p.rule) for name, p in PROTOCOLS.items()}
    assert set(results.values()) == {results["megc"]}
    assert all(getattr(results["megc"], g).f1 == 1 for g in SpottingScores.groups())
