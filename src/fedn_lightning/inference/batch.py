"""Many videos, one after another or several at a time; finished ones are skipped, a failing one stops no other."""

from __future__ import annotations

import csv
import functools
import glob
import itertools
import json
import os
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from fedn_lightning.errors import ConfigError, FednError, VideoError
from fedn_lightning.inference.baseline import parse_reference
from fedn_lightning.inference.detections import COLUMNS
from fedn_lightning.inference.writers import ANNOTATED, RECORD, Settings, belongs_to_another, finished, write_outputs
from fedn_lightning.results.names import EVENT_FILES
from fedn_lightning.results.writing import write_csv
from fedn_lightning.utils.text import open_table, read_rows
from fedn_lightning.utils.workers import Cluster, Tick, run
from fedn_lightning.video.media import IMAGE_SUFFIXES, VIDEO_SUFFIXES

if TYPE_CHECKING:
    from fedn_lightning.inference.detector import Detector, Device


def find_videos(words: Sequence[str], out: str | Path) -> list[Path]:
    """The videos that are meant, each once, in the order named; within a folder or pattern by name.

    Args:
        words: files (of any suffix), folders (searched with the folders below them), or patterns such as `*.mp4`.
        out: folder of the outputs, which is never searched for videos.

    Raises:
        VideoError: if a word names nothing, or a folder or pattern holds no video.
    """
    found: dict[Path, Path] = {}
    for word in words:
        path = Path(word)
        if path.is_dir():
            videos = _in_folder(path, Path(out).resolve())
        elif path.exists():
            videos = [path]
        elif not glob.has_magic(word):
            raise VideoError(f"There is no video {word}.")
        else:
            # A folder may be called "clips [1]": brackets are tried as they are when they match nothing as a pattern.
            paths = glob.glob(word, recursive=True) or glob.glob(word.replace("[", "[[]"), recursive=True)  # noqa: PTH207
            videos = [p for p in map(Path, sorted(paths)) if _is_video(p)]
        if not videos:
            raise VideoError(f"{word} {_why_empty(path)}")
        for video in videos:
            found.setdefault(video.resolve(), video)
    return list(found.values())


def read_manifest(path: str | Path) -> list[Path]:
    """The videos that a text file names, one a line, or a table in its column `video`.

    Paths are as seen from the file's folder. A video that is not there is an error of its own, later.

    Raises:
        VideoError: if the file cannot be read or names no video.
    """
    try:
        with open_table(path) as file:
            rows = [cells for _, cells in read_rows(file)]
    except (OSError, UnicodeError, csv.Error) as error:
        raise VideoError(f"The manifest {path} cannot be read: {error}.") from None
    header = [cell.strip().lower() for cell in rows[0]] if rows else []
    column = header.index("video") if "video" in header else None
    if column is None:
        names = [line.strip() for line in Path(path).read_text(encoding="utf-8-sig").splitlines()]
    else:
        names = [cells[column].strip() for cells in rows[1:] if len(cells) > column]
    found = {Path(path).parent / name: None for name in names if name and not name.startswith("#")}
    if not found:
        raise VideoError(f"The manifest {path} names no video; write one a line, or a table with the column video.")
    return list(found)


def folders_of(videos: Sequence[Path], out: str | Path) -> list[Path]:
    """A folder for the outputs of each video, which no other video has, of this command or of an earlier one.

    It has the video's name without suffix; if that is taken, as many parent folders are added as are needed.
    """
    names = [unicodedata.normalize("NFC", video.stem).casefold() for video in videos]
    counts, folders = Counter(names), []
    taken: set[str] = set()
    for video, stem in zip(videos, names, strict=True):
        free = (
            folder
            for folder in (Path(out) / name for name in _names(video, skip=int(counts[stem] > 1)))
            if str(folder).casefold() not in taken and not belongs_to_another(folder, video)
        )
        folders.append(next(free))
        taken.add(str(folders[-1]).casefold())
    return folders


def _names(video: Path, skip: int) -> Iterator[str]:
    """Names for a video's folder: `x`, `x.mp4`, `b_x.mp4`, `a_b_x.mp4` and so on, then with a number.

    >>> names = _names(Path("b/x.mp4"), skip=1)
    >>> [next(names) for _ in range(3)]
    ['b_x.mp4', 'x.mp4', 'b_x.mp4-2']
    """
    parts = video.resolve().parts if video.is_absolute() or ".." in video.parts else video.parts
    longer = ["_".join(parts[-k:]) for k in range(2, len(parts) + 1)]
    options = [video.stem, video.name, *longer] if not skip else [*longer, video.name]
    options = [name.replace(os.sep, "_").lstrip(".") or "video" for name in options]
    yield from options
    yield from (f"{options[0]}-{number}" for number in itertools.count(2))


def _in_folder(folder: Path, out: Path) -> list[Path]:
    paths = sorted(p for p in folder.rglob("*") if _is_video(p))
    return [p for p in paths if out not in p.resolve().parents]


def _is_video(path: Path) -> bool:
    named = path.suffix.lower() in VIDEO_SUFFIXES and not path.name.startswith(".")
    return named and path.is_file() and not _is_output(path)


def _is_output(path: Path) -> bool:
    """Whether a file is an annotated video of this program, which is no input."""
    return path.name == ANNOTATED and path.with_name(RECORD).is_file()


def overlooked(words: Sequence[str], out: str | Path) -> dict[str, list[Path]]:
    """The files in the folders named that are not analysed, by reason.

    Args:
        words: as of :func:`find_videos`.
        out: folder of the outputs, whose files are not listed.
    """
    reasons: dict[str, list[Path]] = {}
    outputs = Path(out).resolve()
    for folder in (Path(word) for word in words if Path(word).is_dir()):
        for path in sorted(folder.rglob("*")):
            if path.is_dir() or _is_video(path) or outputs in path.resolve().parents:
                continue
            hidden = "hidden" if path.name.startswith(".") else ""
            written = "written by fedn predict" if _is_output(path) else ""
            suffix = f"no video by its ending ({path.suffix.lower() or 'none'})"
            reasons.setdefault(hidden or written or suffix, []).append(path)
    return reasons


def _why_empty(path: Path) -> str:
    known = ", ".join(VIDEO_SUFFIXES)
    if not path.is_dir():
        return f"matches no video ({known})."
    if any(p.suffix.lower() in IMAGE_SUFFIXES for p in path.iterdir()):
        return "holds images, no video; make a video file of them first, or a corpus (fedn data check) of the folder."
    return f"holds no video ({known})."


@dataclass(frozen=True)
class Outcome:
    """What became of one video."""

    video: Path  # the file
    folder: Path  # of its outputs
    text: str  # what was found, a line per expression; the summary alone if it was finished before, empty if it failed
    error: str = ""  # why it failed, empty if it did not
    reused: bool = False  # whether the outputs were there already

    @property
    def summary(self) -> str:
        """One line on what was found, without the name of the video; empty if it failed."""
        return self.text.partition("\n")[0].removeprefix(f"{self.video.name}: ")


class Progress(Protocol):
    """What is shown while a video is processed."""

    def start(self, video: Path) -> None:
        """A video begins."""

    def tick(self, doing: str, frames: int, total: int) -> None:
        """So many frames more of a total are `detecting` or `annotating` done."""


def predict_all(
    detector: Callable[[], Detector],
    videos: Sequence[Path],
    out: str | Path,
    settings: Settings,
    progress: Progress,
    overwrite: bool = False,
) -> Iterator[Outcome]:
    """Runs a detector on videos and writes their outputs to `out/<name of the video>/`.

    Args:
        detector: makes the detector; called when the first video needs it.
        videos: the files.
        out: parent of the folders.
        settings: which files are written.
        progress: shows the progress.
        overwrite: do finished videos again.

    Yields:
        What became of each video, in order, once its files are written.
    """
    ready: Detector | None = None
    for video, folder in zip(videos, folders_of(videos, out), strict=True):
        before = None if overwrite else earlier(video, folder, settings)
        if before is not None:
            yield before
            continue
        progress.start(video)
        ready = ready or detector()
        yield predict_video(ready, video, folder, settings, progress.tick)


def earlier(video: Path, folder: Path, settings: Settings) -> Outcome | None:
    """The outcome of an earlier run, if its files are there and were made of this video by these settings."""
    summary = finished(folder, video, settings) if video.is_file() else None
    return None if summary is None else Outcome(video, folder, f"{video.name}: {summary}", reused=True)


def predict_video(
    detector: Detector, video: Path, folder: Path, settings: Settings, tick: Callable[[str, int, int], None]
) -> Outcome:
    """Runs a detector on one video and writes its outputs.

    Args:
        detector: the detector.
        video: the file.
        folder: of its outputs.
        settings: which files are written.
        tick: called with what is done, how many frames, and of how many.
    """
    try:
        detections = detector.detect(
            video,
            settings.face,
            tick=lambda n, total: tick("detecting", n, total),
            embedding=settings.embedding,
            baseline=None if settings.baseline is None else parse_reference(settings.baseline),
        )
        write_outputs(detections, folder, settings, lambda n: tick("annotating", n, detections.n_frames))
    except FednError as error:
        return Outcome(video, folder, "", str(error))
    return Outcome(video, folder, repr(detections))


INPUTS = "inputs.csv"
"""File in the parent folder that accounts for every input of the last command."""


def write_inputs(out: str | Path, outcomes: Sequence[Outcome], not_looked_at: Mapping[str, Sequence[Path]]) -> Path:
    """Writes what became of every input: `analysed`, `finished before`, `failed` or `not looked at`, and why."""
    from fedn_lightning.results.writing import write_csv

    rows = []
    for outcome in outcomes:
        state = "failed" if outcome.error else "finished before" if outcome.reused else "analysed"
        rows.append([str(outcome.video), state, outcome.error or outcome.summary, str(outcome.folder)])
    rows += [[str(path), "not looked at", reason, ""] for reason, paths in not_looked_at.items() for path in paths]
    return write_csv(Path(out) / INPUTS, ("path", "outcome", "why", "folder"), rows)


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


def _predict(job: _Job, tick: Tick) -> Outcome:
    """What a process does with one video."""
    detector = build(job.choice, threads=1)
    detector.decoding_threads = 1
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
    for index, result in run(_predict, todo, jobs, STALL_SECONDS, cluster=cluster):
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
