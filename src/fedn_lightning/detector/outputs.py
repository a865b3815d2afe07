"""The files written for one video, and how a later run knows that they are there already."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from fedn_lightning import __version__
from fedn_lightning.detector.crop_stream import FaceChoice
from fedn_lightning.detector.detections import COLUMNS, Detections
from fedn_lightning.files import write_atomically, write_json
from fedn_lightning.video.store import fingerprint

Format = Literal["csv", "json", "elan", "megc"]

EVENT_FILES: dict[Format, str] = {
    "csv": "events.csv",
    "json": "events.json",
    "elan": "events.eaf",
    "megc": "predictions_megc.csv",
}
"""Name of the file of events in each format."""

TIMELINE, ANNOTATED, RECORD = "timeline.png", "annotated.mp4", "prediction.json"


@dataclass(frozen=True)
class Settings:
    """What decides the output for a video beside the video itself.

    Attributes:
        checkpoint: digest of the checkpoint, see :func:`digest`.
        format: of the events.
        annotate: whether the annotated video is written.
        face: which faces.
        align: how faces are aligned, where told.
        threshold: scores from which expressions count, where told.
    """

    checkpoint: str
    format: Format = "csv"
    annotate: bool = False
    face: FaceChoice = "largest"
    align: str | None = None
    threshold: tuple[float, float] | None = None


def digest(path: str | Path) -> str:
    """What identifies a checkpoint: a hash of the file."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def write_outputs(
    detections: Detections, folder: str | Path, settings: Settings, tick: Callable[[int], None] = lambda n: None
) -> list[Path]:
    """Writes a video's files; the record comes last, so that its presence says that the others are whole.

    Args:
        detections: what was found.
        folder: of this video, made if need be.
        settings: which files.
        tick: told of the frames of the annotated video.

    Returns:
        The files, without the record.
    """
    folder = Path(folder)
    (folder / RECORD).unlink(missing_ok=True)
    files = [write_events(detections, folder / EVENT_FILES[settings.format], settings.format)]
    figure = detections.plot()
    files.append(write_atomically(folder / TIMELINE, lambda temporary: figure.savefig(temporary)))
    if settings.annotate:
        from fedn_lightning.detector.annotated_video import write_annotated

        files.append(write_annotated(folder / ANNOTATED, detections, tick))
    recipe = _recipe(detections.video, settings)
    summary = {"files": [file.name for file in files], "summary": detections.summary(), "version": __version__}
    write_json(folder / RECORD, {**recipe, **summary, **_without_expressions(detections)})
    return files


def write_events(detections: Detections, path: str | Path, file_format: Format) -> Path:
    """Writes the expressions from the thresholds on.

    Args:
        detections: what was found.
        path: the file; it appears whole or not at all.
        file_format: `csv` (a row each), `json` (with video, thresholds and notes), `elan` (tiers for ELAN) or `megc`
            (the challenge's file, which `fedn evaluate` reads).

    Returns:
        `path`.
    """
    if file_format == "json":
        return write_json(path, detections.to_dict())
    if file_format == "elan":
        from fedn_lightning.detector.elan import write_elan

        return write_elan(path, detections)
    if file_format == "megc":
        from fedn_lightning.reports.challenge import write_challenge

        return write_challenge(path, detections.to_record(), "megc")
    from fedn_lightning.reports.tables import write_csv

    name = Path(detections.video).name
    rows = [[name, *("" if value is None else str(value) for value in e.to_dict().values())] for e in detections]
    return write_csv(path, ("video", *COLUMNS), rows)


def finished(folder: str | Path, video: str | Path, settings: Settings) -> str | None:
    """The summary of an earlier run, if its files are there and were made of this video by these settings."""
    folder = Path(folder)
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        same = {key: record[key] for key in ("source", "settings")} == _recipe(video, settings)
        whole = all((folder / name).is_file() for name in record["files"])
        summary: str = record["summary"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return summary if same and whole else None


def _recipe(video: str | Path, settings: Settings) -> dict[str, Any]:
    """What the output depends on, as JSON gives it back; where the file lies is not part of it."""
    source = {key: value for key, value in fingerprint(video).items() if key in ("bytes", "sha256_ends")}
    plain: dict[str, Any] = json.loads(json.dumps({"source": source, "settings": asdict(settings)}))
    return plain


def _without_expressions(detections: Detections) -> dict[str, Any]:
    return {key: value for key, value in detections.to_dict().items() if key != "expressions"}
