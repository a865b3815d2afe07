"""Folds as a SLURM array, submitted through submitit."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest
import toy_driver
from studies import fake_fold, make_experiment

from fedn_lightning.errors import ConfigError
from fedn_lightning.loso import on_slurm
from fedn_lightning.loso.experiment import make_folds
from fedn_lightning.loso.on_slurm import SlurmLaunch, main, write_plan
from fedn_lightning.loso.status import problem
from fedn_lightning.loso.worker import Resources


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    experiment = make_experiment(Path("runs"))
    return experiment, make_folds(list(experiment.subjects), [7])


def test_without_sbatch_the_launcher_says_so(study, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("submitit", reason="submitit is an optional extra: pip install 'fedn-lightning[slurm]'")
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ConfigError, match="--launcher slurm needs the command sbatch"):
        SlurmLaunch(*study, None, Resources())


def test_without_submitit_the_launcher_says_so(study, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(ConfigError, match=r"needs submitit.*fedn-lightning\[slurm\]"):
        SlurmLaunch(*study, None, Resources())


def test_an_array_task_runs_its_fold_and_no_other(study, monkeypatch: pytest.MonkeyPatch) -> None:
    experiment, folds = study
    fake_fold(make_experiment(Path("made")), folds[1])
    (Path("made") / "fake" / "0badcafe" / "seed7").rename("templates")
    start = on_slurm.run_fold
    monkeypatch.setattr(on_slurm, "run_fold", lambda *a, **k: start(*a, **k, start=toy_driver.start_toy))
    plan = str(write_plan(experiment, folds, Resources()))
    assert main([plan, "1"]) == 0
    assert [problem(experiment, fold) is None for fold in folds] == [False, True, False]
    assert main([plan, "2"]) == 1  # there is no template, so the toy fails


def test_submitit_runs_the_tasks(study) -> None:
    pytest.importorskip("submitit", reason="submitit is an optional extra: pip install 'fedn-lightning[slurm]'")
    experiment, folds = study
    for fold in folds:
        fake_fold(experiment, fold)
    launch = SlurmLaunch(experiment, folds, None, Resources(), cluster="local")
    outcomes = []
    while launch.running():
        outcomes += launch.outcomes()
        time.sleep(0.1)
    assert {outcome.state for outcome in outcomes} == {"finished"}
    assert len(outcomes) == 3
