"""Tables of predictions and truths on disk: this project's CSV and the two challenge formats.

Files count frames inclusively, first frame 1; tables are 0-based and half open. The header gives the format:

- `fedn`: `subject, video, onset, offset, type` and, where known, `emotion, score, emotion_score`;
- `megc`: `vid, pred_onset, pred_offset, type` with types `me` and `mae` (spotting challenges 2022-23);
- `str`: `subject, video, onset, offset, emotion` (spot-then-recognise challenge; micro-expressions only).

Further columns are ignored. Rows are read in blocks, so that a million rows take seconds.
"""

from fedn_lightning.results.names import CHALLENGE_COLUMNS, NOT_ANALYSED, ChallengeFormat, Format, Names
from fedn_lightning.results.reading import (
    EventFile,
    RunTables,
    SkippedRow,
    find_run,
    read_events,
    read_run_tables,
    read_videos,
)

__all__ = [
    "CHALLENGE_COLUMNS",
    "NOT_ANALYSED",
    "ChallengeFormat",
    "EventFile",
    "Format",
    "Names",
    "RunTables",
    "SkippedRow",
    "find_run",
    "read_events",
    "read_run_tables",
    "read_videos",
]
