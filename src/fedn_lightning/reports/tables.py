"""The record of a test as CSV files that `fedn evaluate`, a spreadsheet or another program can read."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from fedn_lightning.events import EXPRESSION_TYPES, DetectionRecord, EventTable, to_inclusive
from fedn_lightning.files import write_atomically
from fedn_lightning.metrics.functional.threshold import at_threshold

TRUTH_COLUMNS = ("subject", "video", "onset", "offset", "type", "emotion")
PREDICTION_COLUMNS = (*TRUTH_COLUMNS, "score", "emotion_score")
VIDEO_COLUMNS = ("subject", "video", "n_frames", "fps")


def event_rows(record: DetectionRecord, table: EventTable) -> list[list[str]]:
    """One row of text per event, in the order of :data:`PREDICTION_COLUMNS`.

    Args:
        record: names the videos and emotions.
        table: the truths or predictions of the record, or some of them.

    Returns:
        Rows by video, onset and offset. Onset and offset are inclusive frames as the release counts them; an event
        without an analysed emotion has an empty emotion.
    """
    rows = []
    for index in sorted(range(len(table)), key=lambda i: (table.video[i], table.start[i], table.end[i])):
        video = record.videos[int(table.video[index])]
        onset, offset = to_inclusive(float(table.start[index]), float(table.end[index]), video.first_frame)
        emotion = int(table.emotion[index])
        rows.append(
            [
                video.subject,
                video.name,
                _number(onset),
                _number(offset),
                EXPRESSION_TYPES[int(table.type[index])],
                record.emotions[emotion] if emotion >= 0 else "",
                f"{table.score[index]:.9g}",
                f"{table.emotion_score[index]:.9g}",
            ]
        )
    return rows


def _number(frame: float) -> str:
    """A frame number without needless decimals; fractions are kept, since rounding would move the IoU.

    >>> _number(12.0), _number(12.5)
    ('12', '12.5')
    """
    return f"{frame:.4f}".rstrip("0").rstrip(".")


def video_rows(record: DetectionRecord) -> list[list[str]]:
    """One row per video looked at, in the order of :data:`VIDEO_COLUMNS`."""
    return [
        [video.subject, video.name, str(n_frames), f"{video.fps:g}"]
        for video, n_frames in zip(record.videos, record.n_frames, strict=True)
    ]


def write_tables(record: DetectionRecord, folder: str | Path) -> list[Path]:
    """Writes `predictions.csv`, `proposals.csv`, `videos.csv` and `truth.csv`.

    `predictions.csv` holds what the network claims, the proposals from the record's thresholds on: score it as it is.
    `proposals.csv` holds every proposal, which mAP and operating curves need.

    Args:
        record: videos, truths and proposals.
        folder: where to write.

    Returns:
        The files.
    """
    folder = Path(folder)
    claimed = at_threshold(record.predictions, record.threshold)
    truths = [row[: len(TRUTH_COLUMNS)] for row in event_rows(record, record.truths)]
    return [
        write_csv(folder / "predictions.csv", PREDICTION_COLUMNS, event_rows(record, claimed)),
        write_csv(folder / "proposals.csv", PREDICTION_COLUMNS, event_rows(record, record.predictions)),
        write_csv(folder / "videos.csv", VIDEO_COLUMNS, video_rows(record)),
        write_csv(folder / "truth.csv", TRUTH_COLUMNS, truths),
    ]


def write_csv(path: str | Path, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Path:
    """Writes a CSV file with a header row, atomically."""

    def write(temporary: Path) -> None:
        with temporary.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(columns)
            writer.writerows(rows)

    return write_atomically(path, write)
