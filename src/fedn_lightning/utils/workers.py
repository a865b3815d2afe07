"""Runs a function on many items: in child processes, each of which may fail or hang alone, or as tasks of Ray."""

from __future__ import annotations

import contextlib
import faulthandler
import multiprocessing
import os
import socket
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from fedn_lightning.errors import ConfigError
from fedn_lightning.utils import available_cores

Tick = Callable[[int], None]
"""Called by the function with the frames done since the last call; also the sign that it is alive."""

Function = Callable[[Any, Tick], Any]

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


def _run_on_ray(
    function: Function,
    items: Sequence[Any],
    cores: int,
    stall_seconds: float,
    tick: Callable[[int, int], None],
    cluster: Cluster,
) -> Iterator[tuple[int, Any]]:
    """Runs every item as a task with one core; :func:`run` tells the rest.

    No more tasks are handed to Ray than can run, so a list of any length costs little memory. The frames of an item
    are reported when it ends.
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


def _call(function: Function, item: Any, cwd: str, stall_seconds: float) -> tuple[Any, int]:
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


class WorkerError(Exception):
    """A child process failed, hung or died at one item; the message says which of the three."""


def run(
    function: Function,
    items: Sequence[Any],
    workers: int | None,
    stall_seconds: float = 120.0,
    tick: Callable[[int, int], None] = lambda item, frames: None,
    cluster: Cluster | None = None,
) -> Iterator[tuple[int, Any]]:
    """Runs `function(item, tick)` on every item; one that fails costs itself alone.

    Args:
        function: importable by a spawned process; raises to fail.
        items: picklable.
        workers: number of processes, one per core if None; 0 runs here, one after another, without protection.
        stall_seconds: a child that neither ticks nor ends for so long is killed, and its item fails.
        tick: called with the item's index and the frames done.
        cluster: runs tasks of Ray instead of child processes; `workers` are then the cores of one that starts here.

    Yields:
        Index of the item and its result, or the exception it failed with, in the order they end.

    Raises:
        ConfigError: if the cluster cannot be used.
    """
    workers = available_cores() if workers is None else workers
    if cluster is not None:
        yield from _run_on_ray(function, items, max(1, workers), stall_seconds, tick, cluster)
        return
    if workers <= 0:
        for index, item in enumerate(items):
            try:
                yield index, function(item, lambda frames, index=index: tick(index, frames))  # type: ignore[misc]
            except Exception as error:
                yield index, error
        return
    pool = _Pool(function, min(workers, len(items)), stall_seconds)
    try:
        yield from pool.run(items, tick)
    finally:
        pool.close()


class _Worker:
    """A child process and the item it is at."""

    def __init__(self, function: Function) -> None:
        # Spawned, not forked: a forked child inherits the locks of decoder threads that it does not have.
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, function), daemon=True)
        self.process.start()
        theirs.close()
        self.item: int | None = None
        self.ready = False
        self.heard = time.monotonic()

    def give(self, index: int, item: Any) -> None:
        self.item, self.heard = index, time.monotonic()
        # A dead child is noticed when its messages are read.
        with contextlib.suppress(OSError):
            self.connection.send(item)

    def end(self) -> None:
        self.process.kill()
        self.process.join()
        self.connection.close()


class _Pool:
    """Hands items to workers and replaces those that hang or die."""

    def __init__(self, function: Function, workers: int, stall_seconds: float) -> None:
        self.function, self.stall_seconds = function, stall_seconds
        self.workers = [_Worker(function) for _ in range(workers)]

    def run(self, items: Sequence[Any], tick: Callable[[int, int], None]) -> Iterator[tuple[int, Any]]:
        queue = deque(range(len(items)))
        while queue or any(worker.item is not None for worker in self.workers):
            for worker in self.workers:
                if worker.item is None and queue:
                    index = queue.popleft()
                    worker.give(index, items[index])
            busy = {worker.connection: worker for worker in self.workers if worker.item is not None}
            for connection in wait(list(busy), timeout=1.0):
                yield from self._heard(busy[connection], tick)  # type: ignore[index]
            yield from self._stalled()

    def _heard(self, worker: _Worker, tick: Callable[[int, int], None]) -> Iterator[tuple[int, Any]]:
        assert worker.item is not None
        try:
            kind, value = worker.connection.recv()
        except (EOFError, OSError):
            worker.process.join()
            yield self._replace(worker, _death(worker))
            return
        worker.heard = time.monotonic()
        if kind == "ready":
            worker.ready = True
            return
        if kind == "tick":
            tick(worker.item, value)
            return
        index, worker.item = worker.item, None
        yield index, value

    def _stalled(self) -> Iterator[tuple[int, Any]]:
        for worker in list(self.workers):
            if worker.item is not None and time.monotonic() - worker.heard > self.stall_seconds:
                yield self._replace(
                    worker, f"the decoder made no progress for {self.stall_seconds:g} s and was stopped"
                )

    def _replace(self, worker: _Worker, why: str) -> tuple[int, WorkerError]:
        assert worker.item is not None
        worker.end()
        self.workers[self.workers.index(worker)] = _Worker(self.function)
        return worker.item, WorkerError(why)

    def close(self) -> None:
        for worker in self.workers:
            worker.end()


def _death(worker: _Worker) -> str:
    """What a child's end means."""
    code = worker.process.exitcode
    if worker.ready:
        return f"the decoder died (exit code {code})"
    return (
        f"its worker process could not start (exit code {code}); a script must call this under "
        'if __name__ == "__main__":, and be a file'
    )


def _serve(connection: Connection, function: Function) -> None:
    """A child's life: an item in, ticks and a result out, until the parent is gone."""
    try:
        connection.send(("ready", None))
        while True:
            item = connection.recv()
            try:
                result = function(item, lambda frames: connection.send(("tick", frames)))
            except Exception as error:
                result = error
            connection.send(("done", result))
    except (EOFError, OSError, KeyboardInterrupt):
        return
