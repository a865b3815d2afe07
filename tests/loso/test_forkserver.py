"""Folds that are forks of one process: all that a program of its own would be, and no less able to die."""

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
from pathlib import Path

import pytest
from studies import make_experiment

from fedn_lightning.loso.forkserver import MODULES, ForkedFold, Nursery, choose_start
from fedn_lightning.loso.worker import Process, Resources, start_process

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="folds are forked on Linux alone")

SUPPORT = Path(__file__).parents[1] / "support"
"""Where the nursery finds `toy_fold`; imported here, it would give every later test a command `fedn toy`."""


@pytest.fixture
def nursery(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Nursery]:
    """A nursery whose folds know `fedn toy`; the current folder is a new one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(SUPPORT), *sys.path]))
    made = Nursery(["toy_fold"])
    yield made
    made.close()


def start(nursery: Nursery, *words: str, lock: int = 2, **env: str) -> Process:
    return nursery.start(["toy", *words], Resources().environment() | env, Path("log"), lock)


def wait_for(condition: Callable[[], object], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def code_of(process: Process) -> int:
    wait_for(lambda: process.poll() is not None)
    code = process.poll()
    assert code is not None
    return code


def test_a_fork_knows_of_itself_what_a_program_knows(nursery) -> None:
    assert code_of(start(nursery, "tell")) == 0
    forked = json.loads(Path("log").read_text())
    Path("log").unlink()
    Path("sitecustomize.py").write_text("import toy_fold\n")  # makes the command known to a program
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([".", os.environ["PYTHONPATH"]]))
        handle = os.open("lock", os.O_RDWR | os.O_CREAT)
        process = start_process(["toy", "tell"], Resources().environment(), Path("log"), handle)
        assert code_of(process) == 0
    program = json.loads(Path("log").read_text())
    for value in (forked, program):
        value["environment"].pop("PYTHONPATH")
        value["environment"].pop("PYTEST_CURRENT_TEST")  # set anew after the fixture made the nursery
        value["path"] = list(dict.fromkeys(value["path"]))
    assert forked == program
    assert forked["leads"]
    os.close(handle)


@pytest.mark.parametrize(("words", "code", "said"), [
    (["exit", "3"], 3, ""),
    (["raise"], 1, "RuntimeError: raise"),
    (["spawn"], 0, "3"),
])  # fmt: skip
def test_codes_and_last_words_are_those_of_a_program(nursery, words: list[str], code: int, said: str) -> None:
    assert code_of(start(nursery, *words)) == code
    assert Path("log").read_text().strip().endswith(said)


def test_the_lock_is_the_folds_and_no_one_elses(nursery) -> None:
    with Path("lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        first = start(nursery, "sleep", "30", "done", lock=held.fileno())
    second = start(nursery, "sleep", "30", "done")  # forked while the other runs, and outlives it
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


def test_folds_of_a_killed_nursery_are_killed_and_the_next_one_gets_another(nursery) -> None:
    orphan = start(nursery, "sleep", "30", "done")
    killed = parent_of(orphan.pid)
    assert killed != os.getpid()
    os.kill(killed, signal.SIGKILL)
    assert code_of(orphan) == -signal.SIGKILL
    wait_for(lambda: not Path(f"/proc/{orphan.pid}").exists() or "Z" in Path(f"/proc/{orphan.pid}/stat").read_text())
    following = start(nursery, "sleep", "30", "done")
    assert isinstance(following, ForkedFold)
    assert parent_of(following.pid) not in (killed, os.getpid())
    os.killpg(following.pid, signal.SIGKILL)
    assert code_of(following) == -signal.SIGKILL


def test_folds_of_a_killed_driver_go_on_and_their_nursery_ends(nursery) -> None:
    Path("driver.py").write_text(
        "import sys, time\nfrom pathlib import Path\n"
        "from fedn_lightning.loso.forkserver import Nursery\nfrom fedn_lightning.loso.worker import Resources\n"
        "nursery, words = Nursery(['toy_fold']), ['toy', 'sleep', '0.5', 'done']\n"
        "fold = nursery.start(words, Resources().environment(), Path('log'), 2)\n"
        "print(fold.pid, flush=True)\ntime.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "driver.py"], stdout=subprocess.PIPE, text=True) as driver:
        assert driver.stdout is not None
        fold = int(driver.stdout.readline())
        parent = parent_of(fold)
        driver.kill()
    wait_for(Path("done").exists)
    wait_for(lambda: not Path(f"/proc/{parent}").exists() or "Z" in Path(f"/proc/{parent}/stat").read_text())


@pytest.mark.parametrize("module", ["toy_threads", "toy_folder", "there_is_none"])
def test_what_must_not_be_forked_is_started_as_a_program(nursery, module: str) -> None:
    unsafe = Nursery(["toy_fold", module])
    for _ in range(2):
        process = unsafe.start(["--version"], Resources().environment(), Path("log"), 2)
        assert isinstance(process, subprocess.Popen)
        assert code_of(process) == 0
    unsafe.close()
    assert Path("log").read_text().count("gave no answer") == 2  # nothing falls back without a word


def test_a_fold_of_another_environment_is_started_as_a_program(nursery) -> None:
    assert isinstance(start(nursery, "exit", "0"), ForkedFold)
    other = start(nursery, "exit", "0", OMP_NUM_THREADS="2")
    assert isinstance(other, subprocess.Popen)
    assert "gave no answer" not in Path("log").read_text()
    other.wait()


def test_what_a_library_sets_in_the_driver_hinders_no_fork(nursery, monkeypatch: pytest.MonkeyPatch) -> None:
    assert code_of(start(nursery, "exit", "0")) == 0
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "elsewhere")
    assert isinstance(start(nursery, "exit", "0"), ForkedFold)


def test_what_a_fold_must_not_know_is_kept_from_it(nursery, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_SERVICE", "that of the driver's driver")
    inside = Nursery(["toy_fold"])
    assert code_of(start(inside, "tell")) == 0
    inside.close()
    assert "WANDB_SERVICE" not in json.loads(Path("log").read_text())["environment"]


def test_folds_may_be_started_at_the_same_time(nursery) -> None:
    codes: dict[int, int] = {}

    def one(number: int) -> None:
        codes[number] = code_of(start(nursery, "exit", str(number)))

    threads = [threading.Thread(target=one, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == {number: number for number in range(8)}


def test_accelerators_and_threads_are_not_forked() -> None:
    experiment = make_experiment(Path("runs"))
    for experiments, threads in (([experiment, replace(experiment, gpus=1)], 1), ([experiment], 2)):
        with choose_start(experiments, Resources(threads=threads)) as chosen:
            assert chosen is start_process
    with choose_start([experiment], Resources()) as chosen:
        assert chosen is not start_process


@pytest.mark.slow
def test_what_a_nursery_imports_may_be_forked() -> None:
    code = f"import sys, fedn_lightning.loso.forkserver as n; [__import__(m) for m in {MODULES!r}]; " + (
        "assert not n._owns_folders(); assert n._threads() == 1; assert 'wandb' not in sys.modules; "
        "import torch; assert not torch.cuda.is_initialized()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=Resources().environment())
