import math

import numpy as np
import pytest
from hypothesis import given, settings

from fedn_lightning.events import EventTable
from fedn_lightning.metrics.functional.spotting import spotting_scores
from fedn_lightning.metrics.functional.threshold import at_threshold, select_threshold, spotting_sweep
from metrics import reference
from metrics.random_events import events, table
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
    macro, micro = select_threshold(table(predictions), table(truths), per_type=True)
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
