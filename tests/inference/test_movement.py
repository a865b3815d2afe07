"""The measures of each frame, alone and as `fedn predict --motion` writes them."""

import csv

import numpy as np
import pytest

from fedn_lightning.cli.main import main
from fedn_lightning.events import EventTable
from fedn_lightning.inference import motion_table, movement
from fedn_lightning.inference.detections import FaceTrack
from fedn_lightning.inference.detector import Detector
from fedn_lightning.inference.motion_table import columns, crop_places, emotion_curves
from fedn_lightning.inference.movement import MovementWatch
from fedn_lightning.motion.features import AREAS, FILTERS, N_TRACKS, excursions
from fedn_lightning.motion.flow import MotionConfig


def test_blocks_give_what_the_whole_gives(monkeypatch):
    rng = np.random.default_rng(0)
    fps, n = 5.0, 1500
    moved = rng.normal(0, 0.01, (n, N_TRACKS, 2)).cumsum(axis=0).astype(np.float32)
    for module in (movement, motion_table):
        monkeypatch.setattr(module, "BLOCK", 128)
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


def test_predict_writes_a_row_for_each_frame_at_the_working_rate(films, trained, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["predict", str(films / "fifty.mp4"), "--ckpt", str(trained.path), "--out", str(out), "--motion"]) == 0
    detector = Detector.from_checkpoint(trained.path)
    found = detector.detect(films / "fifty.mp4", measure=True)
    with (out / "fifty" / "motion.csv").open(newline="") as file:
        reader = csv.DictReader(file)
        rows = list(reader)
    assert reader.fieldnames == columns(found.emotions)
    assert len(rows) == len(found.measures[0].movement) == 120  # 4 s at 30 fps
    first, last = rows[0], rows[-1]
    assert (first["input"], first["face"], first["frame"]) == ("fifty.mp4", "1", "1")
    assert 195 <= int(last["frame"]) <= 200
    assert float(last["approx_time"]) == pytest.approx((int(last["frame"]) - 1) / 50, abs=1e-3)
    number = {name: np.array([float(row[name]) for row in rows]) for name in ("macro", "movement", "FaceScore")}
    curve = found.faces[0].curve[[int(row["frame"]) - 1 for row in rows]]
    assert number["macro"] == pytest.approx(curve[:, 0], rel=1e-3)
    assert number["movement"] == pytest.approx(found.measures[0].movement, rel=1e-3)
    assert number["FaceScore"].min() > 0.3
    assert {row["reliable"] for row in rows} == {"1"}
    x, y, width, height = (float(first[f"FaceRect{name}"]) for name in ("X", "Y", "Width", "Height"))
    box = found.faces[0].box
    assert x < box[0] + box[2] / 2 < x + width
    assert y < box[1] + box[3] / 2 < y + height
    with (out / "fifty" / "events.csv").open(newline="") as file:
        events = list(csv.DictReader(file))
    assert [float(row["intensity"]) for row in events] == [round(e.intensity, 5) for e in found]


def test_the_events_are_the_same_without_measures(films, trained):
    detector = Detector.from_checkpoint(trained.path)
    plain, measured = (detector.detect(films / "thirty.mp4", measure=measure) for measure in (False, True))
    assert [(e.start, e.end, e.confidence) for e in plain] == [(e.start, e.end, e.confidence) for e in measured]
    assert plain.measures == ()
    assert all(e.intensity is None for e in plain)
