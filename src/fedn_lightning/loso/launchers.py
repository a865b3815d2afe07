"""Launchers run folds: on this machine several at a time, on a Ray cluster, or as an array of SLURM jobs.

Every machine of a cluster must have this package installed and see the same folders under the same paths: Ray carries
the name of a fold, and its results go through its folder.
"""

from __future__ import annotations

import os
import queue
import shutil
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from fedn_lightning.errors import ConfigError
from fedn_lightning.loso.experiment import Experiment, Fold
from fedn_lightning.loso.status import Outcome, problem
from fedn_lightning.loso.worker import GRACE, Resources, Start, run_fold, start_process
from fedn_lightning.utils import TRAINING_MEMORY, available_cores, available_memory
from fedn_lightning.utils.workers import connect

MAX_JOBS = 8
"""Folds at once on a machine without accelerators, unless asked for more: memory runs out before cores do."""


class Launch(Protocol):
    """Running folds; every launcher returns one."""

    def outcomes(self) -> list[Outcome]:
        """Folds that have ended since the last call."""

    def running(self) -> bool:
        """Whether any fold is still to end."""

    def stop(self) -> None:
        """Ends all folds, so that they can be resumed, and waits for it."""


class JobSlots:
    """A limited number of folds at a time, of one experiment or of many; first come, first served.

    Args:
        jobs: folds at a time.
        devices: values of CUDA_VISIBLE_DEVICES, handed to folds in turn; empty to leave the variable alone.
    """

    def __init__(self, jobs: int, devices: Sequence[str] = ()) -> None:
        self._stop = threading.Event()
        self._devices: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        for slot in range(jobs):
            self._devices.put(devices[slot % len(devices)] if devices else None)
        self._pool = ThreadPoolExecutor(jobs, thread_name_prefix="fold")

    def submit(self, experiment: Experiment, fold: Fold, resources: Resources, start: Start) -> Future[Outcome]:
        """Runs a fold as soon as a slot is free."""
        return self._pool.submit(self._run, experiment, fold, resources, start)

    def _run(self, experiment: Experiment, fold: Fold, resources: Resources, start: Start) -> Outcome:
        device = self._devices.get()
        try:
            return run_fold(experiment, fold, replace(resources, device=device), self._stop, start=start)
        finally:
            self._devices.put(device)

    def stop(self) -> None:
        """Ends all folds, so that they can be resumed, and waits for it."""
        self._stop.set()
        self._pool.shutdown(wait=True)


class LocalLaunch:
    """Runs folds as child processes.

    Args:
        experiment: of the folds.
        folds: in the order they are begun.
        slots: where they run; or how many at a time.
        resources: of one fold.
        devices: as of :class:`JobSlots`, where `slots` is a number.
        start: how a fold's process is started.
    """

    def __init__(
        self,
        experiment: Experiment,
        folds: Sequence[Fold],
        slots: JobSlots | int,
        resources: Resources,
        devices: Sequence[str] = (),
        start: Start = start_process,
    ) -> None:
        self._slots = JobSlots(slots, devices) if isinstance(slots, int) else slots
        self._pending = [self._slots.submit(experiment, fold, resources, start) for fold in folds]

    def outcomes(self) -> list[Outcome]:
        """Folds that have ended since the last call."""
        ended = [future for future in self._pending if future.done()]
        self._pending = [future for future in self._pending if not future.done()]
        return [future.result() for future in ended]

    def running(self) -> bool:
        """Whether any fold is still to end."""
        return bool(self._pending)

    def stop(self) -> None:
        """Ends all folds, so that they can be resumed, and waits for it."""
        self._slots.stop()


def share(jobs: int | None, devices: Sequence[str], experiment: Experiment, folds: int) -> tuple[int, list[str]]:
    """How many folds run at a time, and on which devices.

    Args:
        jobs: as asked for; None for one per device, or one per core without devices, at most :data:`MAX_JOBS` and
            what the free memory holds.
        devices: as asked for; none for all accelerators of this machine.
        experiment: says how many devices this machine has and a fold wants.
        folds: there are no more jobs than folds.

    Returns:
        The number of jobs, and for each slot in turn the devices it may see.
    """
    names = list(devices) or [str(index) for index in range(experiment.device_count if experiment.gpus else 0)]
    if experiment.gpus and names and len(names) < experiment.gpus:
        raise ConfigError(f"trainer.devices asks for {experiment.gpus} devices a fold, and there are {len(names)}.")
    size = max(experiment.gpus, 1)
    slots = [",".join(names[i : i + size]) for i in range(0, len(names) - size + 1, size)]
    memory = available_memory()
    room = MAX_JOBS if memory is None else int(memory // TRAINING_MEMORY)
    wanted = jobs or (len(slots) if slots else min(available_cores() // experiment.cpus, MAX_JOBS, room))
    return max(1, min(wanted, folds)), slots


class RayLaunch:
    """Runs each fold as a Ray task that asks for the cores and devices of one fold.

    Args:
        experiment: of the folds; its `cpus` and `gpus` are what a task asks for.
        folds: in the order they are begun.
        jobs: cores of a cluster started here hold so many folds at a time; without meaning for a running cluster.
        resources: of one fold.
        address: of a running cluster, e.g. `auto` or `ray://host:10001`; None starts one here.
    """

    def __init__(
        self, experiment: Experiment, folds: Sequence[Fold], jobs: int, resources: Resources, address: str | None
    ) -> None:
        self._ray = ray = connect(jobs * experiment.cpus, address)
        task = ray.remote(num_cpus=experiment.cpus, num_gpus=experiment.gpus, max_retries=0)(run_task)
        cwd = str(Path.cwd())
        self._ended: list[Outcome] = []
        self._pending: dict[Any, Fold] = {task.remote(fold, experiment, resources, cwd): fold for fold in folds}

    def outcomes(self) -> list[Outcome]:
        """Folds that have ended since the last call; a fold whose machine was lost has failed and can be resumed."""
        self._collect()
        ended, self._ended = self._ended, []
        return ended

    def running(self) -> bool:
        """Whether any fold is still to end; releases the cluster when none is."""
        if not self._pending and self._ray.is_initialized():
            self._ray.shutdown()
        return bool(self._pending or self._ended)

    def stop(self) -> None:
        """Ends all folds, so that they can be resumed, and waits for it."""
        for reference in self._pending:
            self._ray.cancel(reference)  # raises KeyboardInterrupt in the task, which ends the fold's process
        deadline = time.monotonic() + 2 * GRACE
        while self._pending and time.monotonic() < deadline:
            self._collect()
            time.sleep(0.2)
        self._ended += [Outcome(fold, "stopped", "Ray did not end it in time") for fold in self._pending.values()]
        self._pending = {}
        self._ray.shutdown()

    def _collect(self) -> None:
        if not self._pending:
            return
        ended, _ = self._ray.wait(list(self._pending), num_returns=len(self._pending), timeout=0)
        for reference in ended:
            fold = self._pending.pop(reference)
            try:
                self._ended.append(self._ray.get(reference))
            except self._ray.exceptions.TaskCancelledError:
                self._ended.append(Outcome(fold, "stopped", "it was not begun"))
            except self._ray.exceptions.RayError as error:
                self._ended.append(Outcome(fold, "failed", f"Ray lost it: {str(error).strip().splitlines()[-1]}"))


def run_task(fold: Fold, experiment: Experiment, resources: Resources, cwd: str, wait: bool = True) -> Outcome:
    """The body of a task of Ray or SLURM; :func:`.run_fold` explains `wait`."""
    os.chdir(cwd)  # configurations and run folders are relative to where the user started
    try:
        return run_fold(experiment, fold, resources, wait=wait)
    except KeyboardInterrupt:
        return Outcome(fold, "stopped", "it was stopped; the next run resumes it")


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
        shared = ([value] * len(folds) for value in (experiment, resources, str(Path.cwd()), False))
        self._pending = dict(zip(folds, executor.map_array(run_task, folds, *shared), strict=True))
        self._experiment = experiment

    def outcomes(self) -> list[Outcome]:
        """Folds whose tasks have ended since the last call, as their folders show."""
        ended = [fold for fold, job in self._pending.items() if job.done()]
        for fold in ended:
            del self._pending[fold]
        reasons = {fold: problem(self._experiment, fold) for fold in ended}
        return [Outcome(f, "failed", why) if why else Outcome(f, "finished") for f, why in reasons.items()]

    def running(self) -> bool:
        """Whether any task is still to end."""
        return bool(self._pending)

    def stop(self) -> None:
        """Cancels all tasks."""
        for job in self._pending.values():
            job.cancel(check=False)
