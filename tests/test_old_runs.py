"""Runs and checkpoints of version 0.1 (commit b2645ee) still load and give the same numbers."""

from __future__ import annotations

import importlib
import json
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from fedn_lightning.cli.main import main
from fedn_lightning.errors import CheckpointError
from fedn_lightning.inference.config import load
from fedn_lightning.models.anchors import decode
from fedn_lightning.models.encoder import EncoderConfig
from fedn_lightning.models.fedn import NetworkConfig
from fedn_lightning.moved import MOVED
from fedn_lightning.tasks.detection import DetectionTask

RUN = Path(__file__).parent / "data" / "run_b2645ee"


def test_the_checkpoint_gives_the_numbers_of_the_commit_that_wrote_it() -> None:
    expected = json.loads((RUN / "expected.json").read_text())
    _, encoder, network = load(RUN / "checkpoints" / "best.ckpt", None, torch.device("cpu"))
    t, c, y, x = np.ogrid[:128, :3, :48, :48]
    frames = torch.from_numpy(((3 * t + 5 * c + 7 * y + 11 * x) % 256).astype(np.uint8))
    with torch.inference_mode():
        features = encoder(frames)
        output = network(features[None])
        intervals = decode(network.anchors(128), output.regression)[0]
    assert list(features.shape) == expected["features_shape"]
    assert features[0].tolist() == pytest.approx(expected["features_first_frame"], abs=1e-4)
    assert intervals[:5].flatten().tolist() == pytest.approx(np.ravel(expected["intervals_first_five"]), abs=1e-3)
    assert output.confidence.sigmoid().sum().item() == pytest.approx(expected["confidence_sum"], rel=1e-4)


@pytest.mark.parametrize("old", [name for name in MOVED if "." in name])
def test_old_module_names_lead_to_the_new_modules(old: str) -> None:
    before, after = f"fedn_lightning.{old}", f"fedn_lightning.{MOVED[old]}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        module = importlib.import_module(before)
    assert module is importlib.import_module(after)
    assert module.__spec__ is not None
    assert module.__spec__.name == after


def test_the_configuration_of_an_old_run_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["fit", "--config", str(RUN / "config.yaml"), "--data.init_args.corpus.root", "nowhere"]) == 2
    assert "nowhere" in capsys.readouterr().err  # all keys and classes were accepted; only the corpus is missing


def test_an_old_run_is_evaluated_and_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(RUN, tmp_path / "old")
    monkeypatch.chdir(tmp_path)
    assert main(["evaluate", "--predictions", "old/predictions.csv", "--truth", "old/truth.csv"]) == 0
    assert main(["report", "old"]) == 0


def test_an_old_checkpoint_never_meets_the_new_segment_score_in_silence() -> None:
    checkpoint = torch.load(RUN / "checkpoints" / "best.ckpt", weights_only=True, map_location="cpu")
    told = checkpoint["fedn"]["model"]
    encoder = EncoderConfig(**told["encoder"])
    new = DetectionTask(encoder, NetworkConfig(**told["network"]))
    with pytest.raises(CheckpointError, match="segment_score"):
        new.on_load_checkpoint(checkpoint)
    old = DetectionTask(encoder, NetworkConfig(**told["network"], segment_score="softmax"))
    old.on_load_checkpoint(checkpoint)
    old.load_state_dict(checkpoint["state_dict"])
