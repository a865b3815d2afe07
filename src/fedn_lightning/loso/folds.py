"""Which folds there are: for each seed, each subject (or group of subjects) is held out once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from fedn_lightning.datamodules.splits import find_subject
from fedn_lightning.errors import SplitError


@dataclass(frozen=True)
class Fold:
    """One training: a seed, and the subjects it never sees.

    Attributes:
        seed: of everything random in the fold.
        subjects: held out, sorted.
    """

    seed: int
    subjects: tuple[str, ...]

    @property
    def name(self) -> str:
        """Name of the fold's folder, e.g. `s15`, or `s15+s21` for a group."""
        return "+".join(self.subjects)

    def __str__(self) -> str:
        return f"{self.name} (seed {self.seed})"


def make_folds(subjects: Sequence[str], seeds: Sequence[int], group: int = 1) -> list[Fold]:
    """Holds every subject out exactly once per seed.

    Args:
        subjects: everyone in the corpus.
        seeds: one complete set of folds each; groups are the same for all seeds.
        group: how many subjects are held out together; groups differ in size by at most one.

    Returns:
        Folds by seed, in a fixed order.

    Raises:
        SplitError: if the group leaves nobody to train on, or a seed is given twice.

    >>> [fold.name for fold in make_folds(["a", "b", "c", "d", "e"], [7], group=2)]
    ['a+d', 'b+e', 'c']
    """
    everyone = sorted(set(subjects))
    if not 1 <= group < len(everyone):
        msg = f"--group {group} must be at least 1 and less than the number of subjects, {len(everyone)}."
        raise SplitError(msg)
    if len(set(seeds)) != len(seeds):
        msg = f"--seeds {' '.join(map(str, seeds))} names a seed twice."
        raise SplitError(msg)
    count = math.ceil(len(everyone) / group)
    return [Fold(seed, tuple(everyone[i::count])) for seed in seeds for i in range(count)]


def choose_folds(folds: Sequence[Fold], wanted: Sequence[str | int], subjects: Sequence[str]) -> list[Fold]:
    """The folds that hold out one of the wanted subjects; all folds if none is named.

    Raises:
        SplitError: if a name fits no subject of the corpus.
    """
    names = {find_subject(word, subjects) for word in wanted}
    return [fold for fold in folds if not names or names & set(fold.subjects)]
