"""One training on pulses of light, logged offline and read back."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from offline_runs import artifacts, files_of, inspect, is_input, offline_run, records, table
from PIL import Image
from pulses_data import write_corpus

from fedn_lightning.cli.main import main
from fedn_lightning.loggers import metrics
from fedn_lightning.loggers.media import OUTCOME_COLUMNS
from fedn_lightning.video.store import GAP, SIDE

CONF = Path(__file__).parents[1] / "conf"
WORDS = ["fit", "--config", str(CONF / "pulses.yaml"), "--trainer.max_epochs", "2", "--wandb.faces", "true"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of the run."""
    folder = tmp_path_factory.mktemp("offline")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("WANDB_MODE", "offline")
        write_corpus(folder / "pulses", subjects=3)
        assert main(WORDS) == 0
        yield folder / "runs" / "pulses"


@pytest.fixture(scope="module")
def summary(home: Path) -> dict[str, Any]:
    found: dict[str, Any] = inspect(offline_run(home))["summary"]
    return found


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_every_logged_name_is_in_the_table(home: Path, summary: dict[str, Any]) -> None:
    logged = {name for name in summary if not name.startswith("_")}
    with (home / "metrics.csv").open(newline="") as file:
        logged |= {name for name in next(csv.reader(file)) if name != "step"}  # the log's own axis
    assert {"val/joint", "train/emotion_loss", "test/events", "test/strs"} <= logged
    assert [name for name in sorted(logged) if metrics.find(name) is None] == []


def test_a_summary_shows_the_value_that_the_table_names(home: Path, summary: dict[str, Any]) -> None:
    values = [float(row["val/joint"]) for row in rows(home / "metrics.csv") if row["val/joint"]]
    assert summary["val/joint"] == {"max": pytest.approx(max(values))}
    losses = [float(row["train/loss"]) for row in rows(home / "metrics.csv") if row["train/loss"]]
    assert summary["train/loss"] == {"min": pytest.approx(min(losses))}
    defined = {r["metric"].get("name") for r in records(offline_run(home)) if r["type"] == "metric"}
    assert {"val/joint", "train/loss"} <= defined
    result = json.loads((home / "result.json").read_text())
    assert summary["test/overall_f1"] == pytest.approx(result["spotting"]["overall"]["f1"])


def test_the_table_of_events_holds_every_prediction_and_every_truth(home: Path, summary: dict[str, Any]) -> None:
    logged = table(offline_run(home), "test/events", summary)
    assert tuple(logged["columns"]) == OUTCOME_COLUMNS
    events = [dict(zip(OUTCOME_COLUMNS, row, strict=True)) for row in logged["data"]]
    predicted, truths = rows(home / "predictions.csv"), rows(home / "truth.csv")
    kinds = [event["kind"] for event in events]
    assert kinds.count("true positive") + kinds.count("false positive") == len(predicted)
    assert kinds.count("true positive") + kinds.count("false negative") == len(truths)
    assert kinds.count("true positive") == summary["test/spotting/overall/tp"]
    assert sorted(e["onset"] for e in events if e["kind"] != "false negative") == sorted(
        float(c["onset"]) for c in predicted
    )
    assert all(event["iou"] >= 0.5 for event in events if event["kind"] == "true positive")


def test_the_confusion_matrix_counts_the_hits(home: Path, summary: dict[str, Any]) -> None:
    logged = table(offline_run(home), "test/confusion", summary)
    assert logged["columns"][-1] == "none"
    assert sum(sum(row[1:]) for row in logged["data"]) <= summary["test/spotting/overall/tp"]


def test_timelines_and_film_strips_are_pictures(home: Path, summary: dict[str, Any]) -> None:
    files = offline_run(home) / "files"
    timeline = summary["test/timeline_01"]
    assert (timeline["_type"], timeline["caption"]) == ("image-file", "p0/v")
    assert (files / timeline["path"]).read_bytes() == (home / "timelines" / "p0_v.png").read_bytes()
    strips = summary["test/film_strips"]
    assert strips["count"] == len(strips["captions"]) > 0
    with Image.open(files / strips["filenames"][0]) as picture:
        assert picture.size == (3 * SIDE + 2 * GAP, SIDE)


def test_the_run_gives_its_checkpoint_and_predictions_and_uses_the_corpus(home: Path) -> None:
    found = artifacts(offline_run(home))
    inputs = {name for name, artifact in found.items() if is_input(artifact)}
    assert inputs == {"dataset-pulses"}
    assert set(found) - inputs == {"model-pulses-seed7", "predictions-pulses-seed7"}
    assert files_of(found["model-pulses-seed7"]) == {"best.ckpt": home / "checkpoints" / "best.ckpt"}
    assert files_of(found["predictions-pulses-seed7"])["truth.csv"] == home / "truth.csv"
    # W&B must not have copied the checkpoint beside the run.
    assert sum(path.stat().st_size for path in (home / "wandb").rglob("*") if path.is_file()) < 500_000


def test_another_run_uses_the_same_checkpoint(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home.parents[1])
    monkeypatch.setenv("WANDB_MODE", "offline")
    words = ["test", "--config", str(home / "config.yaml"), "--run_dir", str(tmp_path / "other")]
    assert main([*words, "--ckpt_path", str(home / "checkpoints" / "best.ckpt"), "--wandb.faces", "false"]) == 0
    run = offline_run(tmp_path / "other" / "test")
    given, used = artifacts(offline_run(home))["model-pulses-seed7"], artifacts(run)["model-pulses-seed7"]
    assert (is_input(given), is_input(used)) == (False, True)
    assert used["digest"] == given["digest"]
    assert "test/film_strips" not in inspect(run)["summary"]
