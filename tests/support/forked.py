"""Starts folds from a server process that has imported everything: real processes without seconds of imports."""

from __future__ import annotations

import multiprocessing
import os
import sys
from pathlib import Path

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["fedn_lightning.cli.fit", "fedn_lightning.tasks.detection", "pulses_data"])


class ForkedFold:
    """A running fold, with what the launchers need of it."""

    def __init__(self, process: multiprocessing.process.BaseProcess) -> None:
        self.process, self.pid = process, process.pid or 0

    def poll(self) -> int | None:
        """Its exit code, None while it runs."""
        return self.process.exitcode


def start_forked(words: list[str], env: dict[str, str], log: Path, lock: int) -> ForkedFold:
    """Runs the words after `fedn`; the lock stays with the caller, who must live as long as the fold."""
    process = CONTEXT.Process(target=_run, args=(words, env, str(log), str(Path.cwd())))
    process.start()
    return ForkedFold(process)


def _run(words: list[str], env: dict[str, str], log: str, cwd: str) -> None:
    os.setsid()  # a group of its own, as start_process gives it
    stream = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(stream, 1)
    os.dup2(stream, 2)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    from fedn_lightning.cli.main import main

    code = main(words)
    sys.stdout.flush()
    os._exit(code)
