"""Heads in motion."""

import cv2
import numpy as np
import pytest

from fedn_synth.face.anatomy import LANDMARK_INDEX
from fedn_synth.face.identity import Identity
from fedn_synth.face.motion import FaceTracks
from fedn_synth.face.muscles import AU_INDEX
from fedn_synth.head3d.renderer import HeadRenderer
from fedn_synth.plan.corpus_plan import plan_corpus
from fedn_synth.plan.expressions import draw_expression
from fedn_synth.plan.presets import find_preset
from fedn_synth.write.contact_sheet import SHOWN_EMOTIONS, show_emotion
from support.heads import needs_anny

pytestmark = needs_anny


@pytest.fixture(scope="module")
def head() -> HeadRenderer:
    return HeadRenderer(Identity.sample(5))


def posed(**angles: float) -> FaceTracks:
    tracks = FaceTracks.neutral(1)
    for name, value in angles.items():
        tracks.pose[0, ("x", "y", "roll", "yaw", "pitch").index(name)] = value
    return tracks


def test_the_same_person_is_the_same_in_every_renderer_and_order(head: HeadRenderer):
    tracks, _ = show_emotion("happiness", 0.8)
    tracks.pose[1, 3] = 12
    other = HeadRenderer(Identity.sample(5))
    forward = [head.render(tracks, frame, 7) for frame in (0, 1)]
    backward = [other.render(tracks, frame, 7) for frame in (1, 0)][::-1]

    assert all((a == b).all() for a, b in zip(forward, backward, strict=True))
    assert (forward[0] != forward[1]).any()


def test_people_differ():
    first, second = (HeadRenderer(Identity.sample(seed)) for seed in (1, 2))
    neutral = FaceTracks.neutral(1)
    assert np.abs(first.landmarks(neutral, 0) - second.landmarks(neutral, 0)).max() > 5
    difference = first.render(neutral, 0, 0).astype(int) - second.render(neutral, 0, 0)
    assert np.abs(difference).mean() > 10


def test_a_face_fills_the_picture_like_the_drawn_ones(head: HeadRenderer):
    points = head.landmarks(FaceTracks.neutral(1), 0)
    pupils = points[LANDMARK_INDEX["eye_centre_left"]] - points[LANDMARK_INDEX["eye_centre_right"]]
    assert np.hypot(*pupils) == pytest.approx(2 * head.identity.eyes.half_distance, rel=0.03)
    assert points[LANDMARK_INDEX["chin"], 1] == pytest.approx(head.identity.skull.chin_y, abs=8)


def micro_expressions(count: int):
    expressions = [p for scene in plan_corpus(find_preset("casme2"), 3) for p in scene.expressions if p.type == "micro"]
    rng = np.random.default_rng(0)
    return [
        draw_expression(expressions[i % len(expressions)], 0, int(rng.integers(8, 17)), rng.random(), rng)
        for i in range(count)
    ]


def test_micro_expressions_move_the_mesh_between_half_a_pixel_and_three():
    expressions = micro_expressions(120)
    for seed in (40, 41, 42):
        head = HeadRenderer(Identity.sample(seed))
        rest = head.view(FaceTracks.neutral(1), 0).pixels
        moved = []
        for expression in expressions:
            tracks = FaceTracks.neutral(expression.end)
            tracks.action_units[:] = expression.intensities(expression.end)
            seen = head.view(tracks, expression.apex).pixels
            moved.append(np.linalg.norm(seen - rest, axis=1)[np.unique(head.skin)].max())
        assert min(moved) > 0.5
        assert max(moved) <= 3.0
        assert 1.0 < np.median(moved) < 2.8


@pytest.mark.parametrize("emotion", SHOWN_EMOTIONS)
def test_an_emotion_changes_the_face_and_nothing_else(head: HeadRenderer, emotion: str):
    tracks, _ = show_emotion(emotion, 0.85)
    neutral, apex = (head.render(tracks, frame, 0).astype(int) for frame in (0, 1))
    changed = np.abs(apex - neutral).max(axis=2) > 24
    rows, columns = np.nonzero(changed)
    assert changed.sum() > 300
    assert rows.min() > 40
    assert 150 < columns.min() < columns.max() < 490


def test_a_half_s_unit_leaves_the_other_half_alone(head: HeadRenderer):
    tracks = FaceTracks.neutral(1)
    tracks.action_units[0, AU_INDEX["12"], 0] = 0.8
    moved = np.linalg.norm(head.landmarks(tracks, 0) - head.landmarks(FaceTracks.neutral(1), 0), axis=1)
    assert moved[LANDMARK_INDEX["mouth_corner_left"]] > 6
    assert moved[LANDMARK_INDEX["mouth_corner_right"]] < 1


def test_a_turned_head_shows_its_side(head: HeadRenderer):
    index = LANDMARK_INDEX["nose_tip"]
    front = head.landmarks(FaceTracks.neutral(1), 0)[index]
    for yaw in (15, 30):
        right, left = (head.landmarks(posed(yaw=sign * yaw), 0)[index] for sign in (1, -1))
        assert right[0] - front[0] > 2 * yaw
        assert front[0] - left[0] > 2 * yaw
    assert head.landmarks(posed(pitch=15), 0)[index][1] - front[1] > 15
    assert head.landmarks(posed(roll=10), 0)[LANDMARK_INDEX["chin"]][0] < front[0]


def test_the_chest_stays_where_it_is(head: HeadRenderer):
    still = head.view(FaceTracks.neutral(1), 0)
    turned = head.view(posed(yaw=30, pitch=20), 0)
    low = still.pixels[:, 1] > 520
    assert np.abs(still.pixels - turned.pixels)[low].max() < 1e-3


def test_closed_eyes_hide_the_iris(head: HeadRenderer):
    tracks = FaceTracks.neutral(2)
    tracks.blink[1] = 1
    centre = head.landmarks(tracks, 0)[LANDMARK_INDEX["eye_centre_left"]].round().astype(int)
    eye = slice(centre[1] - 4, centre[1] + 5), slice(centre[0] - 5, centre[0] + 6)
    open_eye, shut = (head.render(tracks, frame, 0)[eye].astype(float) for frame in (0, 1))
    assert shut.mean() > open_eye.mean() + 10


def test_a_crop_shows_what_the_picture_shows(head: HeadRenderer):
    transform = np.array([[0.5, 0, -90.0], [0, 0.5, -40.0]])
    tracks = posed(yaw=10)
    crop = head.render_crop(tracks, 0, 3, 128, transform)
    expected = cv2.warpAffine(head.render(tracks, 0, 3), transform, (128, 128))
    assert crop.shape == (128, 128, 3)
    assert np.abs(crop.astype(int) - expected).mean() < 1


def test_a_head_that_leaves_the_picture_is_no_error(head: HeadRenderer):
    assert head.render(posed(x=700, yaw=30), 0, 0).shape == (480, 640, 3)
