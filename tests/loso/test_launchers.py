"""Folds as Ray tasks on a cluster of this machine give what the local launcher gives."""

from __future__ import annotations

import builtins
import importlib.util
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import toy_driver
from studies import fake_fold, make_experiment

from fedn_lightning.errors import ConfigError
from fedn_lightning.loso import launchers
from fedn_lightning.loso.experiment import make_folds
from fedn_lightning.loso.launchers import RayLaunch, SlurmLaunch, run_task
from fedn_lightning.loso.status import problem, read_metrics
from fedn_lightning.loso.worker import Resources

needs_ray = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="Ray is an optional extra: pip install 'fedn-lightning[ray]'"
)


def test_without_ray_the_launcher_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str, *args: Any) -> Any:
        if name == "ray":
            raise ImportError(name)
        return original(name, *args)

    original = builtins.__import__
    monkeypatch.setattr(builtins, "__import__", refuse)
    experiment = make_experiment(tmp_path)
    with pytest.raises(ConfigError, match=r"needs Ray, which is not installed: pip install 'fedn-lightning\[ray\]'"):
        RayLaunch(experiment, make_folds(list(experiment.subjects), [7]), 1, Resources(), None)


@pytest.mark.slow  # a cluster and two folds in real processes
@needs_ray
def test_ray_gives_the_predictions_of_the_local_launcher(copied, same_files) -> None:
    for name in ("p0", "p1"):
        copied.without(name)
    launch = RayLaunch(copied.experiment, copied.folds, 2, Resources(), None)
    outcomes = []
    while launch.running():
        outcomes += launch.outcomes()
        time.sleep(0.2)
    assert sorted(outcome.state for outcome in outcomes) == ["already finished", "finished", "finished"]
    assert same_files(copied)


@pytest.mark.slow
@needs_ray
def test_a_stopped_cluster_leaves_folds_that_can_be_resumed(copied, same_files) -> None:
    for name in ("p0", "p1"):
        copied.without(name)
    launch = RayLaunch(copied.experiment, copied.folds, 1, Resources(), None)
    wait_for_epoch(copied.folder("p0"), 2)
    launch.stop()
    outcomes = {outcome.fold.name: outcome for outcome in launch.outcomes()}
    assert not launch.running()
    assert outcomes["p0"].state in ("stopped", "finished")  # on a busy machine it may have ended before the stop
    assert outcomes["p1"].state == "stopped"
    for name in ("p0", "p1"):
        assert copied.run(name).state in ("finished", "already finished")
    assert same_files(copied)


def wait_for_epoch(folder: Path, epoch: int) -> None:
    deadline = time.monotonic() + 60
    while read_metrics(folder / "metrics.csv", "val/joint", "max")[0] < epoch:
        assert time.monotonic() < deadline, "the fold has not begun in time"
        time.sleep(0.02)


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
    start = launchers.run_fold
    monkeypatch.setattr(launchers, "run_fold", lambda *a, **k: start(*a, **k, start=toy_driver.start_toy))
    task = experiment, Resources(), str(Path.cwd()), False
    assert run_task(folds[1], *task).state == "finished"
    assert [problem(experiment, fold) is None for fold in folds] == [False, True, False]
    assert run_task(folds[2], *task).state == "failed"  # there is no template, so the toy fails


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
