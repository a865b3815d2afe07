"""From the head's output to the events of a video."""

import numpy as np
import pytest
import torch

from fedn_lightning.errors import CheckpointError
from fedn_lightning.events import EventTable
from fedn_lightning.models.anchors import decode, make_anchors
from fedn_lightning.models.head import HeadOutput
from fedn_lightning.models.postprocessing import (
    InferenceConfig,
    confidence_curves,
    events_of_video,
    find_same_movements,
    propose,
)

ANCHORS = make_anchors([4, 2], [8, 16], [1.0])


def output(windows: int = 2, emotions: int = 3) -> HeadOutput:
    torch.manual_seed(0)
    return HeadOutput(*(torch.randn(windows, len(ANCHORS), n) for n in (2, 2, emotions)))


def test_proposals_are_the_surest_slots_of_each_window_in_frames_of_the_video():
    out, start, speed = output(), torch.tensor([0.0, 100.0]).double(), torch.tensor([1.0, 2.0]).double()
    rows = propose(out, ANCHORS, torch.tensor([3, 4]), start, speed, per_window=5)
    assert rows.shape == (10, 8)
    assert rows[:, 0].tolist() == [3.0] * 5 + [4.0] * 5
    sure = out.confidence[1].sigmoid().amax(-1)
    best = int(sure.argmax())
    np.testing.assert_allclose(rows[5, 1:3], decode(ANCHORS, out.regression)[1, best] * 2 + 100, rtol=1e-5)
    np.testing.assert_allclose(rows[5, 3:5], out.confidence[1, best].sigmoid(), rtol=1e-6)
    assert rows[5, 5] == out.emotion[1, best].argmax()
    np.testing.assert_allclose(rows[5, 6], out.emotion[1, best].max().sigmoid(), rtol=1e-6)


def test_a_spotter_gives_no_emotion_and_never_more_than_all_slots():
    where = (torch.tensor([0]), torch.zeros(1).double(), torch.ones(1).double())
    rows = propose(output(1, emotions=0), ANCHORS, *where, per_window=500)
    assert len(rows) == len(ANCHORS)
    assert rows[:, 5].unique().tolist() == [-1.0]
    assert rows[:, 6].unique().tolist() == [1.0]


@pytest.mark.parametrize("part", ["confidence", "regression"])
def test_outputs_that_are_no_numbers_are_refused(part):
    out = output(1)
    getattr(out, part)[0, 3] = float("nan")
    with pytest.raises(CheckpointError, match="its weights are damaged, or its training has diverged"):
        propose(out, ANCHORS, torch.tensor([0]), torch.zeros(1).double(), torch.ones(1).double(), per_window=5)


def test_windows_that_see_one_expression_give_one_event_of_each_type():
    rows = np.array(
        [[0, 10, 30, 0.9, 0.2, 1, 0.8, 0], [0, 11, 31, 0.7, 0.3, 2, 0.9, 8], [0, 60, 80, 0.5, 0.1, 0, 0.6, 32]]
    )
    events = events_of_video(rows, 100, InferenceConfig(), 64)
    assert events.type.tolist() == [0, 0, 1, 1]
    assert events.score.tolist() == [0.9, 0.5, 0.3, 0.1]
    assert events.start.tolist() == [10, 60, 11, 60]
    assert events.emotion.tolist() == [1, 0, 2, 0]


def test_a_score_falls_where_a_window_that_holds_the_expression_does_not_see_it():
    rows = np.array(
        [
            [0, 40, 60, 0.9, 0, 1, 1, 0],
            [0, 41, 61, 0.7, 0, 1, 1, 8],
            [0, 10, 30, 0.8, 0, 1, 1, 0],
            [0, 90, 99, 0.1, 0, 1, 1, 56],
        ]
    )
    alone = events_of_video(rows, 128, InferenceConfig(), 64)
    assert alone.score[alone.type == 0].tolist() == [0.9, 0.8, 0.1]
    fused = events_of_video(rows, 128, InferenceConfig(agreement=0.5), 64)
    macro = fused[fused.type == 0]
    # The first two windows, of 64 frames, hold both of the first two expressions; the second does not see the other.
    np.testing.assert_allclose(macro.score, [(0.9 + 0.8) / 2, (0.8 + 0.4) / 2, 0.1])
    assert macro.start.tolist() == [40, 10, 90]


def test_overlapping_proposals_vote_for_an_emotion():
    rows = np.array(
        [
            [0, 40, 60, 0.9, 0, 1, 0.5, 0],
            [0, 41, 61, 0.8, 0, 2, 0.8, 8],
            [0, 39, 60, 0.3, 0, 2, 0.6, 16],
            [0, 10, 30, 0.5, 0, 0, 0.9, 0],
        ]
    )
    for vote, emotion, score in ((False, 1, 0.5), (True, 2, (0.8 * 0.8 + 0.3 * 0.6) / 2.0)):
        events = events_of_video(rows, 128, InferenceConfig(vote=vote), 64)
        macro = events[events.type == 0]
        assert macro.emotion.tolist() == [emotion, 0]
        np.testing.assert_allclose(macro.emotion_score, [score, 0.9])
        assert macro.score.tolist() == [0.9, 0.5]


def test_events_are_cut_off_at_the_ends_of_the_video_and_vanish_outside():
    rows = np.array([[0, -5, 10, 0.9, 0, 1, 1, 0], [0, 95, 130, 0.8, 0, 1, 1, 36], [0, 120, 130, 0.99, 0, 1, 1, 36]])
    events = events_of_video(rows, 100, InferenceConfig(), 64)
    assert sorted(zip(events.start.tolist(), events.end.tolist(), strict=True)) == [
        (0, 10),
        (0, 10),
        (95, 100),
        (95, 100),
    ]


def test_a_video_without_proposals_has_no_events_and_a_flat_curve():
    nothing = np.empty((0, 8))
    assert len(events_of_video(nothing, 50, InferenceConfig(), 64)) == 0
    assert not confidence_curves(nothing, 50).any()


def test_a_frames_curve_is_its_surest_proposal():
    rows = np.array([[0, 2, 6, 0.3, 0.1, 0, 1, 0], [0, 4, 8, 0.2, 0.5, 0, 1, 0]])
    curves = confidence_curves(rows, 10)
    assert curves[:, 0].tolist() == [0, 0, 0.3, 0.3, 0.3, 0.3, 0.2, 0.2, 0, 0]
    assert curves[:, 1].tolist() == [0, 0, 0.1, 0.1, 0.5, 0.5, 0.5, 0.5, 0, 0]


@pytest.mark.parametrize(
    ("rows", "kept_by"),
    [
        ([(0, 30, 0, 0.9), (5, 20, 1, 0.8)], [-1, 0]),  # the micro lies in the macro and is less far above
        ([(0, 30, 0, 0.6), (5, 20, 1, 0.8)], [1, -1]),
        ([(0, 30, 0, 0.9), (25, 40, 1, 0.8)], [-1, -1]),  # a third of the shorter one is shared
        ([(0, 30, 0, 0.9), (22, 37, 1, 0.8)], [-1, 0]),  # more than half
        ([(0, 30, 0, 0.9), (5, 20, 0, 0.8)], [-1, -1]),  # one type
        ([(0, 20, 0, 0.7), (5, 15, 1, 0.8), (10, 30, 0, 0.6)], [1, -1, 1]),
        ([(0, 20, 0, 0.9), (5, 15, 1, 0.8), (10, 30, 0, 0.7)], [-1, 0, -1]),  # what gave way keeps nothing else away
    ],
)
def test_a_movement_found_as_macro_and_micro_is_kept_as_one(rows, kept_by):
    events = EventTable.from_rows([[0, 0, start, end, kind, -1, score] for start, end, kind, score in rows])
    assert find_same_movements(events, (0.5, 0.5)).tolist() == kept_by


def test_types_are_compared_by_how_far_they_exceed_their_own_threshold():
    events = EventTable.from_rows([[0, 0, 0, 30, 0, -1, 0.8], [0, 0, 5, 20, 1, -1, 0.6]])
    assert find_same_movements(events, (0.75, 0.1)).tolist() == [1, -1]
    assert find_same_movements(events, (1.0, 1.0)).tolist() == [-1, 0]
    assert find_same_movements(EventTable(), (0.5, 0.5)).tolist() == []
