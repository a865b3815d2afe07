"""Folds that are forks of one process behave as programs of their own do."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from multiprocessing import forkserver
from pathlib import Path

import pytest
from studies import make_experiment

from fedn_lightning.loso.forkserver import MODULES, ForkServer, choose_start
from fedn_lightning.loso.worker import Process, Resources, start_process

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="folds are forked on Linux alone")


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ForkServer]:
    """A fork server whose folds know `fedn toy`; the current folder is a new one."""
    monkeypatch.chdir(tmp_path)
    before = forkserver._forkserver._preload_modules
    forkserver._forkserver._stop()  # another test may have started it with other modules
    made = ForkServer(["toy_fold"])
    yield made
    made.close()
    forkserver._forkserver.set_forkserver_preload(before)


def start(server: ForkServer, *args: str, lock: int = 2, **env: str) -> Process:
    return server.start(["toy", *args], Resources().environment() | env, Path("log").absolute(), lock)


def wait_for(condition: Callable[[], object], seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def code_of(process: Process) -> int:
    wait_for(lambda: process.poll() is not None)
    code = process.poll()
    assert code is not None
    return code


def test_a_fork_knows_of_itself_what_a_program_knows(server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_SERVICE", "that of the driver's driver")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path.cwd()), *sys.path]))
    assert code_of(start(server, "tell")) == 0
    forked = json.loads(Path("log").read_text())
    Path("log").unlink()
    Path("sitecustomize.py").write_text("import toy_fold\n")  # makes the command known to a program
    handle = os.open("lock", os.O_RDWR | os.O_CREAT)
    process = start_process(["toy", "tell"], Resources().environment(), Path("log").absolute(), handle)
    assert code_of(process) == 0
    os.close(handle)
    program = json.loads(Path("log").read_text())
    for value in (forked, program):
        del value["path"]
    assert forked == program
    assert forked["leads"]
    assert "WANDB_SERVICE" not in forked["environment"]


@pytest.mark.parametrize(("args", "code", "end"), [
    (["exit", "3"], 3, ""),
    (["raise"], 1, "RuntimeError: raise"),
    (["spawn"], 0, "3"),
])  # fmt: skip
def test_exit_codes_and_the_end_of_the_log_are_those_of_a_program(server, args: list[str], code: int, end: str) -> None:
    assert code_of(start(server, *args)) == code
    assert Path("log").read_text().strip().endswith(end)


def test_each_fold_holds_its_own_lock_only(server) -> None:
    with Path("lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        first = start(server, "sleep", "30", "done", lock=held.fileno())
    second = start(server, "sleep", "30", "done")  # forked while the other runs, and outlives it
    with Path("lock").open() as other:
        with pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.killpg(first.pid, signal.SIGTERM)
        assert code_of(first) == -signal.SIGTERM
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert second.poll() is None
    os.killpg(second.pid, signal.SIGKILL)
    assert code_of(second) == -signal.SIGKILL


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])


def has_ended(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists() or "Z" in Path(f"/proc/{pid}/stat").read_text()


def test_folds_of_a_killed_server_are_killed_and_the_next_fold_gets_a_new_server(server) -> None:
    orphan = start(server, "sleep", "30", "done")
    killed = parent_of(orphan.pid)
    assert killed != os.getpid()
    os.kill(killed, signal.SIGKILL)
    assert code_of(orphan) == -signal.SIGKILL
    wait_for(lambda: has_ended(orphan.pid))
    following = start(server, "sleep", "30", "done")
    assert parent_of(following.pid) not in (killed, os.getpid())
    os.killpg(following.pid, signal.SIGKILL)
    assert code_of(following) == -signal.SIGKILL


def test_folds_of_a_killed_driver_go_on_and_their_server_ends(server) -> None:
    Path("driver.py").write_text(
        "import time\nfrom pathlib import Path\n"
        "from fedn_lightning.loso.forkserver import ForkServer\nfrom fedn_lightning.loso.worker import Resources\n"
        "if __name__ == '__main__':\n"
        "    server, args = ForkServer(['toy_fold']), ['toy', 'sleep', '0.5', 'done']\n"
        "    fold = server.start(args, Resources().environment(), Path('log').absolute(), 2)\n"
        "    print(fold.pid, flush=True)\n    time.sleep(60)\n"
    )
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, "driver.py"], stdout=subprocess.PIPE, text=True, env=env) as driver:
        assert driver.stdout is not None
        fold = int(driver.stdout.readline())
        parent = parent_of(fold)
        driver.kill()
    wait_for(Path("done").exists)
    wait_for(lambda: has_ended(parent))


def test_folds_may_be_started_at_the_same_time(server) -> None:
    codes: dict[int, int] = {}

    def one(number: int) -> None:
        codes[number] = code_of(start(server, "exit", str(number)))

    threads = [threading.Thread(target=one, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == {number: number for number in range(8)}


def test_starting_a_fold_leaves_the_environment_of_the_driver_as_it_is(server) -> None:
    before = dict(os.environ)
    assert code_of(start(server, "exit", "0", OMP_NUM_THREADS="7")) == 0
    assert dict(os.environ) == before


def test_accelerators_and_threads_are_not_forked() -> None:
    experiment = make_experiment(Path("runs"))
    for experiments, threads in (([experiment, replace(experiment, gpus=1)], 1), ([experiment], 2)):
        with choose_start(experiments, Resources(threads=threads)) as chosen:
            assert chosen is start_process
    with choose_start([experiment], Resources()) as chosen:
        assert chosen is not start_process


@pytest.mark.slow
def test_what_a_server_imports_may_be_forked() -> None:
    code = f"import gc, os, sys, tempfile; [__import__(m) for m in {MODULES!r}]; " + (
        "assert not any(type(thing) is tempfile.TemporaryDirectory for thing in gc.get_objects()); "
        "assert len(os.listdir('/proc/self/task')) == 1; assert 'wandb' not in sys.modules; "
        "import torch; assert not torch.cuda.is_initialized()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=Resources().environment())
