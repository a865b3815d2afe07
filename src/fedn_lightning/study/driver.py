"""Trains what a study lacks, many folds of many experiments at a time, and books each row as soon as it is whole."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

from fedn_lightning.errors import FednError
from fedn_lightning.files import write_json
from fedn_lightning.loso.local import LocalLaunch, Slots
from fedn_lightning.loso.status import problem
from fedn_lightning.loso.two_step_folds import combine_fold
from fedn_lightning.loso.worker import Outcome, Resources, Start, start_process
from fedn_lightning.study.measure import cost, digest, measure
from fedn_lightning.study.progress import Progress
from fedn_lightning.study.row_file import RowResult, SeedResult, read_row, row_path, write_row
from fedn_lightning.study.statistics import plain_scores
from fedn_lightning.study.units import Task, Unit, trainings

REFRESH = 0.5
"""Seconds between two looks at the folds."""

DONE = ("finished", "already finished")


def run_units(
    units: Sequence[Unit],
    slots: Slots,
    resources: Resources,
    book: Callable[[Unit], object],
    progress: Progress,
    start: Start = start_process,
) -> int:
    """Runs every training that is not finished; a unit is booked as soon as its last fold is.

    Args:
        units: in the order they are begun.
        slots: where trainings run; all units share them, so that cores stay busy between two rows.
        resources: of one training.
        book: called for each whole unit.
        progress: shows how far all is.
        start: how a training's process is started.

    Returns:
        Number of trainings that failed.

    Raises:
        KeyboardInterrupt: if the user stops it; all trainings have ended then, and can be resumed.
        FoldError: if a folder holds a fold of another experiment.
    """
    for part in {part.folder: part for unit in units for part in (*unit.parts, unit.experiment)}.values():
        write_json(part.folder / "experiment.json", part.to_json())
    waiting = {id(unit): unit.unfinished() for unit in units}
    lacking = {_key(task) for tasks in waiting.values() for task in tasks}
    todo = [task for task in trainings(units) if _key(task) in lacking]
    launches = [(task, LocalLaunch(task[0], [task[1]], slots, resources, start=start)) for task in todo]
    failed = 0
    try:
        _book_whole(units, waiting, book)
        while launches:
            for task, outcome in _ended(launches):
                progress.note(task, outcome)
                failed += outcome.state not in DONE
                if outcome.state in DONE:
                    waiting = {unit: [t for t in tasks if _key(t) != _key(task)] for unit, tasks in waiting.items()}
            launches = [(task, launch) for task, launch in launches if launch.running()]
            _book_whole(units, waiting, book)
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


def _book_whole(units: Sequence[Unit], waiting: dict[int, list[Task]], book: Callable[[Unit], object]) -> None:
    """Books the units for which nothing is waited any more, each once."""
    for unit in units:
        if waiting.get(id(unit)) == []:
            book(unit)
            del waiting[id(unit)]


def combine_unit(unit: Unit, resources: Resources) -> None:
    """Puts both halves of a pipeline together, fold by fold, in a process of its own; folds that are there are kept.

    Raises:
        FednError: if the halves do not belong together.
    """
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


def book_unit(unit: Unit, results: str | Path, draws: int) -> bool:
    """Pools a whole unit and puts its result into the row's file, unless the file holds it already.

    Other seeds in the file stay if they are of the same configuration and folds.

    Args:
        unit: all its folds are finished.
        results: folder of the study's results.
        draws: of subjects, for the intervals of the pooled result in the run's own folder.

    Returns:
        Whether there was something to write.

    Raises:
        FoldError: if the folds do not belong together.
    """
    # Here, since it imports torch for seconds: a driver that only waits for trainings does without.
    from fedn_lightning.loso.seeds import pool_seeds

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


def try_to_book(
    unit: Unit, results: str | Path, draws: int, resources: Resources, tell: Callable[[str], object]
) -> bool:
    """:func:`combine_unit` and :func:`book_unit`; what is wrong with one row is told and does not stop the others.

    Returns:
        Whether the row's file holds the unit now.
    """
    try:
        combine_unit(unit, resources)
        if book_unit(unit, results, draws):
            tell(f"{unit.row.name}, seed {unit.seed}: booked in {row_path(results, unit.row.name)}")
    except FednError as error:
        tell(f"{unit.row.name}, seed {unit.seed}: not booked, {error}")
        return False
    return True
