"""Writes the configuration and the environment of a run beside its results."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.cli import LightningArgumentParser, SaveConfigCallback

from fedn_lightning.loggers.wandb import log_config
from fedn_lightning.results.names import CONFIG, ENVIRONMENT
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
        "cores": str(os.cpu_count()),
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "not set"),
        **{name: _version(name) for name in PACKAGES},
    }
    return "".join(f"{key}: {value}\n" for key, value in lines.items())


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
