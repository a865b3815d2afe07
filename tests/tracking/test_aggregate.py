from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from fedn_lightning.tracking.aggregate import Aggregate, log_aggregate

BESIDE = Path(sys.executable).with_name("wandb")
WANDB = BESIDE if BESIDE.exists() else shutil.which("wandb")


def make(folder: Path, f1: float) -> Aggregate:
    picture = folder / "timeline.png"
    Image.new("RGB", (8, 8)).save(picture)
    return Aggregate(
        project="tests",
        mode="offline",
        group="casme2-0badcafe-seed7",
        name="pooled",
        folder=folder,
        config={"experiment": {"name": "casme2"}},
        scores={"strict/spotting/overall/f1": f1},
        subjects=[("subject", "TP"), ("s15", "3")],
        confusion=[("true", "negative", "none"), ("negative", 2, 1)],
        timelines=[picture],
    )


def test_the_aggregate_run_shows_scores_tables_and_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    log_aggregate(make(tmp_path, 0.5))
    (stored,) = (tmp_path / "wandb").glob("offline-run-*")
    command = [WANDB, "leet", "inspect", "--summary", "--json", stored]
    run = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert (run["name"], run["project"], run["state"]) == ("pooled", "tests", "finished")
    assert run["summary"]["strict/spotting/overall/f1"] == 0.5
    assert {"subjects", "confusion", "timeline/timeline"} <= run["summary"].keys()
    assert run["config"]["experiment"]["name"] == "casme2"


def test_pooling_again_takes_the_same_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    for f1 in (0.5, 0.6):
        log_aggregate(make(tmp_path, f1))
    ids = {path.name.split("-")[3] for path in (tmp_path / "wandb").glob("offline-run-*")}
    assert len(ids) == 1


def test_disabled_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    log_aggregate(make(tmp_path, 0.5))
    assert not (tmp_path / "wandb").exists()
