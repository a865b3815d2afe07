import numpy as np
import pytest
from hypothesis import given, settings

from fedn_lightning.analysis.errors import KINDS, sort_errors
from fedn_lightning.analysis.oracles import ORACLES, correct, f1_lost, oracle_counts, oracle_map
from fedn_lightning.events import EventTable
from fedn_lightning.metrics.functional.detection import detection_scores
from fedn_lightning.metrics.functional.spotting import spotting_scores
from metrics.random_events import events, table


@settings(max_examples=60, deadline=None)
@given(events(), events(truth=True))
def test_mending_nothing_gives_the_evaluators_own_scores(predictions, truths):
    found, true = table(predictions), table(truths)
    counts = oracle_counts(sort_errors(found, true), found, true)
    scores = spotting_scores(found, true)
    assert counts == {name: getattr(scores, name) for name in counts}
    value = oracle_map(sort_errors(found, true, "emotion"), found, true)
    np.testing.assert_allclose(value, detection_scores(found, true, (0.5,)).mean((0.5,)), atol=1e-12)


@settings(max_examples=60, deadline=None)
@given(events(), events(truth=True))
def test_mending_any_kind_of_spotting_error_never_costs_f1(predictions, truths):
    found, true = table(predictions), table(truths)
    errors = sort_errors(found, true)
    before = oracle_counts(errors, found, true)["overall"]
    for oracle in ORACLES:
        after = oracle_counts(errors, found, true, oracle)["overall"]
        assert after.tp >= before.tp
        assert after.fp <= before.fp
        assert after.fn <= before.fn


@settings(max_examples=60, deadline=None)
@given(events(), events(truth=True))
def test_what_f1_lacks_of_one_is_shared_out_among_the_kinds(predictions, truths):
    found, true = table(predictions), table(truths)
    lost = f1_lost(sort_errors(found, true))
    assert set(lost) == set(KINDS)
    np.testing.assert_allclose(1 - spotting_scores(found, true).overall.f1, sum(lost.values()), atol=1e-12)


def one_of_each():
    """Five truths and a false positive of every kind but `both`, beside one hit."""
    truths = [[0, 0, 0, 40, 0, 0, 1], [0, 0, 100, 140, 0, 1, 1], [0, 0, 200, 240, 0, 0, 1], [0, 0, 300, 340, 1, 1, 1]]
    found = [
        [0, 0, 0, 40, 0, 0, 0.9],
        [0, 0, 1, 40, 0, 0, 0.8],  # duplicate
        [0, 0, 100, 140, 1, 0, 0.7],  # classification, by type and by emotion
        [0, 0, 102, 140, 1, 0, 0.6],  # the same truth again
        [0, 0, 180, 220, 0, 0, 0.5],  # localisation
        [0, 0, 500, 540, 0, 0, 0.4],  # background
    ]
    return EventTable.from_rows(found), EventTable.from_rows(truths)


@pytest.mark.parametrize(
    ("oracle", "counts"),
    [
        ("nothing", (1, 5, 3)),
        ("duplicate", (1, 4, 3)),
        ("classification", (2, 3, 2)),  # the surer of two becomes a hit, the other goes
        ("localisation", (2, 4, 2)),
        ("both", (1, 5, 3)),
        ("background", (1, 4, 3)),
        ("missed", (1, 5, 2)),
        ("all false positives", (1, 0, 3)),
        ("all false negatives", (1, 5, 0)),
    ],
)
def test_each_oracle_mends_its_kind_alone(oracle, counts):
    found, truths = one_of_each()
    after = oracle_counts(sort_errors(found, truths), found, truths, oracle)["overall"]
    assert (after.tp, after.fp, after.fn) == counts


def test_a_corrected_emotion_counts_for_the_class_of_its_truth():
    found, truths = one_of_each()
    errors = sort_errors(found, truths, "emotion")
    # Class 0: hit, duplicate, two wrong classes, localisation, background for 2 truths. Class 1: nothing for 2 truths.
    assert oracle_map(errors, found, truths) == pytest.approx((0.5 * 1 + 0) / 2)
    # Class 0 is rid of two; class 1 finds one of its two truths with its only prediction.
    assert oracle_map(errors, found, truths, "classification") == pytest.approx((0.5 + 0.5) / 2)
    # The third prediction of class 0 becomes a hit behind the duplicate and the two wrong ones: 2 hits of 5.
    assert oracle_map(errors, found, truths, "localisation") == pytest.approx((0.5 + 0.5 * 2 / 5) / 2)
    assert oracle_map(errors, found, truths, "missed") == pytest.approx((0.5 + 0) / 2)


def test_a_false_positive_on_an_expression_without_a_class_is_taken_away_not_counted():
    truths = EventTable.from_rows([[0, 0, 0, 40, 0, -1, 1], [0, 0, 100, 140, 0, 0, 1]])
    found = EventTable.from_rows([[0, 0, 0, 40, 0, 0, 0.9], [0, 0, 100, 140, 0, 0, 0.5]])
    errors = sort_errors(found, truths, "emotion")
    after = correct(errors, found, truths, "classification")
    assert after.kept.tolist() == [False, True]
    assert oracle_map(errors, found, truths) == 0.5
    assert oracle_map(errors, found, truths, "classification") == 1.0


def test_a_score_is_asked_of_the_errors_it_is_about():
    found, truths = one_of_each()
    with pytest.raises(ValueError, match="sorted by type, got errors sorted by emotion"):
        oracle_counts(sort_errors(found, truths, "emotion"), found, truths)
    with pytest.raises(ValueError, match="sorted by emotion, got errors sorted by type"):
        oracle_map(sort_errors(found, truths), found, truths)
