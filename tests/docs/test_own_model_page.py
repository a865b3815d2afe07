"""The worked example of docs/own_model.md is trained as it stands there, on pulses instead of faces."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest
import torch
import yaml
from pulses_data import write_corpus

from fedn_lightning.cli.main import main

PAGE = Path(__file__).parents[2] / "docs" / "own_model.md"


def block(language: str) -> str:
    """The page's one block in a language."""
    (found,) = re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL)
    return str(found)


@pytest.fixture
def run(tmp_path: Path, conf: Path, monkeypatch: pytest.MonkeyPatch):
    """Trains the example; gives the run's folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_MODE", "disabled")
    monkeypatch.syspath_prepend(str(tmp_path))
    Path("my_parts.py").write_text(block("python"))
    base = "base: experiments/synthetic.yaml"
    assert base in block("yaml")
    Path("segment_change.yaml").write_text(block("yaml").replace(base, f"base: {conf / 'pulses.yaml'}"))
    write_corpus(tmp_path / "pulses")
    assert main(["fit", "--config", "segment_change.yaml", "--trainer.max_epochs", "1"]) == 0
    yield Path("runs/segment_change")
    sys.modules.pop("my_parts")


def test_the_example_trains_and_is_tested(run: Path) -> None:
    weights = torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]
    assert "network.segments.change.weight" in weights
    assert not any("query_key_value" in name for name in weights)
    assert json.loads((run / "result.json").read_text())["n_videos"] == 1
    arguments = yaml.safe_load((run / "config.yaml").read_text())["model"]["init_args"]
    assert arguments["scale"] == 2.0
    assert arguments["network"]["dim"] == 32  # of the base


def test_it_is_not_exported_as_the_network_of_the_project(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("onnxscript")
    assert main(["export", "--ckpt", str(run / "checkpoints" / "best.ckpt")]) == 2
    assert "best.ckpt" in capsys.readouterr().err.splitlines()[-1]
