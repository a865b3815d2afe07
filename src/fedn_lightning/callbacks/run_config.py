"""What a run writes about itself (configuration, environment, `metrics.csv`), and what it needs to resume."""

from __future__ import annotations

import csv
import importlib.metadata
import io
import json
import os
import platform
import subprocess
import sys
import warnings
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.fabric.loggers.logger import rank_zero_experiment
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.cli import LightningArgumentParser, SaveConfigCallback
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.loggers.csv_logs import ExperimentWriter
from lightning.pytorch.plugins.io import TorchCheckpointIO

from fedn_lightning.loggers.wandb import log_config
from fedn_lightning.results.names import CONFIG, ENVIRONMENT
from fedn_lightning.utils import available_cores, available_memory
from fedn_lightning.utils.console import note
from fedn_lightning.utils.files import write_atomically, write_text

PACKAGES = (
    "torch",
    "lightning",
    "torchmetrics",
    "numpy",
    "scipy",
    "opencv-python-headless",
    "albumentations",
    "decord",
)


class SaveRunConfig(SaveConfigCallback):
    """Writes `config.yaml` and `env.txt` into the run folder and the whole nested configuration into W&B.

    `config.yaml` alone repeats the run: `fedn fit --config RUN/config.yaml`.

    Args:
        parser: the parser of the command.
        config: the parsed configuration.
        folder: the run folder.
    """

    def __init__(self, parser: LightningArgumentParser, config: Any, folder: str) -> None:
        super().__init__(parser, config, save_to_log_dir=False)
        self.folder = Path(folder)

    def save_config(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Called once, on the first process alone."""
        write_text(self.folder / CONFIG, self.parser.dump(self.config, skip_none=False))
        write_text(self.folder / ENVIRONMENT, describe_environment())
        note(", ".join(f"{name}: {value}" for name, value in describe_machine().items()))
        log_config(trainer.loggers, plain_config(self.parser, self.config))


def plain_config(parser: LightningArgumentParser, config: Any) -> dict[str, Any]:
    """The parsed configuration as nested dictionaries of plain values."""
    plain: dict[str, Any] = json.loads(parser.dump(config, skip_none=False, format="json"))
    return plain


def describe_environment() -> str:
    """What a run depends on besides its configuration: versions, machine, source commit, command line."""
    lines = {
        "fedn-lightning": importlib.metadata.version("fedn-lightning"),
        "commit": source_commit() or "unknown",
        "command": " ".join(sys.argv),
        "folder": str(Path.cwd()),
        "python": platform.python_version(),
        "system": platform.platform(),
        **describe_machine(),
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "not set"),
        **{name: _version(name) for name in PACKAGES},
    }
    return "".join(f"{key}: {value}\n" for key, value in lines.items())


def describe_machine() -> dict[str, str]:
    """The cores, threads, memory and device that a run begins with."""
    memory, cuda = available_memory(), torch.cuda.is_available()
    return {
        "cores": f"{available_cores()} of {os.cpu_count()}",
        "threads": str(torch.get_num_threads()),
        "free memory": "unknown" if memory is None else f"{memory / 1e9:.1f} GB",
        "accelerator": ", ".join(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count() if cuda else 0))
        or "none",
    }


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def source_commit() -> str | None:
    """Commit of the source tree the package runs from, with `+changes` if files differ; None outside a repository."""
    try:
        commit = _git("rev-parse", "HEAD")
        changes = _git("status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.CalledProcessError):
        return None
    return commit + ("+changes" if changes else "")


def _git(*words: str) -> str:
    home = Path(__file__).parent
    return subprocess.run(["git", *words], cwd=home, capture_output=True, text=True, check=True).stdout.strip()


class RunLog(CSVLogger):
    """Lightning's CSV log, straight in the run folder; a resumed run appends to its log instead of deleting it.

    Args:
        folder: the run folder; the log is `metrics.csv` in it.
    """

    def __init__(self, folder: str | Path) -> None:
        super().__init__(save_dir=str(folder), name="", version="")

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """The writer of the file."""
        if self._experiment is None:
            self._experiment = _open_writer(Path(self.log_dir))
        return self._experiment

    def log_hyperparams(self, params: dict[str, Any] | Namespace | None = None) -> None:
        """Writes nothing: `config.yaml` holds them all."""


def _open_writer(folder: Path) -> ExperimentWriter:
    path = folder / ExperimentWriter.NAME_METRICS_FILE
    earlier = path.read_bytes() if path.is_file() else None
    with warnings.catch_warnings():
        # It warns that the folder is not empty, which it never is, and deletes the log, which is put back below.
        warnings.filterwarnings("ignore", message="Experiment logs directory .* exists and is not empty")
        writer = ExperimentWriter(log_dir=str(folder))
    if earlier:
        path.write_bytes(earlier)
        with path.open(newline="", encoding="utf-8") as file:
            writer.metrics_keys = next(csv.reader(file))
    return writer


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
