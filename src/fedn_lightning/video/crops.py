"""Where the crop of a video lies: one pass scans its frames and its face, then a plan places the crop."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from fedn_lightning.errors import FaceNotFoundError, StoreError
from fedn_lightning.events import Video
from fedn_lightning.utils.workers import Tick
from fedn_lightning.video.alignment import Box, Face, box_transform, crop, eye_transform
from fedn_lightning.video.faces import BOX_EYES, check_upright, find_faces, find_video_face, meant
from fedn_lightning.video.landmarks import read_eyes
from fedn_lightning.video.media import Frames, FrameSource
from fedn_lightning.video.pyav import PyAVSource, Thinning, scan, scan_fast
from fedn_lightning.video.readers import FolderSource
from fedn_lightning.video.store import ArrayWriter, CropSpec, fingerprint, spec_record, write_link
from fedn_lightning.video.timing import frame_plan, stored_fps
from fedn_lightning.video.tracking import TRACKED_FPS, HeadTracker, settled, smooth, transforms

FACE_PICTURES = 12
"""Pictures (at least; at most twice as many) in which a video's face is looked for."""

MIN_TRACKED = 0.5
"""Share of a video in which the head must have been followed."""

LANDMARK_SECONDS = 0.4
"""Standard deviation of the smoothing of landmarks, which jump more than a tracked head and move with expressions."""

BATCH = 16
"""Source frames whose crops are handed on together."""


@dataclass(frozen=True)
class CropJob:
    """One video to prepare; it is sent to a child process."""

    video: Video  # what to prepare
    root: str  # folder of the store
    spec: CropSpec  # how
    box: Box | None = None  # the face's box if it is given by hand
    landmarks: str = ""  # OpenFace's table if there is one
    reader: str = ""  # what may read windows from the video, `decord`, `pyav` or `folder`, under `spec.frames="video"`
    why: str = ""  # what decided that
    near: Box | None = None  # roughly where the face is, where several are seen; the largest is taken otherwise
    threads: int = 1  # that decode, see `containers.opened`

    @property
    def searches(self) -> bool:
        """Whether the face has to be looked for."""
        return self.spec.align != "none" and self.box is None and not self.landmarks


@dataclass(frozen=True)
class FaceScan:
    """The result of one pass through a video."""

    source: FrameSource
    n_frames: int
    fps: float
    height: int
    width: int
    times: npt.NDArray[np.float64] | None  # seconds of each frame where they are uneven, else None
    start: float  # seconds at which the first frame is shown, see :class:`~fedn_lightning.video.containers.Timeline`
    numbers: list[int]  # frame numbers of `pictures`
    pictures: list[Any]  # grey pictures spread over the video
    tracker: HeadTracker | None  # has followed the head, if that is wanted
    _faces: list[list[Face]] = field(default_factory=list)

    def faces(self, finder: str) -> list[list[Face]]:
        """The faces of each picture, the largest first; looked for once, by :func:`~.faces.find_faces`."""
        if not self._faces:
            self._faces.extend(find_faces(picture, finder) for picture in self.pictures)
        return self._faces


@dataclass(frozen=True)
class CropPlan:
    """Where the crop lies: `(1, 2, 3)` for the whole video or `(n_frames, 2, 3)`, and what is known of the face."""

    transforms: npt.NDArray[np.float64]
    notes: dict[str, Any]


Watch = Callable[[int, Callable[[], Any]], None]
"""Is called with the number of each frame, and a function that gives its grey picture."""


def scan_face(job: CropJob, clock: Clock, tick: Tick, also: Watch = lambda number, grey: None) -> FaceScan:
    """Goes through a video once: counts, timestamps, pictures to find the face in, and the head's track.

    Args:
        job: the video.
        clock: books the time.
        tick: called as a sign of life.
        also: sees every frame, too.
    """
    video = job.video
    tracker = HeadTracker(job.spec.finder, job.near) if job.searches and job.spec.align == "track" else None
    kept = Thinning(FACE_PICTURES if job.searches else 0)
    stride = max(1, round(video.fps / TRACKED_FPS))

    def watch(number: int, grey: Callable[[], Any]) -> None:
        if kept.wants(number):
            kept.add(number, grey())
        if tracker and number % stride == 0:
            started = time.perf_counter()
            tracker.add(number, grey())
            clock.add("track", started)
        also(number, grey)
        if number % 50 == 0:
            tick(0)

    source: FrameSource
    if Path(video.path).is_dir():
        source = FolderSource(video.path, video.fps, "error" if job.spec.gaps == "error" else "repeat")
        if kept.least or tracker:
            clock.time("survey", lambda: _watch_folder(source, watch))
        n_frames, fps, size, times, start = source.n_frames, video.fps, (source.height, source.width), None, 0.0
    else:
        source = PyAVSource(video.path, job.threads)
        seen = clock.time("survey", lambda: scan(video.path, watch=watch, threads=job.threads))
        n_frames, fps, size, start = seen.n_frames, seen.fps, (seen.height, seen.width), seen.start
        times = seen.times if seen.variable else None
    return FaceScan(source, n_frames, fps, *size, times, start, kept.numbers, kept.items, tracker)


def scan_face_fast(job: CropJob) -> FaceScan | None:
    """The same scan without decoding the whole file, for videos that need one crop only.

    Returns:
        None if the whole video must be decoded, see :func:`.pyav.scan_fast`. The head's track
        is never part of it.

    Raises:
        VideoError: if the file cannot be opened or is truncated.
    """
    path = job.video.path
    seen = scan_fast(path, FACE_PICTURES if job.searches else 0, job.threads)
    if seen is None:
        return None
    times = seen.times if seen.variable else None
    size = seen.height, seen.width
    return FaceScan(
        PyAVSource(path, job.threads),
        seen.n_frames,
        seen.fps,
        *size,
        times,
        seen.start,
        list(seen.sampled),
        list(seen.samples),
        None,
    )


def _watch_folder(source: FrameSource, watch: Callable[[int, Callable[[], Any]], None]) -> None:
    """Shows every image of a folder to `watch`."""
    number = 0
    for batch in source.iterate(BATCH):
        for image in batch:
            watch(number, partial(cv2.cvtColor, image, cv2.COLOR_RGB2GRAY))
            number += 1


def plan_crop(job: CropJob, face_scan: FaceScan, clock: Clock) -> CropPlan:
    """Decides where the crop lies."""
    size, path = job.spec.crop_size, job.video.path
    if job.spec.align == "none":
        return CropPlan(box_transform(0, 0, face_scan.width, face_scan.height, size)[None], {"face": "whole picture"})
    if job.box is not None:
        x, y, width, height = job.box
        left, right = ((x + fx * width, y + fy * height) for fx, fy in BOX_EYES)
        return CropPlan(eye_transform(left, right, size)[None], {"face": "box given by hand"})
    if job.landmarks:
        return _plan_by_eyes(job, face_scan)
    found = [meant(each, job.near) for each in clock.time("face", lambda: face_scan.faces(job.spec.finder))]
    if face_scan.tracker is None:
        face = find_video_face(found, face_scan.pictures, face_scan.numbers, path)
        return CropPlan(eye_transform(face.left, face.right, size)[None], _face_notes(face))
    return _follow(job, face_scan, face_scan.tracker, found)


def _plan_by_eyes(job: CropJob, face_scan: FaceScan) -> CropPlan:
    """Eyes from OpenFace: their median, or smoothed over time to be followed."""
    eyes = read_eyes(job.landmarks, face_scan.n_frames)
    if job.spec.align == "track":
        sigma = LANDMARK_SECONDS * face_scan.fps
        columns = [smooth(column, sigma) for column in eyes.reshape(-1, 4).T]
        eyes = np.stack(columns, axis=1).reshape(-1, 2, 2)
    else:
        eyes = np.median(eyes, axis=0, keepdims=True)
    placed = [eye_transform(left, right, job.spec.crop_size) for left, right in eyes]
    return CropPlan(np.stack(placed), {"face": f"landmarks of {job.landmarks}"})


def _follow(job: CropJob, face_scan: FaceScan, tracker: HeadTracker, found: list[Face | None]) -> CropPlan:
    """The crop that follows the head."""
    track = tracker.track()
    if track is None:
        # Raises with the frames that were searched.
        find_video_face(found, face_scan.pictures, face_scan.numbers, job.video.path)
        raise FaceNotFoundError(f"{job.video.path}: the face is not seen long enough to be followed. Set align: video.")
    if len(track.lost) > (1 - MIN_TRACKED) * len(track.numbers):
        raise FaceNotFoundError(
            f"{job.video.path}: the head was lost in {len(track.lost)} of {len(track.numbers)} frames looked at, first "
            f"in frame {track.lost[0]}. Set align: video."
        )
    check_upright(face_scan.pictures, sum(face is not None for face in found), job.video.path)
    track = settled(track, face_scan.numbers, found)
    lost = {"frames_tracked": len(track.numbers), "frames_lost": len(track.lost)}
    placed = transforms(track, face_scan.n_frames, face_scan.fps, job.spec.crop_size)
    return CropPlan(placed, {**_face_notes(track.reference), **lost})


def _face_notes(face: Face) -> dict[str, Any]:
    return {"face": "eyes seen" if face.eyes_seen else "eyes placed by the face's box"}


class Clock:
    """Seconds by phase."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def time(self, phase: str, function: Callable[[], Any]) -> Any:
        """Calls a function and adds its time."""
        started = time.perf_counter()
        try:
            return function()
        finally:
            self.add(phase, started)

    def add(self, phase: str, started: float) -> None:
        """Adds the time since `started`."""
        self.seconds[phase] = self.seconds.get(phase, 0.0) + time.perf_counter() - started


PACKAGES = ("fedn-lightning", "av", "numpy", "opencv-python-headless")


def crop_video(job: CropJob, tick: Tick) -> dict[str, Any]:
    """Prepares one video in the current process.

    Args:
        job: what to do.
        tick: called with the frames written; with 0 while the video is scanned, as a sign of life.

    Returns:
        `frames` decoded, and `phases`: seconds by phase.

    Raises:
        VideoError: if the video cannot be decoded, or shows no face.
        StoreError: if the store cannot be written.
    """
    cv2.setNumThreads(1)
    clock, video = Clock(), job.video
    source_print = fingerprint(video.path)
    face_scan = scan_face(job, clock, tick)
    crop_plan = plan_crop(job, face_scan, clock)
    record = _record(job, face_scan, crop_plan, source_print)
    source = face_scan.source
    try:
        if job.spec.frames == "video":
            plan = frame_plan(face_scan.n_frames, face_scan.fps, record["fps"], face_scan.times)
            if isinstance(source, FolderSource) and not job.searches:
                _watch_folder(source, lambda number, grey: None)  # the scan has not read its images
            write_link(Path(job.root), record | _missing(source), crop_plan.transforms, len(plan))
            tick(face_scan.n_frames)
        else:
            with ArrayWriter(Path(job.root), video.key, job.spec.crop_size) as writer:
                _write(face_scan, record["fps"], crop_plan, writer, clock, tick)
                writer.commit(record | _missing(source))
    except OSError as error:
        full = "the disk is full" if error.errno == errno.ENOSPC else str(error.strerror)
        msg = f"{job.root}: {full}, so {video.key} could not be stored. Free some room and run the command again."
        raise StoreError(msg) from None
    seconds = dict(clock.seconds)
    # Tracking happens during the scan.
    seconds["survey"] = seconds.get("survey", 0.0) - seconds.get("track", 0.0)
    return {"frames": face_scan.n_frames, "phases": seconds}


def _write(face_scan: FaceScan, fps: float, crop_plan: CropPlan, writer: ArrayWriter, clock: Clock, tick: Tick) -> None:
    """Decodes, crops and writes every frame that the store shows, as often as it shows it."""
    plan = frame_plan(face_scan.n_frames, face_scan.fps, fps, face_scan.times)
    shown = np.bincount(plan, minlength=face_scan.n_frames)
    for crops, frames in decode_crops(face_scan, shown, [crop_plan.transforms], writer.size, clock):
        started = time.perf_counter()
        writer.write(crops[0])
        clock.add("write", started)
        tick(frames)


def decode_crops(
    face_scan: FaceScan,
    shown: npt.NDArray[np.int64],
    transforms: Sequence[npt.NDArray[np.float64]],
    size: int,
    clock: Clock,
) -> Iterator[tuple[Frames, int]]:
    """Decodes a video once and crops its faces, a frame at a time: a stack of whole pictures would not fit the caches.

    Args:
        face_scan: of the video.
        shown: `(n_frames,)` int, how often each frame of the video is shown.
        transforms: of each face, `(1, 2, 3)` float64 for the whole video or `(n_frames, 2, 3)`, source to crop pixels.
        size: side of the crops in pixels.
        clock: books the time.

    Yields:
        Crops `(F, T, size, size, 3)` uint8 of `F` faces, and the number of source frames that they took: :data:`BATCH`,
        but for the last ones. Frames past the last one that is known are counted and not cropped.
    """
    pictures, number, crops = _pictures(face_scan, _region(transforms, size)), 0, []
    while (picture := clock.time("decode", lambda: next(pictures, None))) is not None:
        started = time.perf_counter()
        if number < len(shown) and shown[number]:
            faces = np.stack([crop(picture, each[min(number, len(each) - 1)], size) for each in transforms])
            crops += [faces] * int(shown[number])
        number += 1
        clock.add("crop", started)
        if number % BATCH == 0:
            yield _stacked(crops, len(transforms), size), BATCH
            crops = []
    if number % BATCH:
        yield _stacked(crops, len(transforms), size), number % BATCH


def _pictures(face_scan: FaceScan, box: tuple[int, int, int, int]) -> Iterator[Frames]:
    """Every frame `(H, W, 3)` of a video, right inside a box at least."""
    source = face_scan.source
    if not isinstance(source, PyAVSource):
        return (batch[0] for batch in source.iterate(1))
    cv2.setNumThreads(source.threads)  # for the sampling of large faces, which does not depend on it
    return source.within(box)


def _region(transforms: Sequence[npt.NDArray[np.float64]], size: int) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the source pixels that crops are made of."""
    every = np.concatenate(transforms)
    corners = np.array([[-1, -1], [-1, size], [size, -1], [size, size]])
    # Solves A x + b = corner for every transform and corner.
    found = np.linalg.solve(every[:, None, :, :2], (corners - every[:, None, :, 2])[..., None])[..., 0]
    left, top = np.floor(found.min(axis=(0, 1))).astype(int) - 1
    right, bottom = np.ceil(found.max(axis=(0, 1))).astype(int) + 2
    return int(left), int(top), int(right), int(bottom)


def _stacked(crops: list[Frames], faces: int, size: int) -> Frames:
    """Crops `(F, S, S, 3)` of some moments as `(F, T, S, S, 3)`; there may be none."""
    return np.stack(crops, axis=1) if crops else np.empty((faces, 0, size, size, 3), np.uint8)


def _record(job: CropJob, face_scan: FaceScan, crop_plan: CropPlan, source: dict[str, Any]) -> dict[str, Any]:
    """The record of the video for the store."""
    return {
        "key": job.video.key,
        "source": source,
        "spec": spec_record(job.spec),
        "fps": stored_fps(face_scan.fps, job.spec.fps, variable=face_scan.times is not None),
        "source_fps": face_scan.fps,
        "source_n_frames": face_scan.n_frames,
        "missing": [],
        "source_times": None if face_scan.times is None else face_scan.times.tolist(),
        "transform": np.median(crop_plan.transforms, axis=0).tolist(),
        **crop_plan.notes,
        **({"reader": job.reader, "why": job.why} if job.reader else {}),
        "versions": {package: version(package) for package in PACKAGES},
    }


def _missing(source: FrameSource) -> dict[str, Any]:
    """What the record says of frames without an image, once all were read; `unreadable` only where there are some."""
    if not isinstance(source, FolderSource):
        return {}
    unreadable = {"unreadable": list(source.unreadable.values())} if source.unreadable else {}
    return {"missing": source.missing.tolist(), **unreadable}
