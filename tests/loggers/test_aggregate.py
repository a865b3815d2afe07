from __future__ import annotations

from pathlib import Path

import pytest
from offline_runs import artifacts, files_of, inspect, is_input, offline_run, table
from PIL import Image
from studies import fake_fold, make_experiment

from fedn_lightning.loggers.aggregate import aggregate_id
from fedn_lightning.loggers.workspace import HEADLINES
from fedn_lightning.loso.experiment import make_folds
from fedn_lightning.loso.pool import Pooled, pool_seeds

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
