from __future__ import annotations

import json
from pathlib import Path

import pytest

from fedn_lightning.callbacks.results import shows_faces
from fedn_lightning.datasets.base import GENERATED
from fedn_lightning.loggers.artifacts import checkpoint_artifact, predictions_artifact, run_label
from fedn_lightning.loggers.wandb import WandbSettings
from fedn_lightning.results.run_folder import RunConfig


def make_run(folder: Path, config: str) -> Path:
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "config.yaml").write_text(config)
    checkpoint = folder / "checkpoints" / "best.ckpt"
    checkpoint.write_bytes(b"weights")
    return checkpoint


def test_a_label_names_experiment_fold_and_seed() -> None:
    assert run_label({"experiment": "a b", "wandb": {"name": "s15+s16"}, "seed_everything": 3}) == "a-b-s15-s16-seed3"
    assert run_label({}) == "run"


def test_a_checkpoint_of_a_run_is_a_file_of_it(tmp_path: Path) -> None:
    checkpoint = make_run(tmp_path / "encoder", "experiment: encoder\nseed_everything: 7\n")
    first, second = checkpoint_artifact(checkpoint), checkpoint_artifact(checkpoint)
    assert first.name == "model-encoder-seed7"
    assert first.digest == second.digest
    assert list(first.manifest.entries) == ["best.ckpt"]
    assert first.manifest.entries["best.ckpt"].local_path == str(checkpoint)


def test_a_checkpoint_is_described_where_the_user_wants_no_upload(tmp_path: Path) -> None:
    checkpoint = make_run(tmp_path / "run", "experiment: big\nwandb: {checkpoints: false}\n")
    entry = checkpoint_artifact(checkpoint).manifest.entries["checkpoint.json"]
    assert json.loads(Path(entry.local_path).read_text())["bytes"] == len(b"weights")


def test_weights_of_someone_else_are_described_not_uploaded(tmp_path: Path) -> None:
    weights = tmp_path / "affectnet r18.pth"
    weights.write_bytes(b"theirs")
    artifact = checkpoint_artifact(weights)
    assert artifact.name == "model-external-affectnet-r18"
    assert list(artifact.manifest.entries) == ["checkpoint.json"]


def test_predictions_are_what_is_there(tmp_path: Path) -> None:
    make_run(tmp_path, "experiment: x\n")
    (tmp_path / "predictions.csv").write_text("subject\n")
    artifact = predictions_artifact(tmp_path)
    assert (artifact.name, list(artifact.manifest.entries)) == ("predictions-x", ["predictions.csv"])


def test_the_encoder_is_found_in_a_configuration(tmp_path: Path) -> None:
    weights = make_run(tmp_path, "experiment: x\n")
    assert RunConfig({"model": {"init_args": {"encoder": {"weights": str(weights)}}}}).encoder_weights == weights
    assert RunConfig({"model": {"init_args": {"encoder": {"weights": None}}}}).encoder_weights is None
    assert RunConfig({}).encoder_weights is None


@pytest.mark.parametrize(
    ("faces", "generated", "shown"),
    [(None, False, False), (None, True, True), (True, False, True), (False, True, False)],
)
def test_faces_are_shown_where_they_are_generated_or_the_user_says_so(
    faces: bool | None, generated: bool, shown: bool, tmp_path: Path
) -> None:
    if generated:
        (tmp_path / GENERATED).write_text("{}")
    assert shows_faces(WandbSettings(faces=faces), str(tmp_path)) is shown
