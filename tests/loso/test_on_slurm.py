"""Folds as a SLURM array: the script, and a stand-in for sbatch that runs it as SLURM would."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import toy_driver
from studies import fake_fold, make_experiment

from fedn_lightning.errors import ConfigError
from fedn_lightning.loso import on_slurm
from fedn_lightning.loso.experiment import make_folds
from fedn_lightning.loso.on_slurm import SlurmLaunch, SubmititLaunch, launch_on_slurm, main, write_array
from fedn_lightning.loso.status import problem
from fedn_lightning.loso.worker import Resources

SBATCH = """#!/usr/bin/env bash
# Runs an array one task after the other, each with the variables of SLURM; the last word is the script.
echo "$@" > sbatch.txt
echo 4711
script="${@: -1}"
last=$(sed -n 's/^#SBATCH --array=0-\\([0-9]*\\).*/\\1/p' "$script")
for task in $(seq 0 "$last"); do
  (cd / && SLURM_ARRAY_TASK_ID=$task SLURM_JOB_ID=4711 SLURM_NTASKS=1 SLURM_JOB_NAME=loso bash "$script")
done > tasks.txt 2>&1
"""


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    experiment = make_experiment(Path("runs"))
    return experiment, make_folds(list(experiment.subjects), [7])


@pytest.fixture
def sbatch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin" / "sbatch"
    command.write_text(SBATCH)
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    return command


def test_the_script_asks_for_the_resources_of_a_fold(study) -> None:
    experiment, folds = study
    options = ["partition=gpu", "--time=2:00:00"]
    script = write_array(replace(experiment, cpus=3, gpus=2), folds, 4, Resources(threads=3), options).read_text()
    for line in (
        "--array=0-2%4",
        "--cpus-per-task=3",
        "--gres=gpu:2",
        "--no-requeue",
        "--partition=gpu",
        "--time=2:00:00",
    ):
        assert f"#SBATCH {line}\n" in script
    assert script.endswith('"$SLURM_ARRAY_TASK_ID"\n')
    assert sys.executable in script


def test_without_sbatch_the_launcher_says_so(study, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ConfigError, match="--launcher slurm needs the command sbatch"):
        launch_on_slurm(*study, None, Resources(), [])


def test_an_array_task_runs_its_fold_and_no_other(study, monkeypatch: pytest.MonkeyPatch) -> None:
    experiment, folds = study
    fake_fold(make_experiment(Path("made")), folds[1])
    (Path("made") / "fake" / "0badcafe" / "seed7").rename("templates")
    start = on_slurm.run_fold
    monkeypatch.setattr(on_slurm, "run_fold", lambda *a, **k: start(*a, **k, start=toy_driver.start_toy))
    write_array(experiment, folds, None, Resources())
    plan = str(experiment.folder / "slurm/folds.json")
    assert main([plan, "1"]) == 0
    assert [problem(experiment, fold) is None for fold in folds] == [False, True, False]
    assert main([plan, "2"]) == 1  # there is no template, so the toy fails


def test_an_array_that_was_submitted_is_followed_to_its_end(study, sbatch: Path) -> None:
    experiment, folds = study
    for fold in folds[:2]:
        fake_fold(experiment, fold)
    launch = SlurmLaunch(experiment, folds, None, Resources())
    outcomes = []
    while launch.running():
        outcomes += launch.outcomes()
        time.sleep(0.05)
    # The third has no corpus to train on.
    assert [outcome.state for outcome in outcomes] == ["finished", "finished", "failed"]
    assert Path("sbatch.txt").read_text().startswith("--wait --parsable ")
    said = Path("tasks.txt").read_text()
    assert "a (seed 7): already finished" in said
    assert "c (seed 7): failed" in said
    assert experiment.beside(folds[2], ".log").is_file()


def test_a_refusal_of_sbatch_is_told(study, sbatch: Path) -> None:
    sbatch.write_text("#!/usr/bin/env bash\necho 'sbatch: error: invalid partition' >&2\nexit 1\n")
    launch = SlurmLaunch(*study, None, Resources(), ["partition=none"])
    launch._process.wait()
    with pytest.raises(ConfigError, match=r"sbatch refused .*array\.sh with code 1: sbatch: error: invalid partition"):
        launch.outcomes()


def test_submitit_runs_the_same_tasks(study) -> None:
    pytest.importorskip("submitit", reason="submitit is an optional extra: pip install 'fedn-lightning[slurm]'")
    experiment, folds = study
    for fold in folds:
        fake_fold(experiment, fold)
    launch = SubmititLaunch(experiment, folds, None, Resources(), cluster="local")
    outcomes = []
    while launch.running():
        outcomes += launch.outcomes()
        time.sleep(0.1)
    assert {outcome.state for outcome in outcomes} == {"finished"}
    assert len(outcomes) == 3
