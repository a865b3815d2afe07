"""What a run writes about itself: its configuration, its environment, and the log `metrics.csv`."""

from __future__ import annotations

import csv
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import warnings
from argparse import Namespace
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.loggers.logger import rank_zero_experiment
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.cli import LightningArgumentParser, SaveConfigCallback
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.loggers.csv_logs import ExperimentWriter

from fedn_lightning.loggers.wandb import log_config
from fedn_lightning.results.names import CONFIG, ENVIRONMENT
from fedn_lightning.utils import available_cores, available_memory
from fedn_lightning.utils.console import note
from fedn_lightning.utils.files import write_text

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
