"""One visit of the doctor: everything that is looked at, in under three seconds."""

from __future__ import annotations

import tempfile
from pathlib import Path

from fedn_lightning.doctor.findings import Section
from fedn_lightning.doctor.machine import devices, machine
from fedn_lightning.doctor.packages import extras, packages
from fedn_lightning.doctor.surroundings import data, wandb


def visit(experiments: Path = Path("experiments"), folder: Path = Path("data"), paths: bool = False) -> list[Section]:
    """Looks at everything.

    Args:
        experiments: folder of experiment files.
        folder: folder of data sets.
        paths: also tell where Python and the current folder lie.
    """
    first = [packages(), extras()]
    if any(finding.broken for finding in first[0].findings):
        return [*first, machine(paths), data(experiments, folder), wandb()]  # the rest would only say the same again
    from fedn_lightning.doctor import videos

    with tempfile.TemporaryDirectory() as scratch:
        film = Path(scratch) / "film.mp4"
        written = videos.pyav(film)
        trial = videos.DecordTrial.start(film)  # while it runs, torch is imported
        others = [machine(paths), devices(), data(experiments, folder), wandb()]
        return [*first, *others[:2], videos.section(written, trial), *others[2:]]
