"""From a corpus to its clip store: what is missing or stale is made, in parallel, and what fails is set aside."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from fedn_lightning.errors import ConfigError, FednError, StoreError
from fedn_lightning.events import Corpus, Video
from fedn_lightning.utils import available_cores
from fedn_lightning.utils.console import ProgressBar
from fedn_lightning.utils.files import locked
from fedn_lightning.utils.text import check_choice
from fedn_lightning.utils.workers import Cluster, run
from fedn_lightning.video.alignment import Box
from fedn_lightning.video.crops import CropJob, crop_video
from fedn_lightning.video.faces import check_cascades
from fedn_lightning.video.landmarks import LANDMARKER, check_installed, table_of
from fedn_lightning.video.readers import Gaps
from fedn_lightning.video.store import CropSpec, StoredVideo, file_name, fingerprint, is_current, read_record
from fedn_lightning.video.verify import verify

LOCK = "prepare.lock"
"""File in the store that a process holds while it prepares."""

VERDICTS = "readers.json"
"""File in the store that remembers which reader each video was found right for."""

Align = Literal["video", "track", "none"]
FramesFrom = Literal["store", "video"]


@dataclass
class PrepareReport:
    """What `prepare` did."""

    prepared: list[str] = field(default_factory=list)  # keys of the videos written
    reused: list[str] = field(default_factory=list)  # keys of the videos that were in the store already
    failed: dict[str, str] = field(default_factory=dict)  # keys of the videos set aside, and why
    # by key, the images of a folder that cannot be read; the frame before each is shown instead
    unreadable: dict[str, list[str]] = field(default_factory=dict)
    # by key, which reader windows are decoded with and why; only under `frames="video"`
    readers: dict[str, tuple[str, str]] = field(default_factory=dict)
    frames: int = 0  # source frames decoded for the store
    seconds: float = 0.0  # wall time
    # seconds that all processes spent in each phase: `survey`, `track`, `face`, `decode`, `crop`, `write`
    phases: dict[str, float] = field(default_factory=dict)


def prepare(
    corpus: Corpus,
    store_root: str | Path,
    crop_size: int = 128,
    fps: float = 30.0,
    jobs: int | None = None,
    align: Align = "video",
    gaps: Gaps = "repeat",
    boxes: Mapping[str, Box] | None = None,
    finder: str = "cascade",
    frames: FramesFrom = "store",
    stall_seconds: float = 120.0,
    progress: bool = False,
    cluster: Cluster | None = None,
) -> PrepareReport:
    """Writes what is missing or stale in a corpus's clip store; current videos are kept.

    Can be stopped at any moment and started again. A video that cannot be prepared is set aside and reported, the
    others go on. Spawns processes: a script must call it under `if __name__ == "__main__":`.

    Args:
        corpus: the videos.
        store_root: the store's folder, made if need be.
        crop_size: side of the crop in pixels.
        fps: working frame rate, see :class:`~fedn_lightning.video.store.CropSpec`.
        jobs: processes, one per core by default; 0 works in this one, unprotected from decoders that hang or die.
        align: `video` puts the eyes in their canonical places by one transform for the whole video; `track` also
            follows the head's sway and turns; `none` takes whole pictures, for releases that are already cropped.
        gaps: what replaces missing numbers of a frame folder, see :class:`~fedn_lightning.video.store.CropSpec`.
        boxes: face boxes `x, y, width, height` in source pixels by video key, where no face is found.
        finder: what finds the face: `cascade` (OpenCV), `landmarker:FILE` or `mesh` (mediapipe, an optional extra, see
            :mod:`fedn_lightning.video.landmarks`), or `openface:FOLDER` with OpenFace's `<video>.csv` of each video.
        frames: `store` writes every crop; `video` writes where they lie, after each file was verified (see
            :mod:`fedn_lightning.video.verify`), and windows are decoded from the videos: slower, but without the room.
        stall_seconds: a process that gets no frame done for so long is stopped and its video set aside.
        progress: whether to show a bar on stderr, and under `frames="video"` which reader is used for what.
        cluster: prepares by tasks of Ray, on machines that see the same folders; `jobs` are then the cores of a
            cluster that starts here.

    Raises:
        ConfigError: if an option has a value that cannot work, or the cluster cannot be used.
        StoreError: if the disk has no room for the store.
    """
    check_choice("frames", frames, get_args(FramesFrom))
    spec = replace(_spec(crop_size, fps, align, gaps, finder), frames=frames)
    root, report, started = Path(store_root), PrepareReport(), time.monotonic()
    jobs_of = [_job(video, root, spec, (boxes or {}).get(video.key)) for video in corpus.videos]
    if not all(map(_is_done, jobs_of)):
        if align != "none":
            check_cascades(finder)
        _make_missing(jobs_of, root, report, _Workers(jobs, stall_seconds, cluster), show=progress)
    report.reused = [job.video.key for job in jobs_of if job.video.key not in {*report.prepared, *report.failed}]
    report.seconds = time.monotonic() - started
    _read_records(report, [job for job in jobs_of if job.video.key not in report.failed])
    if progress:
        _print_notes(report)
    return report


def _read_records(report: PrepareReport, jobs: list[CropJob]) -> None:
    """Notes what the store says of the videos that are in it."""
    for job in jobs:
        record = read_record(Path(job.root) / f"{file_name(job.video.key)}.json") or {}
        if job.spec.frames == "video":
            report.readers[job.video.key] = record["reader"], record["why"]
        if "unreadable" in record:
            report.unreadable[job.video.key] = record["unreadable"]


class _Workers(NamedTuple):
    """Who prepares: the arguments of :func:`fedn_lightning.utils.workers.run`."""

    jobs: int | None
    stall_seconds: float
    cluster: Cluster | None


def _make_missing(jobs: list[CropJob], root: Path, report: PrepareReport, workers: _Workers, *, show: bool) -> None:
    root.mkdir(parents=True, exist_ok=True)
    with locked(root / LOCK):
        # Another process may have done it while this one waited.
        _make([job for job in jobs if not _is_done(job)], report, workers, show=show)


def _make(todo: list[CropJob], report: PrepareReport, workers: _Workers, *, show: bool) -> None:
    """Prepares videos and collects the results."""
    if not todo:
        return
    root = Path(todo[0].root)
    _sweep(root, workers.stall_seconds)
    for job in todo:
        # A stale video must not stay if its successor fails.
        (root / f"{file_name(job.video.key)}.json").unlink(missing_ok=True)
    _check_room(root, todo)
    # Cores that would have no video of their own; a task of Ray has one.
    threads = 1 if workers.cluster else max(1, (workers.jobs or available_cores()) // len(todo))
    todo = [replace(job, threads=threads) for job in todo]
    todo = _verified(todo, report, workers, show=show)
    with _bar(todo, show=show) as tick:
        for index, result in run(crop_video, todo, workers.jobs, workers.stall_seconds, tick, workers.cluster):
            _note(report, todo[index].video, result)


def _verified(todo: list[CropJob], report: PrepareReport, workers: _Workers, *, show: bool) -> list[CropJob]:
    """Adds to jobs of `frames="video"` which reader is right for each file; without those that none can read."""
    if todo[0].spec.frames == "store":
        return todo
    with _bar(todo, "verifying", show=show) as tick:
        videos, cache = [job.video for job in todo], Path(todo[0].root) / VERDICTS
        verdicts = verify(videos, cache, workers.jobs, workers.stall_seconds, tick, workers.cluster)
    unreadable = {key: verdict for key, verdict in verdicts.items() if verdict.reader == "none"}
    for key, verdict in unreadable.items():
        # What stopped a child does not name the file, and may be decord alone, which hangs on some.
        stopped = f"{verdict.path}: {verdict.why} while decord was tried; frames: store does without it."
        report.failed[key] = verdict.why if verdict.path in verdict.why else stopped
    return [
        replace(job, reader=verdicts[job.video.key].reader, why=verdicts[job.video.key].why)
        for job in todo
        if job.video.key not in unreadable
    ]


def _print_notes(report: PrepareReport) -> None:
    """Prints on stderr which reader each video got, and what could not be read."""
    names = [reader for reader, _ in report.readers.values()]
    if names:
        counts = ", ".join(f"{names.count(name)} by {name}" for name in sorted(set(names)))
        print(f"windows are decoded from the videos: {counts}", file=sys.stderr)
    for key, (reader, why) in report.readers.items():
        if reader == "pyav":
            print(f"  {key} by pyav: {why}", file=sys.stderr)
    for key, images in report.unreadable.items():
        print(f"{key}: {'; '.join(images)}. The frame before is shown instead.", file=sys.stderr)


def _sweep(root: Path, stall_seconds: float) -> None:
    """Removes what a killed run left half-written; a run that is alive has written to its files a moment ago."""
    for part in root.glob("*.part"):
        if time.time() - part.stat().st_mtime > stall_seconds:
            part.unlink(missing_ok=True)


def _job(video: Video, root: Path, spec: CropSpec, box: Box | None) -> CropJob:
    """What there is to do for a video; its box or OpenFace's table is part of how it is made."""
    kind, _, folder = spec.finder.partition(":")
    if box is not None:
        return CropJob(video, str(root), replace(spec, box=box), box)
    if kind != "openface":
        return CropJob(video, str(root), spec)
    table = table_of(folder, video.key)
    digest = hashlib.sha256(table.read_bytes()).hexdigest()[:16] if table else ""
    landmarks = str(table or Path(folder) / f"{video.key}.csv")
    return CropJob(video, str(root), replace(spec, finder=f"openface:{digest}"), None, landmarks)


def _spec(crop_size: int, fps: float, align: str, gaps: str, finder: str) -> CropSpec:
    """The checked crop specification."""
    check_choice("align", align, get_args(Align))
    check_choice("gaps", gaps, get_args(Gaps))
    if crop_size < 16 or not fps > 0:
        raise ConfigError(f"crop_size must be at least 16 and fps above 0, got {crop_size} and {fps}.")
    kind, _, folder = finder.partition(":")
    there = (kind == "openface" and Path(folder).is_dir()) or (kind == LANDMARKER and Path(folder).is_file())
    if finder not in ("cascade", "mesh") and not (folder and there):
        raise ConfigError(
            f"finder is {finder!r}; it must be cascade, mesh, landmarker:FILE with MediaPipe's model, or "
            "openface:FOLDER. File and folder must be there."
        )
    if finder == "mesh" or kind == LANDMARKER:
        check_installed(finder)  # reported once, not for every video
    return CropSpec(crop_size, float(fps), align, gaps, finder)


def _is_done(job: CropJob) -> bool:
    """Whether the store holds the video as it would be made now."""
    root = Path(job.root)
    record = read_record(root / f"{file_name(job.video.key)}.json")
    if record is None:
        return False
    try:
        source = fingerprint(job.video.path)
    except OSError:
        return False
    return is_current(StoredVideo.from_record(record, root), job.spec, source)


def _check_room(root: Path, jobs: list[CropJob]) -> None:
    """Checks that the disk has room."""
    if jobs[0].spec.frames == "video":
        return
    need = sum(
        (job.video.n_frames or 0) * min(1, job.spec.fps / job.video.fps) * job.spec.crop_size**2 * 3 for job in jobs
    )
    free = shutil.disk_usage(root).free
    if need > free:
        msg = f"The clip store in {root} needs {need / 1e9:.1f} GB more, and the disk has {free / 1e9:.1f} GB free."
        raise StoreError(msg)


def _note(report: PrepareReport, video: Video, result: Any) -> None:
    """Records one video's result."""
    if isinstance(result, Exception):
        report.failed[video.key] = str(result) if isinstance(result, FednError) else f"{video.path}: {result}"
        return
    report.prepared.append(video.key)
    report.frames += result["frames"]
    for phase, seconds in result["phases"].items():
        report.phases[phase] = report.phases.get(phase, 0.0) + seconds


@contextlib.contextmanager
def _bar(jobs: list[CropJob], doing: str = "preparing", *, show: bool) -> Iterator[Callable[[int, int], None]]:
    """A progress bar over frames; yields what to call with a job's index and its new frames."""
    if not show or not jobs:
        yield lambda index, frames: None
        return
    total = sum(job.video.n_frames or 0 for job in jobs) or None
    with ProgressBar(doing, total) as bar:
        yield lambda index, frames: bar.advance(frames, f"{doing} {jobs[index].video.key}")
