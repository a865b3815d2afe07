import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedn_lightning.datamodules.windows import window_frames, window_starts
from fedn_lightning.inference.streaming import BEHIND, Aside, WindowCutter


@given(st.integers(1, 200), st.integers(1, 60), st.data())
def test_windows_are_those_of_a_test_however_the_features_come(n_frames, window, data):
    stride = data.draw(st.integers(1, window))
    features = np.arange(float(n_frames))[:, None]
    windows, first, found = WindowCutter(n_frames, window, stride), 0, []
    while first < n_frames:
        count = data.draw(st.integers(1, 70))
        found += windows.add(features[first : first + count])
        first += count
        assert len(windows._kept) <= window + count  # what is kept does not grow with the video
    assert [start for start, _ in found] == window_starts(n_frames, window, stride)
    for start, part in found:
        assert part.ravel().tolist() == window_frames(start, window, n_frames).tolist()


def test_another_thread_gives_results_in_order_and_lies_behind_by_so_much_at_most():
    go, found = threading.Event(), []

    def measure(crops):
        go.wait()
        return int(crops[0])

    with ThreadPoolExecutor(1) as thread:
        aside = Aside(thread, measure)
        for number in range(BEHIND):
            found += aside.put(np.array([number]))
        assert found == []
        go.set()
        for number in range(BEHIND, 3 * BEHIND):
            found += aside.put(np.array([number]))
            assert len(found) >= number + 1 - BEHIND
        found += aside.results()
    assert found == list(range(3 * BEHIND))


def test_what_fails_in_another_thread_fails_in_the_caller():
    with ThreadPoolExecutor(1) as thread:
        aside = Aside(thread, lambda crops: 1 / len(crops))
        with pytest.raises(ZeroDivisionError):
            [*aside.put(np.empty(0)), *aside.results()]
