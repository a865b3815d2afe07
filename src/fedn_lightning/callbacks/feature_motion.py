"""Prints, when an encoder has been trained, how its features move with expressions; no detector is needed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from fedn_lightning.errors import ConfigError
from fedn_lightning.metrics.functional.feature_motion import (
    FeatureMotion,
    direction_cosine,
    jump_along_class,
    jump_over_quiet,
)
from fedn_lightning.utils.files import write_json

FILE = "feature_motion.json"
BATCH = 128
COLUMNS = ("jump / quiet", "along class / quiet", "cosine of classes")


class PrintFeatureMotion(Callback):
    """Encodes moments of generated people at the end of training and prints three figures.

    `jump / quiet`: length of the feature's change from onset to apex over that between quiet frames as far apart.
    `along class / quiet`: the same along the direction that the class has on other people. `cosine of classes`:
    between the directions of one class on two people. Each within a kind of faces and across kinds. The weights are
    those of the last epoch.

    Args:
        moments: files of `fedn data moments`, one for each kind of faces.
    """

    def __init__(self, moments: list[str]) -> None:
        self.moments = moments

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Checks the files before any training."""
        for path in self.moments:
            if not Path(path).is_file():
                msg = f"{path} of PrintFeatureMotion.moments is missing; make it with fedn data moments --out {path}"
                raise ConfigError(msg)

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Prints the table and writes it into the run folder."""
        if not trainer.is_global_zero:
            return
        kinds = [read_motion(path, pl_module) for path in self.moments]
        rows = motion_table(kinds)
        print(format_table(rows))
        checkpoints = getattr(trainer.checkpoint_callback, "dirpath", None)
        if checkpoints is not None:
            write_json(Path(checkpoints).parent / FILE, rows)


def read_motion(path: str, task: Any) -> tuple[str, dict[str, FeatureMotion]]:
    """The kind of faces in a file of moments, and the motion of their features by type of expression.

    Args:
        path: file of `fedn data moments`.
        task: has an `encoder` that maps `(N, 3, S, S)` uint8 to `(N, D)`.
    """
    with np.load(path) as file:
        frames, names, types, people = (file[name] for name in ("frames", "emotion", "type", "person"))
        faces = str(file["faces"])
    flat = torch.from_numpy(frames).flatten(0, 1).permute(0, 3, 1, 2)
    encoder = task.encoder.eval()
    with torch.no_grad():
        parts = [encoder(part.to(task.device)).double().cpu() for part in torch.split(flat, BATCH)]
    first, second, onset, apex = torch.cat(parts).reshape(*frames.shape[:2], -1).unbind(1)
    jump, quiet = (apex - onset).numpy(), (second - first).numpy()
    motions = {}
    for kind in sorted(set(types.tolist()), reverse=True):
        chosen = types == kind
        motions[kind] = FeatureMotion(jump[chosen], quiet[chosen], names[chosen], people[chosen])
    return faces, motions


def motion_table(kinds: list[tuple[str, dict[str, FeatureMotion]]]) -> list[dict[str, Any]]:
    """A row for each type of expression and pair of kinds of faces: whose directions, whose expressions, figures."""
    rows = []
    for kind in kinds[0][1] if kinds else ():
        for teacher, known in kinds:
            for faces, motions in kinds:
                measured, teachers = motions[kind], known[kind]
                figures = (
                    jump_over_quiet(measured),
                    jump_along_class(measured, teachers),
                    direction_cosine(teachers, measured),
                )
                named = dict(zip(COLUMNS, (round(figure, 3) for figure in figures), strict=True))
                rows.append({"type": kind, "directions of": teacher, "expressions of": faces, **named})
    return rows


def format_table(rows: list[dict[str, Any]]) -> str:
    """The rows as aligned text."""
    names = list(rows[0]) if rows else []
    cells = [names, *([str(row[name]) for name in names] for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(names))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells]
    return "\n".join(lines)
