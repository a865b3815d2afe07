"""Progress of each fold, read from its folder, and the live table of all folds."""

from __future__ import annotations

import csv
import math
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from fedn_lightning.loso.experiment import Experiment, Fold
from fedn_lightning.loso.status import read_status
from fedn_lightning.loso.worker import Outcome
from fedn_lightning.results.names import CONFIG, METRICS_LOG
from fedn_lightning.utils.console import LiveTable, clock

DONE = ("finished", "already finished")
STYLES = {"running": "bold", "finished": "green", "already finished": "green", "failed": "bold red", "waiting": "dim"}


@dataclass(frozen=True)
class View:
    """A row of the table."""

    fold: Fold  # the fold
    state: str  # `waiting`, `running`, or how it ended
    epoch: int = 0  # epochs done
    score: float = math.nan  # best value of the monitored metric so far, NaN if there is none
    seconds: float = 0.0  # that this attempt has taken
    note: str = ""  # why it failed


class Watch:
    """Reads the progress of folds from their folders, whichever launcher runs them."""

    def __init__(self, experiment: Experiment, folds: Sequence[Fold], jobs: int) -> None:
        self.experiment, self.folds, self.jobs = experiment, list(folds), jobs
        self.began = time.time()
        self.ended: dict[Fold, Outcome] = {}

    def views(self) -> list[View]:
        """The state of every fold, in their order."""
        return [self._view(fold) for fold in self.folds]

    def _view(self, fold: Fold) -> View:
        folder = self.experiment.fold_folder(fold)
        outcome = self.ended.get(fold)
        begun = _modified(self.experiment.beside(fold, ".log"))
        if outcome is None and begun < self.began - 1:  # file systems round times
            return View(fold, "waiting")
        epoch, score = read_metrics(folder / METRICS_LOG, self.experiment.monitor, self.experiment.monitor_mode)
        status = read_status(folder)
        if outcome is not None:
            seconds = status.seconds if status else 0.0
            return View(fold, outcome.state, epoch, score, seconds, outcome.reason)
        since = status.started if status and status.started > self.began else self.began
        return View(fold, "running", epoch, score, time.time() - max(since, _made(folder, since)))

    def left(self, views: Sequence[View]) -> float:
        """Seconds until all folds are done, from the pace so far; NaN before there is one."""
        epochs = max(self.experiment.max_epochs, 1)
        done = sum(view.state in DONE for view in views)
        fresh = [view.seconds for view in views if view.state == "finished" and view.seconds]
        running = [view for view in views if view.state == "running"]
        paces = fresh or [v.seconds / v.epoch * epochs for v in running if v.epoch]
        if not paces:
            return math.nan
        pace = sum(paces) / len(paces)
        open_folds = len(views) - done - sum(view.state in ("failed", "stopped") for view in views)
        through = sum(min(view.epoch / epochs, 1.0) for view in running)
        return max(open_folds - through, 0.0) * pace / max(min(self.jobs, open_folds), 1)

    def table(self) -> Table:
        """All folds as a table for the terminal."""
        views = self.views()
        counts = Counter("finished" if view.state in DONE else view.state for view in views)
        title = f"{self.experiment.name} {self.experiment.config_hash}: " + ", ".join(
            f"{number} {state}" for state, number in counts.items()
        )
        left = self.left(views)
        caption = "" if math.isnan(left) or not counts["running"] else f"about {clock(left)} left"
        table = Table(title=title, caption=caption, box=None, padding=(0, 2, 0, 0), title_justify="left")
        for name in ("fold", "seed", "state", "epoch", self.experiment.monitor or "score", "time", ""):
            table.add_column(name, justify="left" if name in ("fold", "state", "") else "right")
        for view in views:
            table.add_row(*self._cells(view), style=STYLES.get(view.state, ""))
        return table

    def _cells(self, view: View) -> tuple[str, ...]:
        epoch = f"{view.epoch}/{self.experiment.max_epochs}" if view.epoch else ""
        score = "" if math.isnan(view.score) else f"{view.score:.4f}"
        taken = clock(view.seconds) if view.seconds else ""
        note = view.note if view.state == "failed" else ""
        return view.fold.name, str(view.fold.seed), view.state, epoch, score, taken, note


class Display(LiveTable):
    """Shows a watch: a live table on a terminal, else a line for each fold that ends."""

    def __init__(self, watch: Watch, console: Console | None = None) -> None:
        super().__init__(console)
        self.watch = watch

    def table(self) -> Table:
        """A line for each fold."""
        return self.watch.table()

    def note(self, outcome: Outcome) -> None:
        """Records the end of a fold."""
        self.watch.ended[outcome.fold] = outcome
        if self._live is None:
            done = sum(other.state in DONE for other in self.watch.ended.values())
            reason = f": {outcome.reason}" if outcome.reason else ""
            self.log(f"{outcome.fold} {outcome.state}{reason} [{done}/{len(self.watch.folds)}]")


def read_metrics(path: Path, monitor: str | None, mode: str) -> tuple[int, float]:
    """Epochs done, and the best value of a metric of the validation subjects, from a run's `metrics.csv`.

    Returns:
        `(0, nan)` if the file is not there yet; a row that is being written is skipped.
    """
    epochs, best = 0, math.nan
    try:
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                value = row.get(monitor or "")
                if value and row.get("epoch", "").isdigit():
                    epochs = max(epochs, int(row["epoch"]) + 1)
                    found = float(value)
                    worse = best < found if mode == "max" else best > found
                    best = found if math.isnan(best) or worse else best
    except (OSError, ValueError, csv.Error, TypeError):
        pass  # a row is being written: the next call reads all of it
    return epochs, best


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _made(folder: Path, default: float) -> float:
    """When a run began to write; its configuration is written first."""
    return _modified(folder / CONFIG) or default
