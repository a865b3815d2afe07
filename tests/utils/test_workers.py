import os
import subprocess
import sys
import time

import pytest

from fedn_lightning.utils.workers import WorkerError, run


def work(item, tick):
    """What a child does: fails, dies or hangs on demand."""
    tick(1)
    if item == "fail":
        raise ValueError("refused")
    if item == "die":
        os._exit(9)
    if item == "hang":
        time.sleep(60)
    return item * 2


def test_items_are_done_and_progress_is_reported():
    ticks = []
    done = dict(run(work, ["a", "b", "c"], 2, tick=lambda index, frames: ticks.append((index, frames))))
    assert done == {0: "aa", 1: "bb", 2: "cc"}
    assert sorted(ticks) == [(0, 1), (1, 1), (2, 1)]


def test_one_that_fails_dies_or_hangs_does_not_stop_the_others():
    started = time.monotonic()
    done = dict(run(work, ["hang", "die", "fail", "a", "b"], 2, stall_seconds=8.0))
    assert (done[3], done[4]) == ("aa", "bb")
    assert isinstance(done[2], ValueError)
    with pytest.raises(WorkerError, match=r"the decoder died \(exit code 9\)"):
        raise done[1]
    with pytest.raises(WorkerError, match="made no progress for 8 s"):
        raise done[0]
    assert time.monotonic() - started < 55  # the one that hangs sleeps a minute


def test_a_script_without_a_guard_is_shown_why_its_workers_cannot_start(tmp_path):
    script = tmp_path / "unguarded.py"
    script.write_text(
        "from fedn_lightning.utils.workers import run\nprint([str(result) for _, result in run(len, ['item'], 1)])\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=60)
    assert 'a script must call this under if __name__ == "__main__":' in done.stdout


def test_no_workers_means_here():
    done = dict(run(work, ["a", "fail"], 0))
    assert done[0] == "aa"
    assert str(done[1]) == "refused"
