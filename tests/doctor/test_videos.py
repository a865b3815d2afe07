from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from fedn_lightning.doctor import videos


def child(code: str) -> videos.DecordTrial:
    pipe = subprocess.PIPE
    return videos.DecordTrial(subprocess.Popen([sys.executable, "-c", code], stdout=pipe, stderr=pipe, text=True))


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("import os; os.abort()", "exit code -6"),
        ("print('3 of 11 frames')", "3 of 11 frames"),
        ("raise OSError('no such library')", "no such library"),
    ],
)
def test_a_decord_that_fails_is_a_problem_but_nothing_is_broken(code: str, why: str) -> None:
    found = child(code).finding()
    assert why in found.problem
    assert "read by PyAV instead" in found.problem
    assert not found.broken


def test_a_decord_that_hangs_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(videos, "PATIENCE", 0.2)
    trial = child("import time; time.sleep(60)")
    assert trial.finding().value == "hangs"
    assert trial.child.poll() is not None


def test_a_pyav_that_cannot_write_is_broken(tmp_path: Path) -> None:
    found = videos.check_pyav(tmp_path / "no folder" / "film.mp4")
    assert found.broken
    assert "cannot write and decode" in found.problem


def test_wrong_frames_are_noticed() -> None:
    import numpy as np

    film = np.repeat(np.array(videos.GREYS, np.uint8), 4 * 4 * 3).reshape(-1, 4, 4, 3)
    assert videos.compare_frames(film) == "right"
    assert videos.compare_frames(film[::-1]) == "a frame is off by 200 grey levels"
