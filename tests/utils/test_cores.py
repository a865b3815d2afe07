from __future__ import annotations

import os

import pytest

from fedn_lightning.utils import available_cores


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system cannot keep a process from cores")
def test_cores_that_are_kept_from_the_process_do_not_count() -> None:
    mine = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(mine)})
        assert available_cores() == 1
    finally:
        os.sched_setaffinity(0, mine)
