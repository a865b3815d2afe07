"""The driver and its folds as separate processes: killed drivers, stopped ones, and what a user sees."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import toy_driver
from rich.console import Console
from studies import fake_fold, make_experiment

from fedn_lightning.errors import ConfigError, FoldError
from fedn_lightning.loso import launchers
from fedn_lightning.loso.experiment import Experiment, Fold, make_folds
from fedn_lightning.loso.launchers import LocalLaunch, share
from fedn_lightning.loso.pool import pool, pooled_json
from fedn_lightning.loso.status import Outcome, Status, Watch, mark_finished, problem, read_metrics, read_status
from fedn_lightning.loso.worker import Resources, run_fold
from fedn_lightning.results.names import TABLES
from fedn_lightning.utils import TRAINING_MEMORY


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Experiment, list[Fold]]:
    """An experiment whose folds are toys, with the templates that they copy."""
    monkeypatch.chdir(tmp_path)
    experiment, templates = make_experiment(Path("runs")), make_experiment(Path("made"))
    folds = make_folds(list(experiment.subjects), [7])
    for fold in folds:
        fake_fold(templates, fold)
    (templates.folder / "seed7").rename("templates")
    Path("experiment.json").write_text(json.dumps(experiment.to_json()))
    return experiment, folds


def drive(jobs: int = 2) -> subprocess.Popen[str]:
    command = [sys.executable, toy_driver.__file__, "experiment.json", str(jobs)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def wait_for(condition: Callable[[], bool], seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def starts() -> list[str]:
    return Path("starts.txt").read_text().split() if Path("starts.txt").exists() else []


def test_folds_of_a_killed_driver_are_waited_for_and_not_begun_twice(study) -> None:
    experiment, folds = study
    first = drive()
    wait_for(lambda: all((experiment.fold_folder(fold) / "metrics.csv").exists() for fold in folds[:2]))
    first.send_signal(signal.SIGKILL)
    first.wait()
    second = drive()
    said = second.communicate(timeout=60)[1]
    assert second.returncode == 0, said
    assert sorted(starts()) == ["a", "b", "c"]  # a and b went on without their driver
    assert all(problem(experiment, fold) is None for fold in folds)
    for fold in folds:
        fake_fold(replace(experiment, runs="uninterrupted"), fold)
    one, other = (pool(e, folds, draws=10) for e in (experiment, replace(experiment, runs="uninterrupted")))
    assert pooled_json(one)["strict"]["spotting"] == pooled_json(other)["strict"]["spotting"]
    for name in TABLES:
        assert (one.folder / name).read_bytes() == (other.folder / name).read_bytes()


def test_sigterm_to_the_driver_ends_its_folds(study) -> None:
    experiment, folds = study
    driver = drive(jobs=1)
    wait_for(lambda: (experiment.fold_folder(folds[0]) / "metrics.csv").exists())
    driver.send_signal(signal.SIGINT)
    driver.communicate(timeout=30)
    assert driver.returncode != 0
    log = experiment.beside(folds[0], ".lock")
    wait_for(lambda: not _locked(log), 5)
    assert read_status(experiment.fold_folder(folds[0])).failure.startswith("it was stopped")
    assert starts() == ["a"]


def _locked(path: Path) -> bool:
    import fcntl

    with path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def test_one_failing_fold_does_not_stop_the_others(study) -> None:
    experiment, folds = study
    Path("templates/b").rename("templates/away")
    driver = drive()
    said = driver.communicate(timeout=60)[1]
    assert driver.returncode == 1
    assert [problem(experiment, fold) is None for fold in folds] == [True, False, True]
    assert "b (seed 7) failed: There is no templates/b (exit code 1; log in runs/" in said
    Path("templates/away").rename("templates/b")
    assert drive().wait() == 0
    assert starts().count("a") == starts().count("c") == 1


def test_a_full_disk_is_reported_and_the_fold_is_not_finished(study, monkeypatch: pytest.MonkeyPatch) -> None:
    experiment, folds = study

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", "status.json")

    monkeypatch.setattr(Status, "write", full)
    outcome = run_fold(experiment, folds[0], Resources(), start=toy_driver.start_toy)
    assert outcome == Outcome(folds[0], "failed", "No space left on device (status.json)")
    assert problem(experiment, folds[0]) is not None


def test_an_exit_code_of_zero_proves_nothing(study) -> None:
    experiment, folds = study
    (Path("templates/a") / "result.json").unlink()  # SIGTERM ends Lightning with code 0 and without a result
    outcome = run_fold(experiment, folds[0], Resources(), start=toy_driver.start_toy)
    assert outcome.state == "failed"
    assert outcome.reason.endswith("lacks result.json")
    assert problem(experiment, folds[0]) is not None


def test_the_result_of_another_subject_is_not_vouched_for(study) -> None:
    experiment, folds = study
    folder = fake_fold(experiment, folds[0])
    result = (folder / "result.json").read_text()
    (folder / "result.json").write_text(result.replace('"a"', '"b"'))
    with pytest.raises(FoldError, match=r"result\.json is not the test of a"):
        mark_finished(experiment, folds[0], Status(experiment.config_hash, 7, ("a",)))


def test_each_fold_gets_its_device_and_its_threads(study) -> None:
    experiment, folds = study
    seen: list[tuple[str, str]] = []
    lock = threading.Lock()

    def start(words: list[str], env: dict[str, str], log: Path, handle: int) -> subprocess.Popen[bytes]:
        with lock:
            seen.append((env["CUDA_VISIBLE_DEVICES"], env["OMP_NUM_THREADS"]))
        return toy_driver.start_toy(words, env, log, handle)

    launch = LocalLaunch(experiment, folds, 2, Resources(threads=3), ["0", "5"], start)
    while launch.running():
        launch.outcomes()
        time.sleep(0.05)
    assert {device for device, _ in seen} == {"0", "5"}
    assert {threads for _, threads in seen} == {"3"}


@pytest.mark.parametrize(
    ("jobs", "devices", "gpus", "there", "expected"),
    [
        (None, [], 1, 4, (3, ["0", "1", "2", "3"])),  # no more jobs than folds
        (None, ["2", "3"], 1, 4, (2, ["2", "3"])),
        (None, [], 2, 4, (2, ["0,1", "2,3"])),
        (3, [], 1, 2, (3, ["0", "1"])),
        (2, [], 0, 0, (2, [])),
    ],
)
def test_jobs_and_devices_are_shared_out(study, jobs, devices, gpus, there, expected) -> None:
    experiment = replace(study[0], gpus=gpus, device_count=there)
    assert share(jobs, devices, experiment, 3) == expected


def test_memory_limits_the_folds_that_run_at_once(study, monkeypatch) -> None:
    monkeypatch.setattr(launchers, "available_cores", lambda: 64)
    monkeypatch.setattr(launchers, "available_memory", lambda: int(2.5 * TRAINING_MEMORY))
    experiment = replace(study[0], gpus=0, device_count=0)
    assert share(None, [], experiment, 20)[0] == 2
    assert share(5, [], experiment, 20)[0] == 5  # as asked for


def test_too_few_devices_are_an_error(study) -> None:
    with pytest.raises(ConfigError, match=r"trainer\.devices asks for 2 devices a fold, and there are 1"):
        share(None, ["0"], replace(study[0], gpus=2, device_count=4), 3)


def test_the_table_shows_state_epoch_score_and_time_left(study) -> None:
    experiment, folds = study
    watch = Watch(experiment, folds, 1)
    watch.ended[folds[0]] = Outcome(folds[0], "finished")
    fake_fold(experiment, folds[0])
    folder = experiment.fold_folder(folds[1])
    folder.mkdir()
    experiment.beside(folds[1], ".log").write_text("")
    (folder / "metrics.csv").write_text("epoch,val/joint\n0,0.25\n0,\n1,0.5\n2,0.")
    views = watch.views()
    assert [view.state for view in views] == ["finished", "running", "waiting"]
    assert (views[1].epoch, views[1].score) == (3, 0.5)
    assert watch.left(views) == pytest.approx((2 - 3 / 4) * 60)
    console = Console(width=100, record=True, file=Path(os.devnull).open("w"))  # noqa: SIM115
    console.print(watch.table())
    shown = console.export_text()
    for words in ("1 finished, 1 running, 1 waiting", "3/4", "0.5000", "about 1:15 left", "1:00"):
        assert words in shown


def test_a_least_value_is_best_where_the_metric_is_a_loss(tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").write_text("epoch,val/loss\n0,3\n1,2\n2,4\n")
    assert read_metrics(tmp_path / "metrics.csv", "val/loss", "min") == (3, 2.0)
    assert read_metrics(tmp_path / "none.csv", "val/loss", "min")[0] == 0


def test_an_experiment_survives_its_file(study, tmp_path: Path) -> None:
    assert Experiment.load(Path("experiment.json")) == study[0]
    Path("bad.json").write_text('{"name": 3}')
    with pytest.raises(FoldError, match=r"bad\.json does not describe an experiment"):
        Experiment.load(Path("bad.json"))


def test_folds_do_not_use_the_drivers_own_wandb_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_SERVICE", "3-1-unix-/tmp/wandb-1/socket")  # as W&B sets it when a row is written
    monkeypatch.setenv("WANDB_MODE", "offline")
    env = Resources().environment()
    assert "WANDB_SERVICE" not in env
    assert env["WANDB_MODE"] == "offline"
