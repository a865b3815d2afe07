"""One small export with the real exporter, run by onnxruntime alone."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import logging
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from onnx_networks import write_network

from fedn_lightning import export
from fedn_lightning.cli.main import main
from fedn_lightning.errors import ExportError
from fedn_lightning.inference.config import load
from fedn_lightning.models.encoder import EncoderConfig
from fedn_lightning.models.fedn import NetworkConfig
from fedn_lightning.models.postprocessing import events_of_video, propose
from fedn_lightning.tasks.detection import DetectionTask
from fedn_lightning.video.faces import moving_face

PAGE = Path(__file__).parents[1] / "docs" / "export.md"
WINDOW, SIZE = 64, 48


def write_checkpoint(
    path: Path, encoder: EncoderConfig = EncoderConfig(depth=10, width=8), reach: int | None = None
) -> None:
    """A network with random weights, in a checkpoint as a run writes it."""
    torch.manual_seed(0)
    network = NetworkConfig(dim=32, channels=32, levels=2, decoupled=False, reach=reach)
    task = DetectionTask(encoder, network)
    with torch.no_grad():
        for output in task.network.head.outputs.values():  # untrained ones say the same of every slot
            output.weight.normal_(std=0.2)
    told = {
        "task": "DetectionTask",
        "model": task.init_config(),
        "crop_size": SIZE,
        "fps": 30.0,
        "emotions": list(task.emotions),
        "dataset": "toy",
        "alignment": {"align": "track", "finder": "cascade"},
        "windows": {"length": WINDOW, "test_stride": 16},
    }
    torch.save({"state_dict": task.state_dict(), "fedn": told}, path)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a checkpoint, its export and the crops of a video."""
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    folder = tmp_path_factory.mktemp("export")
    write_checkpoint(folder / "best.ckpt")
    np.save(folder / "crops.npy", moving_face(SIZE, 150))
    logging.disable(logging.DEBUG)  # pytest would keep some hundred thousand lines of torch's
    assert main(["export", "--ckpt", str(folder / "best.ckpt"), "--out", str(folder / "onnx")]) == 0
    logging.disable(logging.NOTSET)
    return folder


def expected(home: Path) -> list[tuple[float, float, float, int, int]]:
    """Every event that the project itself finds in the crops, in float32, by descending score."""
    config, encoder, network = load(home / "best.ckpt", None, torch.device("cpu"))
    crops = np.load(home / "crops.npy")
    starts = [0, 16, 32, 48, 64, 80, len(crops) - WINDOW]
    with torch.inference_mode():
        features = encoder(torch.from_numpy(crops).permute(0, 3, 1, 2))
        windows = torch.stack([features[start : start + WINDOW] for start in starts])
        first = torch.tensor(starts, dtype=torch.float64)
        rows = propose(network(windows), network.anchors(WINDOW), first * 0, first, first * 0 + 1, 1000)
    found = events_of_video(rows.numpy(), len(crops), dataclasses.replace(config.inference, keep=1000), WINDOW)
    columns = (found.score, found.start, found.end, found.type.tolist(), found.emotion.tolist())
    return sorted(zip(*columns, strict=True), reverse=True)


@pytest.mark.slow  # the exporter takes some ten seconds
def test_the_pages_example_finds_what_the_project_finds(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(home)
    about = json.loads(Path("onnx/fedn.json").read_text())
    everything = expected(home)
    for kind, name in enumerate(about["types"]):  # five events of a type, and no score near enough for rounding
        scores = [score for score, _, _, k, _ in everything if k == kind]
        about["thresholds"][name] = (scores[4] + scores[5]) / 2
    Path("onnx/fedn.json").write_text(json.dumps(about))
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    names: dict[str, object] = {}
    exec(compile(code, str(PAGE), "exec"), names)
    events = names["events"]
    assert isinstance(events, list)
    limits = list(about["thresholds"].values())
    ours = [event for event in everything if event[0] >= limits[event[3]]]
    assert len(events) == len(ours) == 10
    for (score, start, end, kind, emotion), theirs in zip(ours, events, strict=True):
        assert theirs[:3] == pytest.approx((score, start, end), abs=1e-3)
        assert theirs[3:] == (about["types"][kind], about["emotions"][emotion])
    assert capsys.readouterr().out.count("micro") == 5


@pytest.mark.slow
def test_the_manifest_describes_the_checkpoint(home: Path) -> None:
    about = json.loads((home / "onnx" / "fedn.json").read_text())
    assert about["crop"]["alignment"] == "track"
    assert about["crop"]["eye_centres"]["left_in_picture"] == [15.429, 15.36]
    assert about["window"] | {"tail": ""} == {"length": WINDOW, "stride": 16, "multiple_of": 16, "tail": ""}
    assert set(about["difference_from_pytorch"]) == {
        "encoder.features", "detector.intervals", "detector.confidence", "detector.emotion",
    }  # fmt: skip
    # Intervals of an untrained network reach hundreds of frames; the export itself allows 1e-4 of an output's scale.
    assert 0 < max(about["difference_from_pytorch"].values()) < 1e-2


@pytest.mark.slow
def test_the_files_tell_nothing_of_the_machine_that_wrote_them(home: Path) -> None:
    for file in (home / "onnx").glob("*.onnx"):
        assert str(Path(export.__file__).parent).encode() not in file.read_bytes()


@pytest.mark.slow
def test_a_file_that_says_something_else_is_refused(home: Path) -> None:
    config, encoder, network = load(home / "best.ckpt", None, torch.device("cpu"))
    _, detection = export.graphs_of(config, encoder, network)
    program = (home / "onnx" / "detector.onnx").read_bytes()
    trial = np.random.default_rng(0).normal(size=(2, WINDOW, encoder.feature_dim)).astype(np.float32)
    export._check_differences(export.compare(detection, program, [trial]))
    with torch.no_grad():
        network.head.scale += 0.01
    with pytest.raises(ExportError, match="differ: intervals"):
        export._check_differences(export.compare(detection, program, [trial]))


@pytest.mark.slow  # the exporter takes some ten seconds
def test_a_network_with_a_reach_is_exported_for_windows_of_any_length(tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    write_checkpoint(tmp_path / "best.ckpt", reach=32)
    _, detection = export.graphs_of(*load(tmp_path / "best.ckpt", None, torch.device("cpu")))
    logging.disable(logging.DEBUG)  # pytest would keep some hundred thousand lines of torch's
    program = export.translate(detection)
    logging.disable(logging.NOTSET)
    rng, dim = np.random.default_rng(0), detection.example.shape[2]
    trials = [rng.normal(size=(2, length, dim)).astype(np.float32) for length in (16, WINDOW, 16 * WINDOW)]
    differences = export.compare(detection, program, trials)
    export._check_differences(differences)
    assert [d.output for d in differences] == ["intervals", "confidence", "emotion"]


def test_without_the_extra_there_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "onnxscript" else find(name))
    assert main(["export", "--ckpt", "nowhere.ckpt"]) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert "onnxscript" in said
    assert said.endswith("to install it: pip install 'fedn-lightning[onnx]'.")


@pytest.mark.slow  # the exporter takes some ten seconds
def test_somebody_elses_network_stays_outside(tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    path = write_network(tmp_path / "net.onnx", side="S")
    write_checkpoint(tmp_path / "best.ckpt", EncoderConfig(onnx=str(path), output="feature", size=24))
    path.unlink()  # a checkpoint is enough
    logging.disable(logging.DEBUG)  # pytest would keep some hundred thousand lines of torch's
    exported = export.export(tmp_path / "best.ckpt", tmp_path / "out")
    logging.disable(logging.NOTSET)
    assert [file.name for file in exported.files] == ["detector.onnx", "fedn.json"]
    about = json.loads((tmp_path / "out" / "fedn.json").read_text())
    told = {"outside": True, "file": "net.onnx", "input": "picture", "output": "feature", "size": 24}
    assert told.items() <= about["encoder"].items()
    assert len(about["encoder"]["sha256"]) == 64
    assert about["features"]["encoder"] == 6
    assert about["crop"]["normalisation"]["where"].startswith("before the encoder")
