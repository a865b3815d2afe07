"""Writes what really happened in a generated corpus; `fedn_lightning.datasets.generated_truth` reads it."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Final

import numpy as np

from fedn_lightning.datasets.generated_truth import EXPRESSIONS_FILE
from fedn_synth.face.muscles import AU_CODES
from fedn_synth.plan.corpus_plan import Scene
from fedn_synth.plan.expressions import TimedExpression
from fedn_synth.plan.video_plan import VideoPlan

COLUMNS: Final = (
    *("subject", "video", "type", "start", "apex", "end", "peak"),
    *("emotion", "expert", "self_report", "action_units"),
)


def write_expressions(
    folder: Path, scenes: Sequence[Scene], expressions: Mapping[int, Sequence[TimedExpression]]
) -> None:
    """Writes :data:`EXPRESSIONS_FILE`: frames 0-based, `[start, end)`, and the greatest intensity (0 to 1).

    Args:
        folder: made if missing.
        scenes: all videos; `subject` is the folder name of the person, `video` the file's stem.
        expressions: expressions by :attr:`Scene.index`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / EXPRESSIONS_FILE).open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(COLUMNS)
        for scene in scenes:
            for expression in expressions[scene.index]:
                planned = expression.planned
                frames = (expression.start, expression.apex, expression.end, round(expression.peak, 4))
                labels = (planned.emotion, planned.expert, planned.self_report, expression.action_units)
                table.writerow([f"s{scene.folder}", scene.stem, planned.type, *frames, *labels])


def write_video_truth(path: Path, plan: VideoPlan) -> None:
    """Writes a video's tracks and events as a compressed `.npz`.

    Every track of :class:`.FaceTracks` is stored under its own name, `(T, ...)` float32, with the codes of
    the action-unit axis as `au_codes`. `expression_start`, `_apex`, `_end` and `_type` are the expressions,
    `distractor_start`, `_end` and `_kind` the other events; frames 0-based, `[start, end)`.

    Args:
        path: the file; its folder is made if missing.
        plan: what happens in the video.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    tracks = {field.name: getattr(plan.tracks, field.name) for field in fields(plan.tracks)}
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("wb") as file:
        np.savez_compressed(
            file,
            au_codes=np.array(AU_CODES),
            expression_start=np.array([expression.start for expression in plan.expressions], np.int64),
            expression_apex=np.array([expression.apex for expression in plan.expressions], np.int64),
            expression_end=np.array([expression.end for expression in plan.expressions], np.int64),
            expression_type=np.array([expression.planned.type for expression in plan.expressions], "U5"),
            distractor_start=np.array([event.start for event in plan.distractors], np.int64),
            distractor_end=np.array([event.end for event in plan.distractors], np.int64),
            distractor_kind=np.array([event.kind for event in plan.distractors], "U8"),
            **tracks,
        )
    partial.replace(path)
