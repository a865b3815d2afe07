"""Every shipped experiment file is read by the command as it is, and runs: made tiny, on look-alikes of its data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from releases import write_boxes, write_release, write_stills, write_weights

from fedn_lightning.callbacks import results
from fedn_lightning.cli import main as dispatcher
from fedn_lightning.cli.config import layers
from fedn_lightning.cli.fit import main

EXPERIMENTS = Path(__file__).parents[1] / "experiments"
FILES = sorted(EXPERIMENTS.glob("*.yaml"))
# Beside the ablations lies a list of them, for fedn study.
ABLATIONS = [
    file for file in sorted((EXPERIMENTS / "ablations").glob("*.yaml")) if "\nexperiment: " in file.read_text()
]
CONTROLS = sorted((EXPERIMENTS / "controls").glob("*.yaml"))

ENCODER = {"depth": 10, "width": 8, "grid": 1}
TINY: dict[str, dict[str, Any]] = {
    "DetectionTask": {"encoder": ENCODER, "network": {"dim": 32, "channels": 32}},
    "RecognitionTask": {"encoder": ENCODER, "network": {"dim": 32, "channels": 32}},
    "EncoderTask": {"encoder": ENCODER},
    "FlowTask": {},
}
"""What makes a task small, by its class."""
MOTION = {"fedn_plus", "casme2_plus", "casme2_plus_cpu", "weights"}
"""Experiments of a network with a motion stream."""
TRAINER = {"max_epochs": 1, "accelerator": "cpu", "enable_progress_bar": False, "enable_model_summary": False}


def name_of(file: Path) -> str:
    return file.stem


def read(capsys: pytest.CaptureFixture[str], *files: Path) -> str:
    with pytest.raises(SystemExit) as end:
        main(["fit", *(word for file in files for word in ("--config", str(file))), "--print_config"])
    assert end.value.code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_an_experiment_is_read(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert f"experiment: {file.stem}" in read(capsys, file)


@pytest.mark.parametrize(
    ("control", "line"),
    [("untrained_encoder", "weights: null"), ("shifted_labels", "shift_labels: true")],
)
def test_a_control_changes_what_it_names(control: str, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    base = EXPERIMENTS / "synthetic.yaml"
    assert line not in read(capsys, base)
    assert line in read(capsys, base, EXPERIMENTS / "controls" / f"{control}.yaml")


def test_every_control_is_tested() -> None:
    assert {file.stem for file in CONTROLS} == {"untrained_encoder", "shifted_labels"}


def content_of(file: Path) -> dict[str, Any]:
    """Classes and data of an experiment: those of its base where it has one."""
    base = str(EXPERIMENTS / "synthetic.yaml") if file in CONTROLS else layers(file)[0]
    content: dict[str, Any] = yaml.safe_load(base if "\n" in base else Path(base).read_text())
    return content


def write_moments(path: Path) -> None:
    """Two people's quiet frames, onset and apex, as `fedn data moments` writes them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    frames = np.random.default_rng(0).integers(0, 256, (4, 4, 32, 32, 3), np.uint8)
    labels = {"emotion": np.array(["fear"] * 4), "person": np.array([0, 1, 0, 1])}
    np.savez(
        path, frames=frames, faces=np.array(path.stem), type=np.array(["micro", "micro", "macro", "macro"]), **labels
    )


def make_tiny(content: dict[str, Any], home: Path, motion: bool) -> Path:
    """Writes what an experiment's data are in miniature, and a file that makes the experiment as small.

    Args:
        content: classes and data of the experiment.
        home: where to write.
        motion: whether it looks at the motion of the parts of a face.
    """
    model, data = content["model"]["class_path"], content["data"]["class_path"]
    given = content["data"]["init_args"]
    tiny = {key: value for key, value in {"batch_size": 4, "num_workers": 0}.items() if key in given}
    if data == "StillsDataModule":
        root = home / "stills"
        tiny |= {"root": str(root), "size": 32}
        if not root.exists():
            write_stills(root)
    else:
        dataset = given["corpus"]["dataset"]
        root, store = home / dataset, home / "store" / dataset
        tiny |= {"corpus": {"root": str(root)}, "crops": {"store": str(store), "size": 32, "align": "none", "jobs": 0}}
        if motion:  # it knows where in a face it looks, so the pictures must have one
            tiny["crops"] |= {"align": "video", "size": 64, "boxes": str(home / "boxes.csv"), "store": f"{store}_faces"}
        tiny |= {"val_subject": min(given["val_subject"], 1)}
        if "windows" in given:
            tiny["windows"] = {"length": 64, "train_stride": 64, "test_stride": 64, "jitter": 0}
        if not root.exists():
            write_release(root, dataset)
        write_boxes(home / "boxes.csv", dataset, root)
    for callback in content["trainer"].get("callbacks", []):
        for moments in callback["init_args"].get("moments", []):
            write_moments(home / moments)
    changes: dict[str, Any] = {
        "model": {"class_path": model, "init_args": json.loads(json.dumps(TINY[model]))},
        "data": {"class_path": data, "init_args": tiny},
        "trainer": TRAINER,
    }
    encoder = changes["model"]["init_args"].get("encoder")
    if encoder is not None and content["model"]["init_args"]["encoder"].get("weights"):
        encoder["weights"] = str(home / "encoder.pt")
    file = home / f"tiny_{model}_{data}_{root.name}.yaml"
    file.write_text(yaml.safe_dump(changes))
    return file


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which data are made once for all experiments that read them."""
    folder = tmp_path_factory.mktemp("home")
    write_weights(folder / "encoder.pt", ENCODER["depth"], ENCODER["width"])
    return folder


@pytest.mark.parametrize("file", [*FILES, *ABLATIONS, *CONTROLS], ids=name_of)
def test_an_experiment_runs(
    file: Path, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(home)
    monkeypatch.setenv("WANDB_MODE", "disabled")
    for picture in ("save_timelines", "save_curves"):  # drawn in tests of their own, and slower than all the rest
        monkeypatch.setattr(results, picture, lambda *args, **kwargs: [])
    content = content_of(file)
    files = [EXPERIMENTS / "synthetic.yaml", file] if file in CONTROLS else [file]
    motion = content["model"]["class_path"] == "FlowTask" or file.stem in MOTION
    options = [word for each in (*files, make_tiny(content, home, motion)) for word in ("--config", str(each))]
    if file.stem == "untrained_encoder":  # what makes it tiny must not undo what it is about
        options += ["--config", str(file)]
    assert dispatcher.main(["fit", *options]) == 0, capsys.readouterr().err
    folder = f"control_{file.stem}" if file in CONTROLS else file.stem
    result = json.loads((home / "runs" / folder / "result.json").read_text())
    assert ("spotting" in result) == (content["model"]["class_path"] in ("DetectionTask", "FlowTask"))
    assert "spotting" in result or result["scores"]
