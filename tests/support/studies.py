"""Leave-one-subject-out studies for tests: real folds of pulses, and folds that were never trained."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from forked import start_forked
from toys import make_record

from fedn_lightning.events import DetectionRecord
from fedn_lightning.loso.experiment import Experiment, Fold, make_folds
from fedn_lightning.loso.status import Outcome, Status, mark_finished
from fedn_lightning.loso.worker import Resources, run_fold
from fedn_lightning.results.report import result_of
from fedn_lightning.results.writing import write_tables
from fedn_lightning.utils.files import write_json

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


def make_experiment(runs: Path, subjects: int = 3, group: int = 1, seed: int = 7) -> Experiment:
    """An experiment on subjects a, b, c ... of two videos each."""
    return Experiment(
        name="fake", config_hash="0badcafe", words=("--config", "fake.yaml"), runs=str(runs),
        subjects=dict.fromkeys("abcdefgh"[:subjects], 2), val_subject=1, seed=seed, seeded_data=True,
        monitor="val/joint", monitor_mode="max", max_epochs=4, group=group, cpus=1, gpus=0, device_count=0,
        wandb_project="tests", wandb_mode="disabled", wandb_group="fake-0badcafe",
    )  # fmt: skip


def fake_record(fold: Fold) -> DetectionRecord:
    """What a fold would have detected: the records of its subjects; scores and thresholds differ from fold to fold."""
    records = []
    for subject in fold.subjects:
        place = "abcdefgh".index(subject)
        record = make_record(subject, score=0.6 + 0.05 * place + 0.01 * fold.seed / 7)
        # The fourth proposal, of score 0.1, is predicted by every other fold only.
        records.append(replace(record, threshold=(0.05 if place % 2 else 0.5, 0.5)))
    first, *others = records
    for other in others:
        shift = len(first.videos)
        moved = [replace(t, video=t.video + shift) for t in (other.truths, other.predictions)]
        first = replace(
            first,
            videos=first.videos + other.videos,
            n_frames=first.n_frames + other.n_frames,
            truths=type(first.truths).concatenate([first.truths, moved[0]]),
            predictions=type(first.truths).concatenate([first.predictions, moved[1]]),
        )
    return first


def fake_fold(experiment: Experiment, fold: Fold, felt: str | None = None, **told: Any) -> Path:
    """Writes the folder of a finished fold, whose record says what is `told`; `felt` is the emotion of all truths."""
    folder, record = experiment.fold_folder(fold), replace(fake_record(fold), **told)
    if felt is not None:
        emotion = np.full(len(record.truths), record.emotions.index(felt))
        record = replace(record, truths=replace(record.truths, emotion=emotion))
    write_tables(record, folder)
    write_json(folder / "result.json", result_of(record))
    config = f"experiment: fake\nseed_everything: {fold.seed}\nwandb: {{ name: {fold.name} }}\n"
    (folder / "config.yaml").write_text(config)
    mark_finished(experiment, fold, Status(experiment.config_hash, fold.seed, fold.subjects, started=1.0, seconds=60.0))
    return folder
