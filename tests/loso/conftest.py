"""A corpus of three subjects and one study of it that nothing has interrupted."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from pulses_data import write_corpus
from studies import CONF, Study

from fedn_lightning.cli.inspection import inspect


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
