"""The output files of one video, and the record by which a later run skips them."""

from __future__ import annotations

import hashlib
import json
import mimetypes
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from fedn_lightning.events import EXPRESSION_TYPES
from fedn_lightning.inference.decoding import FaceChoice
from fedn_lightning.inference.detections import COLUMNS, GENERATED_ONLY, DetectedExpression, Detections
from fedn_lightning.utils.files import write_atomically, write_json
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
        checkpoint: digest of the checkpoint, see :func:`checkpoint_digest`.
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


def checkpoint_digest(path: str | Path) -> str:
    """What identifies a checkpoint: a hash of the file."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


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
    if settings.annotate:
        from fedn_lightning.inference.annotated_video import write_annotated

        files.append(write_annotated(folder / ANNOTATED, detections, tick))
    summary = {
        "files": [file.name for file in files],
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

    Returns:
        `path`.
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
    except (OSError, ValueError, KeyError, TypeError):
        return None
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
    """Writes an `.eaf` file with the video linked: a tier for macro-, one for micro-expressions, for every face.

    An annotation reads `emotion confidence`, e.g. `positive 0.83`. ELAN allows no overlap within a tier, so an
    expression that overlaps the one before it goes to a further tier, `macro 2` and so on. Times are in milliseconds.

    Args:
        path: the file; it appears whole or not at all.
        detections: of one video.

    Returns:
        `path`.
    """
    from pympi.Elan import Eaf

    document = Eaf(author="fedn-lightning")
    video = Path(detections.video).resolve()
    kind = mimetypes.guess_type(video.name)[0] or "video/*"
    document.add_linked_file(video.as_uri(), relpath=_relative(video, Path(path)), mimetype=kind)
    document.remove_tier("default")
    for name, expressions in tiers(detections):
        document.add_tier(name)
        for e in expressions:
            start, end = round(1000 * e.start_seconds), round(1000 * e.end_seconds)
            document.add_annotation(name, start, max(end, start + 1), f"{e.emotion or e.type} {e.confidence:.2f}")
    if detections.unreliable:
        document.add_tier("unreliable")
        for spans in without_overlapping_spans(detections):
            document.add_annotation("unreliable", *spans)
    if detections.generated_only:
        document.add_tier("warning")
        document.add_annotation(
            "warning", 0, max(1, round(1000 * float(detections.seconds_at(detections.n_frames)))), GENERATED_ONLY
        )
    return write_atomically(path, lambda temporary: _save(document, temporary))


def without_overlapping_spans(detections: Detections) -> Iterator[tuple[int, int, str]]:
    """Unreliable stretches of all faces as milliseconds and reason, each cut where the one before ends."""
    last = 0
    for span in sorted(detections.unreliable, key=lambda span: span.start):
        start, end = (round(1000 * float(detections.seconds_at(edge))) for edge in (span.start, span.end))
        if end > max(start, last):
            yield max(start, last), end, span.reason
            last = end


def tiers(detections: Detections) -> Iterator[tuple[str, list[DetectedExpression]]]:
    """Names of the tiers and their expressions; a tier without expressions is included."""
    for face in detections.faces:
        for kind in EXPRESSION_TYPES:
            name = kind if len(detections.faces) == 1 else f"face {face.number} {kind}"
            mine = [e for e in detections if e.face == face.number and e.type == kind]
            for number, row in enumerate(without_overlap(mine), start=1):
                yield name if number == 1 else f"{name} {number}", row


def without_overlap(expressions: Sequence[DetectedExpression]) -> list[list[DetectedExpression]]:
    """Shares expressions out to as few rows as need be, at least one, so that none overlaps within a row.

    Args:
        expressions: by start.
    """
    rows: list[list[DetectedExpression]] = [[]]
    for e in expressions:
        free = next((row for row in rows if not row or _end(row[-1]) <= round(1000 * e.start_seconds)), None)
        if free is None:
            rows.append([e])
        else:
            free.append(e)
    return rows


def _end(e: DetectedExpression) -> int:
    return max(round(1000 * e.end_seconds), round(1000 * e.start_seconds) + 1)


def _relative(video: Path, file: Path) -> str:
    """The video as seen from the file, by which ELAN finds it when both were moved."""
    return Path(os.path.relpath(video, file.resolve().parent)).as_posix()  # Path.relative_to walks up from 3.12 on


def _save(document: object, temporary: Path) -> None:
    temporary.unlink()  # the library would keep the empty file as a backup
    document.to_file(str(temporary))  # type: ignore[attr-defined]
