import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedn_lightning.events import EventTable
from fedn_lightning.metrics.functional.matching import UNMATCHED, match, match_at, overlapping_pairs
from metrics import reference
from metrics.random_events import events, realistic, table
from metrics.reference import Event

THRESHOLDS = (0.1, 0.25, 0.5, 0.75, 1.0)


@settings(max_examples=1500, deadline=None)
@given(events(), events(truth=True), st.sampled_from(THRESHOLDS))
def test_equals_the_reference_row_by_row(predictions, truths, threshold):
    taken = match(table(predictions), table(truths), threshold)
    expected = reference.match(predictions, truths, threshold, reference.same_video_and_type)
    assert [(i, int(j)) for i, j in enumerate(taken) if j != UNMATCHED] == sorted(expected)


@settings(max_examples=300, deadline=None)
@given(events(), events(truth=True))
def test_several_thresholds_together_equal_each_alone(predictions, truths):
    together = match_at(table(predictions), table(truths), THRESHOLDS, within=("video",))
    alone = [match(table(predictions), table(truths), t, within=("video",)) for t in THRESHOLDS]
    np.testing.assert_array_equal(together, alone)


@settings(max_examples=300, deadline=None)
@given(events(most=12), events(truth=True), st.floats(0, 1))
def test_lower_scores_never_change_what_higher_ones_take(predictions, truths, least):
    found = table(predictions)
    strict = found.score >= least
    np.testing.assert_array_equal(match(found[strict], table(truths)), match(found, table(truths))[strict])


@settings(max_examples=300, deadline=None)
@given(events(), events(truth=True), st.randoms())
def test_the_order_of_rows_carries_no_weight(predictions, truths, random):
    before = match(table(predictions), table(truths))
    shuffled = random.sample(predictions, len(predictions))
    after = match(table(shuffled), table(random.sample(truths, len(truths))))
    hit = [
        sorted(e[:5] + e[6:] for e, j in zip(side, taken, strict=True) if j != UNMATCHED)
        for side, taken in ((predictions, before), (shuffled, after))
    ]
    assert hit[0] == hit[1]


@settings(max_examples=300, deadline=None)
@given(events(), events(truth=True))
def test_each_truth_is_taken_once_and_by_a_prediction_that_overlaps_it(predictions, truths):
    taken = match(table(predictions), table(truths))
    used = taken[taken != UNMATCHED]
    assert len(set(used.tolist())) == len(used)
    assert all(reference.iou(predictions[i], truths[j]) >= 0.5 for i, j in enumerate(taken) if j != UNMATCHED)


def test_pairs_of_a_large_set_equal_the_full_table():
    rng = np.random.default_rng(3)
    truths = realistic(rng, 30, 12)
    found = realistic(rng, 30, 60, near=truths)
    pairs = overlapping_pairs(found, truths, 0.3)
    shared = np.minimum(found.end[:, None], truths.end) - np.maximum(found.start[:, None], truths.start)
    together = np.maximum(found.end[:, None], truths.end) - np.minimum(found.start[:, None], truths.start)
    same = (found.video[:, None] == truths.video) & (found.type[:, None] == truths.type)
    expected = np.argwhere(same & (shared > 0) & (shared / together >= 0.3))
    got = sorted(zip(pairs.prediction.tolist(), pairs.truth.tolist(), strict=True))
    assert got == [tuple(row) for row in expected.tolist()]


def test_exactly_half_counts():
    truth = [Event(0, 0, 1, 10, 0, 0)]
    assert match(table([Event(0, 0, 6, 10, 0, 0, 0.5)]), table(truth)).tolist() == [0]
    assert match(table([Event(0, 0, 7, 10, 0, 0, 0.5)]), table(truth)).tolist() == [-1]


@pytest.mark.parametrize("order", [1, -1])
def test_of_truths_that_are_equally_good_the_earlier_is_taken(order):
    found = [Event(0, 0, 11, 20, 0, 0)]
    by_offset = [Event(0, 0, 11, 15, 0, 0), Event(0, 0, 11, 30, 0, 0)]  # 5 of 10 and 10 of 20 frames
    by_onset = [Event(0, 0, 9, 18, 0, 0), Event(0, 0, 13, 22, 0, 0)]  # 8 of 12 frames each
    for truths in (by_offset, by_onset):
        taken = match(table(found), table(truths[::order]))
        assert truths[::order][taken[0]] == truths[0]


def test_a_long_chain_of_displacements_ends_where_choosing_in_turn_ends():
    # Each prediction prefers the truth that the surer one before it takes, and moves on by one.
    n = 60
    truths = EventTable.from_rows([[0, 0, k, k + 1000, 0, -1, 1] for k in range(n)])
    found = EventTable.from_rows([[0, 0, 0, 1000, 0, -1, 1 - k / 100] for k in range(n)])
    assert match(found, truths).tolist() == list(range(n))


@pytest.mark.parametrize("column", ["start", "end", "score"])
def test_nan_is_refused(column):
    rows = EventTable.from_rows([[0, 0, 0, 10, 0, -1, 1]])
    bad = EventTable(**{name: getattr(rows, name) for name in EventTable.COLUMNS} | {column: np.array([np.nan])})
    with pytest.raises(ValueError, match=f"prediction {column} of row 0 is nan"):
        match(bad, rows)


@pytest.mark.parametrize("threshold", [0.0, -0.1, 1.01, float("nan")])
def test_a_threshold_out_of_range_is_refused(threshold):
    with pytest.raises(ValueError, match="must lie in"):
        match(EventTable(), EventTable(), threshold)
