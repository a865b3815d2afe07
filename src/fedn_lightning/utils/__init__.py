"""How many cores there are for this process."""

from __future__ import annotations

import os


def available_cores() -> int:
    """Cores that this process may use; a container or a batch system may allow fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
