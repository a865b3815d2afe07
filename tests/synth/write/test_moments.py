from pathlib import Path

import numpy as np
import pytest

from fedn_lightning.errors import ConfigError
from fedn_synth.write.moments import EMOTIONS, MomentsJob, write_moments

JOB = MomentsJob(seed=1, identities=2, size=48)


@pytest.fixture(scope="module")
def moments(tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    out = tmp_path_factory.mktemp("moments") / "new" / "flat.npz"
    assert write_moments(out, JOB) == 2 * 2 * len(EMOTIONS)
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
    write_moments(tmp_path / "again.npz", JOB)
    with np.load(tmp_path / "again.npz") as file:
        assert all((file[name] == moments[name]).all() for name in moments)


@pytest.mark.parametrize(
    ("out", "job", "message"),
    [("x.npy", JOB, "end in .npz"), ("x.npz", MomentsJob(identities=1), "--identities 2"),
     ("x.npz", MomentsJob(seed=-1), "--seed")],
)  # fmt: skip
def test_what_cannot_work_is_said(out: str, job: MomentsJob, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        write_moments(tmp_path / out, job)
    assert not list(tmp_path.iterdir())
