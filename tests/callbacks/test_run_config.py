""""""

from __future__ import annotations

import csv
import resource
import signal
import subprocess
import warnings
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from toys import ToyData, ToyTask

from fedn_lightning import __version__
from fedn_lightning.callbacks import run_config
from fedn_lightning.callbacks.run_config import (
    LastCheckpoint,
    RunLog,
    SeedEpochs,
    WholeCheckpoints,
    describe_environment,
    restore,
    set_base_rates,
    source_commit,
)


def test_the_environment_names_what_a_run_depends_on() -> None:
    said = dict(line.split(": ", 1) for line in describe_environment().splitlines())
    assert said["fedn-lightning"] == __version__
    assert {"commit", "command", "python", "system", "cores", "torch", "numpy", "decord"} <= said.keys()


@pytest.mark.parametrize("error", [FileNotFoundError(), subprocess.CalledProcessError(128, "git")])
def test_outside_a_repository_there_is_no_commit(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(run_config.subprocess, "run", fail)
    assert source_commit() is None
    assert "commit: unknown" in describe_environment()


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_log_lies_straight_in_the_run_folder(tmp_path: Path) -> None:
    log = RunLog(tmp_path)
    log.log_hyperparams({"a": 1})
    log.log_metrics({"loss": 2.0}, step=0)
    log.save()
    assert log.log_dir.rstrip("/") == str(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.csv"]


def test_a_second_log_goes_on_where_the_first_ended(tmp_path: Path) -> None:
    first = RunLog(tmp_path)
    first.log_metrics({"loss": 2.0}, step=0)
    first.save()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        second = RunLog(tmp_path)
        second.log_metrics({"loss": 1.0, "f1": 0.5}, step=1)
        second.save()
    assert rows(tmp_path) == [
        {"f1": "", "loss": "2.0", "step": "0"},
        {"f1": "0.5", "loss": "1.0", "step": "1"},
    ]


def test_equal_settings_change_nothing() -> None:
    group = {"params": [], "lr": 0.05, "initial_lr": 0.1, "betas": (0.9, 0.99)}
    assert restore(group, {"lr": 0.1, "initial_lr": 0.1, "betas": (0.9, 0.99)}) == []
    assert group["lr"] == 0.05  # the schedule keeps its place


def test_a_schedule_keeps_its_place_under_a_new_rate() -> None:
    group = {"params": [], "lr": 0.05, "initial_lr": 0.1}
    assert restore(group, {"lr": 0.4, "initial_lr": 0.4}) == ["learning rate 0.4, in the checkpoint 0.1"]
    assert group["lr"] == pytest.approx(0.2)
    assert group["initial_lr"] == 0.4


def test_without_a_schedule_the_rate_is_the_configured_one() -> None:
    group = {"params": [], "lr": 0.1, "weight_decay": 0.0}
    told = restore(group, {"lr": 0.3, "weight_decay": 0.5})
    assert told == ["learning rate 0.3, in the checkpoint 0.1", "weight_decay 0.5, in the checkpoint 0.0"]
    assert group == {"params": [], "lr": 0.3, "weight_decay": 0.5}


def test_a_chain_of_schedules_gets_its_base_rates() -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    parts = [torch.optim.lr_scheduler.ConstantLR(optimizer), torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)]
    chain = torch.optim.lr_scheduler.SequentialLR(optimizer, parts, milestones=[2])
    set_base_rates(chain, [0.7])
    assert [part.base_lrs for part in parts] == [[0.7], [0.7]]


def test_the_newest_epoch_is_kept_whichever_is_best(tmp_path: Path) -> None:
    # Lightning's save_last writes only with the best epoch, here the first.
    best = ModelCheckpoint(tmp_path, "best", monitor="val/f1", mode="min", enable_version_counter=False)
    trainer = Trainer(
        max_epochs=3,
        accelerator="cpu",
        default_root_dir=tmp_path,
        callbacks=[best, LastCheckpoint(tmp_path)],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(ToyTask(), ToyData())
    epochs = {name: torch.load(tmp_path / f"{name}.ckpt", weights_only=True)["epoch"] for name in ("best", "last")}
    assert epochs == {"best": 0, "last": 2}
    assert trainer.checkpoint_callback is best


def test_an_epochs_random_numbers_depend_on_seed_and_epoch_alone() -> None:
    def draw(seed: int, epoch: int, batch: int) -> float:
        trainer = SimpleNamespace(current_epoch=epoch)
        SeedEpochs(seed).on_train_batch_start(trainer, None, None, batch)
        return torch.rand(1).item()

    first = draw(7, 0, 0)
    torch.manual_seed(99)
    assert draw(7, 0, 0) == first
    assert len({first, draw(7, 1, 0), draw(8, 0, 0)}) == 3
    assert draw(7, 0, 1) != first  # later batches go on


def test_a_checkpoint_that_finds_no_room_leaves_the_old_one_whole(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    WholeCheckpoints().save_checkpoint({"epoch": 1, "state": torch.zeros(9000)}, path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, limits[1]))  # stands for the end of a disk
    try:
        with pytest.raises(OSError, match=r"last\.ckpt") as caught:
            WholeCheckpoints().save_checkpoint({"epoch": 2, "state": torch.zeros(9000)}, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    assert caught.value.filename == str(path)
    assert torch.load(path)["epoch"] == 1
    assert [file.name for file in tmp_path.iterdir()] == ["last.ckpt"]
