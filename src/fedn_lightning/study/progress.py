"""How far a study is: a live table of its rows on a terminal, a line for each training that ends elsewhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from fedn_lightning.loso.progress import DONE, View, Watch
from fedn_lightning.loso.status import problem
from fedn_lightning.loso.worker import Outcome
from fedn_lightning.study.plan import Task, Unit, trainings
from fedn_lightning.utils.console import LiveTable, clock


class Progress(LiveTable):
    """Shows a study.

    Args:
        units: all of it.
        jobs: trainings at a time, for the time left.
        console: where; stderr by default.
    """

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
        """Books the end of a training."""
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


def _key(task: Task) -> Path:
    return task[0].fold_folder(task[1])
