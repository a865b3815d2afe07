"""Predictions in the files that the MEGC challenges take; `fedn evaluate` reads them as well."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

from fedn_lightning.event_files import CHALLENGE_COLUMNS, ChallengeFormat
from fedn_lightning.events import EXPRESSION_TYPES, NO_EMOTION, DetectionRecord, Video, to_inclusive
from fedn_lightning.metrics.functional.threshold import at_threshold
from fedn_lightning.reports.tables import write_csv

MICRO = EXPRESSION_TYPES.index("micro")


def write_challenge(path: str | Path, record: DetectionRecord, file_format: ChallengeFormat) -> Path:
    """Writes what the network claims: the proposals from the record's threshold on, without their scores.

    Args:
        path: the CSV file; it appears whole or not at all.
        record: videos and proposals.
        file_format: `megc` for the spotting challenges of 2022-23 (`vid, pred_onset, pred_offset, type` with `me` and
            `mae`), `str` for spot-then-recognise (`subject, video, onset, offset, emotion`), which knows
            micro-expressions only: macro-expressions are left out there.

    Returns:
        `path`.
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
    claimed = at_threshold(record.predictions, record.threshold)
    ambiguous = len({video.name for video in record.videos}) < len(record.videos)
    for video_index, start, end, kind, emotion in zip(
        claimed.video.tolist(),
        claimed.start.tolist(),
        claimed.end.tolist(),
        claimed.type.tolist(),
        claimed.emotion.tolist(),
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
