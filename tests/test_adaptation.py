"""Fine-tuning on corrected material: whom it tests on, what it trains, what it says, and when it refuses."""

from __future__ import annotations

import csv
import json
import pickle
from dataclasses import replace
from pathlib import Path

import lightning
import pytest
import torch
from pulses import write_pulses
from pulses_data import FILE, PulsesDataModule

from fedn_lightning import adaptation
from fedn_lightning.adaptation import AdaptConfig, adapt, build
from fedn_lightning.cli.main import main
from fedn_lightning.datamodules.base import CorpusConfig, CropConfig
from fedn_lightning.datamodules.windows import WindowConfig
from fedn_lightning.errors import CheckpointError, SplitError
from fedn_lightning.models.checkpoints import read_checkpoint
from fedn_lightning.models.encoder import EncoderConfig
from fedn_lightning.models.fedn import NetworkConfig
from fedn_lightning.tasks.base import OptimiserConfig
from fedn_lightning.tasks.detection import DetectionTask

CONFIG = AdaptConfig(epochs=2, draws=200)


def write_corpus(folder: Path, subjects: int, n_frames: int = 200, seed: int = 0) -> None:
    corpus = write_pulses(folder / "store", subjects, n_frames, seed)
    (folder / FILE).write_bytes(pickle.dumps(corpus))


def make_data(folder: Path):
    return lambda test, val: PulsesDataModule(
        CorpusConfig("pulses", str(folder)),
        CropConfig(str(folder / "store"), 16),
        WindowConfig(64, 16, 16, jitter=8),
        test_subject=[*test],
        val_subject=[*val],
        batch_size=8,
    )


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    """A detector of pulses, trained for a second on four people."""
    folder = tmp_path_factory.mktemp("trained")
    write_corpus(folder, subjects=4)
    lightning.seed_everything(7, verbose=False)
    task = DetectionTask(EncoderConfig(10, 8), NetworkConfig(dim=32, channels=32), optimiser=OptimiserConfig(lr=5e-3))
    trainer = adaptation.trainer(6)
    trainer.fit(task, make_data(folder)([], ["p0"]))
    trainer.save_checkpoint(folder / "best.ckpt")
    return folder / "best.ckpt"


@pytest.fixture(scope="module")
def corrected(tmp_path_factory) -> Path:
    """Six other people of the same names."""
    folder = tmp_path_factory.mktemp("corrected")
    write_corpus(folder, subjects=6, n_frames=480, seed=5)
    return folder


@pytest.fixture(scope="module")
def adapted(checkpoint, corrected, tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    return adapt(checkpoint, make_data(corrected), out, CONFIG), out


def test_everybody_is_held_out_once(adapted):
    result, out = adapted
    assert result.people == 6
    for variant in ("before", "thresholds", "adapted"):
        with (out / variant / "videos.csv").open() as file:
            assert sorted(row["subject"] for row in csv.DictReader(file)) == [f"p{k}" for k in range(6)]
    assert not (out / "folds").exists()


def test_the_report_says_what_was_measured(adapted):
    result, out = adapted
    report = json.loads((out / "adapt.json").read_text())
    assert report["verdict"] == result.verdict
    assert report["summary"] == result.summary()
    change = report["differences"]["adapted"]["spotting.overall.f1"]
    assert change["low"] <= change["value"] <= change["high"]
    assert f"{report['scores']['before']['spotting.overall.f1']:.3f} before" in report["summary"]


def test_the_verdict_follows_the_interval_and_harm_writes_no_checkpoint(
    adapted, checkpoint, corrected, tmp_path, monkeypatch
):
    result, out = adapted
    assert (result.checkpoint is None) == (result.verdict == "worse")
    assert (out / "adapted.ckpt").exists() == (result.verdict != "worse")
    monkeypatch.setattr(adaptation, "verdict", lambda change: "worse")
    monkeypatch.setattr(adaptation, "_fold", lambda content, data, config: _unchanged(content, data))
    harmed = adapt(checkpoint, make_data(corrected), tmp_path / "out", replace(CONFIG, epochs=1))
    assert harmed.checkpoint is None
    assert not (tmp_path / "out" / "adapted.ckpt").exists()
    assert "did harm" in harmed.summary()


def _unchanged(content, data):
    record = adaptation._test(build(content, CONFIG), data)
    return dict.fromkeys((adaptation.BEFORE, adaptation.THRESHOLDS, adaptation.AFTER), record)


def test_the_heads_alone_are_trained_and_the_checkpoint_knows_both_corpora(
    checkpoint, corrected, tmp_path, monkeypatch
):
    monkeypatch.setattr(adaptation, "_fold", lambda content, data, config: _unchanged(content, data))
    result = adapt(checkpoint, make_data(corrected), tmp_path, CONFIG)
    old, new = read_checkpoint(checkpoint), read_checkpoint(result.checkpoint)
    moved = {name for name, value in old["state_dict"].items() if not torch.equal(value, new["state_dict"][name])}
    assert {name.split(".")[1] for name in moved if name != "threshold"} == {"head"}
    assert set(new["fedn"]["people"]) == {f"p{k}" for k in range(6)}
    assert new["fedn"]["adapted"]["verdict"] == "undecided"
    assert new["fedn"]["model"]["inference"] == old["fedn"]["model"]["inference"]
    assert build(old, CONFIG).inference.false_positives_per_minute == float("inf")
    assert new["fedn"]["generated"] == old["fedn"]["generated"]


def test_too_little_material_is_refused(checkpoint, tmp_path):
    write_corpus(tmp_path / "few", subjects=4, n_frames=900, seed=5)
    write_corpus(tmp_path / "short", subjects=6, n_frames=200, seed=5)
    for name in ("few", "short"):
        with pytest.raises(SplitError, match="At least 30 of 5 people"):
            adapt(checkpoint, make_data(tmp_path / name), tmp_path / "out", CONFIG)
    assert not (tmp_path / "out").exists()


def test_people_whom_the_checkpoint_has_seen_are_refused(corrected, checkpoint, tmp_path):
    content = torch.load(checkpoint, weights_only=True)
    data = make_data(corrected)([], [])
    content["fedn"]["people"] = adaptation_marks(data, ["p1"])
    torch.save(content, tmp_path / "seen.ckpt")
    with pytest.raises(SplitError, match="trained or validated on p1"):
        adapt(tmp_path / "seen.ckpt", make_data(corrected), tmp_path / "out", CONFIG)


def adaptation_marks(data, subjects):
    from fedn_lightning.datamodules.splits import marks_of

    return marks_of(data.corpus, subjects)


def test_a_file_without_a_detector_is_refused(tmp_path, corrected):
    torch.save({"state_dict": {}}, tmp_path / "other.ckpt")
    with pytest.raises(CheckpointError, match="holds no detector"):
        adapt(tmp_path / "other.ckpt", make_data(corrected), tmp_path / "out", CONFIG)
    assert main(["adapt", str(tmp_path / "none.ckpt"), str(tmp_path)]) == 2
    assert main(["adapt", str(tmp_path / "other.ckpt"), str(tmp_path)]) == 2
