from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fedn_lightning.loggers import metrics
from fedn_lightning.loggers.metrics import METRICS, STEP, define_summaries, find
from fedn_lightning.loggers.workspace import HEADLINES
from fedn_lightning.models.losses import DetectionLoss
from fedn_lightning.study.rows import read_row, row_path
from fedn_lightning.study.statistics import lines_of
from fedn_lightning.study.tables import tracked_row


class Run:
    """Takes rules as W&B's run does."""

    def __init__(self) -> None:
        self.rules: dict[str, dict[str, Any]] = {}

    def define_metric(self, name: str, **rule: Any) -> None:
        self.rules[name] = rule


def test_summaries_keep_the_step_axis() -> None:
    run = Run()
    define_summaries(run, "val/mine", "min")
    assert all(rule["step_metric"] == STEP for rule in run.rules.values())
    assert (run.rules["val/mine"]["summary"], run.rules["val/joint"]["summary"]) == ("min", "max")
    assert run.rules["train/loss"]["summary"] == "min"


def test_no_test_score_is_the_best_of_several() -> None:
    assert {metric.summary for metric in METRICS if metric.name.startswith("test/") and "f1" in metric.name} == {"last"}


def test_each_name_has_one_entry() -> None:
    names = [metric.name for metric in METRICS]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("name", ["train/confidence_loss", "validation/scores/accuracy", "strict/detection/map@0.5"])
def test_a_name_is_found(name: str) -> None:
    assert find(name) is not None


@pytest.mark.parametrize("name", ["confidence_loss", "val/overal_f1", "test/spotting"])
def test_a_name_that_nothing_logs_is_not(name: str) -> None:
    assert find(name) is None


def test_the_parts_of_the_joint_loss_are_known() -> None:
    weights = [name for name in DetectionLoss.__dataclass_fields__ if name.endswith("_weight")]
    assert weights
    assert {name.replace("_weight", "_loss") for name in weights} <= metrics.LOSSES.keys()


def test_a_studys_row_is_logged_by_the_names_of_the_pooled_runs() -> None:
    rows = Path(__file__).parents[2] / "experiments" / "results" / "ablations"
    lines = lines_of([read_row(row_path(rows, name)) for name in ("fedn", "two_step")], "fedn", 10)
    _, scores = tracked_row(lines[1])
    assert {f"strict/{key}" for key in HEADLINES} <= scores.keys()
    assert "difference/detection/map@0.5/low" in scores
    assert all(find(name) is not None for name in scores)
