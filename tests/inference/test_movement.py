"""The measures of each frame, alone and as `fedn predict` writes them."""

import csv
from dataclasses import replace

import cv2
import numpy as np
import pytest
from heads import needs_anny

from fedn_lightning.cli.main import main
from fedn_lightning.events import EventTable
from fedn_lightning.inference import measures, writers
from fedn_lightning.inference.detections import FaceTrack
from fedn_lightning.inference.detector import Detector
from fedn_lightning.inference.measures import BLINK, CropWatch, MovementWatch, UnreliableSpan
from fedn_lightning.inference.writers import columns, crop_places, emotion_curves, write_frames
from fedn_lightning.motion.features import AREAS, FILTERS, N_TRACKS, excursions
from fedn_lightning.motion.flow import MotionConfig
from fedn_lightning.video.alignment import crop, eye_transform
from fedn_lightning.video.faces import find_face, moving_face
from fedn_synth.face.identity import Identity
from fedn_synth.face.motion import FaceTracks
from fedn_synth.renderers import make_renderer


def test_blocks_give_what_the_whole_gives(monkeypatch):
    rng = np.random.default_rng(0)
    fps, n = 5.0, 1500
    moved = rng.normal(0, 0.01, (n, N_TRACKS, 2)).cumsum(axis=0).astype(np.float32)
    monkeypatch.setattr(measures, "BLOCK", 128)
    watch = MovementWatch(n, fps, MotionConfig())
    for part in np.array_split(moved, 7):
        watch.take(part)
    found = watch.measures()
    whole = excursions(moved, fps, *FILTERS[0])
    assert np.array_equal(found.moved, whole.astype(np.float16))
    lengths = np.linalg.norm(whole[:, :10], axis=-1).max(axis=1)
    assert found.movement == pytest.approx(lengths, rel=2e-3, abs=1e-5)


def test_a_moved_mouth_corner_shows_in_its_column_and_its_size():
    """0.1 eye distances for half a second; everything else rests."""
    moved = np.zeros((300, N_TRACKS, 2), np.float32)
    corner = [area.name for area in AREAS].index("mouth corner, left")
    moved[150:165, corner, 1] = -0.1
    watch = MovementWatch(300, 30.0, MotionConfig())
    watch.take(moved)
    found = watch.measures()
    assert found.movement.max() == pytest.approx(0.1, abs=0.005)
    assert found.moved[157, corner, 1] == pytest.approx(-0.1, abs=0.005)
    assert not found.movement[:130].any()


def test_movement_of_every_other_crop_is_about_that_of_every_crop():
    frames = moving_face(64, 90)
    whole, half = (MovementWatch(90, 30.0, MotionConfig(side=64, rate=rate)) for rate in (None, 15.0))
    for part in np.array_split(frames, 7):
        assert whole.add(part).shape == half.add(part).shape == (len(part), 0)
    one, other = whole.measures(), half.measures()
    assert one.moved.shape == other.moved.shape
    assert other.movement.max() == pytest.approx(one.movement.max(), rel=0.1)
    assert np.corrcoef(one.movement, other.movement)[0, 1] > 0.98


def test_places_and_tilt_follow_the_crop():
    angle, scale, size = np.radians(20), 0.5, 32
    linear = scale * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    centre = np.array([200.0, 120.0])  # of a head that is tilted clockwise by 20 degrees
    transform = np.concatenate([linear, (size / 2 - linear @ centre)[:, None]], axis=1)
    places, roll = crop_places(transform[None], size)
    assert places[0] == pytest.approx([200 - 32, 120 - 32, 64, 64])
    assert roll == pytest.approx([20])


def test_emotions_are_scored_frame_by_frame():
    rows = [[0, 0, 2, 5, 0, 1, 0.8, 0.5], [0, 0, 4, 8, 1, 1, 0.9, 0.9], [0, 0, 0, 9, 0, -1, 1.0, 1.0]]
    curves = emotion_curves(FaceTrack(1, None, EventTable.from_rows(rows), np.zeros((9, 2))), ("a", "b"), 9)
    assert curves[:, 0].tolist() == [0] * 9
    assert curves[:, 1] == pytest.approx([0, 0, 0.4, 0.4, 0.81, 0.81, 0.81, 0.81, 0])


def test_predict_writes_a_row_for_each_frame_of_the_video(films, trained, tmp_path, monkeypatch):
    monkeypatch.setattr(writers, "BLOCK", 64)
    out = tmp_path / "out"
    assert main(["predict", str(films / "fifty.mp4"), "--ckpt", str(trained.path), "--out", str(out)]) == 0
    found = Detector.from_checkpoint(trained.path).detect(films / "fifty.mp4")
    with (out / "fifty" / "frames.csv").open(newline="") as file:
        reader = csv.DictReader(file)
        rows = list(reader)
    assert reader.fieldnames == columns(found.emotions)
    assert [row["frame"] for row in rows] == [str(n) for n in range(1, 201)]
    assert len(found.measures[0].movement) == 120  # 4 s at 30 fps
    first, last = rows[0], rows[-1]
    assert (first["input"], first["face"], first["Pitch"], first["unreliable"]) == ("fifty.mp4", "1", "", "")
    assert float(last["approx_time"]) == pytest.approx(199 / 50)
    number = {
        name: np.array([float(row[name]) for row in rows])
        for name in ("confidence_macro", "movement", "FaceScore", "blink", "motion_chin_x")
    }
    assert number["confidence_macro"] == pytest.approx(found.faces[0].curve[:, 0], abs=1e-4)
    crops = np.minimum(np.rint(np.arange(200) * 30 / 50), 119).astype(int)
    assert number["movement"] == pytest.approx(found.measures[0].movement[crops], abs=1e-4)
    chin = [area.name for area in AREAS].index("chin")
    assert number["motion_chin_x"] == pytest.approx(found.measures[0].moved[crops, chin, 0], abs=1e-4)
    assert number["FaceScore"].min() > 0.3
    assert number["blink"].max() < BLINK  # nobody blinks in this film
    x, y, width, height = (float(first[f"FaceRect{name}"]) for name in ("X", "Y", "Width", "Height"))
    box = found.faces[0].box
    assert x < box[0] + box[2] / 2 < x + width
    assert y < box[1] + box[3] / 2 < y + height
    with (out / "fifty" / "events.csv").open(newline="") as file:
        events = list(csv.DictReader(file))
    assert [float(row["intensity"]) for row in events] == [round(e.intensity, 5) for e in found]


def test_a_frame_names_why_it_is_unreliable(films, trained, tmp_path):
    found = Detector.from_checkpoint(trained.path).detect(films / "thirty.mp4")
    doubtful = replace(found, unreliable=(UnreliableSpan(1, 9.7, 20.2, "blurred"), UnreliableSpan(2, 0, 99, "cut")))
    with write_frames(tmp_path / "frames.csv", doubtful).open(newline="") as file:
        reasons = [row["unreliable"] for row in csv.DictReader(file)]
    assert reasons == [""] * 10 + ["blurred"] * 10 + [""] * 130


def test_the_table_opens_as_a_data_frame(films, trained, tmp_path):
    pandas = pytest.importorskip("pandas")
    found = Detector.from_checkpoint(trained.path).detect(films / "thirty.mp4")
    table = pandas.read_csv(write_frames(tmp_path / "frames.csv", found))
    assert table.shape == (150, len(columns(found.emotions)))
    assert table[["FaceRectX", "FaceRectWidth", "blink", "head_x"]].notna().all(axis=None)


@pytest.mark.parametrize("faces", ["2d", pytest.param("3d", marks=needs_anny)])
def test_blinks_are_told_from_looking_aside_and_from_a_moving_head(faces):
    renderer = make_renderer(faces, Identity.sample(300))
    tracks = FaceTracks.neutral(150)
    lids = np.array([0.5, 1, 1, 0.75, 0.3])
    blinks = (40, 75, 110)
    for start in blinks:
        tracks.blink[start : start + 5] = lids
    tracks.blink[130:135] = 0.5 * lids  # half shut
    tracks.gaze[55:65] = (0.6, 0.3)
    tracks.pose[:, :2] = 3 * np.sin(np.arange(150) / 15)[:, None]
    seen = [*range(35, 150, 1)]
    pictures = [renderer.render(tracks, frame, 0) for frame in seen]
    face = find_face(cv2.cvtColor(pictures[0], cv2.COLOR_RGB2GRAY))
    assert face is not None
    transform = eye_transform(face.left, face.right, 128)
    watch = CropWatch(30.0)
    watch.add(np.stack([crop(picture, transform, 128) for picture in pictures]))
    blink = watch.quality(np.full(len(seen), 60.0)).blink
    for start in blinks:
        assert blink[start - 35 : start - 30].max() > 2 * BLINK
    shut = tracks.blink[seen] > 0
    assert blink[~shut].max() < BLINK
