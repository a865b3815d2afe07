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
from fedn_synth.plan.expressions import Act
from fedn_synth.plan.video_plan import Screenplay

COLUMNS: Final = (
    *("subject", "video", "type", "start", "apex", "end", "peak"),
    *("emotion", "expert", "self_report", "action_units"),
)


def write_expressions(folder: Path, scenes: Sequence[Scene], acts: Mapping[int, Sequence[Act]]) -> None:
    """Writes :data:`EXPRESSIONS_FILE`: frames 0-based, `[start, end)`, and the greatest intensity (0 to 1).

    Args:
        folder: made if missing.
        scenes: all videos; `subject` is the folder name of the person, `video` the file's stem.
        acts: expressions by :attr:`Scene.index`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / EXPRESSIONS_FILE).open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(COLUMNS)
        for scene in scenes:
            for act in acts[scene.index]:
                part = act.part
                frames = (act.start, act.apex, act.end, round(act.peak, 4))
                labels = (part.emotion, part.expert, part.self_report, act.action_units)
                table.writerow([f"s{scene.folder}", scene.stem, part.type, *frames, *labels])


def write_video_truth(path: Path, play: Screenplay) -> None:
    """Writes a video's tracks and events as a compressed `.npz`.

    Every track of :class:`~.performance.Performance` stands under its own name, `(T, ...)` float32, with the codes of
    the action-unit axis as `au_codes`. `expression_start`, `_apex`, `_end` and `_type` are the expressions,
    `distractor_start`, `_end` and `_kind` the other events; frames 0-based, `[start, end)`.

    Args:
        path: the file; its folder is made if missing.
        play: what happens in the video.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    tracks = {field.name: getattr(play.performance, field.name) for field in fields(play.performance)}
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("wb") as file:
        np.savez_compressed(
            file,
            au_codes=np.array(AU_CODES),
            expression_start=np.array([act.start for act in play.acts], np.int64),
            expression_apex=np.array([act.apex for act in play.acts], np.int64),
            expression_end=np.array([act.end for act in play.acts], np.int64),
            expression_type=np.array([act.part.type for act in play.acts], "U5"),
            distractor_start=np.array([event.start for event in play.distractors], np.int64),
            distractor_end=np.array([event.end for event in play.distractors], np.int64),
            distractor_kind=np.array([event.kind for event in play.distractors], "U8"),
            **tracks,
        )
    partial.replace(path)
