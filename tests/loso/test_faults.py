"""Whatever happens to a fold, its process, its disk or its status: run again, the result is the uninterrupted one."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from forked import start_forked

from fedn_lightning.loso.launchers import LocalLaunch
from fedn_lightning.loso.status import Display, Watch, problem, read_status, resumable
from fedn_lightning.loso.worker import Resources


def epochs(folder: Path) -> list[str]:
    """The epochs that were trained, in the order they were, also twice."""
    with (folder / "metrics.csv").open(newline="") as file:
        return [row["epoch"] for row in csv.DictReader(file) if row.get("train/loss")]


@pytest.mark.parametrize(
    ("fault", "resumed", "words"),
    [
        ("kill p1 3 1", True, "killed by signal 9"),
        ("kill p1 0 0", False, "killed by signal 9"),
        ("quota p1 3 0", True, "File too large"),
    ],
)
def test_a_fold_that_dies_goes_on_and_gives_the_same(
    copied, same_files, monkeypatch: pytest.MonkeyPatch, fault: str, resumed: bool, words: str
) -> None:
    copied.without("p1")
    monkeypatch.setenv("PULSES_FAULT", fault)
    outcome = copied.run("p1")
    assert outcome.state == "failed"
    assert words in outcome.reason
    assert problem(copied.experiment, copied.fold("p1")) is not None
    monkeypatch.delenv("PULSES_FAULT")
    assert copied.run("p1").state == "finished"
    assert same_files(copied)
    status = read_status(copied.folder("p1"))
    assert status is not None
    assert status.resumed == resumed
    assert sorted(set(epochs(copied.folder("p1")))) == list("012345")


def test_a_damaged_status_costs_a_test_but_no_training(reference, same_files, monkeypatch: pytest.MonkeyPatch) -> None:
    # In place, not in a copy: a checkpoint of a moved folder is not gone on from.
    monkeypatch.chdir(reference.home)
    monkeypatch.setenv("WANDB_MODE", "disabled")
    folder = reference.folder("p1")
    before = epochs(folder)
    for damage in ("", "{", '{"format": 1, "finished": "yes"}'):
        (folder / "status.json").write_text(damage)
        assert problem(reference.experiment, reference.fold("p1")) == "its status file cannot be read"
    assert reference.run("p1").state == "finished"
    assert epochs(folder) == before
    assert same_files(reference)


def test_damaged_predictions_are_noticed_and_made_again(reference, same_files, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(reference.home)
    monkeypatch.setenv("WANDB_MODE", "disabled")
    table = reference.folder("p2") / "proposals.csv"
    whole = table.read_bytes()
    table.write_bytes(whole[:-20])
    assert problem(reference.experiment, reference.fold("p2")) == "proposals.csv has changed since it was written"
    assert reference.run("p2").state == "finished"
    assert table.read_bytes() == whole


def test_finished_folds_are_not_touched(copied) -> None:
    before = {path: path.stat().st_mtime_ns for path in copied.experiment.folder.rglob("*") if path.is_file()}
    launch = LocalLaunch(copied.experiment, copied.folds, 2, Resources(), start=start_forked)
    ended = []
    while launch.running():
        ended += launch.outcomes()
    assert {outcome.state for outcome in ended} == {"already finished"}
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_a_stopped_launch_can_be_resumed(copied, same_files, monkeypatch: pytest.MonkeyPatch) -> None:
    from fedn_lightning.cli.loso import follow

    for name in ("p0", "p1"):
        copied.without(name)
    launch = LocalLaunch(copied.experiment, copied.folds, 1, Resources(), start=start_forked)
    watch = Watch(copied.experiment, copied.folds, 1)

    class InterruptedDisplay(Display):
        def refresh(self) -> None:
            view = watch.views()[0]
            if view.state == "running" and view.epoch >= 2:
                raise KeyboardInterrupt

    monkeypatch.setattr("fedn_lightning.cli.loso.REFRESH", 0.01)
    with pytest.raises(KeyboardInterrupt):
        follow(launch, InterruptedDisplay(watch), fail_fast=False)
    assert [watch.ended[fold].state for fold in copied.folds[:2]] == ["stopped", "stopped"]
    assert resumable(copied.folder("p0"), copied.fold("p0")) is not None
    for name in ("p0", "p1"):
        assert copied.run(name).state == "finished"
    assert same_files(copied)


def test_fail_fast_stops_the_rest(copied, monkeypatch: pytest.MonkeyPatch) -> None:
    from fedn_lightning.cli.loso import follow

    for name in ("p0", "p1", "p2"):
        copied.without(name)
    monkeypatch.setenv("PULSES_FAULT", "kill p0 0 0")
    launch = LocalLaunch(copied.experiment, copied.folds, 1, Resources(), start=start_forked)
    with Display(Watch(copied.experiment, copied.folds, 1)) as display:
        assert follow(launch, display, fail_fast=True) == 1
    states = [display.watch.ended[fold].state for fold in copied.folds]
    assert states[0] == "failed"
    assert states[2] == "stopped"
