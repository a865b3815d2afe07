"""The classical baseline through the command: the same files, one epoch, and nothing chosen on who is held out."""

from __future__ import annotations

import dataclasses
import json
import pickle
from pathlib import Path

import pytest
import torch
from moving import FILE, write_moving

from fedn_lightning.callbacks import results
from fedn_lightning.cli.main import main
from fedn_lightning.errors import ConfigError

CONF = Path(__file__).parents[2] / "conf" / "moving.yaml"
OTHER = "other.pickle"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with the moving textures; under another name, with the labels of two people wrong."""
    folder = tmp_path_factory.mktemp("flow")
    corpus = write_moving(folder / "moving")
    wrong = [dataclasses.replace(e, start=0, end=5) if e.subject in ("m0", "m1") else e for e in corpus.expressions]
    (folder / "moving" / OTHER).write_bytes(pickle.dumps(dataclasses.replace(corpus, expressions=tuple(wrong))))
    return folder


@pytest.fixture
def fit(home, monkeypatch):
    """Runs `fedn fit` on the moving textures and gives the run folder."""
    monkeypatch.chdir(home)
    monkeypatch.setenv("WANDB_MODE", "disabled")

    def run(name, *options):
        assert main(["fit", "--config", str(CONF), "--run_dir", f"runs/{name}", *options]) == 0
        return home / "runs" / name

    return run


@pytest.fixture
def no_pictures(monkeypatch):
    """Pictures are drawn in the first test; they take longer than all the rest."""
    for picture in ("save_timelines", "save_curves"):
        monkeypatch.setattr(results, picture, lambda *args, **kwargs: [])


def state(run):
    return torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)


def test_it_spots_a_person_it_never_saw_and_writes_what_every_run_writes(fit, capsys, recwarn):
    run = fit("plain")
    result = json.loads((run / "result.json").read_text())
    assert result["subjects"] == ["m0"]
    assert result["chosen_on"] == "training"
    assert result["spotting"]["macro"]["f1"] == 1.0
    assert result["spotting"]["overall"]["f1"] > 0.7
    assert result["detection"]["map@0.5"] > 0.5, "one class, so naming it is no art"
    assert "chosen on training subjects, never on these" in " ".join(capsys.readouterr().out.replace("│", "").split())
    files = {"predictions.csv", "proposals.csv", "truth.csv", "videos.csv", "timelines", "curves.png", "config.yaml"}
    assert files <= {path.name for path in run.iterdir()}
    assert not [w for w in recwarn if "returned `None`" in str(w.message) or "LearningRateMonitor" in str(w.message)]
    record = state(run)["fedn"]
    assert record["task"] == "FlowTask"
    assert record["motion"]["side"] == 64
    assert record["subjects"]["test"] == ("m0",)
    assert "val/overall_f1" in (run / "metrics.csv").read_text()


def test_nothing_is_chosen_on_the_held_out_or_the_validation_subjects(fit, monkeypatch, no_pictures):
    states = []
    for labels in (FILE, OTHER):
        monkeypatch.setenv("MOVING_LABELS", labels)
        run = fit(labels, "--data.val_subject", "[m1]")
        states.append(state(run)["state_dict"])
    assert json.loads((run / "result.json").read_text())["spotting"]["overall"]["tp"] == 0, "the labels are wrong"
    for name, value in states[0].items():
        assert torch.equal(value, states[1][name]), name


def test_a_checkpoint_spots_the_same_again_and_goes_on_without_validation(fit, no_pictures, recwarn):
    run = fit("again", "--data.val_subject", "0")
    assert "Total length of" not in " ".join(str(warning.message) for warning in recwarn)
    options = ["--config", str(CONF), "--run_dir", str(run), "--data.val_subject", "0"]
    assert main(["test", *options]) == 0
    assert (run / "test" / "proposals.csv").read_bytes() == (run / "proposals.csv").read_bytes()
    last = str(run / "checkpoints" / "last.ckpt")
    assert main(["fit", *options, "--ckpt_path", last]) == 0


def test_wrong_data_is_refused_in_a_sentence(fit, home, capsys):
    options = ["--config", str(CONF), "--run_dir", "runs/wrong_data"]
    assert main(["fit", *options, "--data.crops.align", "none"]) == 2
    assert "data.crops.align = none leaves faces where they are" in capsys.readouterr().err
    assert main(["fit", *options, "--model.emotion_scheme", "4"]) == 2
    assert "model.emotion_scheme is '4' but data.corpus.emotion_scheme is '3'" in capsys.readouterr().err


def test_other_data_modules_serve_no_motion():
    from fedn_lightning.baselines.flow.task import FlowTask

    class Trainer:
        world_size = 1

        class datamodule:  # noqa: N801
            class corpus_config:  # noqa: N801
                emotion_scheme = "3"

    task = FlowTask()
    task._trainer = Trainer()
    with pytest.raises(ConfigError, match=r"set data\.class_path to MotionDataModule"):
        task.setup("fit")
