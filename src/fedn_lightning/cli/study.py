"""`fedn study`: many experiments on the same folds, and one table of the results."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from fedn_lightning.cli.options import CommandParser, at_least, interrupt_on_sigterm

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fedn_lightning.study.labels import Answer
    from fedn_lightning.study.plan import Plan, Unit
    from fedn_lightning.study.rows import RowResult
    from fedn_lightning.study.statistics import Line


def parser() -> CommandParser:
    """The command's options."""
    p = CommandParser(
        "study",
        "Runs leave-one-subject-out (or grouped folds) for each experiment of a study; writes one table.",
        "STUDY is a folder with a study.yaml (or with experiment files alone), a study file, or experiment files. The "
        "same command, run again, skips the finished trainings and resumes the interrupted ones. docs/study.md "
        "describes the intervals of the table.",
    )
    seeds = "how many seeds for every row, or which ones"
    results = "the rows' files and the table (default: experiments/results/STUDY)"
    p.add_argument("study", nargs="+", metavar="STUDY", help="folder, study file, or experiment files")
    p.add_argument("--seeds", nargs="+", type=int, default=[], metavar="K", help=seeds)
    p.add_argument("--group", type=at_least(1), metavar="K", help="hold out K subjects together (default: as in STUDY)")
    p.add_argument("--only", nargs="+", default=[], metavar="ROW", help="train these rows alone; the table has all")
    p.add_folds("training")
    p.add_argument("--runs", metavar="DIR", help="parent of the run folders (default: runs/STUDY)")
    p.add_argument("--results", metavar="DIR", help=results)
    p.add_draws()
    p.add_argument("--dry-run", action="store_true", help="show rows, folds and their state; run nothing")
    p.add_argument("--table-only", action="store_true", help="write the table from the rows' files; run nothing")
    return p


def main(argv: list[str]) -> int:
    """Runs the command.

    Returns:
        0 if every row that was asked for is in the table, 1 if a training failed or a row is missing.
    """
    options = parser().parse_args(argv)
    from dataclasses import replace

    from fedn_lightning.study.plan import read_plan

    plan = read_plan(options.study).with_seeds(options.seeds)
    plan = replace(plan, group=options.group or plan.group)
    options.results = options.results or str(Path("experiments") / "results" / plan.name)
    options.runs = options.runs or str(Path("runs") / plan.name)
    chosen = plan.only(options.only)
    if options.table_only:
        return int(write_table(plan, chosen, options) is None)
    units = find_units(chosen, options)
    if units is None:
        return 2
    if options.dry_run:
        return show_plan(units)
    failed = train(units, plan, options)
    tables = write_table(plan, chosen, options)
    track(plan, units, tables or {}, options)
    return max(failed, int(tables is None))


def find_units(plan: Plan, options: argparse.Namespace) -> list[Unit] | None:
    """Reads every experiment and fills the caches that trainings share; None, with a message, if one is unusable."""
    from fedn_lightning.cli import inspection
    from fedn_lightning.study.plan import make_units

    configs = list(dict.fromkeys(config for row in plan.rows for config in row.configs))
    args = [["--config", config] for config in configs]
    try:
        found = inspection.inspect_each_in_child(
            args, options.runs, plan.group, options.threads, warm_up=not options.dry_run
        )
    except inspection.ChildError:
        return None
    return make_units(plan, dict(zip(configs, found, strict=True)))


def show_plan(units: list[Unit]) -> int:
    """Prints rows, seeds and the state of their folds."""
    from rich.console import Console
    from rich.table import Table

    from fedn_lightning.study.plan import trainings

    table = Table(box=None, padding=(0, 2, 0, 0), title_justify="left")
    for name in ("row", "seed", "experiment", "folds", "finished"):
        table.add_column(name)
    for unit in units:
        names = " + ".join(f"{part.name} {part.config_hash}" for part in unit.parts)
        done = len(unit.tasks) - len(unit.unfinished())
        table.add_row(
            unit.row.name, str(unit.seed), names, " ".join(f.name for f in unit.folds), f"{done}/{len(unit.tasks)}"
        )
    console = Console()
    console.print(table)
    console.print(f"{len(trainings(units))} trainings in all")
    return 0


def train(units: list[Unit], plan: Plan, options: argparse.Namespace) -> int:
    """Runs what is not finished; returns 1 if a training failed or a row could not be written."""
    from fedn_lightning.loso.forkserver import choose_start
    from fedn_lightning.loso.launchers import JobSlots, share
    from fedn_lightning.loso.worker import Resources
    from fedn_lightning.study.driver import Progress, run_units, try_to_write_unit
    from fedn_lightning.study.labels import try_to_cross
    from fedn_lightning.study.plan import trainings

    interrupt_on_sigterm()
    jobs, devices = share(options.jobs, options.devices, units[0].experiment, len(trainings(units)))
    resources = Resources(threads=options.threads)
    written: list[bool] = []
    parts = [part for unit in units for part in unit.parts]
    with choose_start(parts, resources) as start, Progress(units, jobs) as progress:

        def write(unit: Unit) -> None:
            written.append(try_to_write_unit(unit, options.results, options.bootstrap, resources, progress.log))
            if unit.row.name in plan.labels:
                written.append(try_to_cross(units, plan.labels, options.results, progress.log))

        try:
            failed = run_units(units, JobSlots(jobs, devices), resources, write, progress, start)
        except KeyboardInterrupt:
            progress.log("fedn: run the same command again to continue from here")
            raise
    return int(failed > 0 or not all(written))


def write_table(plan: Plan, chosen: Plan, options: argparse.Namespace) -> dict[str, list[Line]] | None:
    """Writes the table of all rows there are, one for each group of the study's `tests`, and prints it.

    Returns:
        The rows by group, or None if a row that was asked for is missing.
    """
    from fedn_lightning.study.rows import read_row, row_path
    from fedn_lightning.study.statistics import lines_of, restrict
    from fedn_lightning.study.tables import write_study

    paths = {row.name: row_path(options.results, row.name) for row in plan.rows}
    rows = {name: read_row(path) for name, path in paths.items() if path.is_file()}
    missing = [row.name for row in chosen.rows if row.name not in rows]
    if missing:
        print(f"fedn: no result yet of {', '.join(missing)} in {options.results}", file=sys.stderr)
    if not rows:
        return None
    tables = {
        group: lines_of(
            [part for row in rows.values() if (part := restrict(row, patterns))], plan.baseline, options.bootstrap
        )
        for group, patterns in (plan.tests or {"": ("*",)}).items()
    }
    labels = ask_labels(plan, rows, options)
    print(write_study(options.results, plan.name, plan.baseline, tables, options.bootstrap, labels))
    return None if missing else tables


def track(plan: Plan, units: list[Unit], tables: dict[str, list[Line]], options: argparse.Namespace) -> None:
    """Gives each row of each table a run in W&B, under the settings of the first experiment."""
    from fedn_lightning.loggers.wandb import StudyRow, WandbSettings, log_study_rows
    from fedn_lightning.study.tables import tracked_row

    first = units[0].experiment
    settings = WandbSettings(project=first.wandb_project, mode=first.wandb_mode)  # type: ignore[arg-type] # checked there
    rows = [
        StudyRow(f"{group}-{line.row.name}" if group else line.row.name, *tracked_row(line))
        for group, lines in tables.items()
        for line in lines
    ]
    log_study_rows(settings, f"study-{plan.name}", Path(options.runs) / "tracked", rows)


def ask_labels(plan: Plan, rows: Mapping[str, RowResult], options: argparse.Namespace) -> Answer | None:
    """The label question, if the study asks it and both rows are there."""
    from fedn_lightning.study.labels import FILE, answer, read_crossed

    path = Path(options.results) / FILE
    if not plan.labels or not path.is_file() or any(name not in rows for name in plan.labels):
        return None
    expert, self_report = (rows[name] for name in plan.labels)
    return answer(read_crossed(path), expert, self_report, options.bootstrap)
