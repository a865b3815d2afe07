"""Eyes from OpenFace's tables of 68 landmarks, for users who have run it already.

Baltrusaitis et al., "OpenFace 2.0: facial behavior analysis toolkit", FG 2018.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fedn_lightning.errors import FaceNotFoundError

EYES = (range(36, 42), range(42, 48))
"""Landmarks around the eye on the left of the picture, and around the one on its right."""

LEAST_CONFIDENCE = 0.7
"""Rows of which OpenFace is less sure are left out."""


def table_of(folder: str | Path, key: str) -> Path | None:
    """The table of a video, `<subject>/<video>.csv` or `<video>.csv` in `folder`; None if there is none."""
    candidates = (Path(folder) / f"{key}.csv", Path(folder) / f"{key.partition('/')[2]}.csv")
    return next((path for path in candidates if path.is_file()), None)


def read_eyes(path: str | Path, n_frames: int) -> npt.NDArray[np.float64]:
    """Eye centres in every frame.

    Args:
        path: a table with the columns `frame` (from 1), `confidence`, `x_0` ... `x_67`, `y_0` ... `y_67` (pixels).
        n_frames: frames of the video; frames without a sure row are interpolated.

    Returns:
        `(n_frames, 2, 2)` float64: x and y of the eye on the left of the picture, and of the one on its right.

    Raises:
        FaceNotFoundError: if the table cannot be read, or is sure of no frame.
    """
    rows: dict[int, list[float]] = {}
    try:
        with Path(path).open(newline="", encoding="utf-8-sig") as file:
            table = csv.DictReader(file, skipinitialspace=True)  # OpenFace puts a blank after each comma
            for row in table:
                if float(row["confidence"]) >= LEAST_CONFIDENCE:
                    rows[int(float(row["frame"])) - 1] = _centres(row)
    except (OSError, UnicodeDecodeError, csv.Error, KeyError, TypeError, ValueError) as error:
        msg = f"{path} cannot be read as OpenFace's table of landmarks ({type(error).__name__}: {error})."
        raise FaceNotFoundError(msg) from None
    frames = np.array(sorted(frame for frame in rows if 0 <= frame < n_frames))
    if not len(frames):
        msg = f"{path}: OpenFace is sure of no frame of the video (confidence {LEAST_CONFIDENCE} or more)."
        raise FaceNotFoundError(msg)
    values = np.array([rows[frame] for frame in frames])
    columns = [np.interp(np.arange(n_frames), frames, column) for column in values.T]
    return np.stack(columns, axis=1).reshape(n_frames, 2, 2)


def _centres(row: dict[str, str]) -> list[float]:
    """X and y of both eyes' centres."""
    return [float(np.mean([float(row[f"{axis}_{i}"]) for i in eye])) for eye in EYES for axis in "xy"]
