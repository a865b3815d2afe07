"""Folds on a Ray cluster, a running one or one started for the occasion on this machine.

Every machine of the cluster must have this package installed and see the same folders under the same paths: what goes
through Ray is a fold's name, what a fold makes goes through its folder.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fedn_lightning.errors import ConfigError
from fedn_lightning.loso.experiment import Experiment
from fedn_lightning.loso.folds import Fold
from fedn_lightning.loso.worker import GRACE, Outcome, Resources, run_fold


class RayLaunch:
    """Runs each fold as a Ray task that asks for the cores and devices of one fold.

    Args:
        experiment: of the folds; its `cpus` and `gpus` are what a task asks for.
        folds: in the order they are begun.
        jobs: cores of a cluster started here hold so many folds at a time; without meaning for a running cluster.
        resources: of one fold.
        address: of a running cluster, e.g. `auto` or `ray://host:10001`; None starts one here.

    Raises:
        ConfigError: if Ray is not installed or the cluster cannot be reached.
    """

    def __init__(
        self, experiment: Experiment, folds: Sequence[Fold], jobs: int, resources: Resources, address: str | None
    ) -> None:
        try:
            import ray
        except ImportError as error:
            msg = "--launcher ray needs Ray, which is not installed: pip install 'fedn-lightning[ray]'."
            raise ConfigError(msg) from error
        self._ray = ray
        here = {"num_cpus": jobs * experiment.cpus} if address is None else {}
        try:
            ray.init(address=address or "local", log_to_driver=False, include_dashboard=False, **here)
        except (ConnectionError, RuntimeError, ValueError) as error:
            msg = f"The Ray cluster {address or 'on this machine'} cannot be used: {str(error).splitlines()[0]}"
            raise ConfigError(msg) from error
        task = ray.remote(num_cpus=experiment.cpus, num_gpus=experiment.gpus, max_retries=0)(_run)
        cwd = str(Path.cwd())
        self._ended: list[Outcome] = []
        self._pending: dict[Any, Fold] = {
            task.remote(experiment.to_json(), fold, resources, cwd): fold for fold in folds
        }

    def outcomes(self) -> list[Outcome]:
        """Folds that have ended since the last call; a fold whose machine was lost has failed and can be resumed."""
        self._collect()
        ended, self._ended = self._ended, []
        return ended

    def running(self) -> bool:
        """Whether any fold is still to end; lets go of the cluster when none is."""
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


def _run(experiment: dict[str, Any], fold: Fold, resources: Resources, cwd: str) -> Outcome:
    """The body of a Ray task."""
    import os

    os.chdir(cwd)  # configurations and run folders are relative to where the user started
    try:
        return run_fold(Experiment.from_json(experiment), fold, resources)
    except KeyboardInterrupt:
        return Outcome(fold, "stopped", "it was stopped; the next run goes on from there")
