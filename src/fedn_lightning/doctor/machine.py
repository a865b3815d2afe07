"""The machine: system, cores, memory, accelerators and room on the disk."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from pathlib import Path

from fedn_lightning.cores import available_cores
from fedn_lightning.doctor.findings import Finding, Section

GB = 1e9

LEAST_ROOM = 3.0
"""GB: generated corpus, stills, crops and runs of `make fit` take some 2 GB."""

LEAST_MEMORY = 2.0
"""GB: `make fit` takes 1.4."""


def machine(paths: bool = False) -> Section:
    """System, Python, cores, memory, disk.

    Args:
        paths: also tell where Python and the current folder lie.
    """
    where = [Finding("Python's place", sys.executable), Finding("folder", str(Path.cwd()))] if paths else []
    return Section(
        "Machine",
        (
            Finding("system", platform.platform()),
            Finding("Python", platform.python_version()),
            Finding("cores", f"{available_cores()} of {os.cpu_count()} usable"),
            _memory(),
            disk(shutil.disk_usage(Path.cwd()).free),
            *where,
        ),
    )


def devices() -> Section:
    """What torch computes on."""
    import torch

    found = [Finding("threads", f"{torch.get_num_threads()} of torch (OMP_NUM_THREADS {_setting('OMP_NUM_THREADS')})")]
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    for number in range(count):
        free, total = torch.cuda.mem_get_info(number)
        name = torch.cuda.get_device_name(number)
        found.append(Finding(f"CUDA {number}", f"{name}, {free / GB:.1f} of {total / GB:.1f} GB free"))
    if not count:
        built = (
            f"built for {torch.version.cuda}, but no device answers" if torch.version.cuda else "torch is built without"
        )
        found.append(Finding("CUDA", f"none ({built})"))
    found.append(Finding("MPS", "available" if torch.backends.mps.is_available() else "none"))
    return Section("Devices", tuple(found))


def disk(free: float) -> Finding:
    """Room where the command was typed, in bytes.

    >>> disk(1e9).problem
    'The disk has 1.0 GB free; make fit needs about 3. Make room, or work in a folder on another disk.'
    """
    problem = ""
    if free < LEAST_ROOM * GB:
        problem = (
            f"The disk has {free / GB:.1f} GB free; make fit needs about {LEAST_ROOM:g}. "
            f"Make room, or work in a folder on another disk."
        )
    return Finding("disk", f"{free / GB:.1f} GB free", problem)


def _memory() -> Finding:
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 0
    available = _available()
    if available is None:
        return Finding("memory", f"{total / GB:.1f} GB" if total else "unknown")
    problem = ""
    if available < LEAST_MEMORY * GB:
        problem = (
            f"{available / GB:.1f} GB of memory are free; training needs about {LEAST_MEMORY:g}. End other programs."
        )
    return Finding("memory", f"{available / GB:.1f} of {total / GB:.1f} GB free", problem)


def _available() -> int | None:
    """Bytes that programs can still take; None where the system does not tell it so."""
    info = Path("/proc/meminfo")
    if not info.is_file():
        return None
    fields = dict(line.split(":", 1) for line in info.read_text().splitlines() if ":" in line)
    return int(fields["MemAvailable"].split()[0]) * 1024


def _setting(name: str) -> str:
    return os.environ.get(name, "not set")
