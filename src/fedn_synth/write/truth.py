"""Writes and reads what really happened in a generated corpus. For analysis only: no corpus reader looks at it."""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final

import numpy as np

from fedn_lightning.errors import AnnotationError
from fedn_synth.face.muscles import AU_CODES
from fedn_synth.plan.corpus_plan import Scene
from fedn_synth.plan.distractors import Distractor
from fedn_synth.plan.expressions import Act
from fedn_synth.plan.video_plan import Screenplay

FOLDER: Final = "truth"
"""Folder inside the corpus that holds the truth."""
EXPRESSIONS_FILE: Final = "expressions.csv"
"""Every expression with its true frames; :data:`COLUMNS`."""
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


@dataclass(frozen=True, slots=True)
class TrueExpression:
    """An expression as it was performed, in frames `[start, end)` of its video, 0-based.

    Attributes:
        start: first frame of visible movement.
        end: one past the last, also where the annotation does not know it.
        peak: greatest intensity of any action unit, 0 to 1; 1 is FACS level E.
        emotion: what the face shows.
    """

    start: int
    end: int
    peak: float
    emotion: str


def read_expressions(folder: Path) -> dict[tuple[str, str], list[TrueExpression]]:
    """Reads :data:`EXPRESSIONS_FILE`.

    Args:
        folder: :data:`FOLDER` of a generated corpus.

    Returns:
        The expressions of each (subject, video) that has any.

    Raises:
        AnnotationError: if the file is missing or a row cannot be read.
    """
    path, number = folder / EXPRESSIONS_FILE, 1
    found: dict[tuple[str, str], list[TrueExpression]] = {}
    try:
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                number += 1
                frames = int(row["start"]), int(row["end"])
                act = TrueExpression(*frames, float(row["peak"]), row["emotion"])
                found.setdefault((row["subject"], row["video"]), []).append(act)
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror}. Give the folder of a generated corpus."
        raise AnnotationError(msg) from error
    except (KeyError, ValueError, TypeError) as error:
        msg = f"{path}, row {number}, is not a row of a generated corpus; make it anew with fedn data synth."
        raise AnnotationError(msg) from error
    return found


def read_distractors(folder: Path, subject: str, video: str) -> tuple[Distractor, ...]:
    """Reads all that happened in a video without being an expression.

    Args:
        folder: :data:`FOLDER` of a generated corpus.
        subject: name of the person's folder, e.g. `s15`.
        video: name of the video.

    Raises:
        AnnotationError: if the video's file is missing or damaged.
    """
    path = folder / subject / f"{video}.npz"
    try:
        with np.load(path) as tracks:
            columns = [tracks[f"distractor_{name}"].tolist() for name in ("kind", "start", "end")]
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        msg = f"{path} is missing or damaged; make the corpus anew with fedn data synth."
        raise AnnotationError(msg) from error
    return tuple(Distractor(*event) for event in zip(*columns, strict=True))
