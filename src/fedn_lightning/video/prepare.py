"""From a corpus to its clip store: every video decoded once more or less, aligned, cropped, resampled, written."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, get_args

import cv2
import numpy as np

from fedn_lightning.corpora.annotations import check_choice
from fedn_lightning.errors import ConfigError, FednError, StoreError
from fedn_lightning.events import Corpus, Video
from fedn_lightning.video.alignment import Transform, box_transform, crop, eye_transform
from fedn_lightning.video.exact import PyAVSource, survey
from fedn_lightning.video.faces import BOX_EYES, Face, find_video_face
from fedn_lightning.video.sources import FolderSource, Frames, FrameSource, Gaps
from fedn_lightning.video.store import (
    ArrayWriter,
    CropSpec,
    StoredVideo,
    file_name,
    fingerprint,
    is_current,
    read_record,
    spec_record,
)
from fedn_lightning.video.timing import frame_plan, stored_fps
from fedn_lightning.video.workers import Tick, run

Align = Literal["video", "none"]
Box = tuple[float, float, float, float]

FACE_PICTURES = 12
"""Pictures (at least; at most twice as many) in which a video's face is looked for."""

BATCH = 32
"""Frames decoded at a time: 29 MB at 640x480."""


@dataclass
class PrepareReport:
    """What `prepare` did.

    Attributes:
        prepared: keys of the videos written.
        reused: keys of the videos that were in the store already.
        failed: keys of the videos set aside, and why.
        frames: source frames decoded for the store.
        seconds: wall time.
        phases: seconds spent by all processes together, by phase (`survey`, `face`, `decode`, `crop`, `write`).
    """

    prepared: list[str] = field(default_factory=list)
    reused: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    frames: int = 0
    seconds: float = 0.0
    phases: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Job:
    """One video to prepare; goes to a child process."""

    video: Video
    root: str
    spec: CropSpec
    box: Box | None = None


def prepare(
    corpus: Corpus,
    store_root: str | Path,
    crop_size: int = 128,
    fps: float = 30.0,
    jobs: int = 2,
    align: Align = "video",
    gaps: Gaps = "repeat",
    boxes: Mapping[str, Box] | None = None,
    stall_seconds: float = 120.0,
    progress: bool = False,
) -> PrepareReport:
    """Writes what is missing or stale in a corpus's clip store; what is there and current stays.

    Can be stopped at any moment and started again. A video that cannot be prepared is set aside and reported, the
    others go on. Spawns processes: a script must call it under `if __name__ == "__main__":`.

    Args:
        corpus: the videos.
        store_root: the store's folder, made if need be.
        crop_size: side of the crop in pixels.
        fps: working frame rate, see :class:`~fedn_lightning.video.store.CropSpec`.
        jobs: processes; 0 works in this one, unprotected from decoders that hang or die.
        align: `video` finds the face and puts the eyes in their canonical places; `none` takes whole pictures.
        gaps: what stands for missing numbers of a frame folder.
        boxes: face boxes `x, y, width, height` in source pixels by video key, where no face is found.
        stall_seconds: a process that gets no frame done for so long is stopped and its video set aside.
        progress: whether to show a bar on stderr.

    Raises:
        ConfigError: if an option has a value that cannot work.
        StoreError: if the disk has no room for the store.
    """
    spec = _spec(crop_size, fps, align, gaps, boxes or {})
    root, report, started = Path(store_root), PrepareReport(), time.monotonic()
    root.mkdir(parents=True, exist_ok=True)
    todo = []
    for video in corpus.videos:
        if _stored(video, root, spec):
            report.reused.append(video.key)
        else:
            # A stale video must not stay if its successor fails.
            (root / f"{file_name(video.key)}.json").unlink(missing_ok=True)
            todo.append(Job(video, str(root), spec, (boxes or {}).get(video.key)))
    _check_room(root, todo)
    with _bar(todo, show=progress) as tick:
        for index, result in run(prepare_video, todo, jobs, stall_seconds, tick):
            _note(report, todo[index].video, result)
    report.seconds = time.monotonic() - started
    return report


def _spec(crop_size: int, fps: float, align: str, gaps: str, boxes: Mapping[str, Box]) -> CropSpec:
    """The checked crop specification."""
    check_choice("align", align, get_args(Align))
    check_choice("gaps", gaps, get_args(Gaps))
    if crop_size < 16 or not fps > 0:
        msg = f"crop_size must be at least 16 and fps above 0, got {crop_size} and {fps}."
        raise ConfigError(msg)
    digest = hashlib.sha256(json.dumps(sorted(boxes.items())).encode()).hexdigest()[:16] if boxes else ""
    return CropSpec(crop_size, float(fps), align, gaps, digest)


def _stored(video: Video, root: Path, spec: CropSpec) -> bool:
    """Whether the store holds the video as it would be made now."""
    record = read_record(root / f"{file_name(video.key)}.json")
    if record is None:
        return False
    try:
        source = fingerprint(video.path)
    except OSError:
        return False
    return is_current(StoredVideo.from_record(record, root), spec, source)


def _check_room(root: Path, jobs: list[Job]) -> None:
    """Refuses to start what cannot end."""
    need = sum(
        (job.video.n_frames or 0) * min(1, job.spec.fps / job.video.fps) * job.spec.crop_size**2 * 3 for job in jobs
    )
    free = shutil.disk_usage(root).free
    if need > free:
        msg = f"The clip store in {root} needs {need / 1e9:.1f} GB more, and the disk has {free / 1e9:.1f} GB free."
        raise StoreError(msg)


def _note(report: PrepareReport, video: Video, result: Any) -> None:
    """Books one video's result."""
    if isinstance(result, Exception):
        report.failed[video.key] = str(result) if isinstance(result, FednError) else f"{video.path}: {result}"
        return
    report.prepared.append(video.key)
    report.frames += result["frames"]
    for phase, seconds in result["phases"].items():
        report.phases[phase] = report.phases.get(phase, 0.0) + seconds


@contextlib.contextmanager
def _bar(jobs: list[Job], *, show: bool) -> Iterator[Callable[[int, int], None]]:
    """A progress bar over frames; yields what to call with a job's index and its new frames."""
    if not show or not jobs:
        yield lambda index, frames: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    total = sum(job.video.n_frames or 0 for job in jobs) or None
    columns = (TextColumn("preparing {task.fields[video]}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=total, video="videos")
        yield lambda index, frames: bar.update(task, advance=frames, video=jobs[index].video.key)


def prepare_video(job: Job, tick: Tick) -> dict[str, Any]:
    """Prepares one video, in whatever process.

    Args:
        job: what to do.
        tick: told of the frames done.

    Returns:
        `frames` decoded and seconds by phase.

    Raises:
        VideoError: if the video cannot be decoded, or shows no face.
        StoreError: if the store cannot be written.
    """
    cv2.setNumThreads(1)
    clock, spec, video = _Clock(), job.spec, job.video
    source_print = fingerprint(video.path)
    plan = _Plan.of(job, clock, tick)
    # Ticks of the survey are only signs of life: the bar counts frames written.
    try:
        with ArrayWriter(Path(job.root), video.key, spec.crop_size) as writer:
            done = _write(plan, writer, spec.crop_size, clock, tick)
            writer.commit(plan.record(video, spec, source_print))
    except OSError as error:
        full = "the disk is full" if error.errno == errno.ENOSPC else str(error.strerror)
        msg = f"{job.root}: {full}, so {video.key} could not be stored. Free some room and run the command again."
        raise StoreError(msg) from None
    return {"frames": done, "phases": clock.seconds}


def _write(plan: _Plan, writer: ArrayWriter, size: int, clock: _Clock, tick: Tick) -> int:
    """Decodes, crops and writes; returns the number of frames decoded."""
    shown = np.bincount(plan.frames, minlength=plan.n_frames)
    number = 0
    batches = plan.source.iterate(BATCH)
    while (batch := clock.time("decode", lambda: next(batches, None))) is not None:
        wanted = [(image, shown[number + i]) for i, image in enumerate(batch) if shown[number + i]]
        crops = clock.time("crop", lambda w=wanted: _crops(w, plan.transform, size))  # type: ignore[misc]
        clock.time("write", lambda c=crops: writer.write(c))  # type: ignore[misc]
        number += len(batch)
        tick(len(batch))
    return number


def _crops(wanted: list[tuple[Any, int]], transform: Transform, size: int) -> Frames:
    """Crops of the frames wanted, each as often as the plan shows it."""
    out = np.empty((sum(times for _, times in wanted), size, size, 3), np.uint8)
    position = 0
    for image, times in wanted:
        out[position : position + times] = crop(image, transform, size)
        position += times
    return out


@dataclass(frozen=True)
class _Plan:
    """What is known of a video before its crops are written."""

    source: FrameSource
    n_frames: int
    source_fps: float
    times: Any
    fps: float
    frames: Any
    transform: Transform
    face: Face | None

    @classmethod
    def of(cls, job: Job, clock: _Clock, tick: Tick) -> _Plan:
        """Surveys a video and finds its face."""
        video, spec = job.video, job.spec
        need = FACE_PICTURES if spec.align != "none" and job.box is None else 0
        source: FrameSource
        if Path(video.path).is_dir():
            source = FolderSource(video.path, video.fps, "error" if spec.gaps == "error" else "repeat")
            n_frames, source_fps, variable, times = source.n_frames, video.fps, False, None
            size = source.height, source.width
            numbers, pictures = _folder_pictures(source, need)
        else:
            source = PyAVSource(video.path)
            seen = clock.time("survey", lambda: survey(video.path, need, tick=lambda: tick(0)))
            n_frames, source_fps, variable = seen.n_frames, seen.fps, seen.variable
            times, size = (seen.times if variable else None), (seen.height, seen.width)
            numbers, pictures = seen.sampled, seen.samples
        fps = stored_fps(source_fps, spec.fps, variable=variable)
        plan = frame_plan(n_frames, source_fps, fps, times)
        face = clock.time("face", lambda: _face(job, numbers, pictures))
        transform = (
            eye_transform(face.left, face.right, spec.crop_size)
            if face
            else box_transform(0, 0, size[1], size[0], spec.crop_size)
        )
        return cls(source, n_frames, source_fps, times, fps, plan, transform, face)

    def record(self, video: Video, spec: CropSpec, source: dict[str, Any]) -> dict[str, Any]:
        """The record of the video for the store."""
        packages = ("fedn-lightning", "av", "numpy", "opencv-python-headless")
        return {
            "key": video.key,
            "source": source,
            "spec": spec_record(spec),
            "fps": self.fps,
            "source_fps": self.source_fps,
            "source_n_frames": self.n_frames,
            "source_times": None if self.times is None else self.times.tolist(),
            "transform": self.transform.tolist(),
            "eyes_seen": None if self.face is None else self.face.eyes_seen,
            "versions": {package: version(package) for package in packages},
        }


def _face(job: Job, numbers: Any, pictures: Any) -> Face | None:
    """The video's face: given, found, or (with `align="none"`) not wanted."""
    if job.spec.align == "none":
        return None
    if job.box is None:
        return find_video_face(pictures, numbers, job.video.path)
    x, y, width, height = job.box
    left, right = ((x + fx * width, y + fy * height) for fx, fy in BOX_EYES)
    return Face(job.box, left, right, eyes_seen=False)


def _folder_pictures(source: FolderSource, count: int) -> tuple[list[int], list[Any]]:
    """Evenly spread grey pictures of a frame folder."""
    numbers = sorted({int(n) for n in np.linspace(0, source.n_frames - 1, count)}) if count else []
    return numbers, [cv2.cvtColor(source.frames(n, n + 1)[0], cv2.COLOR_RGB2GRAY) for n in numbers]


class _Clock:
    """Seconds by phase."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def time(self, phase: str, function: Callable[[], Any]) -> Any:
        """Calls a function and books its time."""
        started = time.perf_counter()
        try:
            return function()
        finally:
            self.seconds[phase] = self.seconds.get(phase, 0.0) + time.perf_counter() - started
