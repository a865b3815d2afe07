from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedn_lightning.video.timing import frame_plan, source_to_store, store_to_source, stored_fps, unbroken

rates = st.sampled_from([15.0, 25.0, 29.97, 30.0, 60.0, 100.0, 200.0])


def test_an_equal_rate_leaves_every_frame_untouched():
    assert frame_plan(7, 30, 30).tolist() == list(range(7))
    assert stored_fps(29.97, 30) == 29.97
    assert stored_fps(30, 30, variable=True) == 30
    assert stored_fps(25, 30) == 30


@given(st.integers(1, 3000), rates)
def test_stored_frames_show_the_middle_of_their_time(n_frames, source_fps):
    plan = frame_plan(n_frames, source_fps, 30.0)
    middle = store_to_source(np.arange(len(plan)) + 0.5, source_fps, 30.0)
    inside = middle < n_frames
    assert (plan[inside] <= middle[inside] + 1e-9).all()
    assert (middle[inside] < plan[inside] + 1 + 1e-9).all()
    assert abs(len(plan) - n_frames * 30 / source_fps) <= 0.5 or len(plan) == 1


@given(st.lists(st.floats(0.001, 0.5), min_size=1, max_size=50), st.floats(0, 1))
def test_uneven_times_are_inverted(steps, part):
    times = np.cumsum([0.0, *steps])
    frame = part * len(times)
    there = source_to_store(frame, 30.0, 30.0, times)
    assert store_to_source(there, 30.0, 30.0, times) == pytest.approx(frame)


def test_uneven_times_repeat_a_frame_that_is_shown_longer():
    times = np.array([0, 1, 4, 5]) / 30
    assert frame_plan(4, 30, 30, times).tolist() == [0, 1, 1, 1, 2, 3]
    assert source_to_store([1, 2], 30, 30, times).tolist() == pytest.approx([1, 4])


@given(st.integers(1, 60), st.sets(st.integers(1, 58)), rates)
def test_no_missing_frame_lies_in_a_stretch_or_between_two_of_its_frames(n_frames, missing, source_fps):
    plan = frame_plan(n_frames, source_fps, 30.0)
    found = unbroken(plan, sorted(missing))
    for first, stop in found:
        assert missing.isdisjoint(range(plan[first], plan[stop - 1] + 1))
    inside = [i for first, stop in found for i in range(first, stop)]
    assert inside == [i for i in range(len(plan)) if plan[i] not in missing], "every frame that exists, once, in order"
    for (_, stop), (first, _) in pairwise(found):
        assert not missing.isdisjoint(range(plan[stop - 1], plan[first])), "no stretch ends without a gap"
