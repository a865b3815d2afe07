import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedn_lightning.events import EventTable
from fedn_lightning.metrics.functional.evaluation import evaluate
from fedn_lightning.metrics.functional.matching import (
    UNMATCHED,
    interval_iou,
    match,
    match_at,
    overlapping_pairs,
    without_unknown_offsets,
)
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


frames = st.integers(1, 60)


def event(onset, length):
    return Event(0, 0, onset, onset + length - 1, 0, 0)


@given(frames, frames, frames, frames)
def test_equals_the_iou_on_inclusive_frames(onset_a, length_a, onset_b, length_b):
    a, b = event(onset_a, length_a), event(onset_b, length_b)
    expected = reference.iou(a, b)
    got = interval_iou(a.onset - 1, a.offset, b.onset - 1, b.offset)
    assert float(got) == float(expected)


@given(frames, frames, frames, frames, st.integers(0, 100_000))
def test_symmetric_and_indifferent_to_a_shift(start_a, length_a, start_b, length_b, shift):
    a, b = (start_a, start_a + length_a), (start_b, start_b + length_b)
    moved = [x + shift for x in (*a, *b)]
    assert interval_iou(*a, *b) == interval_iou(*b, *a) == interval_iou(*moved)


def test_counts_the_set_of_shared_frames():
    rng = np.random.default_rng(0)
    for _ in range(200):
        a, b = (int(x) for x in rng.integers(1, 30, 2))
        c, d = a + int(rng.integers(0, 20)), b + int(rng.integers(0, 20))
        first, second = set(range(a, c + 1)), set(range(b, d + 1))
        assert interval_iou(a - 1, c, b - 1, d) == len(first & second) / len(first | second)


@pytest.mark.parametrize("threshold", [k / 100 for k in range(5, 100, 5)])
def test_reaches_every_decimal_threshold_exactly(threshold):
    hundredths = round(threshold * 100)
    assert interval_iou(0, 100, 0, hundredths) == threshold


def test_empty_intervals_overlap_nothing():
    assert interval_iou(3, 3, 3, 3) == 0
    assert interval_iou(3, 3, 0, 10) == 0
    assert interval_iou([5, 0], [2, 4], [0, 0], [10, 4]).tolist() == [0, 1]


events = st.lists(
    st.tuples(st.integers(0, 1), st.integers(0, 40), st.integers(1, 25), st.integers(0, 1), st.booleans()), max_size=6
)


def unknown_table(rows, scores=None):
    return EventTable.from_rows(
        [
            [0, video, start, start + length, kind, -1, 1 if scores is None else scores[i], 1, known]
            for i, (video, start, length, kind, known) in enumerate(rows)
        ]
    )


def fits_some_end(start, end, truth_start, truth_end):
    """Tries every end from the truth's own on."""
    for other in range(int(truth_end), int(max(end, truth_end)) + 1):
        shared = max(min(end, other) - max(start, truth_start), 0)
        if shared / (max(end, other) - min(start, truth_start)) >= 0.5:
            return True
    return False


@given(events, events)
def test_a_prediction_goes_if_some_end_of_an_unknown_truth_would_make_it_a_hit_and_no_known_truth_is_hit(found, truth):
    predictions, truths = unknown_table(found, np.linspace(1, 0.1, len(found))), unknown_table(truth)
    stay, known = without_unknown_offsets(predictions, truths)
    hit = match(predictions, truths[truths.end_known]) >= 0
    expected = [
        k
        for k, (video, start, length, kind, _) in enumerate(found)
        if hit[k]
        or not any(
            not known and video == v and kind == t and fits_some_end(start, start + length, s, s + n)
            for v, s, n, t, known in truth
        )
    ]
    assert stay.score.tolist() == predictions.score[expected].tolist()
    assert known.end_known.all()


def test_both_readings_stand_side_by_side():
    truths = EventTable.from_rows([[0, 0, 10, 20, 0, 0, 1, 1, 0], [0, 0, 90, 99, 0, 1, 1, 1, 1]])
    found = EventTable.from_rows([[0, 0, 10, 45, 0, 0, 0.9], [0, 0, 90, 99, 0, 1, 0.8]])
    evaluation = evaluate(found, truths)
    spotting, mean_ap = evaluation.without_unknown
    assert evaluation.unknown_offsets == 1
    assert (evaluation.spotting.macro.tp, evaluation.spotting.macro.fp, evaluation.spotting.macro.fn) == (1, 1, 1)
    assert (spotting.macro.tp, spotting.macro.fp, spotting.macro.fn) == (1, 0, 0)
    assert evaluation.detection.mean((0.5,)) == pytest.approx(0.5)
    assert mean_ap == 1


def test_where_every_offset_is_known_the_readings_are_one():
    truths = unknown_table([(0, 5, 10, 0, True)])
    evaluation = evaluate(truths, truths)
    assert evaluation.unknown_offsets == 0
    assert evaluation.without_unknown[0] == evaluation.spotting
