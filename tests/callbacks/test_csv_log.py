from __future__ import annotations

import csv
import warnings
from pathlib import Path

from fedn_lightning.callbacks.run_config import RunLog


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
