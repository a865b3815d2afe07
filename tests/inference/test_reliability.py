from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from fedn_lightning.events import EventTable
from fedn_lightning.inference.measures import CropWatch, FaceQuality, UnreliableSpan, find_spans, without_unreliable
from fedn_lightning.video.alignment import crop, eye_transform
from fedn_lightning.video.faces import find_face, judge_pose
from fedn_synth.face.identity import Identity
from fedn_synth.face.motion import FaceTracks
from fedn_synth.renderers import make_renderer
from support.heads import needs_anny


def quality_of(pictures: list[np.ndarray], eye_distance: float = 45.0) -> FaceQuality:
    watch = CropWatch(fps=30.0)
    for picture in pictures:
        watch.add(picture[None])
    return watch.quality(np.full(len(pictures), eye_distance))


def watched(pictures: list[np.ndarray], eye_distance: float = 45.0) -> list[tuple[int, int, str]]:
    return list(find_spans(quality_of(pictures, eye_distance).flags(30.0), fps=30.0))


@pytest.fixture
def crops(pictures) -> list[np.ndarray]:
    """The filmed face that sways and smiles, cropped to its middle."""
    return [np.ascontiguousarray(pictures[i % len(pictures)][40:200, 80:240]) for i in range(120)]


def test_a_face_that_moves_is_reliable(crops) -> None:
    assert watched(crops) == []
    lit = [np.clip(c * (0.7 + 0.3 * np.sin(i / 9)), 0, 255).astype(np.uint8) for i, c in enumerate(crops)]
    assert watched(lit) == []


def test_a_stretch_without_the_face_is_found_with_its_ends(crops) -> None:
    wall = np.linspace(0, 255, 160).astype(np.uint8)[:, None, None] * np.ones((1, 160, 3), np.uint8)
    (span,) = watched([*crops[:50], *[wall] * 30, *crops[80:]])
    assert span == (43, 87, "no face")  # a cut concerns the frames on both sides, and 6 more


def test_a_blurred_stretch_is_found(crops) -> None:
    soft = [cv2.GaussianBlur(c, (0, 0), 12) for c in crops[40:60]]
    (span,) = watched([*crops[:40], *soft, *crops[60:]])
    assert span == (34, 66, "blurred")


def test_nothing_begins_in_an_unreliable_stretch() -> None:
    events = EventTable.from_rows([[0, 0, start, start + 20, 0, -1, 0.9] for start in (10, 30, 49, 50)])
    kept = without_unreliable(events, [UnreliableSpan(1, 30, 50, "cut")])
    assert kept.tolist() == [True, False, False, True]
    assert without_unreliable(events, []).all()


def test_a_small_face_is_unreliable_from_the_first_frame_to_the_last(crops) -> None:
    assert watched(crops, eye_distance=19.0) == [(0, 120, "small face")]
    assert watched(crops, eye_distance=21.0) == []
    assert watched(crops, eye_distance=np.nan) == []  # whole pictures


def test_a_face_that_stands_upside_down_for_a_while_is_found(crops) -> None:
    turned = [np.ascontiguousarray(c[::-1, ::-1]) for c in crops[45:90]]
    quality = quality_of([*crops[:45], *turned, *crops[90:]])
    assert quality.upside_down[50:80].all()
    assert not quality.upside_down[[*range(35), *range(100, 120)]].any()


@needs_anny
@pytest.mark.parametrize("seed", [300, 304, 401])
def test_the_yaw_of_a_head_is_estimated_and_a_long_turn_is_unreliable(seed) -> None:
    renderer = make_renderer("3d", Identity.sample(seed))
    yaws = (0, 15, -15, 20, -20, 30, -30, 60)
    tracks = FaceTracks.neutral(len(yaws))
    tracks.pose[:, 3] = yaws
    pictures = [renderer.render(tracks, frame, 0) for frame in range(len(yaws))]
    face = find_face(cv2.cvtColor(pictures[0], cv2.COLOR_RGB2GRAY))
    assert face is not None
    views = [crop(picture, eye_transform(face.left, face.right, 128), 128) for picture in pictures]
    front, far = views[0], views[-1]
    poses = [judge_pose(cv2.cvtColor(view, cv2.COLOR_RGB2GRAY)).yaw for view in views[:-1]]
    assert np.abs(np.array(poses) - yaws[:-1]).mean() < 15
    assert all(pose * yaw > 0 for pose, yaw in zip(poses[3:], yaws[3:], strict=False))  # from 20 degrees the right side
    (span,) = watched([*[front] * 240, *[far] * 45, *[front] * 240])
    assert span[2] in ("turned away", "no face")
    assert span[0] < 245
    assert span[1] > 280


def test_a_single_judgement_turns_nobody_away() -> None:
    ones, far = np.ones(60), np.zeros(60)
    far[20:35] = 45
    quality = FaceQuality(ones, 0 * ones, ones, far, np.zeros(60, bool), 45 * ones, 0 * ones)
    assert not quality.flags(30.0).any()
    assert replace(quality, yaw=np.where(np.arange(60) < 30, -45.0, 0)).flags(30.0)[:, 4].sum() == 30
    assert quality.counts(30.0)["turned away"] == 0


def test_a_face_that_is_seen_no_longer_is_unreliable_only_where_it_is_usually_seen() -> None:
    ones = np.ones(600)
    hidden = np.where(np.arange(600) < 60, np.nan, 0.0)
    quality = FaceQuality(ones, 0 * ones, ones, hidden, np.zeros(600, bool), 45 * ones, 0 * ones)
    assert quality.flags(30.0)[:, 4].sum() == 60
    seldom = replace(quality, yaw=np.where(np.arange(600) % 100 < 60, np.nan, 0.0))
    assert not seldom.flags(30.0).any()
