"""Runs a command of `fedn` on a damaged input, and says whether it ended as a command should."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Protocol

MEMORY = 12 << 30
"""Bytes of address space a command may have, so that a bomb ends itself and not the machine."""


SENTINEL = "pwned"
"""A file that malicious inputs try to make in the current folder."""


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    Attributes:
        code: its exit code; None if it was over its time, negative if a signal killed it.
        out: what it printed.
        err: what it told on stderr.
        seconds: how long it took.
    """

    code: int | None
    out: str
    err: str
    seconds: float

    def json(self) -> Any:
        """What it printed, as JSON."""
        return json.loads(self.out)


Judge = Callable[[Ended], str | None]
"""Why an end with code 0 (or 1, where a part may fail) is a wrong answer; None if it is right."""


@dataclass(frozen=True)
class Case:
    """A damaged input, and the command that is to read it.

    Attributes:
        what: the damage, for a person who wants to see it again.
        words: of the command.
        home: the folder it runs in.
        judge: looks at an answer that was given.
        kept: files that must not change.
    """

    what: str
    words: Sequence[str]
    home: Path
    judge: Judge
    kept: Mapping[Path, bytes] = field(default_factory=dict)


class Kind(Protocol):
    """A kind of input.

    Attributes:
        name: of the kind.
        count: cases of a whole run.
        short: cases of a short run.
    """

    name: str
    count: int
    short: int

    def make(self, number: int, rng: Random, home: Path) -> Case:
        """Writes the damaged input of one case into a new folder."""


def run(words: Sequence[str], home: Path, seconds: float = 60.0) -> Ended:
    """Runs `fedn WORDS` as a fork of this process, which has imported everything already.

    Args:
        words: of the command.
        home: its current folder.
        seconds: it may take; then it is killed with all its children.
    """
    out, err = home / ".stdout", home / ".stderr"
    began = time.monotonic()
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        _become(list(words), home, out, err)
    code = _wait(child, began + seconds)
    texts = (path.read_text(encoding="utf-8", errors="replace") for path in (out, err))
    return Ended(code, *texts, time.monotonic() - began)


def _become(words: list[str], home: Path, out: Path, err: Path) -> None:
    """What the fork does; it does not return."""
    code = 70
    try:
        os.setsid()
        for number, path in ((1, out), (2, err)):
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644), number)
        os.chdir(home)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        from fedn_lightning.cli.main import main

        code = main(words)
    except SystemExit as end:  # argparse
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(BaseException):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _wait(child: int, until: float) -> int | None:
    """The exit code of a fork; None if its time is over."""
    while True:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child, signal.SIGKILL)  # children that it has left behind
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > until:
            os.killpg(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return None
        time.sleep(0.005)


def trouble(case: Case, ended: Ended) -> str | None:
    """What is wrong with how a command ended; None if nothing is."""
    if ended.code is None:
        return f"still running after {ended.seconds:.0f} s"
    if "Traceback (most recent call last)" in ended.err + ended.out:
        return f"traceback: {ended.err.strip().splitlines()[-1][:200]}"
    if ended.code < 0:
        return f"killed by signal {-ended.code}"
    if ended.code not in (0, 1, 2):
        return f"exit code {ended.code}"
    if ended.code == 2 and not ended.err.strip():
        return "exit code 2 without a word"
    if (case.home / SENTINEL).exists():
        return "code from the file was run"
    changed = [str(path) for path, content in case.kept.items() if not path.is_file() or path.read_bytes() != content]
    if changed:
        return f"{', '.join(changed)} was finished, and is lost"
    if ended.code in (0, 1):
        try:
            return case.judge(ended)
        except ValueError as error:
            return f"an answer that cannot be read: {error}"
    return None


def preload() -> None:
    """Imports what the commands import, and keeps every library to one thread and off the network."""
    os.environ |= {
        "WANDB_MODE": "disabled", "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "MPLBACKEND": "Agg",
        "NO_ALBUMENTATIONS_UPDATE": "1", "COLUMNS": "200",
    }  # fmt: skip
    import importlib

    for name in (
        "cv2", "torch", "lightning.pytorch.cli", "matplotlib.pyplot", "python_calamine", "fedn_lightning.cli.fit",
        "fedn_lightning.inference.detector", "fedn_lightning.inference.pictures",
        "fedn_lightning.analysis.dataset_report", "fedn_lightning.reports.html.report",
        "fedn_lightning.reports.figures",
    ):  # fmt: skip
        importlib.import_module(name)
    import cv2

    cv2.setNumThreads(1)  # a fork would wait for ever for the threads of this process
