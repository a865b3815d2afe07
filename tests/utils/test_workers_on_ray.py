"""A list of items on a Ray cluster: every result or error, lost processes, and no more tasks than can run."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from fedn_lightning.errors import ConfigError, VideoError
from fedn_lightning.utils.workers import Cluster, run

pytestmark = pytest.mark.slow  # a cluster


def half(item: int, tick) -> int:
    tick(item)
    if item % 2:
        msg = f"{item} is odd"
        raise VideoError(msg)
    return item // 2


def test_every_item_has_its_result_or_error_and_its_frames(ray_address):
    frames: dict[int, int] = {}
    ended = dict(run(half, range(20), None, tick=frames.__setitem__, cluster=Cluster(ray_address)))
    assert [ended[k] for k in range(0, 20, 2)] == list(range(10))
    assert all(isinstance(ended[k], VideoError) and f"{k} is odd" in str(ended[k]) for k in range(1, 20, 2))
    assert frames == {k: k for k in range(0, 20, 2)}


def dying(item: tuple[Path, int], tick) -> int:
    """Dies `deaths` times; the folder counts them, and holds what was running at the same time."""
    folder, deaths = item
    begun = len(list(folder.glob("begun-*")))
    (folder / f"begun-{begun}").touch()
    if begun < deaths:
        os.kill(os.getpid(), signal.SIGKILL)
    return begun


def test_a_lost_process_is_replaced_once(ray_address, tmp_path):
    items = []
    for name, deaths in (("well", 0), ("once", 1), ("always", 9)):
        (tmp_path / name).mkdir()
        items.append((tmp_path / name, deaths))
    ended = dict(run(dying, items, None, cluster=Cluster(ray_address)))
    assert (ended[0], ended[1]) == (0, 1)
    assert "was lost each of 2 times" in str(ended[2])


def hang(item: float, tick) -> float:
    time.sleep(item)
    return item


def test_a_task_without_progress_loses_its_process(ray_address):
    ended = dict(run(hang, [600.0, 0.0], None, stall_seconds=2.0, cluster=Cluster(ray_address)))
    assert ended[1] == 0.0
    assert "made no progress for 2 s" in str(ended[0])


class Drawn(list):
    """Items that remember how many were taken."""

    taken = 0

    def __iter__(self):
        for item in super().__iter__():
            self.taken += 1
            yield item


def test_no_more_tasks_are_begun_than_can_run(ray_address):
    items = Drawn(range(0, 40, 2))
    ended = 0
    for _ in run(half, items, None, cluster=Cluster(ray_address)):
        ended += 1
        assert items.taken <= ended + 1, "two cores"
    assert ended == 20


def test_a_cluster_that_is_not_there_is_a_sentence():
    pytest.importorskip("ray")
    with pytest.raises(ConfigError, match=r"cluster 127\.0\.0\.1:1 cannot be used"):
        list(run(half, [1], None, cluster=Cluster("127.0.0.1:1")))
