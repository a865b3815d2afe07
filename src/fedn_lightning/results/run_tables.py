"""The tables that every run leaves, and every set of pooled folds, read with one set of names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fedn_lightning.errors import PredictionFileError
from fedn_lightning.results.names import PREDICTIONS, PROPOSALS, TABLES, TRUTH, VIDEOS, Names
from fedn_lightning.results.reading import EventFile, read_events, read_videos


@dataclass(frozen=True)
class RunTables:
    """The tables of a run.

    Attributes:
        names: of subjects, videos and emotions; a video list has closed them.
        minutes: duration of all videos.
        truths: annotated expressions.
        claimed: what the run claims, i.e. proposals from its thresholds on.
        proposals: every proposal.
    """

    names: Names
    minutes: float
    truths: EventFile
    claimed: EventFile
    proposals: EventFile


def read_run_tables(folder: Path, truth: Path | None = None, proposals: str = PROPOSALS) -> RunTables:
    """Reads `videos.csv`, `truth.csv`, `predictions.csv` and `proposals.csv`.

    Args:
        folder: of a run, or of pooled folds.
        truth: truths to read instead of the folder's own.
        proposals: name of the file of all proposals.

    Raises:
        PredictionFileError: if a file or a row cannot be used.
    """
    # Always in this order, so that an emotion has the same index whoever reads the folder.
    names = Names()
    minutes = read_videos(folder / VIDEOS, names)
    truths = read_events(truth or folder / TRUTH, names, truth=True)
    claimed = read_events(folder / PREDICTIONS, names)
    return RunTables(names, minutes, truths, claimed, read_events(folder / proposals, names))


def find_run(folder: Path, needed: Sequence[str] = TABLES) -> Path:
    """The folder with the predictions: `folder` itself, or the only pooled one in it or in an experiment below it.

    Args:
        folder: of a run, of pooled folds, of an experiment (`runs/<name>/<hash>`), or `runs/<name>`.
        needed: files that must lie there.

    Raises:
        PredictionFileError: if there is none, or more than one.
    """
    candidates = [folder, *sorted(folder.glob("pooled-*")), *sorted(folder.glob("*/pooled-*"))]
    complete = [path for path in candidates if all((path / name).is_file() for name in needed)]
    if len(complete) == 1:
        return complete[0]
    if complete:
        inside = ", ".join(str(path.relative_to(folder)) for path in complete)
        msg = f"{folder} holds several results ({inside}); name one of them."
    else:
        msg = f"{folder} holds no result of a run: {', '.join(needed)} must lie there."
    raise PredictionFileError(msg)
