import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fedn_lightning.datamodules.windows import window_frames, window_starts
from fedn_lightning.inference.streaming import WindowCutter


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
