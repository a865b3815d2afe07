"""A study of two rows whose trainings are toys (see `toy_driver`), driven in a process of its own.

Run as `python toy_study.py JOBS [unwritten]` in a folder with `templates/<subject>` and `experiment.json`. Results go
to `results`; with `unwritten` there are none, which saves seconds.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from toy_driver import hear_interrupts, start_toy

from fedn_lightning.loso.experiment import Experiment
from fedn_lightning.loso.launchers import JobSlots
from fedn_lightning.loso.worker import Resources
from fedn_lightning.study.driver import Progress, run_units, try_to_write_unit
from fedn_lightning.study.plan import Plan, Row, Unit, make_units

PLAN = Plan("toy", (Row("fedn", ("a.yaml",), 2), Row("ablated", ("b.yaml",))), "fedn")


def toy_experiments() -> dict[str, Experiment]:
    """Two experiments on the same subjects, made of the one that lies here."""
    fedn = replace(Experiment.load(Path("experiment.json")), name="fedn", trained_parameters=2000, parameters=3000)
    return {"a.yaml": fedn, "b.yaml": replace(fedn, name="ablated", config_hash="0ab1a7ed")}


def toy_units() -> list[Unit]:
    """Nine trainings: two seeds of one row, one of the other, three folds each."""
    return make_units(PLAN, toy_experiments())


def drive(jobs: int, unwritten: bool) -> int:
    """Runs the study; returns 1 if a training failed or a row was not written."""
    units, resources = toy_units(), Resources()
    written = []
    with Progress(units, jobs, Console(stderr=True, width=200)) as progress:

        def book(unit: Unit) -> None:
            written.append(unwritten or try_to_write_unit(unit, "results", 10, resources, progress.log))

        failed = run_units(units, JobSlots(jobs), resources, book, progress, start=start_toy)
    return int(failed > 0 or not all(written))


if __name__ == "__main__":
    hear_interrupts()
    sys.exit(drive(int(sys.argv[1]), unwritten="unwritten" in sys.argv))
