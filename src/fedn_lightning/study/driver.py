"""Runs the unfinished trainings of a study, shows its progress, and writes each row as soon as it is complete."""

from __future__ import annotations

import hashlib
import os
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from fedn_lightning.baselines.two_step import combine_fold
from fedn_lightning.errors import FednError
from fedn_lightning.events import EventTable
from fedn_lightning.loso.experiment import Experiment, Fold
from fedn_lightning.loso.launchers import JobSlots, LocalLaunch
from fedn_lightning.loso.pool import pool_seeds, read_result, read_thresholds
from fedn_lightning.loso.status import DONE, Outcome, View, Watch, problem, read_status, training_seconds
from fedn_lightning.loso.worker import Resources, Start, start_process
from fedn_lightning.metrics.functional.bootstrap import tally
from fedn_lightning.metrics.functional.matching import without_unknown_offsets
from fedn_lightning.metrics.functional.spotting import spotting_scores
from fedn_lightning.results import read_run_tables
from fedn_lightning.results.run_folder import read_environment
from fedn_lightning.study.plan import Task, Unit, trainings
from fedn_lightning.study.rows import FoldCost, RowResult, SeedResult, read_row, row_path, write_row
from fedn_lightning.study.statistics import plain_scores
from fedn_lightning.utils.console import LiveTable, clock
from fedn_lightning.utils.files import write_json


def measure(pooled: Path, truth: Path | None = None) -> SeedResult:
    """Tallies the pooled files of a set of folds, in the strict selection."""
    tables = read_run_tables(pooled, truth)
    names = tables.names
    minutes = np.zeros(len(names.subjects))
    for (subject, _), (n_frames, fps) in names.lengths.items():
        minutes[names.subjects[subject]] += n_frames / fps / 60
    predicted, truths = tables.predicted.events, tables.truths.events
    known = without_unknown_offsets(predicted, truths)
    return SeedResult(
        subjects=tuple(names.subjects),
        minutes=minutes,
        emotions=tuple(names.emotions),
        tally=tally(predicted, truths, proposals=tables.proposals.events),
        known_offsets=np.array([_spotted(*known, subject) for subject in range(len(names.subjects))], np.int64),
    )


def _spotted(predictions: EventTable, truths: EventTable, subject: int) -> list[int]:
    """TP, FP and FN of a subject, macro and micro summed."""
    overall = spotting_scores(predictions[predictions.subject == subject], truths[truths.subject == subject]).overall
    return [overall.tp, overall.fp, overall.fn]


def digest(experiment: Experiment, folds: Sequence[Fold]) -> str:
    """A hash of the checksums in the status files of all finished folds."""
    statuses = [read_status(experiment.fold_folder(fold)) for fold in folds]
    sums = [sorted(status.checksums.items()) if status else None for status in statuses]
    return hashlib.sha256(repr(sums).encode()).hexdigest()[:16]


def cost(experiment: Experiment, fold: Fold) -> FoldCost:
    """Thresholds, times and source of a finished fold."""
    folder = experiment.fold_folder(fold)
    status, seconds = read_status(folder), training_seconds(folder)
    fresh = status is not None and not status.resumed and seconds is not None and experiment.max_epochs > 0
    macro, micro = (value if np.isfinite(value) else None for value in read_thresholds(folder))
    return FoldCost(
        thresholds=(macro, micro),
        seconds=status.seconds if status else 0.0,
        seconds_an_epoch=round(seconds / experiment.max_epochs, 3) if fresh and seconds is not None else None,
        commit=read_environment(folder).get("commit", ""),
        chosen_on=str(read_result(folder).get("chosen_on", "validation")),
    )


REFRESH = 0.5
"""Seconds between two checks of the folds."""


def run_units(
    units: Sequence[Unit],
    slots: JobSlots,
    resources: Resources,
    write: Callable[[Unit], object],
    progress: Progress,
    start: Start = start_process,
) -> int:
    """Runs every training that is not finished; a unit is written as soon as its last fold is finished.

    Args:
        units: in the order they are begun.
        slots: where trainings run; all units share them, so that cores stay busy between two rows.
        resources: of one training.
        write: called for each complete unit.
        progress: shows how far the study is.
        start: how a training's process is started.
    """
    for part in {part.folder: part for unit in units for part in (*unit.parts, unit.experiment)}.values():
        write_json(part.folder / "experiment.json", part.to_json())
    waiting = {id(unit): unit.unfinished() for unit in units}
    lacking = {_key(task) for tasks in waiting.values() for task in tasks}
    todo = [task for task in trainings(units) if _key(task) in lacking]
    launches = [(task, LocalLaunch(task[0], [task[1]], slots, resources, start=start)) for task in todo]
    failed = 0
    try:
        _write_complete(units, waiting, write)
        while launches:
            for task, outcome in _ended(launches):
                progress.note(task, outcome)
                failed += outcome.state not in DONE
                if outcome.state in DONE:
                    waiting = {unit: [t for t in tasks if _key(t) != _key(task)] for unit, tasks in waiting.items()}
            launches = [(task, launch) for task, launch in launches if launch.running()]
            _write_complete(units, waiting, write)
            progress.refresh()
            time.sleep(REFRESH if launches else 0)
    except BaseException:
        slots.stop()
        raise
    return failed


def _key(task: Task) -> Path:
    return task[0].fold_folder(task[1])


def _ended(launches: Sequence[tuple[Task, LocalLaunch]]) -> list[tuple[Task, Outcome]]:
    return [(task, outcome) for task, launch in launches for outcome in launch.outcomes()]


def _write_complete(units: Sequence[Unit], waiting: dict[int, list[Task]], write: Callable[[Unit], object]) -> None:
    """Calls `write` once for each unit whose trainings are all finished."""
    for unit in units:
        if waiting.get(id(unit)) == []:
            write(unit)
            del waiting[id(unit)]


def combine_unit(unit: Unit, resources: Resources) -> None:
    """Combines the two runs of a pipeline, fold by fold, in a process of its own; existing folds are kept."""
    todo = [fold for fold in unit.folds if problem(unit.experiment, fold)]
    if len(unit.parts) == 1 or not todo:
        return
    spotter, recogniser = unit.parts
    # The number of threads must be set before the child imports torch, which unpickling the function does.
    with ProcessPoolExecutor(1, get_context("spawn"), _set_environment, (resources.environment(),)) as child:
        for fold in todo:
            child.submit(combine_fold, spotter, recogniser, unit.experiment, fold).result()


def _set_environment(env: dict[str, str]) -> None:
    os.environ.update(env)


def write_unit(unit: Unit, results: str | Path, draws: int) -> bool:
    """Pools a complete unit and writes its result to the row's file, unless the file has it already.

    Other seeds in the file stay if they are of the same configuration and folds.
    """
    experiment, folds = unit.experiment, unit.folds
    kept = stored_seeds(unit, results)
    mark = digest(experiment, folds)
    if unit.seed in kept and kept[unit.seed].digest == mark:
        return False
    (pooled,) = pool_seeds(experiment, folds, folds, draws)
    costs = {fold.name: cost(experiment, fold) for fold in folds}
    kept[unit.seed] = replace(measure(pooled.folder), folds=costs, digest=mark)
    row = RowResult(
        name=unit.row.name,
        config_hash=experiment.config_hash,
        group=experiment.group,
        epochs=experiment.max_epochs,
        parameters=experiment.parameters,
        trained_parameters=experiment.trained_parameters,
        seeds=kept,
    )
    write_row(results, row, {seed: plain_scores(result) for seed, result in kept.items()})
    return True


def stored_seeds(unit: Unit, results: str | Path) -> dict[int, SeedResult]:
    """The seeds that a row's file holds, if they are of this configuration and of such folds."""
    path = row_path(results, unit.row.name)
    if not path.is_file():
        return {}
    row = read_row(path)
    same = row.config_hash == unit.experiment.config_hash and row.group == unit.experiment.group
    return dict(row.seeds) if same else {}


def try_to_write_unit(
    unit: Unit, results: str | Path, draws: int, resources: Resources, log: Callable[[str], object]
) -> bool:
    """:func:`combine_unit` and :func:`write_unit`; an error in one row is logged and does not stop the others.

    Returns:
        Whether the row's file holds the unit now.
    """
    try:
        combine_unit(unit, resources)
        if write_unit(unit, results, draws):
            log(f"{unit.row.name}, seed {unit.seed}: written to {row_path(results, unit.row.name)}")
    except FednError as error:
        log(f"{unit.row.name}, seed {unit.seed}: not written, {error}")
        return False
    return True


class Progress(LiveTable):
    """Shows a study."""

    def __init__(self, units: Sequence[Unit], jobs: int, console: Console | None = None) -> None:
        super().__init__(console)
        self.jobs = jobs
        self.units = list(units)
        self.todo = [task for task in trainings(units) if problem(*task)]
        self.before = len(trainings(units)) - len(self.todo)
        self.states: dict[Path, str] = {}
        self.seconds: list[float] = []
        self._watches = {_key(task): Watch(task[0], [task[1]], 1) for task in self.todo}

    def note(self, task: Task, outcome: Outcome) -> None:
        """Records the end of a training."""
        watch = self._watches[_key(task)]
        watch.ended[task[1]] = outcome
        (view,) = watch.views()
        if outcome.state == "finished" and view.seconds:
            self.seconds.append(view.seconds)
        self.states[_key(task)] = outcome.state
        reason = f": {outcome.reason}" if outcome.reason else ""
        left = self.left()
        ahead = f", about {clock(left)} left" if left else ""
        count = f"[{len(self.states)}/{len(self.todo)}{ahead}]"
        self.log(f"{task[0].name} {task[1]} {outcome.state}{reason} {count}")

    def left(self) -> float:
        """Seconds until all trainings are done, by the mean of those that ended in this call; 0 before one has."""
        if not self.seconds:
            return 0.0
        return (len(self.todo) - len(self.states)) * sum(self.seconds) / len(self.seconds) / self.jobs

    def table(self) -> Table:
        """A line for each row and seed."""
        left = self.left()
        caption = f"about {clock(left)} left" if left else ""
        title = f"{len(self.states)} of {len(self.todo)} trainings ended, {self.before} were finished before"
        table = Table(title=title, caption=caption, box=None, padding=(0, 2, 0, 0), title_justify="left")
        for name in ("row", "seed", "folds", "state"):
            table.add_column(name, justify="right" if name in ("seed", "folds") else "left")
        for unit in self.units:
            table.add_row(unit.row.name, str(unit.seed), *self._cells(unit))
        return table

    def _cells(self, unit: Unit) -> tuple[str, str]:
        views = [self._view(task) for task in unit.tasks]
        counts = Counter("finished" if view is None or view.state in DONE else view.state for view in views)
        running = [view for view in views if view is not None and view.state == "running"]
        epochs = ", ".join(f"{view.fold.name} epoch {view.epoch}" for view in running)
        failed = f"{counts['failed']} failed" if counts["failed"] else ""
        return f"{counts['finished']}/{len(views)}", "; ".join(filter(None, (failed, epochs)))

    def _view(self, task: Task) -> View | None:
        """How far a training is; None if it was finished before."""
        watch = self._watches.get(_key(task))
        return watch.views()[0] if watch else None
