"""The two-step pipeline fold by fold: the folds of two experiments become those of one, pooled as any other."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from fedn_lightning.errors import FoldError
from fedn_lightning.files import write_json
from fedn_lightning.loso.experiment import Experiment
from fedn_lightning.loso.folds import Fold, make_folds
from fedn_lightning.loso.pooling import Pooled
from fedn_lightning.loso.status import Status, problem, seal

EXPERIMENT = "experiment.json"
"""What tells a folder of `fedn loso` from that of a single run."""


def combine_folds(spotter: Path, recogniser: Path, out: Path, draws: int, tell: Callable[[str], None]) -> list[Pooled]:
    """Combines every fold that both experiments have finished, and pools each seed.

    The result lies in `out/<hash>`, laid out as the folder of `fedn loso`; folds that are there already are kept.

    Args:
        spotter: folder of a `fedn loso` experiment, `runs/<experiment>/<hash>`.
        recogniser: likewise.
        out: parent of the result.
        draws: of subjects, for the intervals.
        tell: receives a line per fold that is done or left out.

    Raises:
        FoldError: if the experiments do not belong together, or no fold is finished in both.
    """
    from fedn_lightning.loso.seeds import pool_seeds  # here, as below

    halves = located(spotter), located(recogniser)
    experiment = joined(*halves, out)
    every = make_folds(list(experiment.subjects), common_seeds(*halves), experiment.group)
    wanted = []
    for fold in every:
        reasons = [f"{half.name}: {reason}" for half in halves if (reason := problem(half, fold))]
        if reasons:
            tell(f"{fold} is left out ({'; '.join(reasons)})")
            continue
        wanted.append(fold)
        if problem(experiment, fold) is not None:
            tell(f"{fold}")
            combine_fold(*halves, experiment, fold)
    if not wanted:
        msg = f"No fold is finished in both {spotter} and {recogniser}; finish them with fedn loso."
        raise FoldError(msg)
    write_json(experiment.folder / EXPERIMENT, experiment.to_json())
    return pool_seeds(experiment, every, wanted, draws)


def combine_fold(spotter: Experiment, recogniser: Experiment, experiment: Experiment, fold: Fold) -> None:
    """Combines one fold and vouches for it."""
    from fedn_lightning.loso.two_step import combine  # here, since torch takes seconds that other functions need not

    started = time.time()
    folder = experiment.fold_folder(fold)
    combine(spotter.fold_folder(fold), recogniser.fold_folder(fold), folder)
    seconds = round(time.time() - started, 3)
    seal(experiment, fold, Status(experiment.config_hash, fold.seed, fold.subjects, started=started, seconds=seconds))


def located(folder: Path) -> Experiment:
    """The experiment in a folder of `fedn loso`, wherever the folder was moved to.

    Raises:
        FoldError: if there is none, or the folder was renamed.
    """
    experiment = Experiment.load(folder / EXPERIMENT)
    here = replace(experiment, runs=str(folder.absolute().parents[1]))
    if here.folder != folder.absolute():
        msg = f"{folder} must be named {experiment.name}/{experiment.config_hash}, as fedn loso named it."
        raise FoldError(msg)
    return here


def joined(spotter: Experiment, recogniser: Experiment, out: Path) -> Experiment:
    """The experiment of both halves together.

    Raises:
        FoldError: if their folds are not the same.
    """
    if spotter.subjects != recogniser.subjects or spotter.group != recogniser.group:
        msg = (
            f"{spotter.folder} and {recogniser.folder} have different subjects, or hold out groups of different size "
            f"({spotter.group} and {recogniser.group}); run fedn loso for both with the same corpus and --group."
        )
        raise FoldError(msg)
    digest = hashlib.sha256(f"{spotter.config_hash} {recogniser.config_hash}".encode()).hexdigest()[:8]
    return replace(
        spotter,
        name=out.absolute().name,
        runs=str(out.absolute().parent),
        config_hash=digest,
        words=("two-step", str(spotter.folder), str(recogniser.folder)),
        wandb_group=f"{out.absolute().name}-{digest}",
    )


def common_seeds(spotter: Experiment, recogniser: Experiment) -> list[int]:
    """Seeds of which both experiments have folds, ascending."""
    both = (_seeds(half.folder.glob("seed*")) for half in (spotter, recogniser))
    return sorted(set.intersection(*both))


def _seeds(folders: Iterable[Path]) -> set[int]:
    return {int(folder.name.removeprefix("seed")) for folder in folders if folder.name[4:].lstrip("-").isdigit()}
