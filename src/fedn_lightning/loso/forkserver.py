"""Starts folds from a process that has imported torch and Lightning once: every fold is a fork of it.

The driver keeps a :class:`Nursery`, whose process (`python -m fedn_lightning.loso.forkserver FD`) waits at one end of a
socket. A request holds the words after `fedn` and the log's path, and carries two descriptors: the fold's lock, and a
pipe of its own on which the fold tells its process id and the nursery, at last, its exit code. The nursery ends when
its driver has gone; folds go on, as those of :func:`~fedn_lightning.loso.worker.start_process` do.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import importlib.util
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection, Pipe
from pathlib import Path

from fedn_lightning.loso.experiment import Experiment
from fedn_lightning.loso.worker import POLL, Process, Resources, Start, start_process

MODULES = (
    "omegaconf",
    "lightning.pytorch.cli",
    "fedn_lightning.tasks.detection",
    "fedn_lightning.datamodules.detection",
    "fedn_lightning.callbacks.results",
    "fedn_lightning.callbacks.resume",
    "fedn_lightning.reports.timeline",
    "fedn_lightning.reports.curves",
)
"""What every fold imports, save W&B and what imports it.

W&B makes temporary folders when it is imported, and each process that ends removes them: the first fold would take them
from all the others.
"""

PATIENCE = 120.0
"""Seconds a nursery has for its imports and the first word of a fold."""

NO_ANSWER = (
    "fedn: this fold is a program of its own, since the process to fork it from gave no answer. That costs it some "
    "seconds of imports and changes no result.\n"
)
"""Stands in the log of every fold that is started after the nursery failed."""

LARGEST = 1 << 20
"""Bytes of a request."""


@contextlib.contextmanager
def choose_start(experiments: Sequence[Experiment], resources: Resources) -> Iterator[Start]:
    """How folds of this machine are started: from a nursery where that is safe, else each as a program of its own.

    A process that has touched CUDA or has begun threads must not be forked. So folds on accelerators start afresh, and
    folds of several threads too: OpenBLAS begins its threads when numpy is imported. Results do not depend on it.
    """
    if sys.platform != "linux" or resources.threads > 1 or any(experiment.gpus for experiment in experiments):
        yield start_process
        return
    with contextlib.closing(Nursery()) as nursery:
        yield nursery.start


class Nursery:
    """The driver's side: begins the process at the first fold, and again should it have been killed.

    Args:
        modules: imported before the first fold.
    """

    def __init__(self, modules: Sequence[str] = MODULES) -> None:
        self._modules = modules
        self._environ = dict(os.environ)
        self._mutex = threading.Lock()  # folds are started by many threads
        self._works = True
        self._process: subprocess.Popen[bytes] | None = None
        self._place: tuple[dict[str, str], str] | None = None
        self._socket: socket.socket | None = None

    def start(self, words: list[str], env: dict[str, str], log: Path, lock: int) -> Process:
        """Forks a fold; starts it as a program where the nursery gives no answer, then and ever after: its log says so.

        A fold of another environment or folder than the nursery's is started as a program too: libraries read some
        variables when they are imported.
        """
        env = self._without_what_libraries_set(env)
        place = (env, os.getcwd())  # noqa: PTH109 # compared, not opened
        with self._mutex:
            if self._works and self._place in (None, place):
                self._begin(place)
                fold = self._ask(words, log, lock)
                if fold is not None:
                    return fold
                self._works = False
                self._end()
            if not self._works:
                with log.open("a", encoding="utf-8") as stream:
                    stream.write(NO_ANSWER)
        return start_process(words, env, log, lock)

    def close(self) -> None:
        """Ends the nursery, not its folds."""
        with self._mutex:
            self._works = False
            self._end()

    def _without_what_libraries_set(self, env: dict[str, str]) -> dict[str, str]:
        """What was asked for a fold, less what libraries have set in this process since it began.

        torch does so when a study books a row; a fold that was begun before does not know of it.
        """
        asked = {name: value for name, value in env.items() if os.environ.get(name) != value}
        return {name: self._environ[name] for name in env if name in self._environ} | asked

    def _begin(self, place: tuple[dict[str, str], str]) -> None:
        """Starts the process unless it runs."""
        if self._process is not None and self._process.poll() is None:
            return
        self._end()
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "fedn_lightning.loso.forkserver", str(theirs.fileno()), *self._modules],
                env=place[0],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,  # what hinders imports is told by the fold that is then started as a program
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )
        self._place = place

    def _ask(self, words: list[str], log: Path, lock: int) -> Process | None:
        """Asks for a fold; None if no answer came, and then no fold has begun or will begin."""
        assert self._socket is not None
        reply, theirs = Pipe(duplex=False)
        request = json.dumps({"words": words, "log": str(log)}).encode()
        try:
            with theirs:
                socket.send_fds(self._socket, [request], [lock, theirs.fileno()])
            if reply.poll(PATIENCE) and (pid := reply.recv()):
                return ForkedFold(pid, reply)
        except (OSError, EOFError):
            pass
        reply.close()  # a fold that was forked too late finds nobody to tell its number, and ends
        return None

    def _end(self) -> None:
        if self._socket is not None:
            self._socket.close()
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(5)
            self._process.kill()
            self._process.wait()  # also adds what the folds have used to what this process knows of its children
        self._socket = self._process = None


class ForkedFold:
    """A fold's process, which is no child of this one.

    Args:
        pid: its process id, and that of its process group.
        reply: gives its exit code.
    """

    def __init__(self, pid: int, reply: Connection) -> None:
        self.pid = pid
        self._reply = reply
        self._code: int | None = None

    def poll(self) -> int | None:
        """Its exit code, None while it runs.

        A fold whose nursery was killed is killed as well, since nobody can tell how it ends; it can be resumed.
        """
        if self._code is None and self._reply.poll():
            try:
                self._code = int(self._reply.recv())
            except (EOFError, OSError):
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self.pid, signal.SIGKILL)
                self._code = -signal.SIGKILL
            self._reply.close()
        return self._code


def serve(requests: socket.socket) -> list[str] | None:
    """The nursery's side: forks a fold for each request.

    Returns:
        In a fold, the words after `fedn`; in the nursery None, when its driver has gone.
    """
    replies: dict[int, Connection] = {}
    while True:
        ready, _, _ = select.select([requests], [], [], POLL / 2 if replies else None)
        _reap(replies)
        if not ready:
            continue
        message, descriptors, _, _ = socket.recv_fds(requests, LARGEST, 2)
        if not message:
            return None
        lock, reply = descriptors[0], Connection(descriptors[1], readable=False)
        if _threads() > 1:  # a fork copies none but its own thread, and what the others have locked stays locked
            _tell(reply, 0)
            os.close(lock)
            continue
        pid = os.fork()
        if pid == 0:
            requests.close()
            for other in replies.values():
                other.close()
            return _become_fold(json.loads(message), reply)
        os.close(lock)
        replies[pid] = reply


def _owns_folders() -> bool:
    """Whether an import has made a temporary folder, which every fork would remove when it ends."""
    return any(type(thing) is tempfile.TemporaryDirectory for thing in gc.get_objects())


def _threads() -> int:
    """Threads of this process, also those that Python does not know of."""
    return len(os.listdir("/proc/self/task"))  # noqa: PTH208 # names are counted, no paths are needed


def _reap(replies: dict[int, Connection]) -> None:
    """Tells the driver of folds that have ended."""
    for pid in list(replies):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            _tell(replies.pop(pid), os.waitstatus_to_exitcode(status))


def _tell(reply: Connection, number: int) -> None:
    with contextlib.suppress(OSError), reply:  # the driver may have gone
        reply.send(number)


def _become_fold(request: dict[str, str | list[str]], reply: Connection) -> list[str]:
    """Makes this process what `python -m fedn_lightning WORDS` would be; returns the words."""
    os.setsid()  # a process group of its own, as start_process gives it, and before the driver knows whom to signal
    stream = os.open(str(request["log"]), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(stream, 1)
    os.dup2(stream, 2)
    os.close(stream)
    words = list(request["words"])
    # Processes that multiprocessing spawns, Lightning's launcher of further ranks and W&B ask these for the program.
    main, spec = sys.modules["__main__"], importlib.util.find_spec("fedn_lightning.__main__")
    assert spec is not None
    main.__spec__, main.__file__, main.__package__ = spec, spec.origin, "fedn_lightning"
    sys.argv = [str(spec.origin), *words]
    sys.orig_argv = [sys.executable, "-m", "fedn_lightning", *words]
    try:
        with reply:
            reply.send(os.getpid())
    except OSError:
        os._exit(0)  # the driver has gone, or waits no more
    return words


def main(argv: Sequence[str]) -> int:
    """Runs the nursery, and in each fork of it a fold.

    Args:
        argv: the socket's descriptor, then the modules to import.

    Returns:
        The exit code, of the nursery or of a fold.
    """
    number, *modules = argv
    for module in modules:
        importlib.import_module(module)
    if _owns_folders():
        return 1
    gc.collect()
    gc.freeze()  # a collection would write to every object, and so copy the memory that forks share
    with socket.socket(fileno=int(number)) as requests:
        words = serve(requests)
    if words is None:
        return 0
    from fedn_lightning.cli.main import main as fedn

    return fedn(words)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
