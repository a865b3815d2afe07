"""The checks of `fedn doctor`, in under three seconds on an idle machine."""

from __future__ import annotations

import tempfile
from pathlib import Path

from fedn_lightning.doctor.machine import (
    Finding,
    Section,
    check_data,
    check_devices,
    check_extras,
    check_machine,
    check_packages,
    check_wandb,
    hide_home,
    is_broken,
    to_markdown,
    to_plain,
)
from fedn_lightning.doctor.videos import DecordTrial, check_face_finder, check_pyav

__all__ = ["Finding", "Section", "hide_home", "is_broken", "run_checks", "to_markdown", "to_plain"]


def run_checks(
    experiments: Path = Path("experiments"), folder: Path = Path("data"), paths: bool = False
) -> list[Section]:
    """Runs all checks."""
    first = [check_packages(), check_extras()]
    if any(finding.broken for finding in first[0].findings):
        return [
            *first,
            check_machine(paths),
            check_data(experiments, folder),
            check_wandb(),
        ]  # the other checks need these packages

    with tempfile.TemporaryDirectory() as scratch:
        film = Path(scratch) / "film.mp4"
        written = check_pyav(film)
        trial = DecordTrial.start(film)  # while it runs, torch is imported
        others = [check_machine(paths), check_devices(), check_data(experiments, folder), check_wandb()]
        return [*first, *others[:2], Section("Videos", (written, trial.finding(), check_face_finder())), *others[2:]]
