"""The output files of one video, and the record by which a later run skips them."""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from fedn_lightning.datasets.eaf import CodedEvent, write_eaf
from fedn_lightning.events import FloatArray
from fedn_lightning.inference.decoding import FaceChoice
from fedn_lightning.inference.detections import COLUMNS, GENERATED_ONLY, Detections, FaceTrack
from fedn_lightning.inference.measures import BLOCK
from fedn_lightning.motion.features import AREAS
from fedn_lightning.results.names import EVENT_FILES, FRAMES, PREDICTION
from fedn_lightning.utils.files import checksum, write_atomically, write_json
from fedn_lightning.video.store import fingerprint

Format = Literal["csv", "json", "elan", "megc"]

TIMELINE, ANNOTATED, RECORD = "timeline.png", "annotated.mp4", PREDICTION


@dataclass(frozen=True)
class Settings:
    """What decides the output for a video beside the video itself.

    Attributes:
        checkpoint: first 16 digits of the SHA-256 of the checkpoint.
        format: of the events.
        annotate: whether the annotated video is written.
        face: which faces.
        align: how faces are aligned, if given.
        threshold: scores from which expressions count, if given.
        embedding: network that tells people apart after a cut, if given.
        baseline: neutral stretch, `auto` or `START-END`, if given.
        landmarker: model of MediaPipe's face landmarker, if given.
    """

    checkpoint: str
    format: Format = "csv"
    annotate: bool = False
    face: FaceChoice = "largest"
    align: str | None = None
    threshold: tuple[float, float] | None = None
    embedding: str | None = None
    baseline: str | None = None
    landmarker: str | None = None


def write_outputs(
    detections: Detections, folder: str | Path, settings: Settings, tick: Callable[[int], None] = lambda n: None
) -> list[Path]:
    """Writes a video's files; the record is finished last and shows that the others are complete.

    Args:
        detections: what was found.
        folder: of this video, made if need be.
        settings: which files.
        tick: called with the frames of the annotated video.

    Returns:
        The files, without the record.
    """
    folder = Path(folder)
    inputs = {**_inputs(detections.video, settings), "path": str(Path(detections.video).resolve())}
    write_json(folder / RECORD, inputs)  # whose folder it is, also if the rest is never written
    files = [write_events(detections, folder / EVENT_FILES[settings.format], settings.format)]
    figure = detections.plot()
    files.append(write_atomically(folder / TIMELINE, lambda temporary: figure.savefig(temporary)))
    if detections.measures:
        files.append(write_frames(folder / FRAMES, detections))
    if settings.annotate:
        from fedn_lightning.inference.pictures import write_annotated

        files.append(write_annotated(folder / ANNOTATED, detections, tick))
    summary = {
        "files": [file.name for file in files],
        "sha256": {file.name: checksum(file) for file in files},
        "summary": detections.summary(),
        "version": version("fedn-lightning"),
    }
    write_json(folder / RECORD, {**inputs, **summary, **_without_expressions(detections)})
    return files


def write_events(detections: Detections, path: str | Path, file_format: Format) -> Path:
    """Writes the expressions from the thresholds on.

    Args:
        detections: what was found.
        path: the file; it appears whole or not at all.
        file_format: `csv` (a row each), `json` (with video, thresholds and notes), `elan` (tiers for ELAN) or `megc`
            (the challenge's file, which `fedn evaluate` reads).
    """
    if file_format == "json":
        return write_json(path, detections.to_dict())
    if file_format == "elan":
        return write_elan(path, detections)
    if file_format == "megc":
        from fedn_lightning.results.writing import write_challenge

        return write_challenge(path, detections.to_record(), "megc")
    from fedn_lightning.results.writing import write_csv

    name = Path(detections.video).name
    rows = []
    for e in detections:
        cells = ["" if value is None else str(value) for value in e.to_dict().values()]
        rows.append([name, *cells, detections.warnings_of(e)])
    return write_csv(path, ("video", *COLUMNS, "warning"), rows)


def finished(folder: str | Path, video: str | Path, settings: Settings) -> str | None:
    """The summary of an earlier run, if its files are there and were made of this video by these settings."""
    folder = Path(folder)
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        same = {key: record[key] for key in ("source", "settings")} == _inputs(video, settings)
        whole = all((folder / name).is_file() for name in record["files"])
        summary: str = record["summary"]
        sums = record.get("sha256") or {}
        changed = [name for name in record["files"] if name in sums and checksum(folder / name) != sums[name]]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    if same and whole and changed:  # perhaps corrected by a person: it must not be lost
        return f"{summary}; changed since it was written: {', '.join(changed)} (--overwrite makes it anew)"
    return summary if same and whole else None


def belongs_to_another(folder: str | Path, video: str | Path) -> bool:
    """Whether a folder holds the outputs of another video: of another place and another content."""
    try:
        record = json.loads((Path(folder) / RECORD).read_text(encoding="utf-8"))
        same_place = record.get("path") == str(Path(video).resolve())
        return not same_place and record["source"] != _source(video)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def _source(video: str | Path) -> dict[str, Any]:
    return {key: value for key, value in fingerprint(video).items() if key in ("bytes", "sha256_ends")}


def _inputs(video: str | Path, settings: Settings) -> dict[str, Any]:
    """What the output depends on, as JSON gives it back; where the file lies is not part of it."""
    plain: dict[str, Any] = json.loads(json.dumps({"source": _source(video), "settings": asdict(settings)}))
    return plain


def _without_expressions(detections: Detections) -> dict[str, Any]:
    return {key: value for key, value in detections.to_dict().items() if key != "expressions"}


def write_elan(path: str | Path, detections: Detections) -> Path:
    """Writes an `.eaf` file with the video linked; see :func:`fedn_lightning.datasets.eaf.write_eaf` for its tiers.

    Args:
        path: the file; it appears whole or not at all.
        detections: of one video.
    """
    spans = {}
    if detections.unreliable:
        spans["unreliable"] = list(without_overlapping_spans(detections))
    if detections.generated_only:
        end = max(1, round(1000 * float(detections.seconds_at(detections.n_frames))))
        spans["warning"] = [(0, end, GENERATED_ONLY)]
    return write_eaf(path, detections.video, coded_events(detections), detections.emotions, spans)


def coded_events(detections: Detections) -> list[CodedEvent]:
    """The expressions in milliseconds, as they go into a file for ELAN; people are named where there are several."""
    return [
        CodedEvent(
            start_ms=round(1000 * e.start_seconds),
            end_ms=max(round(1000 * e.end_seconds), round(1000 * e.start_seconds) + 1),
            type=e.type,
            emotion=e.emotion or "",
            person=f"face {e.face}" if len(detections.faces) > 1 else "",
            attributes={
                "confidence": f"{e.confidence:.6g}",
                **({"intensity": f"{e.intensity:.4g}"} if e.intensity is not None else {}),
                **({"emotion confidence": f"{e.emotion_confidence:.6g}"} if e.emotion else {}),
            },
        )
        for e in detections
    ]


def without_overlapping_spans(detections: Detections) -> Iterator[tuple[int, int, str]]:
    """Unreliable stretches of all faces as milliseconds and reason, each cut where the one before ends."""
    last = 0
    for span in sorted(detections.unreliable, key=lambda span: span.start):
        start, end = (round(1000 * float(detections.seconds_at(edge))) for edge in (span.start, span.end))
        if end > max(start, last):
            yield max(start, last), end, span.reason
            last = end


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
