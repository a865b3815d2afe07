"""A study in W&B: one run a row, all in one group, so that the rows stand in one table."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fedn_lightning.tracking.wandb import Identity, WandbSettings, resolve_mode, start, wandb_session

JOB_TYPE = "study"


@dataclass(frozen=True)
class StudyRow:
    """What a row's run shows.

    Attributes:
        name: of the row, and of the run.
        config: of its experiment.
        scores: numbers of the summary.
    """

    name: str
    config: Mapping[str, Any]
    scores: Mapping[str, float]


def log_study_rows(settings: WandbSettings, group: str, folder: Path, rows: Sequence[StudyRow]) -> None:
    """Writes a run for each row; a row takes the same place again, so that a later table replaces the numbers.

    Args:
        settings: project, entity and mode; WANDB_MODE goes before it.
        group: of the study.
        folder: where the runs' files go, a folder each.
        rows: of the table.
    """
    mode = resolve_mode(settings.mode)
    if mode == "disabled":
        return
    for row in rows:
        token = "/".join([settings.project, group, JOB_TYPE, row.name])
        identity = Identity(hashlib.sha256(token.encode()).hexdigest()[:12], group, JOB_TYPE, row.name)
        home = folder / row.name
        home.mkdir(parents=True, exist_ok=True)
        with wandb_session(home, mode):
            run = start(settings, identity, home, mode).experiment
            run.config.update(dict(row.config), allow_val_change=True)
            run.summary.update(dict(row.scores))
