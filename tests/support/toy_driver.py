"""A driver whose folds need no torch: each takes half a second and leaves what a template holds.

Run as `python toy_driver.py EXPERIMENT.json JOBS`; the templates lie in `templates/<subject>` of the current folder,
and each start of a fold adds a line to `starts.txt`.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

EPOCHS = 10


def start_toy(words: list[str], env: dict[str, str], log: Path, lock: int) -> subprocess.Popen[bytes]:
    """Starts a toy in place of `fedn fit`, with the lock and the process group of the real one."""
    folder = words[words.index("--run_dir") + 1]
    command = [sys.executable, __file__, "fold", folder]
    with log.open("ab") as stream:
        return subprocess.Popen(
            command, env=env, stdout=stream, stderr=stream, pass_fds=(lock,), start_new_session=True
        )


def fold(folder: Path) -> None:
    """The toy's training and test; without a template there is nothing it could find."""
    with Path("starts.txt").open("a") as file:
        file.write(f"{folder.name}\n")
    template = Path("templates") / folder.name
    if not template.is_dir():
        sys.exit(f"fedn: error: There is no {template}.")
    folder.mkdir(parents=True)
    for epoch in range(EPOCHS):
        time.sleep(0.05)
        with (folder / "metrics.csv").open("a") as file:
            file.write(("epoch,val/joint\n" if epoch == 0 else "") + f"{epoch},{epoch / EPOCHS}\n")
    for path in sorted(template.iterdir(), key=lambda path: path.name == "result.json"):
        if path.name != "status.json":
            shutil.copy(path, folder)


def drive(path: Path, jobs: int) -> int:
    """Runs all folds of an experiment."""
    from fedn_lightning.cli.loso import follow
    from fedn_lightning.loso.experiment import Experiment, make_folds
    from fedn_lightning.loso.launchers import LocalLaunch
    from fedn_lightning.loso.status import Display, Watch
    from fedn_lightning.loso.worker import Resources

    experiment = Experiment.load(path)
    folds = make_folds(list(experiment.subjects), [experiment.seed])
    launch = LocalLaunch(experiment, folds, jobs, Resources(), start=start_toy)
    with Display(Watch(experiment, folds, jobs)) as display:
        return follow(launch, display, fail_fast=False)


def hear_interrupts() -> None:
    """Makes SIGINT interrupt: a shell's job in the background, as these tests may be, hands it down ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


if __name__ == "__main__":
    hear_interrupts()
    if sys.argv[1] == "fold":
        fold(Path(sys.argv[2]))
    else:
        sys.exit(drive(Path(sys.argv[1]), int(sys.argv[2])))
