"""`python -m torture.faults`: stops commands at random moments, and compares what a second run gives.

Each cell of the matrix is a command and a fault. The command is run with the fault, then typed again without it; the
files must equal those of a run that nothing stopped.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from pulses_data import write_corpus

from lookalikes.casme2 import write_casme2
from lookalikes.movies import write_movie
from torture.videos import film_face, write_detector

CONF = Path(__file__).parents[1] / "conf"
WORK = "work"
"""The folder that everything is written to; a small disk in some cells."""
LIMIT = 600.0
"""Seconds after which a command hangs."""
BACKWARDS = Path(__file__).parent / "backwards"
"""Holds a `sitecustomize.py`, by which the clock of every process goes back an hour in the midst of its work."""


@dataclass(frozen=True)
class Command:
    """A command that writes to the folder `work`.

    Attributes:
        words: of the command.
        files: patterns of what is compared, below `work`.
    """

    words: tuple[str, ...]
    files: tuple[str, ...]


TABLES = ("predictions.csv", "proposals.csv", "truth.csv", "videos.csv", "result.json")
COMMANDS = {
    "synth": Command(
        ("data", "synth", "--preset", "tiny", "--seed", "3", "--out", "work/corpus", "--jobs", "2"), ("corpus/**/*",)
    ),
    "prepare": Command(
        ("data", "prepare", "casme2", "--store", "work/store", "--size", "48", "--align", "none", "--jobs", "2"),
        ("store/*.npy", "store/*.json"),
    ),
    "fit": Command(("fit", "--config", "pulses.yaml", "--run_dir", "work/run"), tuple(f"run/{n}" for n in TABLES)),
    "loso": Command(
        ("loso", "--config", "pulses.yaml", "--jobs", "1", "--runs", "work/runs", "--bootstrap", "20"),
        tuple(f"runs/*/*/pooled-*/{name}" for name in TABLES),
    ),
    "study": Command(
        ("study", "study", "--jobs", "1", "--runs", "work/runs", "--results", "work/results", "--bootstrap", "20"),
        ("runs/*/*/pooled-*/*.csv", "results/*.json"),
    ),
    "predict": Command(
        ("predict", "films", "--ckpt", "best.ckpt", "--format", "json", "--out", "work/out"), ("out/*/events.json",)
    ),
    "report": Command(("report", "finished", "--out", "work/page.html", "--bootstrap", "20"), ("page.html",)),
}  # fmt: skip
FAULTS = ("kill -9", "SIGTERM", "Ctrl-C", "full disk", "read-only", "clock back")
SHORT = (("prepare", "kill -9"), ("fit", "SIGTERM"), ("predict", "full disk"))
TIMES = (
    "seconds",
    "seconds_an_epoch",
    "started",
    "modified_ns",
    "path",
    "cpu_seconds",
    "finished_at",
    "wall_seconds",
    "hours",
)
"""Keys of JSON files that differ between two runs, as they tell when and where."""


def write_inputs(shop: Path) -> None:
    """What the commands read."""
    write_casme2(shop / "casme2", frames=200)
    write_corpus(shop / "pulses", subjects=3)
    text = (CONF / "pulses.yaml").read_text().replace("max_epochs: 6", "max_epochs: 3")
    (shop / "pulses.yaml").write_text(text)
    (shop / "study").mkdir()
    (shop / "study" / "one.yaml").write_text(text)
    images = film_face()
    for name in ("a", "b", "c"):
        write_movie(shop / "films" / f"{name}.mp4", images)
    write_detector(shop / "best.ckpt")


def start(words: Sequence[str], home: Path, backwards: bool = False) -> subprocess.Popen[bytes]:
    """Starts `fedn` as a shell would, in a process group of its own; what it says goes to `said.txt`."""
    paths = [str(BACKWARDS)] * backwards + sys.path
    environment = {
        **os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), "WANDB_MODE": "disabled",
        "OMP_NUM_THREADS": "1", "MPLBACKEND": "Agg", "NO_ALBUMENTATIONS_UPDATE": "1",
    }  # fmt: skip
    with (home / "said.txt").open("wb") as said:
        return subprocess.Popen(
            [sys.executable, "-m", "fedn_lightning", *words], cwd=home, env=environment, stdout=said, stderr=said,
            stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=_hear_interrupts,
        )  # fmt: skip


def _hear_interrupts() -> None:
    """A shell hands SIGINT down ignored to what it runs in the background."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def finish(process: subprocess.Popen[bytes]) -> int | None:
    """Its exit code; None if it hangs, and then it and its group are killed."""
    try:
        return process.wait(LIMIT)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return None


def content(home: Path, command: Command) -> dict[str, str]:
    """A digest of each file that is compared, without the times in JSON."""
    found = {}
    for pattern in command.files:
        for path in sorted((home / WORK).glob(pattern)):
            if path.is_file() and not path.name.startswith("."):
                data = path.read_bytes()
                if path.suffix == ".json":
                    data = json.dumps(_without_times(json.loads(data)), sort_keys=True).encode()
                found[str(path.relative_to(home / WORK))] = hashlib.sha256(data).hexdigest()
    return found


def _without_times(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_times(child) for key, child in value.items() if key not in TIMES}
    return [_without_times(child) for child in value] if isinstance(value, list) else value


@contextlib.contextmanager
def disk(folder: Path) -> Iterator[Callable[[str], None]]:
    """A disk of its own for a folder; gives a function that mounts it anew with other options."""

    def mount(options: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{options}", str(folder)], check=True)

    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1g", "fedn-torture", str(folder)], check=True)
    try:
        yield mount
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def may_mount() -> bool:
    """Whether this process may mount a disk, which full disk and read-only need."""
    with tempfile.TemporaryDirectory() as place:
        words = ["mount", "-t", "tmpfs", "-o", "size=64k", "fedn-torture", place]
        done = shutil.which("mount") is not None and subprocess.run(words, capture_output=True).returncode == 0
        if done:
            subprocess.run(["umount", place], check=True)
        return done


class Matrix:
    """Runs cells.

    Args:
        place: an empty folder.
        names: of the commands that will be needed; each is run once without a fault.
    """

    def __init__(self, place: Path, names: Sequence[str]) -> None:
        self.place, self.shop = place, place / "shop"
        self.shop.mkdir()
        write_inputs(self.shop)
        self.seconds: dict[str, float] = {}
        self.wanted: dict[str, dict[str, str]] = {}
        self.bytes: dict[str, int] = {}
        if "report" in names and "fit" not in names:
            names = ["fit", *names]
        for name in sorted(names, key=list(COMMANDS).index):
            home = self._home(f"reference-{name}")
            began = time.monotonic()
            code = finish(start(COMMANDS[name].words, home))
            assert code == 0, (home / "said.txt").read_text()
            self.seconds[name] = time.monotonic() - began
            self.wanted[name] = content(home, COMMANDS[name])
            assert self.wanted[name], f"{name} wrote nothing that is compared"
            self.bytes[name] = sum(p.stat().st_size for p in (home / WORK).rglob("*") if p.is_file())
            if name == "fit":
                shutil.copytree(home / WORK / "run", self.shop / "finished")

    def _home(self, name: str) -> Path:
        home = self.place / name
        (home / WORK).mkdir(parents=True)
        for path in self.shop.iterdir():
            (home / path.name).symlink_to(path)
        # The features of frames are kept beside the clips, so each cell has its own.
        (home / "pulses").unlink()
        shutil.copytree(self.shop / "pulses", home / "pulses")
        return home

    def try_cell(self, name: str, fault: str, rng: Random) -> str | None:
        """Runs a cell; says what went wrong, None if nothing."""
        home = self._home(f"{name}-{fault}-{rng.random():.6f}".replace(" ", "_"))
        if fault in ("full disk", "read-only"):
            with disk(home / WORK) as mount:
                trouble = self._on_a_bad_disk(name, fault, home, rng, mount)
        elif fault == "clock back":
            trouble = self._run(name, home, backwards=True) or self._compare(name, home)
        else:
            trouble = self._stop(name, fault, home, rng)
        shutil.rmtree(home, ignore_errors=True)
        return trouble

    def _on_a_bad_disk(
        self, name: str, fault: str, home: Path, rng: Random, mount: Callable[[str], None]
    ) -> str | None:
        """The folder is too small, or may not be written to; then it may."""
        size = max(4096, int(self.bytes[name] * rng.uniform(0.1, 0.7)))
        mount(f"size={size}" if fault == "full disk" else "ro")
        code = finish(start(COMMANDS[name].words, home))
        said = (home / "said.txt").read_text(errors="replace")
        mount("size=1g" if fault == "full disk" else "rw")
        if code in (0, None):
            return f"exit code {code} on such a disk ({size} bytes)"
        if "Traceback (most recent call last)" in said:
            return f"traceback: {said.strip().splitlines()[-1]}"
        return self._run(name, home) or self._compare(name, home)

    def _stop(self, name: str, fault: str, home: Path, rng: Random) -> str | None:
        """The process, or for Ctrl-C its group, gets a signal at a random moment."""
        process = start(COMMANDS[name].words, home)
        moment = rng.uniform(0.05, 0.95) * self.seconds[name]
        time.sleep(moment)
        with contextlib.suppress(ProcessLookupError):
            if fault == "kill -9":
                process.kill()
            elif fault == "SIGTERM":
                process.terminate()
            else:
                os.killpg(process.pid, signal.SIGINT)
        code = finish(process)
        said = (home / "said.txt").read_text(errors="replace")
        if code is None:
            return f"still running {LIMIT:.0f} s after {fault}"
        if fault == "Ctrl-C" and "Traceback (most recent call last)" in said:
            return f"traceback at {moment:.1f} s: {said.strip().splitlines()[-1]}"
        trouble = self._run(name, home) or self._compare(name, home)
        return f"{trouble} (stopped at {moment:.1f} of {self.seconds[name]:.1f} s)" if trouble else None

    def _run(self, name: str, home: Path, backwards: bool = False) -> str | None:
        """The whole command; children that a killed one has left may hold a lock, so it is typed until it is not."""
        code = finish(start(COMMANDS[name].words, home, backwards))
        said = (home / "said.txt").read_text(errors="replace").strip()
        return None if code == 0 else f"run again: exit code {code}: {said[-300:]}"

    def _compare(self, name: str, home: Path) -> str | None:
        found, wanted = content(home, COMMANDS[name]), self.wanted[name]
        differ = sorted(path for path in {*found, *wanted} if found.get(path) != wanted.get(path))
        return f"not as without a fault: {', '.join(differ[:4])}" if differ else None


def parser() -> argparse.ArgumentParser:
    """The options."""
    p = argparse.ArgumentParser(prog="python -m torture.faults", description=__doc__.splitlines()[0])
    p.add_argument("--short", action="store_true", help="three cells")
    p.add_argument("--seed", type=int, default=0, help="other moments (default: 0)")
    p.add_argument("--only", nargs="+", choices=COMMANDS, default=list(COMMANDS), help="these commands alone")
    p.add_argument("--faults", nargs="+", choices=FAULTS, default=list(FAULTS), help="these faults alone")
    return p


def main(argv: Sequence[str]) -> int:
    """Runs the matrix; returns 1 if a cell failed."""
    options = parser().parse_args(argv)
    cells = SHORT if options.short else [(name, fault) for name in options.only for fault in options.faults]
    mounts = may_mount()
    results: dict[tuple[str, str], str] = {}
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="fedn-faults-") as place:
        matrix = Matrix(Path(place), sorted({name for name, _ in cells}))
        for name, fault in cells:
            if fault in ("full disk", "read-only") and not mounts:
                results[name, fault] = "not run"
                continue
            trouble = matrix.try_cell(name, fault, Random(f"{options.seed}/{name}/{fault}"))
            results[name, fault] = "failed" if trouble else "same"
            if trouble:
                print(f"{name}, {fault}: {trouble}", flush=True)
    _print_matrix(results)
    print(f"{len(results)} cells in {time.monotonic() - began:.0f} s")
    if not mounts:
        print("full disk and read-only were not run: this process may not mount a disk")
    return int("failed" in results.values())


def _print_matrix(results: dict[tuple[str, str], str]) -> None:
    faults = list(dict.fromkeys(fault for _, fault in results))
    print("| command | " + " | ".join(faults) + " |\n| --- " + "| --- " * len(faults) + "|")
    for name in dict.fromkeys(name for name, _ in results):
        print(f"| {name} | " + " | ".join(results.get((name, fault), "") for fault in faults) + " |")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
