"""Folds as the tasks of one SLURM array job.

A task runs `python -m fedn_lightning.loso.on_slurm EXPERIMENT.json INDEX`, which skips, resumes or begins its fold
like every launcher. Tasks depend on nothing but the shared folder: the driver may end, and the same `fedn loso` command
later finds the finished folds.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from fedn_lightning.errors import ConfigError, FednError
from fedn_lightning.loso.experiment import Experiment, Fold
from fedn_lightning.loso.status import problem
from fedn_lightning.loso.worker import Outcome, Resources, run_fold
from fedn_lightning.utils.files import write_json, write_text

MINUTES = 24 * 60
"""Time limit of an array task that submitit asks for; the option `timeout_min=N` changes it."""


class SlurmLaunch:
    """Submits the folds as an array job and waits for its end.

    Args:
        experiment: of the folds; its `cpus` and `gpus` are what a task asks for.
        folds: one array task each.
        jobs: array tasks at a time, None for as many as SLURM grants.
        resources: of one fold.
        options: further options of `sbatch`, e.g. `partition=gpu`.

    Raises:
        ConfigError: if `sbatch` refuses the job.
    """

    def __init__(
        self,
        experiment: Experiment,
        folds: Sequence[Fold],
        jobs: int | None,
        resources: Resources,
        options: Sequence[str] = (),
    ) -> None:
        self._script = write_array(experiment, folds, jobs, resources, options)
        # --wait: the command ends with the array, so it ends when the array does.
        self._process = subprocess.Popen(
            ["sbatch", "--wait", "--parsable", str(self._script)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._experiment, self._folds = experiment, list(folds)

    def outcomes(self) -> list[Outcome]:
        """The folds' ends, once the array has ended; meanwhile the table reads the folders."""
        if self._process.poll() is None or not self._folds:
            return []
        folds, self._folds = self._folds, []
        job, message = (text.strip() for text in self._process.communicate())
        if self._process.returncode and not job:
            msg = f"sbatch refused {self._script} with code {self._process.returncode}: {message}"
            raise ConfigError(msg)
        return [outcome_of(self._experiment, fold) for fold in folds]

    def running(self) -> bool:
        """Whether the array is running, or its outcomes have not been read."""
        return bool(self._folds)

    def stop(self) -> None:
        """Stops waiting; the jobs go on (`scancel` ends them), and the same command waits for them again."""
        self._process.terminate()
        self._process.wait()


class SubmititLaunch:
    """Submits the folds through submitit, which also reports the end of each task.

    Args:
        experiment: of the folds; its `cpus` and `gpus` are what a task asks for.
        folds: one array task each.
        jobs: array tasks at a time, None for as many as SLURM grants.
        resources: of one fold.
        options: further `sbatch` options, e.g. `partition=gpu`.
        cluster: `slurm`; `local` runs the tasks here, to try things out.
    """

    def __init__(
        self,
        experiment: Experiment,
        folds: Sequence[Fold],
        jobs: int | None,
        resources: Resources,
        options: Sequence[str] = (),
        cluster: str = "slurm",
    ) -> None:
        import submitit

        executor = submitit.AutoExecutor(folder=str(experiment.folder / "slurm"), cluster=cluster)
        further = dict(option.lstrip("-").split("=", 1) for option in options)
        minutes = int(further.pop("timeout_min", MINUTES))
        executor.update_parameters(
            name=f"loso-{experiment.name}",
            cpus_per_task=experiment.cpus,
            gpus_per_node=experiment.gpus,
            tasks_per_node=1,
            slurm_array_parallelism=jobs or len(folds),
            slurm_additional_parameters=further,
            timeout_min=minutes,
        )
        plan = write_plan(experiment, folds, resources)
        arguments = [[str(plan), str(index)] for index in range(len(folds))]
        self._pending = dict(zip(folds, executor.map_array(main, arguments), strict=True))
        self._experiment = experiment

    def outcomes(self) -> list[Outcome]:
        """Folds whose tasks have ended since the last call, as their folders show."""
        ended = [fold for fold, job in self._pending.items() if job.done()]
        for fold in ended:
            del self._pending[fold]
        return [outcome_of(self._experiment, fold) for fold in ended]

    def running(self) -> bool:
        """Whether any task is still to end."""
        return bool(self._pending)

    def stop(self) -> None:
        """Cancels all tasks."""
        for job in self._pending.values():
            job.cancel(check=False)


def launch_on_slurm(
    experiment: Experiment, folds: Sequence[Fold], jobs: int | None, resources: Resources, options: Sequence[str]
) -> SlurmLaunch | SubmititLaunch:
    """Submits through submitit where it is installed, else by a batch script."""
    if shutil.which("sbatch") is None:
        msg = "--launcher slurm needs the command sbatch; run it on a machine from which SLURM jobs are submitted."
        raise ConfigError(msg)
    kind = SlurmLaunch if importlib.util.find_spec("submitit") is None else SubmititLaunch
    return kind(experiment, folds, jobs, resources, options)


def outcome_of(experiment: Experiment, fold: Fold) -> Outcome:
    """How a fold ended, by its folder."""
    reason = problem(experiment, fold)
    return Outcome(fold, "finished") if reason is None else Outcome(fold, "failed", reason)


def write_plan(experiment: Experiment, folds: Sequence[Fold], resources: Resources) -> Path:
    """Writes the list of folds that array tasks read; returns its absolute path."""
    listed = [{"seed": fold.seed, "subjects": list(fold.subjects)} for fold in folds]
    value = {"experiment": experiment.to_json(), "threads": resources.threads, "cwd": str(Path.cwd()), "folds": listed}
    return write_json(experiment.folder / "slurm" / "folds.json", value).absolute()


def write_array(
    experiment: Experiment, folds: Sequence[Fold], jobs: int | None, resources: Resources, options: Sequence[str] = ()
) -> Path:
    """Writes the batch script of an array job and the list of folds it reads.

    Args:
        experiment: of the folds.
        folds: one array task each.
        jobs: array tasks at a time, None for no limit.
        resources: of one fold.
        options: further options of `sbatch`; they come last and win.

    Returns:
        The script, `slurm/array.sh` in the experiment's folder.
    """
    folder, plan = experiment.folder / "slurm", write_plan(experiment, folds, resources)
    limit = f"%{jobs}" if jobs else ""
    directives = [
        f"--job-name=loso-{experiment.name}",
        f"--array=0-{len(folds) - 1}{limit}",
        f"--cpus-per-task={experiment.cpus}",
        "--ntasks=1",
        *([f"--gres=gpu:{experiment.gpus}"] if experiment.gpus else []),
        "--no-requeue",  # SLURM's requeueing knows nothing of folds; run fedn loso again instead
        f"--output={(folder / 'task-%a.out').absolute()}",
        *(f"--{option.lstrip('-')}" for option in options),
    ]
    command = [sys.executable, "-m", "fedn_lightning.loso.on_slurm", str(plan)]
    lines = ["#!/usr/bin/env bash", *(f"#SBATCH {directive}" for directive in directives)]
    lines += [f'exec {shlex.join(command)} "$SLURM_ARRAY_TASK_ID"', ""]
    return write_text(folder.absolute() / "array.sh", "\n".join(lines))


def main(argv: Sequence[str]) -> int:
    """Runs one array task.

    Args:
        argv: the plan that :func:`write_array` wrote, and the index of the fold.

    Returns:
        0 if the fold is finished, else 1.
    """
    plan = json.loads(Path(argv[0]).read_text(encoding="utf-8"))
    entry = plan["folds"][int(argv[1])]
    fold = Fold(entry["seed"], tuple(entry["subjects"]))
    resources = Resources(threads=plan["threads"])
    os.chdir(plan["cwd"])  # configurations and run folders are relative to where the user started
    try:
        outcome = run_fold(Experiment.from_json(plan["experiment"]), fold, resources, wait=False)
    except FednError as error:
        print(f"fedn: error: {error}", file=sys.stderr)
        return 1
    print(f"{outcome.fold}: {outcome.state}{f' ({outcome.reason})' if outcome.reason else ''}")
    return 0 if outcome.state in ("finished", "already finished") else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
