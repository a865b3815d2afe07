"""The two-step pipeline on pulses: spotting stays as it was, emotions are the recogniser's, leaks are refused."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from studies import CONF, Study

from fedn_lightning.baselines.two_step import combine
from fedn_lightning.cli.inspection import inspect
from fedn_lightning.cli.main import main
from fedn_lightning.errors import FoldError
from fedn_lightning.loso.status import problem
from fedn_lightning.utils.files import plain, write_json

RECOGNISER = CONF.with_name("pulses_recogniser.yaml")


def rows(folder: Path, name: str = "proposals.csv") -> list[list[str]]:
    with (folder / name).open(newline="") as file:
        return list(csv.reader(file))[1:]


@pytest.fixture(scope="module")
def halves(reference: Study, tmp_path_factory: pytest.TempPathFactory) -> tuple[Study, Study]:
    """Spotters are the folds of the reference; recognisers are trained for two of the three subjects."""
    home = tmp_path_factory.mktemp("halves") / "home"
    shutil.copytree(reference.home, home)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        patch.setenv("WANDB_MODE", "disabled")
        study = Study(home, inspect(["--config", str(RECOGNISER)], "runs"))
        for name in ("p0", "p1"):
            outcome = study.run(name)
            assert outcome.state == "finished", outcome.reason
        for experiment in (reference.experiment, study.experiment):  # as fedn loso does
            write_json(experiment.folder / "experiment.json", experiment.to_json())
    return Study(home, reference.experiment), study


@pytest.fixture(autouse=True)
def _at_home(halves: tuple[Study, Study], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(halves[0].home)
    monkeypatch.setenv("WANDB_MODE", "disabled")


@pytest.fixture
def change(halves: tuple[Study, Study], tmp_path: Path) -> Callable[..., Path]:
    """Copies the recogniser of p0 with another record in its checkpoint."""

    def copy(**entries: object) -> Path:
        folder = tmp_path / "changed"
        shutil.copytree(halves[1].folder("p0"), folder, dirs_exist_ok=True)
        path = folder / "checkpoints" / "best.ckpt"
        content = torch.load(path, weights_only=True)
        content["fedn"] |= entries
        torch.save(content, path)
        return folder

    return copy


def test_spotting_is_the_spotters_and_emotions_are_the_recognisers(halves: tuple[Study, Study], tmp_path: Path) -> None:
    spotter = halves[0].folder("p0")
    result = plain(combine(spotter, halves[1].folder("p0"), tmp_path / "run"))
    assert result == json.loads((tmp_path / "run" / "result.json").read_text())
    alone = json.loads((spotter / "result.json").read_text())
    assert {key: result[key] for key in ("spotting", "threshold", "subjects", "n_truths")} == {
        key: alone[key] for key in ("spotting", "threshold", "subjects", "n_truths")
    }
    for name in ("predictions.csv", "proposals.csv"):
        ours, theirs = rows(tmp_path / "run", name), rows(spotter, name)
        assert [[*row[:5], row[6]] for row in ours] == [[*row[:5], row[6]] for row in theirs]
    proposals = rows(tmp_path / "run")
    assert {row[5] for row in proposals} <= {"negative", "positive", "surprise"}
    assert all(1 / 3 <= float(row[7]) <= 1 for row in proposals)
    assert [row[5:] for row in proposals] != [row[5:] for row in rows(spotter)]
    assert len(list((tmp_path / "run" / "timelines").glob("*.png"))) == result["n_videos"]


def test_the_run_scores_again_as_it_says(
    halves: tuple[Study, Study], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert main(["two-step", *(str(half.folder("p1")) for half in halves), "--out", str(run)]) == 0
    assert "result on held-out subjects" in capsys.readouterr().out
    result = json.loads((run / "result.json").read_text())
    files = ["--predictions", f"{run}/predictions.csv", "--truth", f"{run}/truth.csv", "--videos", f"{run}/videos.csv"]
    assert main(["evaluate", *files, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["spotting"] == result["spotting"]


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"task": "DetectionTask"}, "is no recogniser: it holds a DetectionTask"),
        ({"emotions": ["happy"]}, r"differ in emotion classes, .* and \['happy'\]"),
        ({"fps": 200.0}, "differ in frame rate, 30.0 and 200.0"),
        ({"subjects": {"train": ("p0",), "val": (), "test": ("p1",)}}, "the first holds out p0, the second p1"),
        ({"subjects": {"train": ("p0", "p1"), "val": (), "test": ("p0",)}}, "was trained or chosen on p0"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_halves_that_do_not_belong_together_are_refused(
    entries: dict[str, object], message: str, halves: tuple[Study, Study], change: Callable[..., Path], tmp_path: Path
) -> None:
    with pytest.raises(FoldError, match=message):
        combine(halves[0].folder("p0"), change(**entries), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_another_encoder_other_labels_and_a_run_without_a_test_are_refused(
    halves: tuple[Study, Study], change: Callable[..., Path], tmp_path: Path
) -> None:
    spotter, other = halves[0].folder("p0"), change()
    content = torch.load(other / "checkpoints" / "best.ckpt", weights_only=True)
    content["state_dict"]["encoder.conv1.weight"] += 1
    torch.save(content, other / "checkpoints" / "best.ckpt")
    with pytest.raises(FoldError, match="different frame encoders"):
        combine(spotter, other, tmp_path / "run")
    (other / "truth.csv").write_text("subject,video\n")
    with pytest.raises(FoldError, match=r"differ in truth.csv"):
        combine(spotter, other, tmp_path / "run")
    (other / "result.json").unlink()
    with pytest.raises(FoldError, match=r"no complete run: result.json is missing"):
        combine(spotter, other, tmp_path / "run")


def test_folds_are_combined_once_and_pooled(
    halves: tuple[Study, Study], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    words = ["two-step", *(str(half.experiment.folder) for half in halves), "--out", str(tmp_path / "both")]
    assert main([*words, "--bootstrap", "20"]) == 0
    assert "p2 (seed 7) is left out (pulses_recogniser: it has not been run)" in capsys.readouterr().err
    (folder,) = (tmp_path / "both").iterdir()
    pooled = json.loads((folder / "pooled-seed7-partial" / "result.json").read_text())
    experiment = replace(halves[0].experiment, name="both", runs=str(tmp_path), config_hash=folder.name)
    folds = [halves[0].fold(name) for name in ("p0", "p1")]
    assert all(problem(experiment, fold) is None for fold in folds)
    assert len(rows(folder / "pooled-seed7-partial")) == sum(len(rows(experiment.fold_folder(f))) for f in folds)
    assert set(pooled["experiment"]["subjects"]) == {"p0", "p1", "p2"}
    stamps = [(experiment.fold_folder(fold) / "result.json").stat().st_mtime_ns for fold in folds]
    shutil.rmtree(experiment.fold_folder(folds[1]))
    assert main([*words, "--bootstrap", "20"]) == 0
    again = [(experiment.fold_folder(fold) / "result.json").stat().st_mtime_ns for fold in folds]
    assert again[0] == stamps[0]
    assert again[1] > stamps[1]


def test_a_run_and_a_study_do_not_mix(
    halves: tuple[Study, Study], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(halves[0].experiment.folder), str(halves[1].folder("p0"))]
    assert main(["two-step", *words, "--out", str(tmp_path / "run")]) == 2
    assert "experiment.json does not describe an experiment" in capsys.readouterr().err
