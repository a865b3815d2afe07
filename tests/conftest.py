"""What all tests share: an environment without network, a display or a second thread."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

# Set before any test module imports a library that reads them.
os.environ["WANDB_MODE"] = "offline"
os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"  # it looks for updates on the network
os.environ["JSONARGPARSE_DEPRECATION_WARNINGS"] = "off"  # Lightning calls what will be renamed in jsonargparse 5
os.environ["MPLBACKEND"] = "Agg"
os.environ["OMP_NUM_THREADS"] = "1"  # two test workers on two cores
_WANDB = tempfile.mkdtemp(prefix="fedn-tests-wandb-")
for _kind in ("CACHE", "CONFIG"):
    os.environ[f"WANDB_{_kind}_DIR"] = _WANDB

# Stand-ins that several tests, and the child processes of some, import by name.
SUPPORT = str(Path(__file__).parent / "support")
sys.path.insert(0, SUPPORT)
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [SUPPORT, os.environ.get("PYTHONPATH")]))


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    if "torch" in sys.modules:  # a test without torch must not pay for its import
        sys.modules["torch"].set_num_threads(1)


@pytest.fixture
def conf() -> Path:
    """The folder of tiny experiment files."""
    return Path(__file__).parent / "conf"


@pytest.fixture(scope="session")
def ray_address() -> Iterator[str]:
    """A Ray cluster of two cores, for all tests of a process."""
    cluster_utils = pytest.importorskip("ray.cluster_utils", reason="Ray is an optional extra")
    cluster = cluster_utils.Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False})
    yield cluster.address
    cluster.shutdown()
