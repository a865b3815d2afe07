import cv2
import numpy as np
import pytest

from fedn_lightning.video.alignment import canonical_eyes
from fedn_lightning.video.faces import find_face
from fedn_lightning.video.tracking import HeadTracker, settled, similarity, smooth, transforms
from fedn_synth.face.anatomy import LANDMARK_INDEX
from fedn_synth.face.motion import FaceTracks
from fedn_synth.face.muscles import AU_INDEX
from lookalikes.faces import eyes_of

N, SIZE, STEP = 90, 128, 2


def swaying(n_frames=N):
    """A face that sways, turns and nods, in drifting light, as the generated corpus does at its worst."""
    tracks = FaceTracks.neutral(n_frames)
    time = np.arange(n_frames) / 30
    for column, (reach, hertz) in enumerate(((6, 0.3), (4, 0.5), (1.5, 0.4), (2, 0.25), (1.5, 0.6))):
        tracks.pose[:, column] = reach * np.sin(2 * np.pi * hertz * time + column)
    tracks.light[:, 0] = 1 + 0.06 * np.sin(time)
    tracks.blink[20:26] = 1
    return tracks


def grey(face, tracks, frame):
    return cv2.cvtColor(face.render(tracks, frame, 3), cv2.COLOR_RGB2GRAY)


def tracked(face, tracks, step=STEP):
    """The transform of every frame."""
    tracker, faces = HeadTracker(), {}
    for frame in range(0, len(tracks), step):
        picture = grey(face, tracks, frame)
        tracker.add(frame, picture)
        if frame % 30 == 0:
            faces[frame] = find_face(picture)
    track = settled(tracker.track(), list(faces), list(faces.values()))
    return track, transforms(track, len(tracks), 30.0, SIZE)


def in_crop(face, tracks, placed):
    """`(T, K, 2)`: where the landmarks lie in the crops."""
    points = np.stack([face.landmarks(tracks, frame) for frame in range(len(tracks))])
    return np.einsum("tij,tkj->tki", placed[:, :, :2], points) + placed[:, None, :, 2]


def rms(points):
    """Root mean square distance of points from their own mean place."""
    return np.sqrt(((points - points.mean(axis=0)) ** 2).sum(-1).mean())


@pytest.fixture(scope="module")
def sway(face):
    tracks = swaying()
    return tracks, *tracked(face, tracks)


def rigid(tracks):
    """The same head without its expressions."""
    neutral = FaceTracks.neutral(len(tracks))
    neutral.pose[:] = tracks.pose
    return neutral


def test_sway_leaves_less_than_half_a_pixel(face, sway):
    tracks, track, placed = sway
    assert len(track.lost) == 0
    once = np.repeat(placed[:1], N, axis=0)
    assert rms(in_crop(face, rigid(tracks), once)) > 1.5, "what one transform for the video leaves"
    # What is left is mostly parallax: a nose nearer to the camera moves farther when the head turns.
    assert rms(in_crop(face, rigid(tracks), placed)) < 0.5


def test_the_eyes_stand_in_their_places(face, sway):
    tracks, _, placed = sway
    points = in_crop(face, rigid(tracks), placed)
    assert np.abs(eyes_of(points.mean(axis=0)) - canonical_eyes(SIZE)).max() < 3


def test_a_micro_expression_survives_and_moves_nothing_else(face):
    tracks = swaying()
    bump = np.sin(np.linspace(0, np.pi, 14)) ** 2
    for unit in ("4", "12"):
        tracks.action_units[50:64, AU_INDEX[unit]] = 0.3 * bump[:, None]
    _, placed = tracked(face, tracks)
    moving, head = in_crop(face, tracks, placed), in_crop(face, rigid(tracks), placed)
    corner = LANDMARK_INDEX["mouth_corner_left"]
    rest, apex = [49, 64], 56  # just before and after
    true = np.hypot(*(moving[apex, corner] - head[apex, corner]))
    seen = np.hypot(*(moving[apex, corner] - moving[rest, corner].mean(axis=0)))
    assert true > 0.4, "a motion worth finding"
    assert seen == pytest.approx(true, abs=0.2)
    invented = np.sqrt(((head[50:64] - head[rest].mean(axis=0)) ** 2).sum(-1).mean())
    assert invented < 0.25


def test_the_head_is_found_again_after_a_jump(face):
    tracks = FaceTracks.neutral(60)
    tracks.pose[30:, 0] = 60
    track, placed = tracked(face, tracks)
    points = eyes_of(in_crop(face, tracks, placed)[45:].mean(axis=0))
    assert np.abs(points - canonical_eyes(SIZE)).max() < 6
    assert len(track.lost) <= 5


def test_a_head_that_leaves_is_reported_lost(face):
    tracks = FaceTracks.neutral(1)
    picture, empty = grey(face, tracks, 0), np.full((480, 640), 90, np.uint8)
    tracker = HeadTracker()
    for frame in range(40):
        tracker.add(frame, empty if 10 <= frame < 20 else picture)
    assert set(range(10, 20)) <= set(tracker.track().lost.tolist()) < set(range(10, 30))


def test_points_that_move_by_themselves_are_outvoted():
    rng = np.random.default_rng(0)
    points = rng.uniform(0, 100, (60, 2))
    angle, scale, shift = 0.05, 1.02, np.array([2.0, -1.0])
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    moved = points @ turn.T + shift
    moved[:18] += [0, -6]
    (a, b), share = similarity(points, moved)
    assert (abs(a), np.angle(a)) == pytest.approx((scale, angle), abs=1e-3)
    assert (b.real, b.imag) == pytest.approx(tuple(shift), abs=0.05)
    assert share == pytest.approx(0.7, abs=0.05)


def test_smoothing_keeps_drift_and_level_and_takes_noise():
    line = np.linspace(3, 9, 50)
    assert smooth(line, 4.0) == pytest.approx(line)
    noise = np.random.default_rng(0).normal(size=500)
    assert smooth(noise, 4.0).std() < 0.4
    assert smooth(np.array([5.0]), 4.0).tolist() == [5.0]
