"""What a resumed run needs: the configuration's optimiser settings, and the random numbers it would have had."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.plugins.io import TorchCheckpointIO

from fedn_lightning.utils.files import write_atomically

Group = dict[str, Any]


class ConfiguredOptimizer(Callback):
    """Puts the configured learning rate, weight decay and so on back after a checkpoint has restored its own.

    PyTorch's optimisers save their settings together with their momenta, so that a resumed run would silently go on
    with the checkpoint's learning rate whatever the configuration says. A schedule keeps its place: the current rate is
    scaled by the ratio of the configured and the saved base rate.

    Args:
        log: is called with one sentence per setting that differs.
    """

    def __init__(self, log: Callable[[str], None]) -> None:
        self._log = log
        self._configured: list[list[Group]] = []

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Remembers the configured settings; the optimisers exist, the checkpoint is restored afterwards."""
        self._configured = [[_settings(group) for group in optimizer.param_groups] for optimizer in trainer.optimizers]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Compares with what the checkpoint has restored."""
        if trainer.ckpt_path is None:
            return
        for optimizer, configured in zip(trainer.optimizers, self._configured, strict=True):
            rates = []
            for group, wanted in zip(optimizer.param_groups, configured, strict=True):
                for change in restore(group, wanted):
                    self._log(f"resuming: {change}; the configuration wins.")
                rates.append(group.get("initial_lr", group["lr"]))
            for scheduler in trainer.lr_scheduler_configs:
                if getattr(scheduler.scheduler, "optimizer", None) is optimizer:
                    set_base_rates(scheduler.scheduler, rates)


def _settings(group: Group) -> Group:
    return {key: value for key, value in group.items() if key != "params"}


def restore(group: Group, wanted: Group) -> list[str]:
    """Sets a parameter group to the configured settings.

    Args:
        group: the optimiser's group as the checkpoint left it; changed in place.
        wanted: the settings of the configuration.

    Returns:
        A clause for each setting that differed.
    """
    changes = []
    base = "initial_lr" if "initial_lr" in group and "initial_lr" in wanted else "lr"
    if group[base] != wanted[base]:
        changes.append(f"learning rate {wanted[base]:g}, in the checkpoint {group[base]:g}")
        scale = wanted[base] / group[base] if group[base] else 1.0
        group["lr"] = wanted["lr"] if base == "lr" else group["lr"] * scale
        group[base] = wanted[base]
    for key, value in wanted.items():
        if key not in ("lr", "initial_lr") and group.get(key) != value:
            changes.append(f"{key} {value}, in the checkpoint {group.get(key)}")
            group[key] = value
    return changes


def set_base_rates(scheduler: Any, rates: list[float]) -> None:
    """Gives a schedule, and the schedules it is made of, the configured base rates."""
    for part in getattr(scheduler, "_schedulers", []):
        set_base_rates(part, rates)
    if hasattr(scheduler, "base_lrs"):
        scheduler.base_lrs = list(rates)


class LastCheckpoint(ModelCheckpoint):
    """Keeps the newest epoch as `last.ckpt`, so that a run that dies loses one epoch at most.

    `save_last` of Lightning 2.6 writes only when the best epoch is replaced: a resumed run then trains again whatever
    came after it. A class of its own, so that its state in a checkpoint is not taken for that of the best epoch's.
    """

    def __init__(self, folder: str | Path) -> None:
        super().__init__(dirpath=folder, filename="last", auto_insert_metric_name=False, enable_version_counter=False)


class WholeCheckpoints(TorchCheckpointIO):
    """Writes a checkpoint beside the old one and renames it, so that a full disk or a kill leaves the old one whole."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None) -> None:
        """Writes the file."""
        if storage_options is not None or "://" in str(path):
            super().save_checkpoint(checkpoint, path, storage_options)
            return
        # In memory first: torch reports a full disk as an error of its archive writer, without the cause.
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        try:
            write_atomically(path, lambda temporary: temporary.write_bytes(buffer.getbuffer()))
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(path)) from error


class SeedEpochs(Callback):
    """Makes the random numbers of an epoch depend on the seed and the epoch alone.

    Lightning's checkpoints do not hold the state of the generators, so that dropout in a resumed run would go on from
    another place than in a run that was never stopped. With this, both give the same network, bit for bit.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Seeds at the first batch: loaders made before it draw numbers too, and a resumed run makes others."""
        if batch_idx == 0:
            torch.manual_seed(np.random.SeedSequence([self.seed, trainer.current_epoch]).generate_state(1)[0].item())
