"""Tests an encoder without a detector: how much its features change with an expression, and if alike on all people.

Features of quiet frames, of onsets and of apexes are enough.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from fedn_lightning.errors import ConfigError
from fedn_lightning.utils.files import write_json

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class FeatureMotion:
    """The features of `N` expressions."""

    jump: FloatArray  # `(N, D)`, feature of the apex minus that of the onset
    quiet: FloatArray  # `(N, D)`, the change over as many frames without an expression
    emotion: npt.NDArray[np.str_]  # `(N,)` class of each expression
    person: npt.NDArray[np.int64]  # `(N,)` who shows it

    def directions(self) -> dict[tuple[str, int], FloatArray]:
        """Unit vector of the mean jump of each class on each person."""
        found = {}
        for emotion, person in dict.fromkeys(zip(self.emotion.tolist(), self.person.tolist(), strict=True)):
            chosen = (self.emotion == emotion) & (self.person == person)
            found[emotion, person] = _unit(self.jump[chosen].mean(axis=0))
        return found


def jump_over_quiet(motion: FeatureMotion) -> float:
    """Mean length of the jump from onset to apex over the mean length of the quiet change; NaN if nothing is quiet.

    >>> one = np.ones((2, 3))
    >>> round(jump_over_quiet(FeatureMotion(3 * one, one, np.array(["fear", "fear"]), np.array([0, 1]))), 6)
    3.0
    """
    quiet = np.linalg.norm(motion.quiet, axis=1).mean()
    return float(np.linalg.norm(motion.jump, axis=1).mean() / quiet) if quiet else float("nan")


def jump_along_class(motion: FeatureMotion, reference: FeatureMotion) -> float:
    """Mean jump along the direction that a class has on other people, over the mean quiet change along it.

    Args:
        motion: the expressions that are measured.
        reference: the people whose mean directions are used; where it is `motion`, an expression's own person is
            left out.

    Returns:
        0 if these people's features do not move along the reference directions; NaN if nothing is quiet.
    """
    directions = reference.directions()
    jumps, quiets = [], []
    for row, (emotion, person) in enumerate(zip(motion.emotion.tolist(), motion.person.tolist(), strict=True)):
        others = [
            direction
            for (known, who), direction in directions.items()
            if known == emotion and not (reference is motion and who == person)
        ]
        if others:
            direction = _unit(np.mean(others, axis=0))
            jumps.append(motion.jump[row] @ direction)
            quiets.append(abs(motion.quiet[row] @ direction))
    return float(np.mean(jumps) / np.mean(quiets)) if quiets and np.mean(quiets) else float("nan")


def direction_cosine(first: FeatureMotion, second: FeatureMotion) -> float:
    """Mean cosine between the directions of one class on two people, over all classes and pairs of people.

    Args:
        first: expressions of some people.
        second: of others; where it is `first`, a person is not compared with themselves.

    Returns:
        1 if every class moves the features of everyone alike, 0 if not at all; NaN without a pair.
    """
    cosines = [
        float(ours @ theirs)
        for (emotion, person), ours in first.directions().items()
        for (other, who), theirs in second.directions().items()
        if emotion == other and not (first is second and person == who)
    ]
    return float(np.mean(cosines)) if cosines else float("nan")


def _unit(vector: FloatArray) -> FloatArray:
    return vector / max(float(np.linalg.norm(vector)), 1e-12)


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
