import math

import numpy as np
import pytest
from hypothesis import given, settings

from fedn_lightning.events import EventTable
from fedn_lightning.metrics.functional.spotting import Counts, SpottingScores, show, spotting_scores
from metrics import reference
from metrics.random_events import events, table
from metrics.reference import Event


def as_tuples(scores):
    return {g: (c.tp, c.fp, c.fn) for g in SpottingScores.groups() for c in [getattr(scores, g)]}


@settings(max_examples=1000, deadline=None)
@given(events(), events(truth=True))
def test_counts_equal_the_reference(predictions, truths):
    scores = spotting_scores(table(predictions), table(truths))
    assert as_tuples(scores) == reference.spotting(predictions, truths, reference.megc)
    for group in SpottingScores.groups():
        c = getattr(scores, group)
        assert c.tp + c.fp + c.fn == 0 or c.f1 == reference.f1(c.tp, c.fp, c.fn)


@settings(max_examples=200, deadline=None)
@given(events(truth=True))
def test_perfect_predictions_score_one(truths):
    scores = spotting_scores(table(truths), table(truths))
    for group in SpottingScores.groups():
        c = getattr(scores, group)
        assert (c.fp, c.fn) == (0, 0)
        assert c.f1 == 1 or (math.isnan(c.f1) and c.tp == 0)


@settings(max_examples=200, deadline=None)
@given(events(), events(truth=True))
def test_fewer_hits_at_stricter_thresholds(predictions, truths):
    hits = [spotting_scores(table(predictions), table(truths), t).overall.tp for t in (0.2, 0.4, 0.6, 0.8, 1.0)]
    # One-to-one by score is greedy: it may lose one hit at a laxer threshold, never all of them.
    assert (hits[-1] > 0) <= all(h > 0 for h in hits)


@settings(max_examples=100, deadline=None)
@given(events(), events(truth=True))
def test_counts_pool_over_videos(predictions, truths):
    parts = [
        spotting_scores(table([e for e in predictions if e.video == v]), table([e for e in truths if e.video == v]))
        for v in range(3)
    ]
    assert parts[0] + parts[1] + parts[2] == spotting_scores(table(predictions), table(truths))


def test_undefined_is_undefined_and_shown_as_a_dash():
    nothing = spotting_scores(EventTable(), EventTable())
    assert all(math.isnan(getattr(nothing.overall, key)) for key in ("precision", "recall", "f1"))
    assert "0.0000" not in str(nothing)
    assert show(nothing.overall.f1) == "-"


def test_a_subject_without_predictions_misses_and_one_without_truth_alarms():
    truths = table([Event(0, 0, 1, 10, 0, 0)])
    found = table([Event(1, 1, 1, 10, 0, 0)])
    scores = spotting_scores(found, truths)
    assert scores.overall == Counts(tp=0, fp=1, fn=1)
    assert scores.overall.f1 == 0


def test_the_wrong_type_is_a_hit_only_when_types_are_not_looked_at():
    scores = spotting_scores(table([Event(0, 0, 1, 10, 1, 0)]), table([Event(0, 0, 1, 10, 0, 0)]))
    assert (scores.overall, scores.type_agnostic) == (Counts(0, 1, 1), Counts(1, 0, 0))


def test_a_type_that_is_none_is_refused():
    rows = np.array([[0, 0, 0, 5, 2, 0, 1.0]])
    with pytest.raises(ValueError, match="type of prediction row 0 is 2"):
        spotting_scores(EventTable.from_rows(rows), EventTable())


def test_the_dictionary_has_the_published_keys():
    scores = spotting_scores(EventTable(), EventTable()).to_dict()
    assert list(scores) == ["macro", "micro", "overall", "type_agnostic"]
    assert all(list(row) == ["tp", "fp", "fn", "precision", "recall", "f1"] for row in scores.values())
