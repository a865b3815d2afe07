"""Many videos at once, in processes of this machine or as tasks of Ray, and one table of what was found in all."""

from __future__ import annotations

import csv
import functools
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from fedn_lightning.errors import ConfigError, FednError
from fedn_lightning.inference.batch import Outcome, earlier, folders_of, predict_video
from fedn_lightning.inference.detections import COLUMNS
from fedn_lightning.inference.writers import RECORD, Settings
from fedn_lightning.results.names import EVENT_FILES
from fedn_lightning.results.writing import write_csv
from fedn_lightning.utils.on_ray import Cluster
from fedn_lightning.video import workers

if TYPE_CHECKING:
    from fedn_lightning.inference.detector import Detector, Device

Launcher = Literal["local", "ray"]

STALL_SECONDS = 600.0
"""A process that neither gets a frame further nor ends for so long is stopped; its video fails, the others go on."""

ALL_EVENTS, ALL_VIDEOS = "events.csv", "videos.csv"
"""Tables beside the folders of the videos: every expression, and every video with what became of it."""

VIDEO_COLUMNS = ("folder", "video", "n_frames", "fps", "seconds", "macro", "micro", "error")


@dataclass(frozen=True)
class DetectorChoice:
    """What a process needs to build the detector."""

    checkpoint: str  # the file
    device: Device  # where the network runs
    settings: Settings  # of the outputs; alignment and thresholds are the detector's too


@functools.lru_cache(maxsize=1)
def build(choice: DetectorChoice, threads: int) -> Detector:
    """Builds the detector, once in each process."""
    import torch

    from fedn_lightning.inference.detector import Detector

    torch.set_num_threads(threads)
    settings = choice.settings
    return Detector.from_checkpoint(
        choice.checkpoint,
        choice.device,
        settings.align,  # type: ignore[arg-type]
        settings.threshold,
        settings.landmarker,
    )


@dataclass(frozen=True)
class _Job:
    choice: DetectorChoice
    video: Path
    folder: Path


def _predict(job: _Job, tick: workers.Tick) -> Outcome:
    """What a process does with one video."""
    detector = build(job.choice, threads=1)
    return predict_video(detector, job.video, job.folder, job.choice.settings, lambda doing, n, total: tick(n))


def predict_parallel(
    choice: DetectorChoice,
    videos: Sequence[Path],
    out: str | Path,
    jobs: int,
    launcher: Launcher = "local",
    address: str | None = None,
    overwrite: bool = False,
) -> Iterator[Outcome]:
    """Runs a detector on several videos at once; finished videos are skipped, a bad one costs itself alone.

    Args:
        choice: the detector and its outputs.
        videos: the files.
        out: parent of the folders.
        jobs: videos at a time; with Ray, cores of a cluster that is started here.
        launcher: processes of this machine, or tasks of Ray.
        address: of a running cluster of Ray.
        overwrite: do finished videos again.

    Yields:
        What became of each video, in the order they end.

    Raises:
        ConfigError: if Ray cannot be used.
    """
    todo: list[_Job] = []
    for video, folder in zip(videos, folders_of(videos, out), strict=True):
        before = None if overwrite else earlier(video, folder, choice.settings)
        if before is None:
            todo.append(_Job(choice, video, folder))
        else:
            yield before
    if not todo:
        return
    cluster = Cluster(address, gpus=float(choice.device == "cuda")) if launcher == "ray" else None
    for index, result in workers.run(_predict, todo, jobs, STALL_SECONDS, cluster=cluster):
        job = todo[index]
        if isinstance(result, ConfigError) or (isinstance(result, FednError) and len(todo) == 1):
            raise result
        yield result if isinstance(result, Outcome) else Outcome(job.video, job.folder, "", f"{job.video}: {result}")


def write_tables(out: str | Path, outcomes: Sequence[Outcome]) -> list[Path]:
    """Writes `events.csv`, every expression of all videos, and `videos.csv`, a row per video.

    Returns:
        The files; the first one only where the events were written as CSV.
    """
    rows, videos = [], []
    columns = ("folder", "video", *COLUMNS, "warning")
    for outcome in sorted(outcomes, key=lambda each: each.folder.name):
        table = outcome.folder / EVENT_FILES["csv"]
        found = [] if outcome.error or not table.is_file() else _rows(table)
        rows += [[outcome.folder.name, *(row.get(column, "") for column in columns[1:])] for row in found]
        videos.append(_video_row(outcome, found if table.is_file() else None))
    files = [write_csv(Path(out) / ALL_VIDEOS, VIDEO_COLUMNS, videos)]
    if rows or any((outcome.folder / EVENT_FILES["csv"]).is_file() for outcome in outcomes):
        files.insert(0, write_csv(Path(out) / ALL_EVENTS, columns, rows))
    return files


def _rows(table: Path) -> list[dict[str, str]]:
    with table.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _video_row(outcome: Outcome, found: list[dict[str, str]] | None) -> list[str]:
    if outcome.error:
        return [outcome.folder.name, str(outcome.video), "", "", "", "", "", outcome.error]
    record = json.loads((outcome.folder / RECORD).read_text(encoding="utf-8"))
    counts = ["" if found is None else str(sum(row["type"] == kind for row in found)) for kind in ("macro", "micro")]
    numbers = [str(record[key]) for key in ("n_frames", "fps", "seconds")]
    return [outcome.folder.name, str(outcome.video), *numbers, *counts, ""]
