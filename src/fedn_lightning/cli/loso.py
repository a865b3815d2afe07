"""`fedn loso`: leave-one-subject-out, every fold in its own process, then one pooled result."""

from __future__ import annotations

import argparse
import sys
import time
from typing import TYPE_CHECKING

from fedn_lightning.cli.options import CommandParser, interrupt_on_sigterm

if TYPE_CHECKING:
    from fedn_lightning.datamodules.splits import SubjectSplit
    from fedn_lightning.loso.experiment import Experiment, Fold
    from fedn_lightning.loso.launchers import Launch
    from fedn_lightning.loso.status import Display
    from fedn_lightning.loso.worker import Resources, Start

REFRESH = 0.5
"""Seconds between two checks of the folds."""


def parser() -> CommandParser:
    """The command's options."""
    p = CommandParser(
        "loso",
        "Holds out every subject once: trains, tests, and pools the predictions.",
        "Every other option goes to fedn fit, e.g. --trainer.max_epochs 10. The same command, run again, skips the "
        "finished folds and resumes the interrupted ones. docs/cluster.md describes Ray and SLURM.",
    )
    p.add_argument("--config", "-c", required=True, action="append", metavar="X.yaml", help="experiment of fedn fit")
    p.add_argument("--subjects", nargs="+", default=[], metavar="S", help="only the folds that hold out these")
    p.add_argument("--seeds", nargs="+", type=int, metavar="K", help="a full set of folds each (default: the config's)")
    p.add_argument("--group", type=int, default=1, metavar="K", help="hold out K subjects together: fewer folds")
    p.add_argument("--runs", default="runs", metavar="DIR", help="parent of the run folders (default: runs)")
    p.add_folds("fold")
    p.add_argument("--launcher", choices=("local", "ray", "slurm"), default="local", help="where folds run")
    p.add_argument("--ray-address", metavar="A", help="a running Ray cluster, e.g. auto (default: one on this machine)")
    p.add_argument("--slurm-options", nargs="+", default=[], metavar="O", help="for sbatch, e.g. partition=gpu")
    p.add_argument("--fail-fast", action="store_true", help="stop all folds when one fails")
    p.add_argument("--dry-run", action="store_true", help="show folds, their subjects and their state; run nothing")
    p.add_argument("--print-commands", action="store_true", help="print the command of each fold; run nothing")
    p.add_argument("--results", metavar="FILE", help="also write the result and its cost as JSON")
    p.add_draws()
    return p


def main(argv: list[str]) -> int:
    """Runs the command.

    Returns:
        0 if every fold asked for is finished, 1 if one failed, 130 if the user stopped it.
    """
    options, extra = parser().parse_known_args(argv)
    from fedn_lightning.cli.inspection import ChildError, inspect_in_child
    from fedn_lightning.loso.experiment import check_no_own_keys, choose_folds, make_folds

    args = [word for config in options.config for word in ("--config", config)] + extra
    check_no_own_keys(args)
    quiet = options.dry_run or options.print_commands
    began = time.monotonic()
    try:
        experiment = inspect_in_child(args, options.runs, options.group, options.threads, warm_up=not quiet)
    except ChildError as error:
        return error.code
    seeds = options.seeds or [experiment.seed]
    every = make_folds(list(experiment.subjects), seeds, experiment.group)
    folds = choose_folds(every, options.subjects, list(experiment.subjects))
    splits = [split_of(experiment, fold) for fold in folds]  # an impossible one fails before the folds start
    if options.print_commands:
        return print_commands(experiment, folds)
    if options.dry_run:
        return show_plan(experiment, folds, splits)
    interrupt_on_sigterm()
    costs = {"preparation_seconds": round(time.monotonic() - began, 1)}
    try:
        failed = run(experiment, folds, options)
    except KeyboardInterrupt:
        print("fedn: run the same command again to continue from here", file=sys.stderr)
        raise
    costs["seconds"] = round(time.monotonic() - began, 1)
    return max(failed, report(experiment, every, folds, options, costs))


def print_commands(experiment: Experiment, folds: list[Fold]) -> int:
    """Prints the complete command of each fold."""
    import shlex

    for fold in folds:
        print(shlex.join(["fedn", *experiment.command(fold)]))
    return 0


def split_of(experiment: Experiment, fold: Fold) -> SubjectSplit:
    """Who trains, validates and tests in a fold, as its data module will decide."""
    from fedn_lightning.datamodules.splits import split_subjects

    seed = fold.seed if experiment.seeded_data else 0
    return split_subjects(list(experiment.subjects), fold.subjects, experiment.val_subject, seed)


def show_plan(experiment: Experiment, folds: list[Fold], splits: list[SubjectSplit]) -> int:
    """Prints folds, subjects and state."""
    from rich.console import Console
    from rich.table import Table

    from fedn_lightning.loso.status import problem

    table = Table(box=None, padding=(0, 2, 0, 0), title=f"folds in {experiment.folder}", title_justify="left")
    for name in ("fold", "seed", "test videos", "training subjects", "validation subjects", "state"):
        table.add_column(name)
    for fold, split in zip(folds, splits, strict=True):
        videos = sum(experiment.subjects[subject] for subject in fold.subjects)
        state = problem(experiment, fold) or "finished"
        table.add_row(fold.name, str(fold.seed), str(videos), str(len(split.train)), " ".join(split.val), state)
    Console().print(table)
    return 0


def run(experiment: Experiment, folds: list[Fold], options: argparse.Namespace) -> int:
    """Runs what is not finished; returns 1 if a fold failed."""
    from fedn_lightning.loso.forkserver import choose_start
    from fedn_lightning.loso.launchers import share
    from fedn_lightning.loso.status import Display, Watch, problem
    from fedn_lightning.loso.worker import Resources
    from fedn_lightning.utils.files import write_json

    write_json(experiment.folder / "experiment.json", experiment.to_json())
    todo = [fold for fold in folds if problem(experiment, fold)]
    if len(todo) < len(folds):
        print(f"fedn: {len(folds) - len(todo)} of {len(folds)} folds are finished already", file=sys.stderr)
    if not todo:
        return 0
    jobs, devices = share(options.jobs, options.devices, experiment, len(todo))
    resources = Resources(threads=options.threads)
    with choose_start([experiment], resources) as start:
        launch = make_launch(experiment, todo, jobs, devices, resources, start, options)
        with Display(Watch(experiment, todo, jobs)) as display:
            return follow(launch, display, options.fail_fast)


def make_launch(
    experiment: Experiment,
    folds: list[Fold],
    jobs: int,
    devices: list[str],
    resources: Resources,
    start: Start,
    options: argparse.Namespace,
) -> Launch:
    """Hands the folds to the launcher that the options name; `start` is for those of this machine."""
    if options.launcher == "ray":
        from fedn_lightning.loso.launchers import RayLaunch

        return RayLaunch(experiment, folds, jobs, resources, options.ray_address)
    if options.launcher == "slurm":
        from fedn_lightning.loso.launchers import SlurmLaunch

        return SlurmLaunch(experiment, folds, options.jobs, resources, options.slurm_options)
    from fedn_lightning.loso.launchers import LocalLaunch

    return LocalLaunch(experiment, folds, jobs, resources, devices, start)


def follow(launch: Launch, display: Display, fail_fast: bool) -> int:
    """Waits for the folds; returns 1 if one failed."""
    try:
        while launch.running():
            for outcome in launch.outcomes():
                display.note(outcome)
                if outcome.state == "failed" and fail_fast:
                    launch.stop()
            display.refresh()
            time.sleep(REFRESH)
    except BaseException:
        launch.stop()
        for outcome in launch.outcomes():
            display.note(outcome)
        raise
    return int(any(outcome.state not in ("finished", "already finished") for outcome in display.watch.ended.values()))


def report(
    experiment: Experiment, every: list[Fold], folds: list[Fold], options: argparse.Namespace, costs: dict[str, float]
) -> int:
    """Pools what is finished and prints it; returns 1 if a fold that was asked for is missing."""
    from rich.console import Console

    from fedn_lightning.loso.pool import pool_seeds, print_seeds, write_results
    from fedn_lightning.loso.status import problem

    unfinished = {fold: reason for fold in folds if (reason := problem(experiment, fold))}
    if unfinished:
        for fold, reason in unfinished.items():
            print(f"fedn: not pooled, since {fold} is not finished: {reason}", file=sys.stderr)
        print("fedn: run the same command again to continue from there", file=sys.stderr)
        return 1
    seeds = pool_seeds(experiment, every, folds, options.bootstrap)
    print_seeds(seeds, Console())
    if options.results:
        write_results(options.results, experiment, seeds, folds, {**costs, "threads": options.threads})
    return 0
