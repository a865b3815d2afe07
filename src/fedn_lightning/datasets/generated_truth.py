"""Reads what really happened in a generated corpus. For analysis only: no corpus reader looks at it.

The generator writes these files into the folder :data:`FOLDER` of a corpus. This module does not need the generator.
"""

from __future__ import annotations

import csv
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from fedn_lightning.errors import AnnotationError

FOLDER: Final = "truth"
"""Folder inside the corpus that holds the truth."""
EXPRESSIONS_FILE: Final = "expressions.csv"
"""Every expression with its true frames; :data:`COLUMNS`."""


class Distractor(NamedTuple):
    """One event that is no expression, in the frames `[start, end)` of its video, 0-based."""

    kind: str  # `blink`, `gaze`, `head`, `posture`, `speech` or `swallow`
    start: int  # first frame
    end: int  # one past the last


@dataclass(frozen=True, slots=True)
class TrueExpression:
    """An expression as it was performed, in frames `[start, end)` of its video, 0-based."""

    start: int  # first frame of visible movement
    end: int  # one past the last, also where the annotation does not know it
    peak: float  # maximum intensity of any action unit, 0 to 1; 1 is FACS level E
    emotion: str  # what the face shows


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
        msg = f"{path}, row {number}, is not a row of a generated corpus; write it again with fedn data synth."
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
        raise AnnotationError(f"{path} is missing or damaged; write the corpus again with fedn data synth.") from error
    return tuple(Distractor(*event) for event in zip(*columns, strict=True))
