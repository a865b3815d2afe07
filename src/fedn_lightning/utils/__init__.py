"""How many cores and how much memory there are for this process."""

from __future__ import annotations

import os
from pathlib import Path

TRAINING_MEMORY = 2e9
"""Bytes that a training takes on a CPU, about; `make fit` takes 1.4 GB."""

GROUPS, OWN_GROUP, MEMORY = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup"), Path("/proc/meminfo")


def available_cores() -> int:
    """Cores that this process may use: a batch system may keep it from some, and a container limit their time."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    for words in _limits("cpu.max"):
        if words[0] != "max":
            cores = min(cores, max(1, int(words[0]) // int(words[1])))
    return cores


def available_memory() -> int | None:
    """Bytes of memory that this process may still take; None where the system does not say."""
    if not MEMORY.is_file():
        return None
    fields = dict(line.split(":", 1) for line in MEMORY.read_text().splitlines() if ":" in line)
    free = int(fields["MemAvailable"].split()[0]) * 1024
    # Parents come after their children in both lists.
    for most, used in zip(_limits("memory.max"), _limits("memory.current"), strict=False):
        if most[0] != "max":
            free = min(free, max(0, int(most[0]) - int(used[0])))
    return free


def _limits(name: str) -> list[list[str]]:
    """The words of a file of the process's control group (version 2) and of the groups around it."""
    try:
        lines = OWN_GROUP.read_text().splitlines()
        own = next(GROUPS / line[4:].lstrip("/") for line in lines if line.startswith("0::/"))
    except (OSError, StopIteration):
        return []
    around = [folder for folder in (own, *own.parents) if folder == GROUPS or GROUPS in folder.parents]
    return [(folder / name).read_text().split() for folder in around if (folder / name).is_file()]
