"""Folds as the tasks of one SLURM array job.

A task skips, resumes or begins its fold like every launcher. Tasks depend on nothing but the shared folder: the driver
may end, and the same `fedn loso` command later finds the finished folds.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from fedn_lightning.errors import ConfigError, FednError
from fedn_lightning.loso.experiment import Experiment, Fold
from fedn_lightning.loso.status import problem
from fedn_lightning.loso.worker import Outcome, Resources, run_fold
from fedn_lightning.utils.files import write_json

MINUTES = 24 * 60
"""Time limit of an array task that submitit asks for; the option `timeout_min=N` changes it."""


class SlurmLaunch:
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
        try:
            import submitit
        except ImportError as error:
            msg = "--launcher slurm needs submitit, which is not installed: pip install 'fedn-lightning[slurm]'."
            raise ConfigError(msg) from error
        if cluster == "slurm" and shutil.which("sbatch") is None:
            msg = "--launcher slurm needs the command sbatch; run it on a machine from which SLURM jobs are submitted."
            raise ConfigError(msg)
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


def outcome_of(experiment: Experiment, fold: Fold) -> Outcome:
    """How a fold ended, by its folder."""
    reason = problem(experiment, fold)
    return Outcome(fold, "finished") if reason is None else Outcome(fold, "failed", reason)


def write_plan(experiment: Experiment, folds: Sequence[Fold], resources: Resources) -> Path:
    """Writes the list of folds that array tasks read; returns its absolute path."""
    listed = [{"seed": fold.seed, "subjects": list(fold.subjects)} for fold in folds]
    value = {"experiment": experiment.to_json(), "threads": resources.threads, "cwd": str(Path.cwd()), "folds": listed}
    return write_json(experiment.folder / "slurm" / "folds.json", value).absolute()


def main(argv: Sequence[str]) -> int:
    """Runs one array task.

    Args:
        argv: the file that :func:`write_plan` wrote, and the index of the fold.

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
