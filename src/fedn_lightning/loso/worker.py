"""Runs one fold in a process of its own: skips, resumes or starts it, then checks its files and marks it finished."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from fedn_lightning.errors import FednError, FoldError
from fedn_lightning.loso.experiment import Experiment, Fold
from fedn_lightning.loso.status import NAME, Outcome, Status, adopt_finished, mark_finished, problem, resumable
from fedn_lightning.results.names import RESULT
from fedn_lightning.results.run_folder import RunFolder

POLL = 0.1
"""Seconds between two checks of a fold's process."""

GRACE = 20.0
"""Seconds that a fold has to end after SIGTERM."""

_ERROR = re.compile(r"^fedn: error: (.*)$", re.MULTILINE)
_EXCEPTION = re.compile(r"^((?:\w+\.)*\w*(?:Error|Exception|Interrupt)\b.*)$", re.MULTILINE)
"""Patterns of an error message of `fedn` and of the last line of a traceback."""


class Process(Protocol):
    """The process of a fold; `subprocess.Popen` is one."""

    pid: int

    def poll(self) -> int | None:
        """Its exit code, None while it runs."""


Start = Callable[[list[str], dict[str, str], Path, int], Process]
"""Starts a fold: arguments after `fedn`, environment, log file, and the lock's descriptor, which it must inherit."""


@dataclass(frozen=True)
class Resources:
    """What a fold may use of its machine."""

    threads: int = 1  # of numerical libraries; results may depend on it, so it does not follow from the number of jobs
    device: str | None = None  # value of CUDA_VISIBLE_DEVICES, None to leave it alone

    def environment(self) -> dict[str, str]:
        """The environment of the fold's process."""
        # A driver that has logged to W&B names its W&B process here; a fold in that process would die with the driver.
        env = {name: value for name, value in os.environ.items() if name != "WANDB_SERVICE"}
        env |= {name: str(self.threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
        env["OMP_WAIT_POLICY"] = "PASSIVE"  # threads that spin take the cores of the neighbouring fold
        if self.device is not None:
            env["CUDA_VISIBLE_DEVICES"] = self.device
        return env


def start_process(args: list[str], env: dict[str, str], log: Path, lock: int) -> Process:
    """Runs `fedn` as a child with a process group of its own, so that Ctrl-C reaches it through the driver alone."""
    with log.open("ab") as stream:
        return subprocess.Popen(
            [sys.executable, "-m", "fedn_lightning", *args],
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            pass_fds=(lock,),
            start_new_session=True,
        )


def run_fold(
    experiment: Experiment,
    fold: Fold,
    resources: Resources,
    stop: threading.Event | None = None,
    start: Start = start_process,
    wait: bool = True,
) -> Outcome:
    """Runs a fold, unless it is finished already.

    The fold's process inherits a lock, so the lock shows whether the fold is running, also after its driver was killed.

    Args:
        experiment: of the fold.
        fold: which one.
        resources: what it may use.
        stop: ends the fold when set; it can be resumed later.
        start: how its process is started.
        wait: whether to wait for another process that is running this fold, instead of leaving the fold to it.

    Returns:
        How it ended; a failing fold raises no exception.
    """
    stop = stop or threading.Event()
    try:
        with _lock(experiment.beside(fold, ".lock"), stop if wait else None) as lock:
            if lock is None:
                return Outcome(fold, "runs elsewhere", "another process is running it")
            if problem(experiment, fold) is None or adopt_finished(experiment, fold):
                return Outcome(fold, "already finished")
            if stop.is_set():
                return Outcome(fold, "stopped", "it was not started")
            return _run(experiment, fold, resources, stop, start, lock)
    except OSError as error:
        return Outcome(fold, "failed", f"{error.strerror or error} ({error.filename or experiment.fold_folder(fold)})")


@contextlib.contextmanager
def _lock(path: Path, stop: threading.Event | None) -> Iterator[int | None]:
    """Holds a file's lock and yields its descriptor; yields None if another process holds it and waiting is no use."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        while not (taken := _try_lock(handle)) and stop is not None and not stop.wait(POLL):
            pass
        yield handle if taken else None
    finally:
        os.close(handle)


def _try_lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _run(
    experiment: Experiment, fold: Fold, resources: Resources, stop: threading.Event, start: Start, lock: int
) -> Outcome:
    folder, log = experiment.fold_folder(fold), experiment.beside(fold, ".log")
    checkpoint = _clear(folder, fold)
    status = Status(
        experiment.config_hash, fold.seed, fold.subjects, started=time.time(), resumed=checkpoint is not None
    )
    if checkpoint is not None:
        status.write(folder)
    with log.open("w", encoding="utf-8") as stream:
        print(f"--- {time.strftime('%Y-%m-%d %H:%M:%S')} {'resumed' if checkpoint else 'begun'}", file=stream)
    process = start(experiment.command(fold, checkpoint), resources.environment(), log, lock)
    try:
        code = _wait(process, stop)
    except BaseException:
        _end(process)
        raise
    status = replace(status, seconds=round(time.time() - status.started, 3))
    if stop.is_set() and code != 0:
        return _record_failure(folder, status, Outcome(fold, "stopped", "it was stopped; the next run resumes it"))
    try:
        if code != 0:
            raise FoldError(_explain(code, log))
        mark_finished(experiment, fold, status)
    except (FednError, ValueError) as error:
        return _record_failure(folder, status, Outcome(fold, "failed", str(error).rstrip(".")))
    _keep_log(log, folder)
    return Outcome(fold, "finished")


def _clear(folder: Path, fold: Fold) -> Path | None:
    """Prepares the folder for an attempt; returns the checkpoint to resume from, if there is one.

    The results of an earlier attempt are removed first: otherwise a run that dies now could look complete.
    """
    checkpoint = resumable(folder, fold)
    if checkpoint is not None:
        for name in (RESULT, NAME):
            (folder / name).unlink(missing_ok=True)
    elif any(folder.glob("checkpoints/*.ckpt")):
        RunFolder(folder).set_aside()  # trained weights are never deleted
    else:
        shutil.rmtree(folder, ignore_errors=True)
    return checkpoint


def _wait(process: Process, stop: threading.Event) -> int:
    """Waits for a process, and ends it if it should stop."""
    while (code := process.poll()) is None:
        if stop.wait(POLL):
            return _end(process)
    return code


def _end(process: Process) -> int:
    """Ends a process and all its children: by SIGTERM, and by SIGKILL if that is not enough."""
    for number, patience in ((signal.SIGTERM, GRACE), (signal.SIGKILL, GRACE)):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            if (code := process.poll()) is not None:
                return code
            time.sleep(POLL)
    return -signal.SIGKILL


def _record_failure(folder: Path, status: Status, outcome: Outcome) -> Outcome:
    """Writes why a fold is not finished, if the disk is writable."""
    with contextlib.suppress(OSError):
        if folder.is_dir():
            replace(status, failure=outcome.reason).write(folder)
    return outcome


def _explain(code: int, log: Path) -> str:
    """Why a process ended with this code, from the end of its log."""
    if code < 0:
        return f"it was killed by signal {-code} ({signal.Signals(-code).name}); the next run resumes it"
    try:
        text = log.read_text(errors="replace")
    except OSError:
        text = ""
    reason = [*_ERROR.findall(text), *_EXCEPTION.findall(text)[-1:], "its log shows no error"][0]
    return f"{reason[:300].rstrip('.')} (exit code {code}; log in {log})"


def _keep_log(log: Path, folder: Path) -> None:
    """Moves the log of a finished fold into the fold's folder, which the run itself creates."""
    with contextlib.suppress(OSError):
        shutil.move(log, folder / "log.txt")
