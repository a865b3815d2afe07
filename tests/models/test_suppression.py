import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fedn_lightning.models.postprocessing import nms
from metrics import reference


@st.composite
def proposals(draw):
    n = draw(st.integers(0, 40))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    start = rng.integers(0, 40, n) / rng.choice([1, 4])
    length = rng.choice([0, 1, 2, 5, 10, 40], n)
    return start, start + length, rng.choice([0.0, 0.25, 0.5, rng.random()], n)


@settings(max_examples=800, deadline=None)
@given(proposals(), st.sampled_from([0.0, 0.2, 0.5, 1.0]), st.integers(1, 45))
def test_nms_keeps_what_a_plain_loop_keeps(found, threshold, keep):
    assert nms(*found, threshold, keep).tolist() == reference.nms(*found, threshold, keep)


def test_the_same_kept_set_on_a_long_video():
    rng = np.random.default_rng(0)
    start = rng.integers(0, 4000, 3000).astype(float)
    end, score = start + rng.integers(4, 118, 3000), rng.random(3000)
    assert nms(start, end, score).tolist() == reference.nms(start, end, score, 0.2, 200)


def test_an_overlap_equal_to_the_threshold_is_kept():
    assert nms([0, 5], [10, 10], [0.9, 0.8], iou_threshold=0.5).tolist() == [0, 1]
    assert nms([0, 4], [10, 10], [0.9, 0.8], iou_threshold=0.5).tolist() == [0]


def test_tensors_are_taken_as_they_are():
    start, end, score = torch.tensor([0.0, 1.0]), torch.tensor([10.0, 11.0]), torch.tensor([0.5, 0.75])
    assert nms(start, end, score).tolist() == [1]


def test_nothing_gives_nothing():
    assert nms([], [], []).tolist() == []


def test_inputs_are_not_changed():
    score = np.array([0.9, 0.8])
    nms(np.array([0.0, 1.0]), np.array([10.0, 11.0]), score)
    assert score.tolist() == [0.9, 0.8]


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="one length"):
        nms([0], [1, 2], [0.5])
    with pytest.raises(ValueError, match="diverged"):
        nms([0], [1], [float("nan")])
