from __future__ import annotations

import subprocess

import pytest

from fedn_lightning import __version__
from fedn_lightning.callbacks import run_config
from fedn_lightning.callbacks.run_config import describe_environment, source_commit


def test_the_environment_names_what_a_run_depends_on() -> None:
    said = dict(line.split(": ", 1) for line in describe_environment().splitlines())
    assert said["fedn-lightning"] == __version__
    assert {"commit", "command", "python", "system", "cores", "torch", "numpy", "decord"} <= said.keys()


@pytest.mark.parametrize("error", [FileNotFoundError(), subprocess.CalledProcessError(128, "git")])
def test_outside_a_repository_there_is_no_commit(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(run_config.subprocess, "run", fail)
    assert source_commit() is None
    assert "commit: unknown" in describe_environment()
