"""`fedn loso` as a user types it, on a study of which one fold is missing."""

from __future__ import annotations

import csv
import json
import shlex
from pathlib import Path

import pytest
from studies import CONF

from fedn_lightning.cli import inspection
from fedn_lightning.cli.inspection import ChildError, Experiment, inspect, inspect_in_child
from fedn_lightning.cli.main import main
from fedn_lightning.loso.status import problem

LOSO = ["loso", "--config", str(CONF)]


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reads the configuration here instead of in a child, which would import torch for seconds."""

    def read(words: list[str], runs: str, group: int, threads: int, warm_up: bool) -> Experiment:
        return inspect(words, runs, group, threads, warm_up)

    monkeypatch.setattr(inspection, "inspect_in_child", read)


@pytest.mark.usefixtures("in_process")
def test_print_commands_prints_complete_commands(copied, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*LOSO, "--print-commands", "--seeds", "7", "8", "--trainer.max_epochs", "6"]) == 0
    commands = [shlex.split(line) for line in capsys.readouterr().out.splitlines()]
    assert len(commands) == 6
    first = commands[0]
    assert first[:4] == ["fedn", "fit", "--config", str(CONF)]
    for option, value in (("--data.test_subject", '["p0"]'), ("--seed_everything", "7"), ("--data.seed", "7")):
        assert first[first.index(option) + 1] == value
    assert first[first.index("--run_dir") + 1].endswith("/seed7/p0")
    assert len({command[command.index("--run_dir") + 1] for command in commands}) == 6
    groups = {command[command.index("--wandb.group") + 1] for command in commands}
    assert {group.rsplit("-", 1)[1] for group in groups} == {"seed7", "seed8"}


@pytest.mark.usefixtures("in_process")
def test_dry_run_shows_state_and_validation_subjects_and_runs_nothing(
    copied, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    copied.without("p1")
    before = sorted(Path().rglob("*"))
    assert main([*LOSO, "--dry-run"]) == 0
    rows = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line[:1] == "p"}
    assert rows["p0"].endswith("finished") or "finished" in rows["p0"]
    assert "it has not been run" in rows["p1"]
    assert sorted(Path().rglob("*")) == before


@pytest.mark.usefixtures("in_process")
def test_groups_and_subjects_choose_folds(copied, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*LOSO, "--print-commands", "--group", "2", "--subjects", "0", "--data.val_subject", "0"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert '["p0", "p2"]' in line
    assert "/seed7/p0+p2" in line


@pytest.mark.usefixtures("in_process")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--subjects", "p9"], "Subject 'p9' is not in this corpus"),
        (["--jobs", "0"], "--jobs: must be a whole number of at least 1"),
        (["--group", "3"], "--group 3 must be at least 1 and less than"),
        (["--run_dir", "x"], "--run_dir differs from fold to fold"),
        (["--trainer.max_epoch", "3"], 'did you mean "trainer.max_epochs"'),
        (["--data.val_subject", "[p1]"], "p1 is in both data.test_subject and data.val_subject"),
        (["--data.val_subject", "2"], "nobody is left to train on"),
        (["--launcher", "slurm"], "--launcher slurm needs"),
    ],
)
def test_a_user_error_is_one_sentence(
    copied, options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    copied.without("p1")
    assert main([*LOSO, *options]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.usefixtures("in_process")
def test_everything_finished_is_pooled_at_once(copied, capsys: pytest.CaptureFixture[str]) -> None:
    results = Path("results/loso.json")
    assert main([*LOSO, "--bootstrap", "20", "--results", str(results)]) == 0
    said = capsys.readouterr()
    assert "3 of 3 folds are finished already" in said.err
    assert "seed 7: 3 folds, 3 subjects, 3 videos" in said.out
    assert "selected on test data" in said.out
    stored = json.loads(results.read_text())
    assert stored["by_seed"]["7"]["complete"]
    assert set(stored["costs"]["fold_seconds"]) == {"p0 (seed 7)", "p1 (seed 7)", "p2 (seed 7)"}
    with (copied.experiment.folder / "pooled-seed7/videos.csv").open(newline="") as file:
        assert [row["subject"] for row in csv.DictReader(file)] == ["p0", "p1", "p2"]


def test_an_error_in_the_child_is_printed_once(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ChildError) as caught:
        inspect_in_child(["--run_dir", "x"], "runs", 1, 1, warm_up=False)
    assert caught.value.code == 2
    assert capfd.readouterr().err.count("fedn: error: --run_dir differs") == 1


@pytest.mark.slow  # the only test with the processes a user gets: a child that reads, a child that trains
def test_the_real_command_runs_what_is_missing_and_equals_the_uninterrupted_study(
    copied, same_files, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("p1", "p2"):  # two, so that one fold ends while the other runs
        copied.without(name)
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert main([*LOSO, "--jobs", "2", "--bootstrap", "20"]) == 0
    assert all(problem(copied.experiment, fold) is None for fold in copied.folds)
    assert same_files(copied)
    assert (copied.folder("p1") / "log.txt").is_file()
    said = capsys.readouterr()
    assert "p1 (seed 7) finished [" in said.err
    assert "finished [2/2]" in said.err
    assert list((copied.folder("p1") / "wandb").glob("offline-run-*"))
    assert list((copied.experiment.folder / "pooled-seed7" / "wandb").glob("offline-run-*"))
