from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from fedn_synth.face.anatomy import LANDMARK_INDEX
from fedn_synth.face.identity import Identity
from fedn_synth.face.motion import FRAME_SHAPES, FaceTracks
from fedn_synth.face.muscles import AU_CODES, AU_INDEX, EMOTION_UNITS, LEFT, PULLS, RIGHT, STRONG_UNITS
from fedn_synth.face.renderer import FaceRenderer


def test_tracks_are_float32_with_time_first() -> None:
    still = FaceTracks.neutral(5)
    assert len(still) == 5
    for name, shape in FRAME_SHAPES.items():
        track = getattr(still, name)
        assert track.shape == (5, *shape)
        assert track.dtype == np.float32


def test_slice_is_a_view_of_the_same_frames() -> None:
    tracks = FaceTracks.neutral(6)
    tracks.blink[:] = np.arange(6)
    part = tracks[2:4]
    assert len(part) == 2
    assert part.blink.tolist() == [2, 3]
    assert np.shares_memory(part.pose, tracks.pose)


@pytest.mark.parametrize("track", FRAME_SHAPES)
def test_tracks_of_another_length_are_refused(track: str) -> None:
    still, longer = FaceTracks.neutral(3), FaceTracks.neutral(4)
    with pytest.raises(ValueError, match="must have shape"):
        dataclasses.replace(still, **{track: getattr(longer, track)})


# Unit, landmark, and the px it moves right and down at full intensity on the person's left (right of the picture).
EXPECTED = [
    ("1", "brow_inner_left", (-3, 1), (-12, -8)),
    ("2", "brow_outer_left", (-1, 3), (-12, -7)),
    ("4", "brow_inner_left", (-9, -4), (4, 9)),
    ("5", "upper_lid_left", (-1, 1), (-6, -2.5)),
    ("6", "cheek_left", (-4, 2), (-11, -5)),
    ("7", "lower_lid_left", (-1, 1), (-6, -1.5)),
    ("9", "nose_wing_left", (-1, 5), (-11, -5)),
    ("10", "upper_lip", (-1, 1), (-9, -4)),
    ("12", "mouth_corner_left", (6, 12), (-13, -7)),
    ("14", "mouth_corner_left", (3, 9), (-4, 2)),
    ("15", "mouth_corner_left", (0, 5), (7, 13)),
    ("17", "lower_lip", (-1, 1), (-10, -5)),
    ("20", "mouth_corner_left", (8, 15), (0, 6)),
    ("23", "mouth_corner_left", (-8, -3), (-2, 2)),
    ("24", "lower_lip", (-1, 1), (-8, -3)),
    ("25", "lower_lip_edge", (-1, 1), (3, 8)),
    ("26", "lower_lip", (-1, 1), (18, 30)),
    ("26", "chin", (-1, 1), (12, 26)),
]


@pytest.fixture(scope="module")
def people() -> list[FaceRenderer]:
    return [FaceRenderer(Identity.sample(seed)) for seed in (11, 12, 13)]


def contract(codes: tuple[str, ...], intensity: float = 1.0, halves: tuple[int, ...] = (LEFT, RIGHT)) -> FaceTracks:
    tracks = FaceTracks.neutral(2)
    for code in codes:
        tracks.action_units[1, AU_INDEX[code], list(halves)] = intensity
    return tracks


def moved(person: FaceRenderer, tracks: FaceTracks) -> np.ndarray:
    return person.landmarks(tracks, 1) - person.landmarks(tracks, 0)


def test_every_unit_has_a_muscle() -> None:
    assert set(AU_CODES) <= set(PULLS)


@pytest.mark.parametrize(("code", "landmark", "across", "down"), EXPECTED)
def test_units_move_skin_as_real_muscles_do(
    people: list[FaceRenderer], code: str, landmark: str, across: tuple[float, float], down: tuple[float, float]
) -> None:
    for person in people:
        size = person.identity.eyes.half_distance / 44
        x, y = moved(person, contract((code,)))[LANDMARK_INDEX[landmark]] / size
        assert across[0] <= x <= across[1]
        assert down[0] <= y <= down[1]


@pytest.mark.parametrize("code", ["1", "4", "12", "15", "26"])
def test_motion_is_linear_in_intensity(people: list[FaceRenderer], code: str) -> None:
    faint, small, full = (moved(people[0], contract((code,), i)) / i for i in (0.12, 0.35, 1.0))
    most = np.hypot(*full.T).argmax()
    assert np.hypot(*faint[most]) == pytest.approx(np.hypot(*small[most]), rel=0.06)
    # Skin that has come far meets a weaker part of the field.
    assert np.hypot(*faint[most]) == pytest.approx(np.hypot(*full[most]), rel=0.25)


def test_a_micro_expression_moves_half_a_pixel_to_a_few(people: list[FaceRenderer]) -> None:
    for emotion in ("happiness", "disgust", "anger", "sadness"):
        for intensity, least, most in ((0.12, 0.5, 2.0), (0.35, 1.5, 5.0)):
            motion = moved(people[0], contract(EMOTION_UNITS[emotion][0], intensity))
            assert least <= np.hypot(*motion.T).max() <= most


@pytest.mark.parametrize("code", ["2", "6", "12", "14", "15", "20"])
def test_the_halves_of_a_face_are_independent(people: list[FaceRenderer], code: str) -> None:
    both, left, right = (moved(people[1], contract((code,), 1.0, h)) for h in ((LEFT, RIGHT), (LEFT,), (RIGHT,)))
    on_left = [i for name, i in LANDMARK_INDEX.items() if name.endswith("_left")]
    on_right = [i for name, i in LANDMARK_INDEX.items() if name.endswith("_right")]
    assert np.abs(left[on_left] - both[on_left]).max() < 0.2
    assert np.abs(left[on_right]).max() < 0.2
    assert np.abs(right[on_right] - both[on_right]).max() < 0.2


def test_the_left_half_is_on_the_right_of_the_picture(people: list[FaceRenderer]) -> None:
    points = people[0].landmarks(FaceTracks.neutral(1), 0)
    assert points[LANDMARK_INDEX["mouth_corner_left"], 0] > 320 > points[LANDMARK_INDEX["mouth_corner_right"], 0]


@pytest.mark.parametrize("emotion", EMOTION_UNITS)
def test_no_emotion_tears_or_folds_the_skin(people: list[FaceRenderer], emotion: str) -> None:
    for alternative in EMOTION_UNITS[emotion]:
        tracks = contract(alternative + STRONG_UNITS.get(emotion, ()))
        tracks.pose[1] = (10, -10, 4, 4, 4, 1.03)
        for person in people:
            sources = person.motion.total(tracks, 1) + person.motion.positions
            step = person.motion.canvas.step
            down, across = (np.gradient(sources, axis=axis) / step for axis in (0, 1))
            area = across[..., 0] * down[..., 1] - across[..., 1] * down[..., 0]
            # Away from the head the plain wall may be squeezed; the face may not turn over.
            x, y = person.motion.canvas.x, person.motion.canvas.y
            face = (np.abs(x) < 105) & (y > 120) & (y < 440)
            assert area[face].min() > 0.05


@pytest.mark.parametrize(
    ("pose", "shift"),
    [
        ((7, 0, 0, 0, 0, 1), (7, 0)),
        ((0, -5, 0, 0, 0, 1), (0, -5)),
        ((0, 0, 0, 4, 0, 1), (5, 0)),
        ((0, 0, 0, 0, 4, 1), (0, 5)),
    ],
)
def test_pose_moves_the_nose(people: list[FaceRenderer], pose: tuple[float, ...], shift: tuple[float, float]) -> None:
    tracks = FaceTracks.neutral(2)
    tracks.pose[1] = pose
    for person in people:
        x, y = moved(person, tracks)[LANDMARK_INDEX["nose_tip"]]
        assert (x, y) == pytest.approx(shift, abs=2.5)


def test_turning_moves_the_nose_past_the_eyes(people: list[FaceRenderer]) -> None:
    tracks = FaceTracks.neutral(2)
    tracks.pose[1, 3] = 4
    motion = moved(people[0], tracks)[:, 0]
    assert motion[LANDMARK_INDEX["nose_tip"]] > motion[LANDMARK_INDEX["eye_outer_left"]] + 1


def test_roll_and_scale_are_similarities_of_the_face(people: list[FaceRenderer]) -> None:
    tracks = FaceTracks.neutral(2)
    tracks.pose[1] = (3, 2, 4, 0, 0, 1.04)
    eyes = [LANDMARK_INDEX["eye_centre_right"], LANDMARK_INDEX["eye_centre_left"]]
    before, after = (people[0].landmarks(tracks, frame)[eyes] for frame in (0, 1))
    (x0, y0), (x1, y1) = before[1] - before[0], after[1] - after[0]
    assert np.hypot(x1, y1) / np.hypot(x0, y0) == pytest.approx(1.04, abs=0.005)
    assert np.rad2deg(np.arctan2(y1, x1) - np.arctan2(y0, x0)) == pytest.approx(4, abs=0.2)


def test_arrive_inverts_the_field(people: list[FaceRenderer]) -> None:
    tracks = contract(("1", "2", "5", "26"))
    tracks.pose[1] = (8, -6, 3, 2, -3, 0.98)
    motion = people[2].motion
    field = motion.total(tracks, 1)
    sources = people[2].anatomy.landmarks() + np.float32([319.5, 0])
    seen = motion.arrive(sources, field)
    from fedn_synth.face.motion import sample_field

    at = (seen - (motion.canvas.left, motion.canvas.top) + 0.5) / motion.canvas.step - 0.5
    back = seen + sample_field(field, at[None].astype(np.float32))[0]
    assert np.abs(back - sources).max() < 0.02
