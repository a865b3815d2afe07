"""The state of folds, read from their folders: finished or not, which checkpoints they may use, and their progress."""

from __future__ import annotations

import csv
import json
import math
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from rich.console import Console
from rich.table import Table

from fedn_lightning.errors import CheckpointError, FoldError
from fedn_lightning.loso.experiment import Experiment, Fold
from fedn_lightning.results.names import CONFIG, LAST, METRICS_LOG, RESULT, TABLES
from fedn_lightning.utils.console import LiveTable, clock
from fedn_lightning.utils.files import checksum, write_json

State = Literal["finished", "already finished", "failed", "stopped", "runs elsewhere"]


@dataclass(frozen=True)
class Outcome:
    """How a fold ended."""

    fold: Fold  # the fold
    state: State  # `finished` or `already finished` if its result can be pooled
    reason: str = ""  # why it is not finished, as a clause


def resumable(folder: Path, fold: Fold) -> Path | None:
    """The checkpoint a fold can go on from.

    A checkpoint is refused, and the fold begun anew, if it cannot be read, if it is not one of this fold (its record of
    subjects differs), or if the best epoch so far has gone: then nothing is lost but time.
    """
    last = folder / LAST
    if not last.is_file():
        return None
    # Imported here: torch takes seconds, and most calls end above.
    from fedn_lightning.models.checkpoints import read_checkpoint

    try:
        content = read_checkpoint(last)
        if not belongs_to(content, fold):
            return None
        for kept in kept_by_callbacks(content):
            if kept.resolve() != (folder / "checkpoints" / kept.name).resolve():
                return None  # the folder was moved: Lightning would forget the best epoch
            read_checkpoint(kept)
    except CheckpointError:
        return None
    return last


def belongs_to(content: Mapping[str, Any], fold: Fold) -> bool:
    """Whether a checkpoint's own record of subjects is that of a fold.

    >>> record = {"train": ("a", "b"), "val": ("c",), "test": ("d",)}
    >>> belongs_to({"fedn": {"subjects": record}}, Fold(0, ("d",)))
    True
    >>> belongs_to({"fedn": {"subjects": record}}, Fold(0, ("a",))), belongs_to({}, Fold(0, ("a",)))
    (False, False)
    """
    record = content.get("fedn", {}).get("subjects", {})
    seen = {*record.get("train", ()), *record.get("val", ())}
    return sorted(record.get("test", ())) == sorted(fold.subjects) and not seen & set(fold.subjects)


def kept_by_callbacks(content: Mapping[str, Any]) -> list[Path]:
    """Checkpoints that the checkpoint callbacks have recorded, e.g. the best epoch's."""
    states = [state for state in content.get("callbacks", {}).values() if isinstance(state, Mapping)]
    return [Path(state["best_model_path"]) for state in states if state.get("best_model_path")]


def seen_subjects(content: Mapping[str, Any]) -> tuple[str, set[str]]:
    """The corpus and the subjects a checkpoint was trained or chosen on; empty if it keeps no such record."""
    record = content.get("fedn", {})
    subjects = record.get("subjects", {})
    return str(record.get("dataset", "")), {*subjects.get("train", ()), *subjects.get("val", ())}


def check_unseen(weights: Path, dataset: str, subjects: Sequence[str]) -> None:
    """Checks that encoder weights were neither trained nor chosen on subjects of the corpus.

    Checkpoints of this project's detection runs keep a record of their subjects. Generated stills show people who are
    in no corpus, and AffectNet's photographs none of the laboratories' subjects; checkpoints of such a pre-training,
    and public ones, keep no record and are accepted.
    """
    from fedn_lightning.models.checkpoints import read_checkpoint

    trained_on, seen = seen_subjects(read_checkpoint(weights))
    both = sorted(seen & set(subjects))
    if both and trained_on == dataset:
        raise CheckpointError(
            f"The encoder weights {weights} were trained on subjects {', '.join(both)} of {dataset}, which the folds "
            f"hold out; take weights of an encoder that was pre-trained on other people (model.encoder.weights)."
        )


NAME = "status.json"
FORMAT = 1
CHECKED = (*TABLES, RESULT, CONFIG)
"""Files whose checksums a finished status holds."""


@dataclass(frozen=True)
class Status:
    """What is known of a fold."""

    config_hash: str  # of its experiment
    seed: int  # of the fold
    subjects: tuple[str, ...]  # held out
    finished: bool = False  # whether it was trained and tested to the end
    started: float = 0.0  # when this attempt began, in seconds since 1970
    seconds: float = 0.0  # time from start to end of this attempt; 0 while it runs
    failure: str = ""  # why it ended unfinished; empty while it runs
    resumed: bool = False  # whether this attempt went on from a checkpoint
    # SHA-256 of the files of :data:`CHECKED`, by name; empty unless finished
    checksums: dict[str, str] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """Writes `status.json`, atomically."""
        write_json(folder / NAME, {"format": FORMAT, **asdict(self)})


def read_status(folder: Path) -> Status | None:
    """Reads the status of a fold; None if there is none, or what is there is no status."""
    try:
        value = json.loads((folder / NAME).read_text(encoding="utf-8"))
        return _parse(value)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def _parse(value: dict[str, Any]) -> Status:
    """Checks every field's type, since the file may have been damaged."""
    if value.pop("format") != FORMAT:
        raise ValueError("another format")
    status = Status(**{**value, "subjects": tuple(value["subjects"])})
    types = {"config_hash": str, "seed": int, "finished": bool, "failure": str, "resumed": bool, "checksums": dict}
    if any(not isinstance(getattr(status, name), kind) for name, kind in types.items()):
        raise TypeError("a field of another type")
    return status


def problem(experiment: Experiment, fold: Fold) -> str | None:
    """Why a fold is not finished, as a clause; None if it is."""
    folder = experiment.fold_folder(fold)
    if not folder.is_dir():
        return "it has not been run"
    status = read_status(folder)
    if status is None:
        return "its status file cannot be read" if (folder / NAME).exists() else "it has no status file"
    check_same_fold(status, experiment, fold)
    if not status.finished:
        return status.failure or "it was not run to its end"
    for name in CHECKED:
        if status.checksums.get(name) != checksum(folder / name):
            return f"{name} has changed since it was written"
    return None


def check_same_fold(status: Status, experiment: Experiment, fold: Fold) -> None:
    """Checks that a folder holds the fold that its path names."""
    wanted = {"configuration": experiment.config_hash, "seed": fold.seed, "subjects": fold.subjects}
    found = {"configuration": status.config_hash, "seed": status.seed, "subjects": status.subjects}
    for name, value in wanted.items():
        if found[name] != value:
            raise FoldError(
                f"{experiment.fold_folder(fold)} holds a fold of {name} {found[name]}, expected {value}: "
                f"folds of two experiments are mixed. Move that folder away."
            )


def training_seconds(folder: Path) -> float | None:
    """Time between a run's first file and its last checkpoint; None if one of them is not there."""
    try:
        return (folder / LAST).stat().st_mtime - (folder / CONFIG).stat().st_mtime
    except OSError:
        return None


def adopt_finished(experiment: Experiment, fold: Fold) -> bool:
    """Marks a fold as finished if it completed after its driver process died; call it with the fold's lock held.

    Each attempt removes the result of the attempt before, and a run writes `result.json` last. So an attempt is
    complete if there is a `result.json`, and either no status or the status of an attempt that has not failed.
    """
    folder = experiment.fold_folder(fold)
    status = read_status(folder)
    if status is None and not (folder / NAME).exists():
        status = Status(experiment.config_hash, fold.seed, fold.subjects)
    if status is None or status.finished or status.failure or not (folder / RESULT).is_file():
        return False
    started = status.started or (folder / CONFIG).stat().st_mtime
    ended = (folder / RESULT).stat().st_mtime
    mark_finished(experiment, fold, replace(status, started=started, seconds=round(ended - started, 3)))
    return True


def mark_finished(experiment: Experiment, fold: Fold, status: Status) -> None:
    """Marks a fold as finished if all its files exist and belong to this fold."""
    folder = experiment.fold_folder(fold)
    checksums = {name: checksum(folder / name) for name in CHECKED}
    missing = [name for name, value in checksums.items() if value is None]
    if missing:
        raise FoldError(f"{folder} lacks {', '.join(missing)}.")
    result = json.loads((folder / RESULT).read_text(encoding="utf-8"))
    if result.get("split") != "test" or sorted(result.get("subjects", [])) != sorted(fold.subjects):
        raise FoldError(f"{folder}/result.json is not the test of {fold.name}.")
    done = {name: value for name, value in checksums.items() if value is not None}
    replace(status, finished=True, failure="", checksums=done).write(folder)


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
