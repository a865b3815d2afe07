"""A neutral stretch of a person, and what is relative to it."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from fedn_lightning.cli.main import main
from fedn_lightning.errors import VideoError
from fedn_lightning.events import EventTable
from fedn_lightning.inference.baseline import with_baseline
from fedn_lightning.inference.detections import Detections, FaceTrack
from fedn_lightning.inference.measures import FrameMeasures, UnreliableSpan
from fedn_lightning.motion.features import AREAS, N_TRACKS

N, FPS = 1800, 30.0
CORNER = [area.name for area in AREAS].index("mouth corner, left")


@pytest.fixture
def found():
    """A minute: restless, quiet from 20 s on, noisy again from 40 s on; a smile at 50 s; unreliable at 25 s."""
    rng = np.random.default_rng(0)
    moved = rng.normal(0, 0.02, (N, N_TRACKS, 2))
    moved[600:1200] *= 0.25
    moved[1500:1530, CORNER, 0] = 0.1
    rows = [  # video, subject, start, end, type, emotion, score, emotion score
        [0, 0, 690, 720, 0, 0, 0.6, 1.0],
        [0, 0, 900, 910, 1, 0, 0.3, 1.0],
        [0, 0, 100, 130, 0, 0, 0.55, 1.0],
        [0, 0, 1500, 1530, 0, 0, 0.9, 1.0],
        [0, 0, 1600, 1610, 1, 0, 0.52, 1.0],
    ]
    face = FaceTrack(1, (10, 10, 50, 50), EventTable.from_rows(rows), np.zeros((N, 2)))
    measures = FrameMeasures(moved.astype(np.float16), np.linalg.norm(moved[:, :10], axis=-1).max(axis=1))
    return Detections(
        video="v.mp4", checkpoint="best.ckpt", n_frames=N, fps=FPS, times=None, emotions=("a",), threshold=(0.5, 0.5),
        n_faces=1, faces=(face,), squares=(np.zeros((1, 2, 3)),), crop_size=32, crop_fps=FPS, measures=(measures,),
        unreliable=(UnreliableSpan(1, 740.0, 760.0, "blurred"),),
    )  # fmt: skip


def test_the_quietest_reliable_stretch_is_taken(found):
    (baseline,) = with_baseline(found, "auto").baselines
    assert baseline.end - baseline.start == 300  # ten seconds
    assert baseline.start >= 760
    assert baseline.end <= 1200
    assert baseline.how == "quietest"
    assert baseline.movement == pytest.approx(0.005 * np.sqrt(2), rel=0.1)


def test_motion_and_intensity_are_multiples_of_the_neutral_motion(found):
    changed = with_baseline(found, (21.0, 24.0))
    lengths = np.linalg.norm(changed.measures[0].moved.astype(float), axis=-1)
    assert np.sqrt((lengths[630:720] ** 2).mean()) == pytest.approx(1, abs=0.01)
    assert np.sqrt((lengths[:300] ** 2).mean()) == pytest.approx(4, rel=0.1)
    smile = next(e for e in changed if e.frames[0] == 1501)
    assert smile.intensity == pytest.approx(0.1 / (0.005 * np.sqrt(2)), rel=0.15)
    assert changed.measures[0].movement[1510] == pytest.approx(lengths[1510, :10].max(), rel=1e-3)


def test_an_expression_must_exceed_what_is_proposed_in_the_neutral_stretch(found):
    before = {(e.type, e.frames[0]) for e in found}
    assert before == {("macro", 691), ("macro", 101), ("macro", 1501), ("micro", 1601)}
    changed = with_baseline(found, (21.0, 35.0))
    assert {(e.type, e.frames[0]) for e in changed} == {("macro", 1501), ("micro", 1601)}
    (note,) = changed.notes
    assert "00:00:21.000 to 00:00:35.000 (given)" in note
    assert "reaches 0.60 (macro) and 0.30 (micro) there; 2 expressions" in note
    (told,) = changed.to_dict()["baselines"]
    assert told["start_seconds"] == 21.0
    assert told["reached"] == [0.6, 0.3]


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ((50.0, 61.0), r"--baseline 50-61 does not lie in the video, which goes from 0.000 s to 60.000 s"),
        ((24.5, 25.5), r"face 1 is reliably seen for 0.3 s of --baseline 24.5-25.5; 1 s are needed"),
    ],
)
def test_a_bad_stretch_is_refused(found, reference, message):
    with pytest.raises(VideoError, match=message):
        with_baseline(found, reference)


def test_nobody_is_reliably_seen(found):
    spans = tuple(UnreliableSpan(1, float(start), start + 10.0, "cut") for start in range(0, N, 40))
    with pytest.raises(VideoError, match=r"reliably seen for 1.0 s at a time; --baseline auto needs 2 s"):
        with_baseline(replace(found, unreliable=spans), "auto")


@pytest.mark.parametrize("word", ["now", "5", "9-8", "5-5.5", "-3-4", "1:2:3:4-5"])
def test_a_word_that_is_no_stretch_is_refused_at_once(word, films, trained, capsys):
    assert main(["predict", str(films / "thirty.mp4"), "--ckpt", str(trained.path), f"--baseline={word}"]) == 2
    assert f"--baseline {word} must" in capsys.readouterr().err


def test_predict_records_the_stretch(films, trained, tmp_path, capsys):
    words = ["predict", str(films / "thirty.mp4"), "--ckpt", str(trained.path), "--out", str(tmp_path)]
    assert main([*words, "--baseline", "0:01-3.5"]) == 0
    told = json.loads((tmp_path / "thirty" / "prediction.json").read_text())
    assert told["settings"]["baseline"] == "0:01-3.5"
    assert [(b["face"], b["start"], b["end"], b["how"]) for b in told["baselines"]] == [(1, 30, 105, "given")]
    capsys.readouterr()
    assert main([*words, "--baseline", "1-9"]) == 1  # made anew, not taken for finished
    assert "does not lie in the video" in capsys.readouterr().err
