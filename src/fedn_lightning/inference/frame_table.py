"""`frames.csv`: what is known of every frame of every face that was looked at, a row for each frame and face."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fedn_lightning.events import FloatArray
from fedn_lightning.inference.detections import Detections, FaceTrack
from fedn_lightning.inference.measures import BLOCK
from fedn_lightning.motion.features import AREAS
from fedn_lightning.utils.files import write_atomically


def column_name(part: str) -> str:
    """A name of a part of the face as the name of a column.

    >>> column_name("inner brow, left")
    'inner_brow_left'
    """
    return re.sub(r"\W+", "_", part)


PARTS = (*(f"motion_{column_name(area.name)}" for area in AREAS), "head")
"""Parts of the face, and the head, whose motion along x and y has two columns each."""


def columns(emotions: tuple[str, ...]) -> list[str]:
    """The columns of `frames.csv`; what Py-Feat has too is called as there. docs/own_video.md describes each."""
    return [
        "input", "face", "frame", "unreliable", "approx_time", "FaceRectX", "FaceRectY", "FaceRectWidth",
        "FaceRectHeight", "FaceScore", "Pitch", "Roll", "Yaw", "sharpness", "change", "eye_distance",
        "confidence_macro", "confidence_micro", *(f"emotion_{column_name(name)}" for name in emotions), "blink",
        "movement", *(f"{part}_{axis}" for part in PARTS for axis in "xy"),
    ]  # fmt: skip


def write_frames(path: str | Path, detections: Detections) -> Path:
    """Writes the table in blocks, face by face.

    Args:
        path: the file; it appears whole or not at all.
        detections: with quality and measures of every face.
    """

    def write(temporary: Path) -> None:
        with temporary.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(columns(detections.emotions))
            for position, face in enumerate(detections.faces):
                emotions = emotion_curves(face, detections.emotions, detections.n_frames)
                for start in range(0, detections.n_frames, BLOCK):
                    frames = np.arange(start, min(start + BLOCK, detections.n_frames))
                    writer.writerows(_rows(detections, position, frames, emotions[frames]))

    return write_atomically(path, write)


def _rows(
    detections: Detections, position: int, frames: npt.NDArray[np.int64], emotions: FloatArray
) -> Iterator[tuple[str, ...]]:
    face, quality, square = detections.faces[position], detections.quality[position], detections.squares[position]
    follows = len(square) > 1
    places, roll = crop_places(square[frames] if follows else square, detections.crop_size)
    places = np.broadcast_to(places, (len(frames), 4))
    unknown = np.full(len(frames), np.nan)
    crops = detections.crop_of(frames)
    moved = detections.measures[position].moved[crops].astype(np.float64)
    head = moved[:, len(AREAS) :].mean(axis=1, keepdims=True)
    motion = np.concatenate([moved[:, : len(AREAS)], head], axis=1).reshape(len(frames), -1)
    numbers = [
        (detections.seconds_at(frames), 4), *((column, 2) for column in places.T), (quality.likeness[frames], 3),
        (unknown, 0), (roll if follows else unknown, 2), (quality.yaw[frames], 0), (quality.sharpness[frames], 3),
        (quality.change[frames], 1), (quality.eye_distance[frames], 1), *((c, 4) for c in face.curve[frames].T),
        *((column, 4) for column in emotions.T), (quality.blink[frames], 3),
        (detections.measures[position].movement[crops], 4), *((column, 4) for column in motion.T),
    ]  # fmt: skip
    names = [[Path(detections.video).name] * len(frames), [str(face.number)] * len(frames), map(str, frames + 1)]
    reasons = _reasons(detections, face.number, frames)
    return zip(*names, reasons, *(_text(values, digits) for values, digits in numbers), strict=True)


def _text(values: npt.NDArray[np.floating], digits: int) -> list[str]:
    return ["" if math.isnan(value) else f"{value:.{digits}f}" for value in values.tolist()]


def _reasons(detections: Detections, number: int, frames: npt.NDArray[np.int64]) -> list[str]:
    """Why each of the frames is unreliable for a face, empty if it is not."""
    reasons = [""] * len(frames)
    for span in (span for span in detections.unreliable if span.face == number):
        first, last = np.searchsorted(frames, [round(span.start), round(span.end)]).tolist()
        reasons[first:last] = [span.reason] * (last - first)
    return reasons


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
