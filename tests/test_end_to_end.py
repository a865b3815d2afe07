"""The path of the README in miniature: generate, pre-train, detect, score again; real files, commands and classes."""

from __future__ import annotations

import csv
import dataclasses
import json
import os
import runpy
import shlex
from pathlib import Path

import pytest

from fedn_lightning.cli.fit import next_command
from fedn_lightning.cli.main import main
from fedn_synth.plan.presets import PRESETS

pytestmark = pytest.mark.slow  # the corpus and two trainings, some 15 s together

CONF = Path(__file__).parent / "conf"
RUN = Path("runs/tiny")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory):
    """A folder in which a corpus of four short videos and a pre-trained encoder lie."""
    folder = tmp_path_factory.mktemp("home")
    small = dataclasses.replace(
        PRESETS["tiny"], n_videos=4, macros=5, micros=2, shortest=240, longest=240, mean_frames=240, unannotated=()
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("WANDB_MODE", "disabled")
        patch.setitem(PRESETS, "tiny", small)
        assert main(["data", "synth", "--preset", "tiny", "--out", "data/synthetic", "--jobs", "1"]) == 0
        stills = ["--identities", "6", "--per-identity", "8", "--size", "48", "--jobs", "1"]
        assert main(["data", "stills", "--out", "data/stills", *stills]) == 0
        assert main(["fit", "--config", str(CONF / "tiny_encoder.yaml")]) == 0
        assert main(["fit", "--config", str(CONF / "tiny_detection.yaml")]) == 0
    return folder


@pytest.fixture(autouse=True)
def _at_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home)
    monkeypatch.setenv("WANDB_MODE", "disabled")


def metrics(run: Path) -> list[dict[str, str]]:
    with (run / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_run_is_complete() -> None:
    result = json.loads((RUN / "result.json").read_text())
    assert result["subjects"] == ["s15"]
    assert result["spotting"]["overall"]["tp"] + result["spotting"]["overall"]["fn"] == result["n_truths"] > 0
    assert len(list((RUN / "timelines").glob("s15_*.png"))) == result["n_videos"] == 1
    logged = set().union(*(row.keys() for row in metrics(RUN)))
    assert {"train/loss", "val/loss", "val/joint", "val/overall_f1", "epoch"} <= logged


def test_the_files_score_as_the_card_says(capsys: pytest.CaptureFixture[str]) -> None:
    result = json.loads((RUN / "result.json").read_text())
    undefined = {kind: float("inf") if value is None else value for kind, value in result["threshold"].items()}
    assert main([*shlex.split(next_command({**result, "threshold": undefined}, RUN))[1:], "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert {key: again[key] for key in ("spotting", "detection")} == {
        key: result[key] for key in ("spotting", "detection")
    }


def test_the_python_example_scores_the_checkpoint(capsys: pytest.CaptureFixture[str]) -> None:
    example = runpy.run_path(str(CONF.parents[1] / "examples" / "python_api.py"))
    scores = example["main"](["--ckpt", str(RUN / "checkpoints" / "best.ckpt"), "--out", "api"])
    result = json.loads((RUN / "result.json").read_text())
    counts = result["spotting"]["overall"]
    assert (scores.overall.tp, scores.overall.fp, scores.overall.fn) == tuple(counts[key] for key in ("tp", "fp", "fn"))
    assert f"{result['n_truths']} expressions in 1 videos of s15" in capsys.readouterr().out
    assert len(list(Path("api").glob("*.png"))) == 1


def test_the_saved_configuration_repeats_the_run() -> None:
    assert main(["fit", "--config", str(RUN / "config.yaml"), "--run_dir", "runs/again"]) == 0
    assert metrics(Path("runs/again")) == metrics(RUN)
    assert Path("runs/again/result.json").read_bytes() == (RUN / "result.json").read_bytes()


def test_test_uses_the_checkpoint(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["test", "--config", str(RUN / "config.yaml")]) == 0
    assert (RUN / "test" / "result.json").read_bytes() == (RUN / "result.json").read_bytes()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--data.corpus.root", "nowhere"], "experiments/synthetic.yaml"),
        (["--data.test_subject", "[s99]"], "s99"),
        (["--model.network.dim", "16", "--ckpt_path", "runs/tiny/checkpoints/last.ckpt"], "does not fit"),
        (["--model.encoder.weights", "nowhere.ckpt"], "nowhere.ckpt"),
        (["--model.emotion_scheme", "7"], "emotion_scheme"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_ends_in_one_sentence_and_writes_nothing(
    options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    config = ["--config", str(CONF / "tiny_detection.yaml"), "--run_dir", "runs/mistake"]
    assert main(["fit", *config, *options]) == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert said.startswith("fedn: error: ")
    assert message in said
    assert not os.path.lexists("runs/mistake")
