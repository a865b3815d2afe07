"""Training in two processes on one machine, by gloo, with W&B offline."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from pulses_data import write_corpus
from studies import CONF


def fedn(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if key not in ("WANDB_MODE", "LOCAL_RANK")}
    environment |= {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-m", "fedn_lightning", *words]
    return subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True, timeout=300)


@pytest.mark.slow
def test_two_processes_fit_into_one_run_folder(tmp_path: Path) -> None:
    write_corpus(tmp_path / "pulses", subjects=4)
    two = ["--trainer.devices", "2", "--trainer.strategy", "ddp", "--trainer.max_epochs", "2"]
    (tmp_path / "runs" / "pulses").mkdir(parents=True)
    (tmp_path / "runs" / "pulses" / "earlier").touch()
    done = fedn(tmp_path, "fit", "--config", str(CONF), *two)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    # One folder with everything, and the earlier run beside it, renamed once.
    folders = sorted(path.name for path in (tmp_path / "runs").iterdir())
    assert len(folders) == 2
    assert folders[0] == "pulses"
    run = tmp_path / "runs" / "pulses"
    files = {path.name for path in run.iterdir()}
    assert {"config.yaml", "metrics.csv", "result.json", "predictions.csv", "wandb", "checkpoints"} <= files
    assert sorted(path.name for path in (run / "checkpoints").iterdir()) == ["best.ckpt", "last.ckpt"]
    assert len(list((run / "wandb").rglob("*.wandb"))) == 1
    # One process scores the same checkpoint alike.
    alone = fedn(tmp_path, "test", "--config", str(CONF))
    assert alone.returncode == 0, alone.stderr
    ours, theirs = (json.loads((place / "result.json").read_text()) for place in (run, run / "test"))
    assert ours["spotting"] == theirs["spotting"]
    assert ours["threshold"] == theirs["threshold"]
