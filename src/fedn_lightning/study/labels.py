"""The label question: how far expert labels and self-reports agree, and what training on the other labels costs.

Two rows that differ in `label_source` alone are scored by their own labels and by each other's. Spotting truths are the
same in both, so all that changes is the emotion. The answer is one small file beside the rows' files.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from fedn_lightning.analysis.comparison import Difference
from fedn_lightning.errors import FednError, FoldError
from fedn_lightning.events import EventTable, IntArray
from fedn_lightning.loso.pool import pooled_folder
from fedn_lightning.metrics.functional.rates import cohen_kappa
from fedn_lightning.results import Names, read_events, read_videos
from fedn_lightning.results.names import TRUTH, VIDEOS
from fedn_lightning.study.driver import digest, measure
from fedn_lightning.study.plan import Unit
from fedn_lightning.study.rows import RowResult, SeedResult, compact, seed_from_json, seed_json
from fedn_lightning.study.statistics import Estimate, estimate, paired, sample
from fedn_lightning.utils.files import plain, write_text

FILE = "labels.json"
SOURCES = ("expert", "self_report")
SCORE = "detection.map@0.5"

Cell = tuple[str, str]
"""Whose labels a network was trained on, and whose it is scored by."""


@dataclass(frozen=True)
class Crossed:
    """The content of the file."""

    classes: tuple[str, ...]  # names of the emotion classes
    # `(C + 1, C + 1)` int64, expressions by the expert's class (row) and the self-reported one (column); the last of
    # both is an emotion that is not analysed
    confusion: IntArray
    # by seed, the networks of each source scored by the other source's labels, with the digests of both sources' folds
    seeds: dict[int, dict[str, SeedResult]]

    @property
    def agreement(self) -> tuple[int, int]:
        """How many expressions get the same analysed class from both, and of how many."""
        return int(np.trace(self.confusion[:-1, :-1])), int(self.confusion.sum())

    @property
    def kappa(self) -> float:
        """Cohen's kappa among the expressions to which both give an analysed class."""
        return cohen_kappa(self.confusion[:-1, :-1])


@dataclass(frozen=True)
class Answer:
    """What the labels cost, on the seeds that both rows have."""

    crossed: Crossed  # agreement and stored results
    cells: dict[Cell, Estimate]  # mAP@0.5 of each network by each source's labels
    costs: dict[tuple[Cell, Cell], Difference]  # difference of two cells, second minus first, by what it asks


QUESTIONS: tuple[tuple[Cell, Cell], ...] = (
    (("expert", "expert"), ("expert", "self_report")),
    (("self_report", "self_report"), ("self_report", "expert")),
    (("expert", "expert"), ("self_report", "expert")),
    (("self_report", "self_report"), ("expert", "self_report")),
)
"""What the same network loses by the other labels, and what learning from the others loses by the same labels."""


def cross(units: Sequence[Unit], pair: Sequence[str], results: str | Path) -> bool:
    """Scores two rows by each other's labels and writes the file, for the seeds of which both are pooled."""
    complete = [unit for unit in units if unit.row.name in pair and _pooled(unit)]
    by_seed = {
        unit.seed: {
            other.row.name: other for other in complete if other.seed == unit.seed and other.folds == unit.folds
        }
        for unit in complete
    }
    ready = {seed: [found[name] for name in pair] for seed, found in by_seed.items() if len(found) == 2}
    marks = {seed: "+".join(digest(unit.experiment, unit.folds) for unit in both) for seed, both in ready.items()}
    path = Path(results) / FILE
    if not ready or (path.is_file() and stored_marks(path) == marks):
        return False
    seeds = {}
    for seed, both in ready.items():
        folders = [_pooled_folder(unit) for unit in both]
        mine, theirs = (measure(a, truth=b / TRUTH) for a, b in (folders, reversed(folders)))
        seeds[seed] = {k: replace(v, digest=marks[seed]) for k, v in zip(SOURCES, (mine, theirs), strict=True)}
    classes, confusion = compare_labels(folders[0], folders[1])
    value = {
        "classes": classes,
        "confusion": confusion.tolist(),
        "seeds": {seed: {source: seed_json(r) for source, r in found.items()} for seed, found in seeds.items()},
    }
    write_text(path, compact(plain(value)))
    return True


def _pooled_folder(unit: Unit) -> Path:
    return pooled_folder(unit.experiment, unit.seed, partial=False)


def _pooled(unit: Unit) -> bool:
    """Whether all folds of a unit are finished and pooled."""
    return not unit.unfinished() and (_pooled_folder(unit) / TRUTH).is_file()


def try_to_cross(units: Sequence[Unit], pair: Sequence[str], results: str | Path, log: Callable[[str], object]) -> bool:
    """:func:`cross`; an error is logged and does not stop the other rows. Returns whether there was none."""
    try:
        if cross(units, pair, results):
            log(f"{' and '.join(pair)}: scored by each other's labels")
    except FednError as error:
        log(f"{' and '.join(pair)}: not scored by each other's labels, {error}")
        return False
    return True


def stored_marks(path: Path) -> dict[int, str]:
    """What the results in the file were computed from, by seed."""
    return {seed: found[SOURCES[0]].digest for seed, found in read_crossed(path).seeds.items()}


def read_crossed(path: Path) -> Crossed:
    """Reads what :func:`cross` wrote."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        return Crossed(
            classes=tuple(value["classes"]),
            confusion=np.array(value["confusion"], np.int64),
            seeds={
                int(seed): {source: seed_from_json(found[source]) for source in SOURCES}
                for seed, found in value["seeds"].items()
            },
        )
    except (OSError, ValueError, TypeError, KeyError, AttributeError, IndexError) as error:
        msg = f"{path} is not the file of the label question ({error}); remove it, and run the study again."
        raise FoldError(msg) from error


def answer(crossed: Crossed, expert: RowResult, self_report: RowResult, draws: int = 1000, seed: int = 0) -> Answer:
    """Draws the intervals."""
    own = dict(zip(SOURCES, (expert.seeds, self_report.seeds), strict=True))
    seeds = sorted(set(crossed.seeds) & set(own["expert"]) & set(own["self_report"]))
    samples = {}
    for trained in SOURCES:
        for scored in SOURCES:
            found = {k: own[trained][k] if scored == trained else crossed.seeds[k][trained] for k in seeds}
            samples[trained, scored] = {k: sample(result, draws, seed) for k, result in found.items()}
    return Answer(
        crossed,
        {cell: estimate(sampled, SCORE, seed) for cell, sampled in samples.items()},
        {(a, b): paired(samples[b], samples[a], SCORE, seeds, seed) for a, b in QUESTIONS},
    )


def compare_labels(expert: Path, self_report: Path) -> tuple[tuple[str, ...], IntArray]:
    """Counts expressions by the class that each of two truth tables gives them.

    Returns:
        Class names, sorted, and `(C + 1, C + 1)` int64 counts, the last row and column without an analysed emotion.
    """
    names = Names()
    read_videos(expert / VIDEOS, names)
    one, other = (_ordered(read_events(f / TRUTH, names, truth=True).events) for f in (expert, self_report))
    if len(one) != len(other) or any(
        not np.array_equal(getattr(one, column), getattr(other, column)) for column in ("video", "start", "end", "type")
    ):
        msg = f"{expert} and {self_report} must have the same expressions and differ in their emotions alone."
        raise FoldError(msg)
    classes = tuple(sorted(names.emotions))
    order = np.array([classes.index(name) for name in names.emotions] + [len(classes)])  # -1 picks the last
    counts = np.zeros((len(classes) + 1, len(classes) + 1), np.int64)
    np.add.at(counts, (order[one.emotion], order[other.emotion]), 1)
    return classes, counts


def _ordered(events: EventTable) -> EventTable:
    return events[np.lexsort((events.type, events.end, events.start, events.video))]
