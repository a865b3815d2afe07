""""""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from lightning.pytorch.loggers import CSVLogger
from offline_runs import artifacts, files_of, inspect, is_input, offline_run, table
from PIL import Image
from studies import fake_fold, make_experiment

from fedn_lightning.callbacks.results import shows_faces
from fedn_lightning.cli import fit as train
from fedn_lightning.cli.main import main
from fedn_lightning.datasets.base import GENERATED
from fedn_lightning.errors import ConfigError
from fedn_lightning.loggers import wandb as tracking
from fedn_lightning.loggers.wandb import (
    Identity,
    WandbSettings,
    aggregate_id,
    checkpoint_artifact,
    config_hash,
    identify,
    predictions_artifact,
    resolve_mode,
    run_label,
    wandb_session,
)
from fedn_lightning.loggers.workspace import HEADLINES
from fedn_lightning.loso.experiment import make_folds
from fedn_lightning.loso.pool import Pooled, pool_seeds
from fedn_lightning.results.run_folder import RunConfig

CONFIG = {
    "experiment": "toy",
    "seed_everything": 3,
    "run_dir": "runs/a",
    "model": {"lr": 0.1},
    "data": {"init_args": {"test_subject": ["05"], "width": 4}},
}


def folders() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if key.startswith("WANDB_") and key.endswith("_DIR")}


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_MODE", "offline")
    return tmp_path


def test_a_fit_can_be_read_back_without_a_server(offline: Path, conf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train, "CLASS_MODULES", ("toys",))
    assert main(["fit", "--config", str(conf / "toy.yaml"), "--trainer.max_epochs", "5"]) == 0
    run = inspect(offline_run(Path("runs/toy/05")))
    assert (run["state"], run["name"], run["project"]) == ("finished", "toy", "fedn-lightning")
    assert run["config"]["data"]["init_args"]["test_subject"] == ["05"]  # the whole nested configuration
    summary = run["summary"]
    assert summary["test/spotting/overall/f1"] == pytest.approx(2 / 3)
    assert {"train/loss", "val/loss", "lr-SGD", "epoch", "trainer/global_step"} <= summary.keys()
    assert summary["val/f1"]["max"] > 0.5
    assert summary["val/timeline"]["_type"] == "image-file"
    assert {path.name for path in offline.iterdir()} == {"runs"}
    assert tracking.run_of([]) is None


def test_scores_alone_leave_out_what_lies_in_the_videos(
    offline: Path, conf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train, "CLASS_MODULES", ("toys",))
    words = ["--trainer.max_epochs", "1", "--wandb.events", "false", "--wandb.checkpoints", "false"]
    assert main(["fit", "--config", str(conf / "toy.yaml"), *words]) == 0
    run = offline_run(Path("runs/toy/05"))
    summary = inspect(run)["summary"]
    assert summary["test/spotting/overall/f1"] == pytest.approx(2 / 3)
    assert not [key for key in summary if "timeline" in key or "events" in key or "confusion" in key]
    assert [entry["path"] for entry in artifacts(run)["model-toy-seed3"]["manifest"]["contents"]] == ["checkpoint.json"]
    assert "predictions-toy-seed3" not in artifacts(run)


def test_a_run_of_a_sweep_has_the_id_that_the_sweep_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    own = identify(WandbSettings(), CONFIG, "toy", "fit").id
    monkeypatch.setenv("WANDB_RUN_ID", "abc12345")
    assert identify(WandbSettings(), CONFIG, "toy", "fit").id == own
    monkeypatch.setenv("WANDB_SWEEP_ID", "sweep")
    assert identify(WandbSettings(), CONFIG, "toy", "fit").id == "abc12345"


def test_the_run_ends_also_when_an_exception_passes(offline: Path) -> None:
    import wandb

    before = folders()
    identity = Identity("abc", "group", "fit", "name")

    def fail() -> None:
        with wandb_session(offline, "offline"):
            assert os.environ["WANDB_DATA_DIR"] == str(offline / "wandb" / "data")
            tracking.start(WandbSettings(), identity, offline, "offline")
            assert (wandb.run.id, wandb.run.group, wandb.run.job_type) == ("abc", "group", "fit")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert wandb.run is None
    assert inspect(offline_run(offline))["exit_code"] == 1
    assert folders() == before


def test_the_user_folders_win(offline: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_CACHE_DIR", "/mine")
    with wandb_session(offline, "disabled"):
        assert os.environ["WANDB_CACHE_DIR"] == "/mine"
    assert os.environ["WANDB_CACHE_DIR"] == "/mine"


def test_online_leaves_the_login_where_it_is(offline: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WANDB_CONFIG_DIR", raising=False)
    with wandb_session(offline, "online"):
        assert "WANDB_CONFIG_DIR" not in os.environ


@pytest.mark.parametrize(
    ("variable", "configured", "mode"),
    [("", "offline", "offline"), ("disabled", "online", "disabled"), ("dryrun", "online", "offline")],
)
def test_the_environment_decides_the_mode(
    variable: str, configured: str, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", variable)
    assert resolve_mode(configured) == mode


def test_an_unknown_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "maybe")
    with pytest.raises(ConfigError, match='WANDB_MODE is "maybe"; it must be one of offline, online, disabled'):
        resolve_mode("offline")


def test_folds_and_seeds_share_a_hash_and_nothing_else_does() -> None:
    fold = {**CONFIG, "data": {"init_args": {"test_subject": ["06"], "width": 4}}}
    assert config_hash(fold) == config_hash(CONFIG) == config_hash({**CONFIG, "seed_everything": 4, "run_dir": "b"})
    assert config_hash({**CONFIG, "model": {"lr": 0.2}}) != config_hash(CONFIG)


def test_identity_is_deterministic_and_distinguishes_runs() -> None:
    first = identify(WandbSettings(), CONFIG, "toy", "fit")
    assert first == identify(WandbSettings(), dict(reversed(CONFIG.items())), "toy", "fit")
    assert first.group.startswith("toy-")
    assert first.group.endswith("-seed3")
    assert first.job_type == "fit"
    other = identify(WandbSettings(), {**CONFIG, "run_dir": "runs/b"}, "toy", "fit")
    assert other.group == first.group
    assert other.id != first.id
    named = identify(WandbSettings(group="g", job_type="fold", name="s15"), CONFIG, "toy", "fit")
    assert (named.group, named.job_type, named.name) == ("g", "fold", "s15")


def test_without_a_run_nothing_is_logged(tmp_path: Path) -> None:
    loggers = [CSVLogger(tmp_path)]
    tracking.log_timeline(loggers, "x", tmp_path / "missing.png", 0)
    tracking.log_config(loggers, {})
    assert list(tmp_path.iterdir()) == []


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


GROUP = "fake-0badcafe-seed7"


@pytest.fixture
def pooled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pooled:
    """Three folds, pooled and logged offline."""
    monkeypatch.setenv("WANDB_MODE", "offline")
    experiment = make_experiment(tmp_path)
    folds = make_folds(list(experiment.subjects), [experiment.seed])
    for fold in folds:
        folder = fake_fold(experiment, fold)
        (folder / "timelines").mkdir()
        Image.new("RGB", (8, 8)).save(folder / "timelines" / f"{fold.name}_v.png")
    (result,) = pool_seeds(experiment, folds, folds, draws=20)
    return result


def test_the_aggregate_run_shows_scores_tables_and_pictures(pooled: Pooled) -> None:
    stored = offline_run(pooled.folder)
    run = inspect(stored)
    summary = run["summary"]
    assert (run["name"], run["project"], run["state"]) == ("pooled", "tests", "finished")
    assert run["config"]["name"] == "fake"
    assert {f"{mode}/{key}" for mode in ("strict", "published") for key in HEADLINES} <= summary.keys()
    assert [row[0] for row in table(stored, "pooled/subjects", summary)["data"]][:3] == ["a", "b", "c"]
    events = table(stored, "pooled/events", summary)
    assert {row[0] for row in events["data"]} == {"a", "b", "c"}
    assert [row[2] for row in events["data"]].count("true positive") == pooled.strict.evaluation.spotting.overall.tp
    assert summary["pooled/timeline_02"]["caption"] == "b_v"


def test_it_is_made_of_the_predictions_of_its_folds(pooled: Pooled) -> None:
    found = artifacts(offline_run(pooled.folder))
    inputs = {name for name, artifact in found.items() if is_input(artifact)}
    assert inputs == {f"predictions-fake-{subject}-seed7" for subject in "abc"}
    (own,) = set(found) - inputs
    assert own == f"predictions-{GROUP}-pooled"
    assert files_of(found[own])["predictions.csv"] == pooled.folder / "predictions.csv"


def test_pooling_again_takes_the_same_place(pooled: Pooled) -> None:
    assert offline_run(pooled.folder).name.endswith(aggregate_id("tests", GROUP))


def test_disabled_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    experiment = make_experiment(tmp_path)
    folds = make_folds(list(experiment.subjects), [experiment.seed])
    for fold in folds:
        fake_fold(experiment, fold)
    (result,) = pool_seeds(experiment, folds, folds, draws=20)
    assert not (result.folder / "wandb").exists()
