"""The run's own log, `metrics.csv`, which needs no service to be read."""

from __future__ import annotations

import csv
import warnings
from argparse import Namespace
from pathlib import Path
from typing import Any

from lightning.fabric.loggers.logger import rank_zero_experiment
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.loggers.csv_logs import ExperimentWriter


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
