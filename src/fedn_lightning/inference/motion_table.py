"""`motion.csv`: place, tilt, quality, movement of each part of the face and scores, a row for each crop."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fedn_lightning.events import FloatArray
from fedn_lightning.inference.detections import Detections, FaceTrack
from fedn_lightning.inference.movement import BLOCK
from fedn_lightning.motion.features import AREAS
from fedn_lightning.utils.files import write_atomically
from fedn_lightning.video.timing import frame_plan


def column_name(part: str) -> str:
    """A name of a part of the face as the name of a column.

    >>> column_name("inner brow, left")
    'inner_brow_left'
    """
    return re.sub(r"\W+", "_", part)


HEAD = ("head_top_left", "head_top_right", "head_bottom_left", "head_bottom_right")


def columns(emotions: tuple[str, ...]) -> list[str]:
    """The columns of `motion.csv`; those of place and pose are called as in Py-Feat."""
    parts = [*(f"motion_{column_name(area.name)}" for area in AREAS), *HEAD]
    return [
        "input", "face", "frame", "approx_time", "FaceRectX", "FaceRectY", "FaceRectWidth", "FaceRectHeight",
        "FaceScore", "Pitch", "Roll", "Yaw", "sharpness", "reliable", "macro", "micro",
        *(f"emotion_{column_name(name)}" for name in emotions), "movement",
        *(f"{part}_{axis}" for part in parts for axis in "xy"),
    ]  # fmt: skip


def write_motion(path: str | Path, detections: Detections) -> Path:
    """Writes a row for each crop of each face, in blocks.

    Args:
        path: the file; it appears whole or not at all.
        detections: with measures.

    Returns:
        `path`.
    """

    def write(temporary: Path) -> None:
        with temporary.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(columns(detections.emotions))
            for position in range(len(detections.faces)):
                for block in _blocks(detections, position):
                    writer.writerows(block)

    return write_atomically(path, write)


def _blocks(detections: Detections, position: int) -> Iterator[list[list[Any]]]:
    face, square = detections.faces[position], detections.squares[position]
    measures, quality = detections.measures[position], detections.quality[position]
    shown = frame_plan(detections.n_frames, detections.fps, detections.crop_fps, detections.times)
    name = Path(detections.video).name
    boxes, roll = crop_places(square, detections.crop_size)
    scores = emotion_curves(face, detections.emotions, detections.n_frames)
    for start in range(0, len(shown), BLOCK):
        rows = slice(start, start + BLOCK)
        frame = shown[rows]
        place = frame if len(boxes) > 1 else np.zeros_like(frame)
        known = len(boxes) > 1
        table = np.concatenate(
            [
                boxes[place],
                quality.likeness[frame, None],
                quality.sharpness[frame, None],
                face.curve[frame],
                scores[frame],
                measures.movement[rows, None],
                measures.moved[rows].reshape(len(frame), -1),
            ],
            axis=1,
        ).astype(np.float64)
        seconds = detections.seconds_at(frame)
        reliable = ~_inside(detections, face.number, frame)
        yield [
            [
                name,
                face.number,
                int(frame[k]) + 1,
                f"{seconds[k]:.4f}",
                *(f"{value:.2f}" for value in row[:4]),
                f"{row[4]:.3f}",
                "",
                f"{roll[place[k]]:.2f}" if known else "",
                "",
                f"{row[5]:.3f}",
                int(reliable[k]),
                *(f"{value:.4g}" for value in row[6:]),
            ]
            for k, row in enumerate(table)
        ]


def crop_places(square: FloatArray, size: int) -> tuple[FloatArray, FloatArray]:
    """Where crops lie in the picture.

    Args:
        square: `(1 or N, 2, 3)` transforms from source pixels to crop pixels.
        size: side of the crop in pixels.

    Returns:
        `(1 or N, 4)` x, y, width and height of the upright square around the crop's centre with the crop's side, and
        `(1 or N,)` the head's tilt in degrees, clockwise as seen in the picture.

    >>> places, roll = crop_places(np.array([[[0.5, 0, -10], [0, 0.5, -5]]]), 32)
    >>> places.tolist(), roll.tolist()
    ([[20.0, 10.0, 64.0, 64.0]], [0.0])
    """
    linear, shift = square[:, :, :2], square[:, :, 2]
    scale = np.sqrt(np.abs(np.linalg.det(linear)))
    centre = np.linalg.solve(linear, (size / 2 - shift)[..., None])[..., 0]
    side = size / scale
    places = np.stack([centre[:, 0] - side / 2, centre[:, 1] - side / 2, side, side], axis=1)
    return places, -np.degrees(np.arctan2(linear[:, 1, 0], linear[:, 0, 0])) + 0.0


def emotion_curves(face: FaceTrack, emotions: tuple[str, ...], n_frames: int) -> FloatArray:
    """For each emotion, the greatest score (confidence x confidence in the emotion) of a proposal that covers a frame.

    Returns:
        `(n_frames, E)` float64; proposals are those kept after suppression, whatever their score.
    """
    curves = np.zeros((n_frames, len(emotions)))
    table = face.proposals
    bounds = np.clip(np.rint(np.stack([table.start, table.end], axis=1)), 0, n_frames).astype(np.int64)
    for (first, last), emotion, score in zip(bounds, table.emotion, table.score * table.emotion_score, strict=True):
        if emotion >= 0:
            part = curves[first:last, emotion]
            np.maximum(part, score, out=part)
    return curves


def _inside(detections: Detections, number: int, frame: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Which frames lie in an unreliable stretch of a face."""
    inside = [(frame >= s.start) & (frame < s.end) for s in detections.unreliable if s.face == number]
    return np.any(inside, axis=0) if inside else np.zeros(len(frame), bool)
