"""Starts folds by the standard library's fork server, a process that has imported torch and Lightning once.

Each fold is a fork of that process, which saves it seconds of imports. Folds continue when their driver is killed, and
the fork server ends with the last of them.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib.util
import multiprocessing
import os
import pkgutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from multiprocessing import forkserver
from multiprocessing.context import ForkServerProcess
from multiprocessing.reduction import DupFd
from pathlib import Path
from typing import Any

from fedn_lightning.loso.experiment import Experiment
from fedn_lightning.loso.worker import Process, Resources, Start, start_process

MODULES = (
    "omegaconf",
    "lightning.pytorch.cli",
    "fedn_lightning.tasks.detection",
    "fedn_lightning.datamodules.detection",
    "fedn_lightning.callbacks.results",
    "fedn_lightning.callbacks.run_config",
    "fedn_lightning.reports.figures",
)
"""What every fold imports, except W&B and the modules that import it.

W&B makes temporary folders when it is imported, and each process that ends removes them: the first fold that ends would
take them from all others.
"""

LOST = 255
"""Exit code that :mod:`multiprocessing` gives to processes of a fork server that was killed."""


@contextlib.contextmanager
def choose_start(experiments: Sequence[Experiment], resources: Resources) -> Iterator[Start]:
    """How folds of this machine are started: by a fork server where that is safe, else each as a new program.

    A process that has used CUDA or has started threads must not be forked. So folds on accelerators are new programs,
    and so are folds of several threads: OpenBLAS starts its threads when numpy is imported. Results are the same.
    """
    if sys.platform != "linux" or resources.threads > 1 or any(experiment.gpus for experiment in experiments):
        yield start_process
        return
    with contextlib.closing(ForkServer()) as server:
        yield server.start


class ForkServer:
    """Starts folds as forks of one process; that process is started with the first fold."""

    def __init__(self, modules: Sequence[str] = MODULES) -> None:
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(list(modules))
        self._mutex = threading.Lock()  # many threads start folds; multiprocessing also polls the others meanwhile

    def start(self, args: list[str], env: dict[str, str], log: Path, lock: int) -> Process:
        """Starts a fold; see :data:`~fedn_lightning.loso.worker.Start`."""
        process = self._context.Process(target=_run, args=(args, env, str(log), str(Path.cwd()), _Descriptor(lock)))
        with self._mutex, _environment(env):  # libraries read some variables when the fork server imports them
            process.start()
            while process.exitcode is None and not _leads_group(process.pid):
                time.sleep(0.001)  # until then a signal to the fold's process group would reach no process
        return ForkedFold(process, self._mutex)

    def close(self) -> None:
        """Ends the fork server and waits for it, which adds the resources its folds used to those of this process."""
        with self._mutex:
            forkserver._forkserver._stop()  # type: ignore[attr-defined] # there is no public way


class ForkedFold:
    """The process of a fold.

    Args:
        process: started by the fork server.
        mutex: held while the process is asked for its exit code, which can be read once.
    """

    def __init__(self, process: ForkServerProcess, mutex: threading.Lock) -> None:
        assert process.pid is not None
        self.pid = process.pid
        self._process, self._mutex = process, mutex

    def poll(self) -> int | None:
        """Its exit code, None while it runs.

        A fold whose fork server was killed is killed as well, since its exit code is lost; it can be resumed.
        """
        with self._mutex:
            code = self._process.exitcode
        if code != LOST:
            return code
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        return -signal.SIGKILL


def _leads_group(pid: int | None) -> bool:
    try:
        return os.getpgid(pid or 0) == pid
    except ProcessLookupError:
        return False


class _Descriptor:
    """A file descriptor that is handed to a process which is being started."""

    def __init__(self, number: int) -> None:
        self._number = number

    def __reduce__(self) -> tuple[Callable[[Any], int], tuple[Any]]:
        return _receive, (DupFd(self._number),)


def _receive(duplicate: Any) -> int:
    number: int = duplicate.detach()
    return number


@contextlib.contextmanager
def _environment(env: Mapping[str, str]) -> Iterator[None]:
    """Gives this process another environment for a moment."""
    own = dict(os.environ)
    _set_environment(env)
    try:
        yield
    finally:
        _set_environment(own)


def _set_environment(env: Mapping[str, str]) -> None:
    for name in os.environ.keys() - env.keys():
        del os.environ[name]
    os.environ.update(env)


def _run(args: list[str], env: dict[str, str], log: str, folder: str, lock: int) -> None:
    """Makes this process what `python -m fedn_lightning ARGS` would be; it holds the lock as long as it lives."""
    os.setsid()  # a process group of its own, as start_process gives it
    stream = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(stream, 1)
    os.dup2(stream, 2)
    os.close(stream)
    os.chdir(folder)
    _set_environment(env)
    # Processes that multiprocessing spawns, Lightning's launcher of further ranks and W&B ask these for the program.
    main, spec = sys.modules["__main__"], importlib.util.find_spec("fedn_lightning.__main__")
    assert spec is not None
    main.__spec__, main.__file__, main.__package__ = spec, spec.origin, "fedn_lightning"
    sys.argv = [str(spec.origin), *args]
    sys.orig_argv = [sys.executable, "-m", "fedn_lightning", *args]
    try:
        # By name, as `python -m fedn_lightning` would find it: this package is below the command.
        sys.exit(pkgutil.resolve_name("fedn_lightning.cli.main:main")(args))
    finally:
        atexit._run_exitfuncs()  # multiprocessing leaves them out before Python 3.13
