"""A command `fedn toy` for folds that need no torch; it exists where this file was imported."""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import time
from pathlib import Path

from fedn_lightning.cli.main import COMMANDS, Command

COMMANDS["toy",] = Command("toy_fold:main", "does what it is told")


def main(argv: list[str]) -> int:
    """`tell`: what it knows of itself; `spawn`: what a spawned child knows; `sleep S FILE`; `exit CODE`; `raise`."""
    what, *rest = argv
    if what == "tell":
        print(json.dumps(tell()))
    elif what == "spawn":
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            print(pool.apply(abs, (-3,)))
    elif what == "sleep":
        time.sleep(float(rest[0]))
        Path(rest[1]).write_text("done")
    elif what == "exit":
        return int(rest[0])
    else:
        raise RuntimeError(what)
    return 0


def tell() -> dict[str, object]:
    """What a fold's code may ask of its process."""
    program = sys.modules["__main__"]
    return {
        "argv": sys.argv,
        "orig_argv": sys.orig_argv[1:],
        "spec": program.__spec__.name if program.__spec__ else None,
        "file": program.__file__,
        "package": program.__package__,
        "path": sys.path,
        "environment": dict(os.environ),
        "folder": str(Path.cwd()),
        "leads": os.getpid() == os.getpgrp() == os.getsid(0),
        "standard": [str(Path(f"/proc/self/fd/{number}").readlink()) for number in range(3)],
    }
