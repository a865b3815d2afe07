from pathlib import Path

import cv2
import numpy as np
import pytest

from fedn_lightning.errors import ConfigError
from fedn_lightning.video.alignment import canonical_eyes
from fedn_synth.face.anatomy import LANDMARK_INDEX, LANDMARKS
from fedn_synth.face.muscles import EMOTION_UNITS
from fedn_synth.write.stills import (
    CLASSES,
    EMOTIONS,
    MAX_SHIFT,
    MomentsJob,
    StillsJob,
    draw_crop,
    n_validation,
    pose_for_stills,
    write_moments,
    write_stills,
)

JOB = StillsJob(seed=0, identities=4, per_identity=3, size=64)


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def stills(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("stills") / "out"
    write_stills(out, JOB, jobs=1)
    return out


def test_the_layout_is_affectnets(stills: Path) -> None:
    names = set(files(stills))
    train = {f"train_set/images/{i}.jpg" for i in range(9)}
    val = {f"val_set/images/{i}.jpg" for i in range(9, 12)}
    labels = {
        image.replace("images", "annotations").replace(".jpg", f"_{kind}.npy")
        for image in train | val
        for kind in ("exp", "val", "aro")
    }

    assert names == train | val | labels | {"stills.json"}
    assert cv2.imread(str(stills / "train_set/images/0.jpg")).shape == (64, 64, 3)
    assert 0 <= int(np.load(stills / "train_set/annotations/0_exp.npy")) <= 7


def test_the_number_of_processes_does_not_change_a_byte(stills: Path, tmp_path: Path) -> None:
    write_stills(tmp_path, JOB, jobs=2)

    assert files(tmp_path) == files(stills)


def test_an_interrupted_run_is_resumed(stills: Path, tmp_path: Path) -> None:
    write_stills(tmp_path, JOB, jobs=1)
    (tmp_path / "stills.json").rename(tmp_path / "stills.unfinished.json")
    (tmp_path / "train_set/images/4.jpg").unlink()
    kept = (tmp_path / "train_set/images/0.jpg").stat().st_mtime_ns

    write_stills(tmp_path, JOB, jobs=1)

    assert files(tmp_path) == files(stills)
    assert (tmp_path / "train_set/images/0.jpg").stat().st_mtime_ns == kept


def test_labels_and_faces_agree() -> None:
    plan = pose_for_stills(4000, np.random.default_rng(0))
    peak = plan.tracks.action_units.max(axis=(1, 2))

    assert np.bincount(plan.expression, minlength=8).min() > 400
    assert np.allclose(plan.arousal, peak, atol=1e-6)
    assert (peak[plan.expression == 0] == 0).all()
    assert peak[plan.expression > 0].min() >= 0.1
    assert peak.max() > 0.97
    assert (np.abs(plan.valence) <= plan.arousal + 1e-6).all()
    assert (plan.valence[plan.expression == 1] > 0).all()
    assert (plan.valence[plan.expression == 6] < 0).all()


def test_every_class_shows_its_own_units() -> None:
    from fedn_synth.face.muscles import AU_CODES, STRONG_UNITS

    plan = pose_for_stills(1500, np.random.default_rng(1))
    for number, emotion in enumerate(CLASSES[1:], start=1):
        moved = plan.tracks.action_units[plan.expression == number].any(axis=(0, 2))
        known = {code for units in EMOTION_UNITS[emotion] for code in units} | set(STRONG_UNITS.get(emotion, ()))
        assert {code for code, seen in zip(AU_CODES, moved, strict=True) if seen} == known


def test_every_distractor_is_at_work() -> None:
    tracks = pose_for_stills(2000, np.random.default_rng(2)).tracks

    for name in ("blink", "swallow"):
        assert 0.03 < (getattr(tracks, name) > 0).mean() < 0.3
    assert 0.05 < (tracks.speech[:, 0] > 0).mean() < 0.3
    assert tracks.gaze.std() > 0.1
    assert np.abs(tracks.pose[:, 2:5]).max() > 3
    assert tracks.light[:, 0].std() > 0.02


def test_eyes_land_near_their_canonical_places() -> None:
    landmarks = np.zeros((len(LANDMARKS), 2), np.float32)
    for name, x in (
        ("eye_outer_right", 250),
        ("eye_inner_right", 290),
        ("eye_inner_left", 340),
        ("eye_outer_left", 380),
    ):
        landmarks[LANDMARK_INDEX[name]] = (x, 200)
    rng = np.random.default_rng(3)
    seen = np.stack([np.array([[270, 200, 1], [360, 200, 1]]) @ draw_crop(landmarks, 160, rng).T for _ in range(300)])
    off = seen - canonical_eyes(160)

    assert np.abs(off.mean(axis=0)).max() < 3
    assert np.abs(off.mean(axis=1)).max() < 160 * MAX_SHIFT + 8
    assert off.std() > 3


def test_no_person_is_in_both_sets() -> None:
    assert n_validation(600) == 60
    assert n_validation(2) == 1


def test_numbers_that_cannot_work_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--identities must be at least 2, got 1"):
        write_stills(tmp_path / "out", StillsJob(identities=1))
    assert not (tmp_path / "out").exists()


MOMENTS = MomentsJob(seed=1, identities=2, size=48)


@pytest.fixture(scope="module")
def moments(tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    out = tmp_path_factory.mktemp("moments") / "new" / "flat.npz"
    assert write_moments(out, MOMENTS) == 2 * 2 * len(EMOTIONS)
    with np.load(out) as file:
        return dict(file)


def test_every_person_shows_every_emotion_in_both_types(moments: dict[str, np.ndarray]) -> None:
    shown = set(zip(moments["emotion"].tolist(), moments["type"].tolist(), moments["person"].tolist(), strict=True))
    assert shown == {(e, t, p) for e in EMOTIONS for t in ("micro", "macro") for p in (0, 1)}
    assert moments["frames"].shape == (28, 4, 48, 48, 3)
    assert str(moments["faces"]) == "2d"


def test_an_apex_of_a_macro_expression_changes_more_than_a_quiet_face(moments: dict[str, np.ndarray]) -> None:
    frames = moments["frames"][moments["type"] == "macro"].astype(float)
    quiet = np.abs(frames[:, 1] - frames[:, 0]).mean()
    assert np.abs(frames[:, 3] - frames[:, 2]).mean() > 1.2 * quiet


def test_the_file_is_the_same_every_time(moments: dict[str, np.ndarray], tmp_path: Path) -> None:
    write_moments(tmp_path / "again.npz", MOMENTS)
    with np.load(tmp_path / "again.npz") as file:
        assert all((file[name] == moments[name]).all() for name in moments)


@pytest.mark.parametrize(
    ("out", "job", "message"),
    [("x.npy", MOMENTS, "end in .npz"), ("x.npz", MomentsJob(identities=1), "--identities 2"),
     ("x.npz", MomentsJob(seed=-1), "--seed")],
)  # fmt: skip
def test_what_cannot_work_is_refused(out: str, job: MomentsJob, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        write_moments(tmp_path / out, job)
    assert not list(tmp_path.iterdir())
