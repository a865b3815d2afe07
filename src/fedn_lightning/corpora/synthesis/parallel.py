"""Runs independent pieces of work in processes of their own, with one progress bar over all of them."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from queue import Empty
from typing import Any, Final, TypeVar

from fedn_lightning.cores import available_cores
from fedn_lightning.errors import ConfigError, FednError

Task = TypeVar("Task")
Report = Callable[[int], None]
"""Called by a piece of work with the number of units (frames, images) it has done since it called last."""

_POLL_SECONDS: Final = 0.2
# In a worker process: the queue that takes its reports, and the event that tells it to give up.
_mailbox: Any = None
_stop: Any = None


def run_all(
    work: Callable[[Task, Report], None],
    tasks: Sequence[Task],
    *,
    title: str,
    total: int,
    done: int = 0,
    jobs: int | None = None,
) -> None:
    """Does every task and returns when all are done; the first error stops the rest and is raised.

    Args:
        work: does one task; a module's function, since worker processes import it by its name.
        tasks: picklable arguments, the longest first for an even end.
        title: what the progress bar says.
        total: units of all tasks, those done before included.
        done: units that an earlier, interrupted run has done.
        jobs: number of processes; 1 works in this process, None takes a process per available core.

    Raises:
        ConfigError: if `jobs` is below 1.
        FednError: if a process was killed from outside.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    if jobs is not None and jobs < 1:
        msg = f"--jobs must be at least 1, got {jobs}."
        raise ConfigError(msg)
    jobs = min(jobs or available_cores(), max(len(tasks), 1))
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        bar = progress.add_task(title, total=total, completed=done)

        def advance(units: int) -> None:
            progress.advance(bar, units)

        if jobs > 1:
            _run_in_processes(work, tasks, jobs, advance)
        else:
            _use_one_thread()
            for task in tasks:
                work(task, advance)
        progress.update(bar, completed=total)


def _run_in_processes(work: Callable[[Task, Report], None], tasks: Sequence[Task], jobs: int, advance: Report) -> None:
    # Spawned, not forked: a forked child inherits the locks of OpenCV's and of the progress bar's threads.
    context = multiprocessing.get_context("spawn")
    mailbox, stop = context.Queue(), context.Event()
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=_start_worker, initargs=(mailbox, stop)) as pool:
        waiting: set[Future[None]] = {pool.submit(_work_and_report, work, task) for task in tasks}
        try:
            while waiting:
                finished, waiting = wait(waiting, timeout=_POLL_SECONDS, return_when=FIRST_EXCEPTION)
                _empty(mailbox, advance)
                for future in finished:
                    future.result()
        except BaseException as error:
            stop.set()
            pool.shutdown(cancel_futures=True)
            if isinstance(error, BrokenProcessPool):
                msg = (
                    "A worker process was killed, perhaps for want of memory; go on with the same command and --jobs 1."
                )
                raise FednError(msg) from error
            raise


def _empty(mailbox: Any, advance: Report) -> None:
    while True:
        try:
            advance(mailbox.get_nowait())
        except Empty:
            return


def _start_worker(mailbox: Any, stop: Any) -> None:
    global _mailbox, _stop
    _mailbox, _stop = mailbox, stop
    # An interrupt from the keyboard reaches every process; the parent alone answers it, by setting `stop`.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _use_one_thread()


def _work_and_report(work: Callable[[Task, Report], None], task: Task) -> None:
    _report(0)
    work(task, _report)


def _report(units: int) -> None:
    if _stop.is_set():
        raise KeyboardInterrupt
    _mailbox.put(units)


def _use_one_thread() -> None:
    """One thread per process: the processes already use every core."""
    import cv2

    cv2.setNumThreads(1)
