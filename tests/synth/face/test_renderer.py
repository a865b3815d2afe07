from __future__ import annotations

import dataclasses
import gc
import hashlib
import itertools
import subprocess
import sys
import weakref

import cv2
import numpy as np
import pytest

from fedn_synth.face.anatomy import LANDMARK_INDEX, LANDMARKS
from fedn_synth.face.identity import SKIN_TONES, GlassesStyle, Identity
from fedn_synth.face.motion import FaceTracks
from fedn_synth.face.muscles import AU_CODES, AU_INDEX
from fedn_synth.face.renderer import FaceRenderer

CROP = np.array([[0.52, 0.0, -102.0], [0.0, 0.52, -84.0]])


@pytest.fixture(scope="module")
def person() -> FaceRenderer:
    return FaceRenderer(wearing(Identity.sample(5), "none"))


@pytest.fixture(scope="module")
def reader() -> FaceRenderer:
    return FaceRenderer(wearing(Identity.sample(6), "square"))


def wearing(identity: Identity, glasses: GlassesStyle) -> Identity:
    return dataclasses.replace(identity, outfit=dataclasses.replace(identity.outfit, glasses=glasses))


def busy_tracks() -> FaceTracks:
    tracks = FaceTracks.neutral(2)
    tracks.action_units[1, [AU_INDEX[code] for code in ("1", "2", "12", "25")]] = 0.6
    tracks.gaze[1] = (0.5, -0.4)
    tracks.pose[1] = (6, -4, 3, 3, -2, 1.02)
    tracks.light[1] = (1.05, 0.5, -0.4)
    tracks.speech[1] = (0.4, 0.2)
    tracks.blink[1] = 0.3
    return tracks


def difference(person: FaceRenderer, tracks: FaceTracks) -> np.ndarray:
    """Absolute change of every pixel between frames 0 and 1, under the same noise."""
    still, changed = (person.render(tracks[frame : frame + 1], 0, 0).astype(int) for frame in (0, 1))
    return np.abs(changed - still)


def test_pictures_have_the_size_of_casme2(person: FaceRenderer) -> None:
    picture = person.render(FaceTracks.neutral(1), 0, 0)
    assert picture.shape == (480, 640, 3)
    assert picture.dtype == np.uint8


SCRIPT = """
import hashlib
import itertools
from fedn_synth.face.identity import Identity
from fedn_synth.face.motion import FaceTracks
from fedn_synth.face.renderer import FaceRenderer
tracks = FaceTracks.neutral(3); tracks.action_units[2, 8] = 0.7; tracks.pose[2, 0] = 3.3
print(hashlib.sha256(FaceRenderer(Identity.sample(21)).render(tracks, 2, 9).tobytes()).hexdigest())
"""


def test_another_process_renders_the_same_pixels() -> None:
    tracks = FaceTracks.neutral(3)
    tracks.action_units[2, 8] = 0.7
    tracks.pose[2, 0] = 3.3
    here = FaceRenderer(Identity.sample(21))
    here.render(busy_tracks(), 1, 4)  # what was rendered before must leave no trace
    expected = hashlib.sha256(here.render(tracks, 2, 9).tobytes()).hexdigest()
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == expected


def test_a_frame_does_not_depend_on_the_frames_before(reader: FaceRenderer) -> None:
    tracks = busy_tracks()
    first = reader.render(tracks, 0, 1)
    reader.render(tracks, 1, 1)
    assert np.array_equal(reader.render(tracks, 0, 1), first)


def test_a_renderer_is_freed_at_once() -> None:
    # Pre-training draws hundreds of people; memory that waits for the collector would pile up.
    gc.disable()
    try:
        person = FaceRenderer(Identity.sample(1))
        person.render(busy_tracks(), 1, 0)
        trace = weakref.ref(person)
        del person
        assert trace() is None
    finally:
        gc.enable()


def test_noise_is_a_function_of_seed_and_frame(person: FaceRenderer, reader: FaceRenderer) -> None:
    still = FaceTracks.neutral(3)
    assert np.array_equal(person.render(still, 1, 5), person.render(still, 1, 5))
    assert not np.array_equal(person.render(still, 1, 5), person.render(still, 2, 5))
    assert not np.array_equal(person.render(still, 1, 5), person.render(still, 1, 6))
    spread = (person.render(still, 1, 5).astype(float) - person.render(still, 2, 5)).std() / np.sqrt(2)
    assert spread == pytest.approx(person.identity.outfit.noise, rel=0.15)


@pytest.mark.parametrize("code", AU_CODES)
def test_a_micro_expression_of_every_unit_shows(person: FaceRenderer, code: str) -> None:
    tracks = FaceTracks.neutral(2)
    tracks.action_units[1, AU_INDEX[code]] = 0.2
    changed = difference(person, tracks)
    assert (changed.max(axis=2) >= 3).sum() > 60
    assert changed[:100].max() == 0  # nothing above the forehead


@pytest.mark.parametrize(
    ("track", "value"),
    [
        ("blink", 0.8),
        ("gaze", (0.6, 0.0)),
        ("gaze", (0.0, -0.6)),
        ("speech", (0.5, 0.0)),
        ("speech", (0.0, 0.7)),
        ("swallow", 0.8),
        ("pose", (4, 0, 0, 0, 0, 1)),
        ("pose", (0, 0, 3, 0, 0, 1)),
        ("pose", (0, 0, 0, 4, 0, 1)),
        ("pose", (0, 0, 0, 0, 4, 1)),
        ("pose", (0, 0, 0, 0, 0, 1.03)),
        ("light", (1.1, 0, 0)),
        ("light", (1, 0.5, 0)),
        ("light", (1, 0, 0.5)),
    ],
)
def test_every_distractor_shows(person: FaceRenderer, track: str, value: float | tuple[float, ...]) -> None:
    tracks = FaceTracks.neutral(2)
    getattr(tracks, track)[1] = value
    assert (difference(person, tracks).max(axis=2) >= 4).sum() > 150


def test_warm_light_is_redder_and_the_gradient_brightens_the_right(person: FaceRenderer) -> None:
    tracks = FaceTracks.neutral(3)
    tracks.light[1] = (1, 0, 1)
    tracks.light[2] = (1, 1, 0)
    plain, warm, sided = (person.render(tracks, frame, 0).astype(float) for frame in range(3))
    assert warm[..., 0].mean() > plain[..., 0].mean() + 3
    assert warm[..., 2].mean() < plain[..., 2].mean() - 3
    assert sided[:, 600:].mean() > plain[:, 600:].mean() + 10
    assert sided[:, :40].mean() < plain[:, :40].mean() - 10


def test_shut_lids_hide_the_eyeball(person: FaceRenderer) -> None:
    tracks = FaceTracks.neutral(2)
    tracks.blink[1] = 1
    names = ("upper_lid_left", "lower_lid_left")
    wide, shut = (person.landmarks(tracks, f)[[LANDMARK_INDEX[n] for n in names], 1] for f in (0, 1))
    assert wide[1] - wide[0] > 9
    assert shut[1] - shut[0] == pytest.approx(0, abs=0.01)
    x, y = np.round(person.landmarks(tracks, 0)[LANDMARK_INDEX["eye_centre_left"]]).astype(int)
    iris = slice(y - 5, y - 1), slice(x - 4, x + 5)
    still, blink = (person.render(tracks, f, 0)[iris].astype(float).mean() for f in (0, 1))
    assert blink > still + 30


def test_the_iris_follows_the_gaze(person: FaceRenderer) -> None:
    tracks = FaceTracks.neutral(2)
    tracks.gaze[:, 0] = (-1, 1)
    x, y = np.round(person.landmarks(tracks, 0)[LANDMARK_INDEX["eye_centre_left"]]).astype(int)
    columns = []
    for frame in (0, 1):
        eye = person.render(tracks, frame, 0)[y - 4 : y + 1, x - 18 : x + 19].astype(float).mean(axis=(0, 2))
        dark = np.clip(np.quantile(eye, 0.6) - eye, 0, None)
        columns.append((dark * np.arange(37)).sum() / dark.sum())
    assert columns[1] - columns[0] > 8


@pytest.mark.parametrize(
    "name", ["nose_tip", "cheek_left", "brow_middle_right", "brow_inner_left", "mouth_corner_right"]
)
def test_landmarks_are_where_their_texture_is_seen(name: str) -> None:
    person = FaceRenderer(wearing(Identity.sample(5), "none"))
    tracks = busy_tracks()
    tracks.light[1] = (1, 0, 0)
    x, y = np.round(person.landmarks(FaceTracks.neutral(1), 0)[LANDMARK_INDEX[name]]).astype(int)
    offset = person.landmarks(FaceTracks.neutral(1), 0)[LANDMARK_INDEX[name]] - (x, y)
    plain = person.render(tracks, 1, 0).astype(float)
    person._shut[y - 1 : y + 2, x - 1 : x + 2] = (0, 255, 0)
    spot = np.abs(person.render(tracks, 1, 0) - plain).sum(axis=2)
    rows, columns = np.mgrid[: spot.shape[0], : spot.shape[1]]
    centre = np.array([(spot * columns).sum(), (spot * rows).sum()]) / spot.sum()
    expected = person.landmarks(tracks, 1)[LANDMARK_INDEX[name]] - offset
    assert np.abs(centre - expected).max() < 0.5


def test_landmarks_come_in_the_order_of_their_names(person: FaceRenderer) -> None:
    points = person.landmarks(FaceTracks.neutral(1), 0)
    assert points.shape == (len(LANDMARKS), 2)
    assert points.dtype == np.float32
    corners = points[[LANDMARK_INDEX["eye_outer_left"], LANDMARK_INDEX["eye_inner_left"]]]
    assert points[LANDMARK_INDEX["eye_centre_left"]] == pytest.approx(corners.mean(axis=0), abs=0.01)


@pytest.mark.parametrize("angle", [0.0, 7.0])
def test_a_crop_shows_what_the_picture_shows(person: FaceRenderer, reader: FaceRenderer, angle: float) -> None:
    turn = np.vstack([cv2.getRotationMatrix2D((64, 64), angle, 1.0), [0, 0, 1]])
    transform = (turn @ np.vstack([CROP, [0, 0, 1]]))[:2]
    tracks = busy_tracks()
    for one in (person, reader):
        direct = one.render_crop(tracks, 1, 3, 128, transform)
        detour = cv2.warpAffine(one.render(tracks, 1, 3), transform, (128, 128), borderMode=cv2.BORDER_REFLECT_101)
        assert direct.shape == (128, 128, 3)
        error = np.abs(direct.astype(float) - detour)
        assert error.mean() < 2.0
        assert np.quantile(error, 0.99) < 14


def test_a_crop_may_reach_beyond_the_head(person: FaceRenderer) -> None:
    transform = np.array([[0.2, 0.0, 0.0], [0.0, 0.2, 16.0]])
    still = FaceTracks.neutral(1)
    direct = person.render_crop(still, 0, 3, 128, transform)[20:108]
    detour = cv2.warpAffine(person.render(still, 0, 3), transform, (128, 128))[20:108]
    assert np.abs(direct.astype(float) - detour).mean() < 2.0


def test_glasses_stay_rigid_when_the_brows_rise(reader: FaceRenderer) -> None:
    tracks = FaceTracks.neutral(2)
    tracks.action_units[1, [AU_INDEX["1"], AU_INDEX["2"]]] = 1
    canvas, sprite = reader._glasses or pytest.fail("this identity wears glasses")
    frame = sprite[..., 3] > 230
    still, raised = (reader.render(tracks[f : f + 1], 0, 0)[canvas.slices].astype(int) for f in (0, 1))
    assert np.abs(raised - still)[frame].max() <= 6


def test_a_small_picture_is_the_large_one_reduced() -> None:
    identity = wearing(Identity.sample(5), "none")
    small, large = FaceRenderer(identity, 240, 320), FaceRenderer(identity)
    tracks = busy_tracks()
    tracks.pose[1, :2] = 0  # translations are in px of the picture
    a, b = (one.landmarks(tracks, 1) for one in (small, large))
    middles = np.array([[159.5, 0], [319.5, 0]])
    assert (a - middles[0]) * 2 == pytest.approx(b - middles[1], abs=1.0)
    assert small.render(tracks, 1, 0).shape == (240, 320, 3)


def test_faces_and_eyes_of_all_tones_and_glasses_are_found_by_the_detector() -> None:
    face_cascade, eye_cascade, glasses_cascade = (
        cv2.CascadeClassifier(cv2.data.haarcascades + f"haarcascade_{name}.xml")
        for name in ("frontalface_alt2", "eye", "eye_tree_eyeglasses")
    )
    faces, eyes = [], []
    styles: tuple[GlassesStyle, ...] = ("none", "round", "square")
    strangers = map(Identity.sample, itertools.count(1000))
    for tone, glasses in itertools.product(SKIN_TONES, styles):
        person = FaceRenderer(wearing(next(p for p in strangers if abs(p.skin.tone[0] - tone[0]) < 12), glasses))
        still = FaceTracks.neutral(1)
        grey = cv2.cvtColor(person.render(still, 0, 0), cv2.COLOR_RGB2GRAY)
        points = person.landmarks(still, 0)
        found = face_cascade.detectMultiScale(grey, 1.1, 4, minSize=(100, 100))
        x, y, width, height = max(found, key=lambda box: box[2], default=(0, 0, 0, 0))
        nose = points[LANDMARK_INDEX["nose_tip"]] - (x, y)
        faces.append(bool((nose > 0.35 * width).all() and (nose < 0.75 * width).all()))
        if not faces[-1]:
            continue
        upper = grey[y : y + int(0.6 * height), x : x + width]
        centres = np.array(
            [
                (x + left + w / 2, y + top + h / 2)
                for cascade in (eye_cascade, glasses_cascade)
                for left, top, w, h in cascade.detectMultiScale(upper, 1.05, 3, minSize=(24, 24))
            ]
        ).reshape(-1, 2)
        for side in ("left", "right"):
            distance = np.hypot(*(centres - points[LANDMARK_INDEX[f"eye_centre_{side}"]]).T)
            eyes.append(bool((distance < 14).any()))
    assert np.mean(faces) >= 0.95
    assert np.mean(eyes) >= 0.95
