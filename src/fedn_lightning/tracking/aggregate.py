"""The W&B run that stands for all folds of one seed: pooled scores, subjects, confusion, timelines."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fedn_lightning.tracking.wandb import Identity, WandbSettings, resolve_mode, start, wandb_session

JOB_TYPE = "aggregate"


@dataclass(frozen=True)
class Aggregate:
    """What the run shows.

    Attributes:
        project: W&B project.
        mode: as configured; WANDB_MODE goes before it.
        group: of the folds.
        name: of the run.
        folder: where its files lie.
        config: of the experiment.
        scores: numbers of the summary.
        subjects: rows of text, the first is the head.
        confusion: rows of true emotion and counts by predicted emotion, the first is the head.
        timelines: pictures.
    """

    project: str
    mode: str
    group: str
    name: str
    folder: Path
    config: Mapping[str, Any]
    scores: Mapping[str, float]
    subjects: Sequence[Sequence[Any]]
    confusion: Sequence[Sequence[Any]]
    timelines: Sequence[Path]


def log_aggregate(aggregate: Aggregate) -> None:
    """Writes the run; the same folds take the same place again, so that pooling anew replaces the numbers."""
    mode = resolve_mode(aggregate.mode)
    if mode == "disabled":
        return
    import wandb

    token = "/".join([aggregate.project, aggregate.group, JOB_TYPE, aggregate.name])
    identity = Identity(hashlib.sha256(token.encode()).hexdigest()[:12], aggregate.group, JOB_TYPE, aggregate.name)
    with wandb_session(aggregate.folder, mode):
        run = start(WandbSettings(project=aggregate.project), identity, aggregate.folder, mode).experiment
        run.config.update(dict(aggregate.config), allow_val_change=True)
        tables = {"subjects": aggregate.subjects, "confusion": aggregate.confusion}
        content: dict[str, Any] = {
            name: wandb.Table(columns=[str(cell) for cell in head], data=[list(row) for row in rows])
            for name, (head, *rows) in tables.items()
        }
        for picture in aggregate.timelines:
            content[f"timeline/{picture.stem}"] = wandb.Image(str(picture), caption=picture.stem)
        run.log(content)
        run.summary.update(dict(aggregate.scores))
