"""A study as a process: killed, stopped, begun again, and with a training that fails."""

from __future__ import annotations

import io
import json
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import toy_study
from rich.console import Console
from studies import fake_fold, make_experiment
from toy_study import toy_units

from fedn_lightning.loso.experiment import make_folds
from fedn_lightning.loso.status import Outcome, problem
from fedn_lightning.loso.worker import Resources
from fedn_lightning.study.driver import Progress, try_to_write_unit, write_unit
from fedn_lightning.study.plan import Plan, Row, Unit, make_units, trainings
from fedn_lightning.study.rows import read_row, row_path


@pytest.fixture(autouse=True)
def _templates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the toys copy."""
    monkeypatch.chdir(tmp_path)
    made = make_experiment(Path("made"))
    for fold in make_folds(list(made.subjects), [7]):
        fake_fold(made, fold)
    (made.folder / "seed7").rename("templates")
    Path("experiment.json").write_text(json.dumps(replace(made, runs="runs").to_json()))


def drive(jobs: int, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, toy_study.__file__, str(jobs), *options]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def wait_for(condition: Callable[[], bool], seconds: float = 300.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def starts() -> Counter[str]:
    return Counter(Path("starts.txt").read_text().split() if Path("starts.txt").exists() else [])


def finished(units: list[Unit]) -> int:
    return sum(problem(*task) is None for task in trainings(units))


def stored() -> dict[str, object]:
    """The rows' files, without what differs from run to run: times, and the digest that covers the configuration."""
    rows = {path.name: json.loads(path.read_text()) for path in sorted(Path("results").glob("*.json"))}
    for row in rows.values():
        for seed in row["seeds"].values():
            del seed["digest"], seed["folds"]
    return rows


def test_a_killed_study_repeats_nothing_and_equals_one_that_was_not() -> None:
    units = toy_units()
    first = drive(2, "unwritten")
    wait_for(lambda: finished(units) >= 4)  # in the midst of the second seed
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert 4 <= finished(units) < 9
    second = drive(5)
    said = second.communicate(timeout=480)[1]
    assert second.returncode == 0, said
    assert finished(units) == 9
    assert sum(starts().values()) == 9  # three subjects, each once for every seed and row
    interrupted = stored()
    shutil.rmtree("results")
    for unit in units:
        write_unit(unit, "results", 10)
    assert stored() == interrupted
    assert sorted(interrupted) == ["ablated.json", "fedn.json"]
    assert sorted(read_row(row_path("results", "fedn")).seeds) == [7, 8]


def test_sigterm_ends_the_trainings_of_a_study_which_resumes_later() -> None:
    units = toy_units()
    study = drive(1)
    wait_for(lambda: any(unit.experiment.fold_folder(unit.folds[0]).exists() for unit in units))
    study.send_signal(signal.SIGINT)
    study.communicate(timeout=480)
    assert study.returncode != 0
    assert finished(units) == 0
    assert sum(starts().values()) == 1
    again = drive(9, "unwritten")
    assert again.wait(timeout=480) == 0
    assert finished(units) == 9


def test_a_training_that_fails_leaves_its_rows_out_and_the_others_whole() -> None:
    Path("templates/b").rename("templates/away")
    study = drive(9)
    said = study.communicate(timeout=480)[1]
    assert study.returncode == 1
    assert "ablated b (seed 7) failed: There is no templates/b" in said
    assert not Path("results").exists()
    assert finished(toy_units()) == 6


def finish(unit: Unit) -> None:
    for fold in unit.folds:
        fake_fold(unit.experiment, fold)


def test_a_row_is_written_once_and_again_when_its_folds_change() -> None:
    unit, second, _ = toy_units()
    finish(unit)
    finish(second)
    assert write_unit(unit, "results", 10)
    assert not write_unit(unit, "results", 10)
    assert write_unit(second, "results", 10)
    row = read_row(row_path("results", "fedn"))
    assert sorted(row.seeds) == [7, 8]
    assert (row.parameters, row.trained_parameters, row.group) == (3000, 2000, 1)
    changed = replace(unit, experiment=replace(unit.experiment, config_hash="c4a11ed0"))
    finish(changed)
    assert write_unit(changed, "results", 10)
    assert sorted(read_row(row_path("results", "fedn")).seeds) == [7]  # seed 8 was of another configuration


def test_the_error_of_one_row_is_reported(capsys: pytest.CaptureFixture[str]) -> None:
    unit = toy_units()[0]
    assert not try_to_write_unit(unit, "results", 10, Resources(), print)
    assert "fedn, seed 7: not written, The fold a (seed 7) is not finished" in capsys.readouterr().out


def test_a_pipeline_trains_both_runs_once_and_reports_a_mismatch(capsys: pytest.CaptureFixture[str]) -> None:
    rows = (Row("spotter", ("a.yaml",)), Row("two_step", ("a.yaml", "b.yaml")))
    spotter, pipeline = make_units(Plan("toy", rows, "spotter"), toy_study.toy_experiments())
    assert [(part.name, fold.name) for part, fold in trainings([spotter, pipeline])] == [
        ("fedn", "a"), ("fedn", "b"), ("fedn", "c"), ("ablated", "a"), ("ablated", "b"), ("ablated", "c"),
    ]  # fmt: skip
    assert pipeline.experiment.folder.parent == Path("runs/two_step").absolute()
    assert pipeline.experiment.trained_parameters == 4000
    for part, fold in pipeline.tasks:
        fake_fold(part, fold)
    assert not try_to_write_unit(pipeline, "results", 10, Resources(), print)  # fakes have no checkpoints
    assert "two_step, seed 7: not written, There is no checkpoint at runs/fedn" in capsys.readouterr().out


def test_a_pipeline_shares_the_trainings_of_its_spotter_where_a_row_names_its_people() -> None:
    rows = (
        Row("spotter", ("a.yaml",), train=("a",)),
        Row("two_step", ("a.yaml", "b.yaml"), train=("a",), spotter="spotter"),
    )
    units = make_units(Plan("toy", rows, "spotter"), toy_study.toy_experiments())
    assert [part.name for part, _ in trainings(units)] == ["fedn_spotter", "ablated_two_step"]


def test_progress_counts_folds_of_every_row_and_estimates_what_is_left() -> None:
    units = toy_units()
    finish(units[2])
    console = Console(width=120, record=True, file=io.StringIO())
    progress = Progress(units, 2, console)
    task = units[0].tasks[0]
    fake_fold(*task)
    progress.note(task, Outcome(task[1], "finished"))
    assert progress.left() == 5 * 60 / 2  # six were left, and a fake's status says 60 seconds
    console.print(progress.table())
    said = console.export_text()
    assert "fedn a (seed 7) finished [1/6, about 2:30 left]" in said
    assert "1 of 6 trainings ended, 3 were finished before" in " ".join(said.split())
    assert [line.split() for line in said.splitlines() if line.split()[1:2] == ["7"]] == [
        ["fedn", "7", "1/3"],
        ["ablated", "7", "3/3"],
    ]
