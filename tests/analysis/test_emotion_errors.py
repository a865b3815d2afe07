import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings

from fedn_lightning.analysis.errors import sort_errors
from fedn_lightning.analysis.oracles import PLACES, emotion_errors, emotion_score_effect
from fedn_lightning.events import EventTable
from fedn_lightning.metrics.functional.detection import detection_scores
from metrics.random_events import events, table


@settings(max_examples=60, deadline=None)
@given(events(), events(truth=True))
def test_every_named_interval_lies_somewhere_and_only_there(predictions, truths):
    found, true = table(predictions), table(truths)
    places = emotion_errors(sort_errors(found, true, "emotion"), found, true)
    assert tuple(places) == PLACES
    assert sum(named.n for named in places.values()) == (found.emotion >= 0).sum()


@settings(max_examples=60, deadline=None)
@given(events(), events(truth=True))
def test_the_reported_map_is_that_of_the_evaluator(predictions, truths):
    found, true = table(predictions), table(truths)
    worth = emotion_score_effect(sort_errors(found, true, "emotion"), found, true)
    np.testing.assert_equal(worth.both, detection_scores(found, true, (0.5,)).mean((0.5,)))
    with_classes = true[true.emotion >= 0]
    if len(with_classes) == len(true):
        np.testing.assert_equal(worth.less_no_class, worth.both)


def one_of_each() -> tuple[EventTable, EventTable]:
    truths = [[0, 0, 0, 40, 0, 0, 1], [0, 0, 100, 140, 0, 1, 1], [0, 0, 200, 240, 0, -1, 1]]
    found = [
        [0, 0, 0, 40, 0, 0, 0.9],
        [0, 0, 1, 40, 0, 0, 0.3],  # right as well, though the truth is taken
        [0, 0, 100, 140, 1, 0, 0.7],
        [0, 0, 200, 240, 0, 1, 0.8],
        [0, 0, 180, 220, 0, 0, 0.5],  # near the truth without a class
        [0, 0, 500, 540, 0, 0, 0.6],
        [0, 0, 0, 40, 0, -1, 0.95],  # names nothing
    ]
    e = np.array([0.9, 0.7, 0.5, 0.4, 0.2, 0.6, 1.0])
    return replace(EventTable.from_rows(found), emotion_score=e), EventTable.from_rows(truths)


def test_what_a_named_interval_lies_on():
    found, truths = one_of_each()
    places = emotion_errors(sort_errors(found, truths, "emotion"), found, truths)
    assert {place: named.n for place, named in places.items()} == {
        "right name": 2, "wrong name": 1, "no class": 1, "elsewhere": 2,
    }  # fmt: skip
    expected = {"right name": 0.8, "wrong name": 0.5, "no class": 0.4, "elsewhere": 0.4}
    assert {place: named.e for place, named in places.items()} == pytest.approx(expected)


def test_no_named_interval_has_no_mean():
    found, truths = one_of_each()
    none = found[:0]
    places = emotion_errors(sort_errors(none, truths, "emotion"), none, truths)
    assert all(named.n == 0 and math.isnan(named.e) for named in places.values())


def test_an_emotion_that_is_unsure_of_what_has_no_class_is_worth_its_rank():
    truths = EventTable.from_rows([[0, 0, 0, 40, 0, 0, 1], [0, 0, 100, 140, 0, 0, 1], [0, 0, 200, 240, 0, -1, 1]])
    rows = [[0, 0, 200, 240, 0, 0, 0.9], [0, 0, 0, 40, 0, 0, 0.8], [0, 0, 100, 140, 0, 0, 0.7]]
    sure = EventTable.from_rows(rows)
    unsure = replace(sure, emotion_score=np.array([0.1, 1.0, 1.0]))
    values = [emotion_score_effect(sort_errors(found, truths, "emotion"), found, truths) for found in (sure, unsure)]
    assert values[0].both == values[0].c_alone == values[1].c_alone == pytest.approx(2 / 3)
    assert values[1].both == values[0].less_no_class == values[1].less_no_class == 1.0


def test_errors_sorted_by_type_are_refused():
    found, truths = one_of_each()
    errors = sort_errors(found, truths)
    with pytest.raises(ValueError, match="sorted by emotion, got errors sorted by type"):
        emotion_errors(errors, found, truths)
    with pytest.raises(ValueError, match="sorted by emotion, got errors sorted by type"):
        emotion_score_effect(errors, found, truths)
