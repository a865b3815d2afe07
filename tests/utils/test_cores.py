from __future__ import annotations

import os
from pathlib import Path

import pytest

from fedn_lightning import utils
from fedn_lightning.utils import available_cores


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system cannot keep a process from cores")
def test_cores_that_are_kept_from_the_process_do_not_count() -> None:
    mine = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(mine)})
        assert available_cores() == 1
    finally:
        os.sched_setaffinity(0, mine)


@pytest.fixture
def container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A group of processes within another, on a machine with eight cores and 16 GB free."""
    inner = tmp_path / "groups" / "outer" / "inner"
    inner.mkdir(parents=True)
    (tmp_path / "own").write_text("4:memory:/old\n0::/outer/inner\n")
    (tmp_path / "meminfo").write_text("MemTotal: 20000000 kB\nMemAvailable: 16000000 kB\n")
    monkeypatch.setattr(utils, "GROUPS", tmp_path / "groups")
    monkeypatch.setattr(utils, "OWN_GROUP", tmp_path / "own")
    monkeypatch.setattr(utils, "MEMORY", tmp_path / "meminfo")
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    return inner


@pytest.mark.parametrize(
    ("inner", "outer", "cores"), [("max", "max", 8), ("250000", "max", 2), ("max", "300000", 3), ("50000", "max", 1)]
)
def test_a_container_limits_the_time_of_cores(container: Path, inner: str, outer: str, cores: int) -> None:
    (container / "cpu.max").write_text(f"{inner} 100000\n")
    (container.parent / "cpu.max").write_text(f"{outer} 100000\n")
    assert utils.available_cores() == cores


def test_a_container_limits_memory(container: Path) -> None:
    assert utils.available_memory() == 16_384_000_000
    for folder, most, used in ((container, "max", "1"), (container.parent, "3000000000", "1000000000")):
        (folder / "memory.max").write_text(most)
        (folder / "memory.current").write_text(used)
    assert utils.available_memory() == 2_000_000_000


def test_a_system_without_control_groups_or_counts_has_its_cores(container: Path, tmp_path: Path) -> None:
    (tmp_path / "own").unlink()
    (tmp_path / "meminfo").unlink()
    assert (utils.available_cores(), utils.available_memory()) == (8, None)
