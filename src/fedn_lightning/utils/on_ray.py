"""Work on a Ray cluster, a running one or one started for the occasion on this machine.

Every machine of the cluster must have this package installed and see the same folders under the same paths: names go
through Ray, files do not.
"""

from __future__ import annotations

import faulthandler
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fedn_lightning.errors import ConfigError

RETRIES = 1
"""How often a task is started again whose process or machine was lost."""

STDERR = 2
"""The file descriptor, since Ray puts something else in the place of `sys.stderr`."""


@dataclass(frozen=True)
class Cluster:
    """Where tasks run."""

    # of a running cluster, e.g. `auto` or `ray://host:10001`; None starts one on this machine.
    address: str | None = None
    gpus: float = 0  # that each task needs, may be a part of one


def connect(cores: int, address: str | None) -> Any:
    """Connects to a cluster.

    Args:
        cores: of a cluster started here.
        address: of a running cluster, e.g. `auto` or `ray://host:10001`; None starts one here.

    Returns:
        The module `ray`; call its `shutdown` at the end.

    Raises:
        ConfigError: if Ray is not installed or the cluster cannot be reached.
    """
    try:
        import ray
    except ImportError as error:
        msg = "--launcher ray needs Ray, which is not installed: pip install 'fedn-lightning[ray]'."
        raise ConfigError(msg) from error
    here: dict[str, Any] = {"num_cpus": cores} if address is None else {}
    try:
        _knock(address or "")
        ray.init(address=address or "local", log_to_driver=False, include_dashboard=False, **here)
    except Exception as error:  # Ray raises Exception itself where a cluster takes too long to start
        msg = f"The Ray cluster {address or 'on this machine'} cannot be used: {str(error).splitlines()[0]}"
        raise ConfigError(msg) from error
    return ray


def _knock(address: str) -> None:
    """Connects to a `host:port` once: Ray itself tries for minutes to reach one that does not answer."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if colon and port.isdecimal():
        socket.create_connection((host, int(port)), timeout=10).close()


def run(
    function: Callable[[Any, Callable[[int], None]], Any],
    items: Sequence[Any],
    cores: int,
    stall_seconds: float,
    tick: Callable[[int, int], None],
    cluster: Cluster,
) -> Iterator[tuple[int, Any]]:
    """Runs `function(item, tick)` on every item, one core each; see :func:`fedn_lightning.video.workers.run`.

    No more tasks are handed to Ray than can run, so a list of any length costs little memory. The frames of an item
    are reported when it ends.

    Args:
        function: importable on every machine.
        items: picklable.
        cores: of a cluster started here.
        stall_seconds: a task that neither ticks nor ends for so long loses its process.
        tick: called with an item's index and its frames.
        cluster: where the tasks run.

    Yields:
        Index of the item and its result, or the exception it failed with, in the order they end.
    """
    ray = connect(cores, cluster.address)
    try:
        task = ray.remote(num_cpus=1, num_gpus=cluster.gpus, max_retries=RETRIES)(_call)
        cwd, waiting = str(Path.cwd()), iter(enumerate(items))
        pending: dict[Any, int] = {}
        while True:
            most = _slots(ray.cluster_resources(), cluster.gpus)  # machines come and go
            while len(pending) < most and (following := next(waiting, None)) is not None:
                pending[task.remote(function, following[1], cwd, stall_seconds)] = following[0]
            if not pending:
                return
            for reference in ray.wait(list(pending), num_returns=1)[0]:
                index = pending.pop(reference)
                try:
                    result, frames = ray.get(reference)
                    tick(index, frames)
                    yield index, result
                except ray.exceptions.RayTaskError as error:
                    yield index, error.cause
                except ray.exceptions.RayError as error:
                    times = f"each of {RETRIES + 1} times it was started, or made no progress for {stall_seconds:g} s"
                    yield index, RuntimeError(f"its process on Ray was lost {times} ({type(error).__name__})")
    finally:
        ray.shutdown()


def _slots(resources: dict[str, float], gpus: float) -> int:
    """How many tasks a cluster runs at a time.

    >>> _slots({"CPU": 16.0, "GPU": 2.0}, 0.5), _slots({"CPU": 16.0}, 0), _slots({"CPU": 2.0}, 1)
    (4, 16, 1)
    """
    slots = resources.get("CPU", 0.0)
    return max(1, int(min(slots, resources.get("GPU", 0.0) / gpus) if gpus else slots))


def _call(
    function: Callable[[Any, Callable[[int], None]], Any], item: Any, cwd: str, stall_seconds: float
) -> tuple[Any, int]:
    """The body of a task: the result, and the frames done."""
    os.chdir(cwd)  # paths are relative to where the user started
    done = 0

    def tick(frames: int) -> None:
        nonlocal done
        done += frames
        faulthandler.dump_traceback_later(stall_seconds, exit=True, file=STDERR)

    tick(0)
    try:
        return function(item, tick), done
    finally:
        faulthandler.cancel_dump_traceback_later()
