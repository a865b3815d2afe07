from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings

from fedn_lightning.events import EventTable
from fedn_lightning.metrics.functional import bootstrap
from fedn_lightning.metrics.functional.bootstrap import bootstrap_intervals, tally, weighted_scores
from fedn_lightning.metrics.functional.detection import detection_scores
from fedn_lightning.metrics.functional.evaluation import PROTOCOLS, evaluate, flat_scores
from metrics.random_events import events, realistic, table


def tables(seed=0, n_videos=44):
    rng = np.random.default_rng(seed)
    truths = realistic(rng, n_videos, 5)
    found = realistic(rng, n_videos, 15, near=truths)
    return replace(found, score=found.score.round(1)), truths  # ties between subjects


def drawn_twice(table, weight):
    """The table with every subject copied as often as drawn, each copy a subject and its videos of their own."""
    copies = []
    for subject, times in enumerate(weight):
        for copy in range(int(times)):
            rows = table[table.subject == subject].to_rows()
            rows[:, :2] += 1000 * (copy + 1)
            copies.append(EventTable.from_rows(rows))
    return EventTable.concatenate(copies)


@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_draw_equals_scoring_the_copied_subjects(name, monkeypatch):
    found, truths = tables()
    weight = np.random.default_rng(4).multinomial(22, [1 / 22] * 22)

    class Fixed:
        def multinomial(self, n, p, size):
            assert (n, len(p), size) == (22, 22, 1)
            return weight[None]

    monkeypatch.setattr(bootstrap.np.random, "default_rng", lambda seed: Fixed())
    intervals = bootstrap_intervals(found, truths, PROTOCOLS[name], 0.4, draws=1)
    expected = flat_scores(evaluate(drawn_twice(found, weight), drawn_twice(truths, weight), PROTOCOLS[name], 0.4))
    assert {k: i.low for k, i in intervals.items()} == pytest.approx(expected, nan_ok=True)
    assert all(i.low == i.high or math.isnan(i.low) for i in intervals.values())


def test_intervals_hold_the_score_and_are_the_same_again():
    found, truths = tables()
    point = flat_scores(evaluate(found, truths, threshold=0.4))
    intervals = bootstrap_intervals(found, truths, threshold=0.4, draws=300, seed=7)
    assert intervals.keys() == point.keys()
    assert all(i.low <= point[name] <= i.high for name, i in intervals.items())
    assert intervals == bootstrap_intervals(found, truths, threshold=0.4, draws=300, seed=7)
    assert intervals != bootstrap_intervals(found, truths, threshold=0.4, draws=300, seed=8)


def test_more_subjects_give_a_narrower_interval():
    def width(found, truths):
        low, high, _ = bootstrap_intervals(found, truths, draws=300)["spotting.overall.f1"]
        return high - low

    few = [t[t.subject < 4] for t in tables()]
    assert width(*tables()) < width(*few)


def test_one_subject_has_no_spread_and_none_no_interval():
    one = [t[t.subject == 0] for t in tables()]
    low, high, defined = bootstrap_intervals(*one, draws=20)["spotting.overall.f1"]
    assert (low, defined) == (high, 1.0)
    nothing = bootstrap_intervals(EventTable(), EventTable(), draws=5)
    assert all(math.isnan(i.low) and i.defined == 0 for i in nothing.values())


def test_a_subject_of_weak_proposals_alone_still_counts_for_detection():
    truths = EventTable.from_rows([[0, 0, 0, 10, 0, 0, 1]])
    found = EventTable.from_rows([[0, 0, 0, 10, 0, 0, 0.2], [1, 1, 0, 10, 0, 0, 0.4]])
    intervals = bootstrap_intervals(found, truths, threshold=0.5, draws=200)
    assert intervals["detection.map@0.5"].low < 1


def test_spotting_alone_has_no_interval_of_detection():
    truths = EventTable.from_rows([[0, 0, 0, 10, 0, 0, 1]])
    spotted = EventTable.from_rows([[0, 0, 0, 10, 0, -1, 0.9]])
    intervals = bootstrap_intervals(spotted, truths, draws=5)
    assert intervals["detection.map@0.5"].defined == 0
    assert intervals["spotting.overall.f1"].defined == 1


@pytest.mark.parametrize(("draws", "level"), [(0, 0.95), (10, 0.0), (10, 1.0)])
def test_settings_out_of_range_are_refused(draws, level):
    with pytest.raises(ValueError, match="at least one draw"):
        bootstrap_intervals(EventTable(), EventTable(), draws=draws, level=level)


@settings(max_examples=100, deadline=None)
@given(events(), events(truth=True))
def test_proposals_of_subjects_who_claim_nothing_count_as_false_detections(found, truths) -> None:
    proposals, true = table(found), table(truths)
    counted = tally(proposals[proposals.score > 0.5], true, proposals=proposals)
    mine = weighted_scores(counted, np.ones(len(counted.subjects.index), np.int64))["detection.map@0.5"]
    assert mine == pytest.approx(detection_scores(proposals, true).mean([0.5]), nan_ok=True)
