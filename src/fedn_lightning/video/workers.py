"""Runs a function over many items in child processes that may hang or die, or as tasks of Ray."""

from __future__ import annotations

import contextlib
import multiprocessing
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any

from fedn_lightning.utils import available_cores, on_ray

Tick = Callable[[int], None]
"""Called by the function with the frames done since the last call; also the sign that it is alive."""

Function = Callable[[Any, Tick], Any]


class WorkerError(Exception):
    """A child process failed, hung or died at one item; the message says which of the three."""


def run(
    function: Function,
    items: Sequence[Any],
    workers: int | None,
    stall_seconds: float = 120.0,
    tick: Callable[[int, int], None] = lambda item, frames: None,
    cluster: on_ray.Cluster | None = None,
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
        yield from on_ray.run(function, items, max(1, workers), stall_seconds, tick, cluster)
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
