"""The record of a test as CSV files that `fedn evaluate`, a spreadsheet or another program can read."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from fedn_lightning.events import (
    EXPRESSION_TYPES,
    NO_EMOTION,
    DetectionRecord,
    EventTable,
    IntArray,
    Video,
    to_inclusive,
)
from fedn_lightning.metrics.functional.threshold import at_threshold
from fedn_lightning.results import CHALLENGE_COLUMNS, ChallengeFormat
from fedn_lightning.results.names import PREDICTIONS, PROPOSALS, TRUTH, VIDEOS
from fedn_lightning.utils.files import write_atomically

EVENT_COLUMNS = ("subject", "video", "onset", "offset", "type", "emotion")
TRUTH_COLUMNS = (*EVENT_COLUMNS, "offset_known")
PREDICTION_COLUMNS = (*EVENT_COLUMNS, "score", "emotion_score")
VIDEO_COLUMNS = ("subject", "video", "n_frames", "fps")


def by_place(table: EventTable) -> IntArray:
    """Positions of the events by video, start and end."""
    return np.lexsort((table.end, table.start, table.video))


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
    for index in by_place(table).tolist():
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
    """One row per video, in the order of :data:`VIDEO_COLUMNS`."""
    return [
        [video.subject, video.name, str(n_frames), f"{video.fps:g}"]
        for video, n_frames in zip(record.videos, record.n_frames, strict=True)
    ]


def write_tables(record: DetectionRecord, folder: str | Path) -> list[Path]:
    """Writes `predictions.csv`, `proposals.csv`, `videos.csv` and `truth.csv`.

    `predictions.csv` holds the proposals at or above the record's thresholds: score it as it is.
    `proposals.csv` holds every proposal, which mAP and operating curves need.
    """
    folder = Path(folder)
    predicted = at_threshold(record.predictions, record.threshold)
    order = by_place(record.truths)
    known = ["1" if known else "0" for known in record.truths.end_known[order]]
    named = event_rows(record, record.truths)
    truths = [[*row[: len(EVENT_COLUMNS)], end] for row, end in zip(named, known, strict=True)]
    return [
        write_csv(folder / PREDICTIONS, PREDICTION_COLUMNS, event_rows(record, predicted)),
        write_csv(folder / PROPOSALS, PREDICTION_COLUMNS, event_rows(record, record.predictions)),
        write_csv(folder / VIDEOS, VIDEO_COLUMNS, video_rows(record)),
        write_csv(folder / TRUTH, TRUTH_COLUMNS, truths),
    ]


def write_csv(path: str | Path, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Path:
    """Writes a CSV file with a header row, atomically."""

    def write(temporary: Path) -> None:
        with temporary.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(columns)
            writer.writerows(rows)

    return write_atomically(path, write)


MICRO = EXPRESSION_TYPES.index("micro")


def write_challenge(path: str | Path, record: DetectionRecord, file_format: ChallengeFormat) -> Path:
    """Writes the proposals at or above the record's thresholds, without their scores.

    Args:
        path: the CSV file; it appears whole or not at all.
        record: videos and proposals.
        file_format: `megc` for the spotting challenges of 2022-23 (`vid, pred_onset, pred_offset, type` with `me` and
            `mae`), `str` for spot-then-recognise (`subject, video, onset, offset, emotion`), which knows
            micro-expressions only: macro-expressions are left out there.
    """
    return write_csv(path, CHALLENGE_COLUMNS[file_format], _rows(record, file_format))


def whole_frames(start: float, end: float, first_frame: int = 1) -> tuple[int, int]:
    """Inclusive onset and offset in whole frames of the release: halves go up, an interval keeps at least one frame.

    >>> whole_frames(0.0, 10.0), whole_frames(2.5, 2.75)
    ((1, 10), (4, 4))
    """
    onset, offset = (math.floor(frame + 0.5) for frame in to_inclusive(start, end, first_frame))
    return onset, max(onset, offset)


def _rows(record: DetectionRecord, file_format: ChallengeFormat) -> Iterator[list[str]]:
    predicted = at_threshold(record.predictions, record.threshold)
    ambiguous = len({video.name for video in record.videos}) < len(record.videos)
    for video_index, start, end, kind, emotion in zip(
        predicted.video.tolist(),
        predicted.start.tolist(),
        predicted.end.tolist(),
        predicted.type.tolist(),
        predicted.emotion.tolist(),
        strict=True,
    ):
        video = record.videos[video_index]
        frames = [str(frame) for frame in whole_frames(start, end, video.first_frame)]
        if file_format == "megc":
            yield [_vid(video, ambiguous), *frames, "me" if kind == MICRO else "mae"]
        elif kind == MICRO:
            name = record.emotions[emotion] if emotion != NO_EMOTION else "others"
            yield [video.subject, video.name, *frames, name]


def _vid(video: Video, ambiguous: bool) -> str:
    """The file has no subject: where video names repeat, as in CAS(ME)^3, the name must carry it."""
    return f"{video.subject}_{video.name}" if ambiguous else video.name


def markdown_table(rows: Sequence[Sequence[str]]) -> str:
    """A table whose first row is its head.

    >>> print(markdown_table([("a", "b"), ("1", "2")]))
    | a | b |
    | --- | ---: |
    | 1 | 2 |
    """
    head, *body = [f"| {' | '.join(row)} |" for row in rows]
    rule = "| " + " | ".join(["---"] + ["---:"] * (len(rows[0]) - 1)) + " |"
    return "\n".join([head, rule, *body])


def latex_table(rows: Sequence[Sequence[str]]) -> str:
    """A table whose first row is its head, for LaTeX with the package booktabs."""
    head, *body = [[latex_escape(cell) for cell in row] for row in rows]
    lines = [f"\\begin{{tabular}}{{l{'r' * (len(head) - 1)}}}", "\\toprule"]
    lines += [" & ".join(head) + r" \\", "\\midrule", *(" & ".join(row) + r" \\" for row in body)]
    return "\n".join([*lines, "\\bottomrule", "\\end{tabular}", ""])


_LATEX = {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}",
    ">": r"\textgreater{}",
}  # fmt: skip


def latex_escape(text: str) -> str:
    r"""Text for LaTeX.

    >>> latex_escape("a_b 5% ^"), latex_escape("no brackets [in a first cell]")
    ('a\\_b 5\\% \\textasciicircum{}', 'no brackets {[}in a first cell{]}')
    """
    # A bracket at the start of a row would be an argument of the line break before it.
    letters = {**{letter: f"\\{letter}" for letter in "&%$#_{}"}, **_LATEX, "[": "{[}", "]": "{]}"}
    return "".join(letters.get(letter, letter) for letter in text)
