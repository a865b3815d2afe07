"""What has to be trained for a study: a row and a seed make a unit, a unit one fold after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from fedn_lightning.loso.experiment import Experiment
from fedn_lightning.loso.folds import Fold, make_folds
from fedn_lightning.loso.status import problem
from fedn_lightning.loso.two_step_folds import joined
from fedn_lightning.study.plan import Plan, Row

Task = tuple[Experiment, Fold]
"""One training."""


@dataclass(frozen=True)
class Unit:
    """A row's folds of one seed.

    Attributes:
        row: of the plan.
        seed: of the folds.
        parts: the experiment that is trained; two for a pipeline, spotter and recogniser.
        folds: the same for all parts.
        experiment: where the row's own predictions lie: the only part, or what both halves of a pipeline make.
    """

    row: Row
    seed: int
    parts: tuple[Experiment, ...]
    folds: tuple[Fold, ...]
    experiment: Experiment

    @property
    def tasks(self) -> list[Task]:
        """All its trainings, in their order."""
        return [(part, fold) for part in self.parts for fold in self.folds]

    def unfinished(self) -> list[Task]:
        """The trainings that are not finished.

        Raises:
            FoldError: if a folder holds a fold of another experiment.
        """
        return [(part, fold) for part, fold in self.tasks if problem(part, fold)]


def make_units(plan: Plan, experiments: Mapping[str, Experiment]) -> list[Unit]:
    """The units of a study, in the order they are trained: row by row, and all seeds of a row together.

    Args:
        plan: the study.
        experiments: by experiment file.

    Raises:
        SplitError: if the group leaves nobody to train on.
        FoldError: if the halves of a pipeline have different folds.
    """
    units = []
    for row in plan.rows:
        parts = tuple(experiments[config] for config in row.configs)
        for seed in row.seeds_from(parts[0].seed):
            folds = make_folds(list(parts[0].subjects), [seed], plan.group)
            units.append(Unit(row, seed, parts, tuple(folds), whole(row, parts)))
    return units


def whole(row: Row, parts: Sequence[Experiment]) -> Experiment:
    """The experiment whose folds hold a row's predictions.

    Raises:
        FoldError: if the halves of a pipeline have different folds.
    """
    if len(parts) == 1:
        return parts[0]
    spotter, recogniser = parts
    return replace(
        joined(spotter, recogniser, Path(spotter.runs) / row.name),
        # The frozen encoder is the same in both.
        parameters=spotter.parameters + recogniser.trained_parameters,
        trained_parameters=spotter.trained_parameters + recogniser.trained_parameters,
    )


def trainings(units: Sequence[Unit]) -> list[Task]:
    """Every training of the study once, also where two rows need it, in the order of the units."""
    seen: dict[tuple[str, Fold], Task] = {}
    for unit in units:
        for part, fold in unit.tasks:
            seen.setdefault((str(part.folder), fold), (part, fold))
    return list(seen.values())
