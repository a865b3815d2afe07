import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedn_lightning.metrics.functional.interval import interval_iou
from metrics import reference
from metrics.reference import Event

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
