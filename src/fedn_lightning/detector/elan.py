"""ELAN files: what was found as tiers of the annotation program that psychologists use."""

from __future__ import annotations

import mimetypes
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from fedn_lightning.detector.detections import DetectedExpression, Detections
from fedn_lightning.events import EXPRESSION_TYPES
from fedn_lightning.files import write_atomically


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
    return write_atomically(path, lambda temporary: _save(document, temporary))


def tiers(detections: Detections) -> Iterator[tuple[str, list[DetectedExpression]]]:
    """Names of the tiers and what stands in each; a tier without an expression is there all the same."""
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
