"""A corpus of three subjects and one study of it that nothing has interrupted."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from forked import start_forked
from pulses_data import write_corpus

from fedn_lightning.loso.experiment import Experiment
from fedn_lightning.loso.folds import Fold, make_folds
from fedn_lightning.loso.inspection import inspect
from fedn_lightning.loso.worker import Outcome, Resources, run_fold

CONF = Path(__file__).parents[1] / "conf" / "pulses.yaml"


class Study:
    """An experiment on pulses in a folder of its own.

    Attributes:
        home: what relative paths start from.
        experiment: of the folds.
        folds: one per subject.
    """

    def __init__(self, home: Path, experiment: Experiment) -> None:
        self.home, self.experiment = home, experiment
        self.folds = make_folds(list(experiment.subjects), [experiment.seed])

    def fold(self, name: str) -> Fold:
        return next(fold for fold in self.folds if fold.name == name)

    def folder(self, name: str) -> Path:
        return self.experiment.fold_folder(self.fold(name))

    def run(self, name: str) -> Outcome:
        """Runs one fold; the current folder must be `home`."""
        return run_fold(self.experiment, self.fold(name), Resources(), start=start_forked)

    def without(self, name: str) -> None:
        """Takes one fold away."""
        shutil.rmtree(self.folder(name))


@pytest.fixture(scope="session")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """All folds, run one after the other without trouble. Tests look at it, and work on copies."""
    home = tmp_path_factory.mktemp("reference")
    write_corpus(home / "pulses", subjects=3)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        patch.setenv("WANDB_MODE", "disabled")
        study = Study(home, inspect(["--config", str(CONF)], "runs", warm_up=True))
        for fold in study.folds:
            outcome = study.run(fold.name)
            assert outcome.state == "finished", outcome.reason
    return study


@pytest.fixture
def copied(reference: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    """A copy of the reference to do harm to; the current folder is its home."""
    shutil.copytree(reference.home, tmp_path / "home")
    monkeypatch.chdir(tmp_path / "home")
    monkeypatch.setenv("WANDB_MODE", "disabled")
    return Study(tmp_path / "home", reference.experiment)


@pytest.fixture
def same_files(reference: Study) -> Callable[[Study], bool]:
    """Whether the tables that are pooled equal those of the reference, byte by byte."""

    def compare(study: Study) -> bool:
        return all(
            (study.home / study.folder(fold.name) / name).read_bytes()
            == (reference.home / study.folder(fold.name) / name).read_bytes()
            for fold in study.folds
            for name in ("predictions.csv", "proposals.csv", "truth.csv", "videos.csv", "result.json")
        )

    return compare
