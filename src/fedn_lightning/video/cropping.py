"""One video on its way into the clip store: surveyed, its face found, then decoded, cropped and written."""

from __future__ import annotations

import errno
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from fedn_lightning.errors import StoreError
from fedn_lightning.video.alignment import crop
from fedn_lightning.video.frame_source import Frames
from fedn_lightning.video.placing import BATCH, Clock, CropJob, Footage, Placed, place, survey_footage
from fedn_lightning.video.sources import FolderSource
from fedn_lightning.video.store import ArrayWriter, fingerprint, spec_record, write_link
from fedn_lightning.video.timing import frame_plan, stored_fps
from fedn_lightning.video.workers import Tick

PACKAGES = ("fedn-lightning", "av", "numpy", "opencv-python-headless")


def crop_video(job: CropJob, tick: Tick) -> dict[str, Any]:
    """Prepares one video, in whatever process.

    Args:
        job: what to do.
        tick: told of the frames written; 0 while the video is surveyed, as a sign of life.

    Returns:
        `frames` decoded, and `phases`: seconds by phase.

    Raises:
        VideoError: if the video cannot be decoded, or shows no face.
        StoreError: if the store cannot be written.
    """
    cv2.setNumThreads(1)
    clock, video = Clock(), job.video
    source_print = fingerprint(video.path)
    footage = survey_footage(job, clock, tick)
    placed = place(job, footage, clock)
    record = _record(job, footage, placed, source_print)
    try:
        if job.spec.frames == "video":
            plan = frame_plan(footage.n_frames, footage.fps, record["fps"], footage.times)
            write_link(Path(job.root), record, placed.transforms, len(plan))
            tick(footage.n_frames)
        else:
            with ArrayWriter(Path(job.root), video.key, job.spec.crop_size) as writer:
                _write(footage, record["fps"], placed, writer, clock, tick)
                writer.commit(record)
    except OSError as error:
        full = "the disk is full" if error.errno == errno.ENOSPC else str(error.strerror)
        msg = f"{job.root}: {full}, so {video.key} could not be stored. Free some room and run the command again."
        raise StoreError(msg) from None
    seconds = dict(clock.seconds)
    # Tracking happens while surveying.
    seconds["survey"] = seconds.get("survey", 0.0) - seconds.get("track", 0.0)
    return {"frames": footage.n_frames, "phases": seconds}


def _write(footage: Footage, fps: float, placed: Placed, writer: ArrayWriter, clock: Clock, tick: Tick) -> None:
    """Decodes, crops and writes every frame that the store shows, as often as it shows it."""
    plan = frame_plan(footage.n_frames, footage.fps, fps, footage.times)
    shown = np.bincount(plan, minlength=footage.n_frames)
    batches = footage.source.iterate(BATCH)
    number = 0
    while (batch := clock.time("decode", lambda: next(batches, None))) is not None:
        started = time.perf_counter()
        crops = crop_batch(batch, number, shown, placed.transforms, writer.size)
        clock.add("crop", started)
        started = time.perf_counter()
        writer.write(crops)
        clock.add("write", started)
        number += len(batch)
        tick(len(batch))


def crop_batch(
    batch: Frames, first: int, shown: npt.NDArray[np.int64], placed: npt.NDArray[np.float64], size: int
) -> Frames:
    """The crops of some consecutive frames of a video.

    Args:
        batch: `(T, H, W, 3)` uint8 RGB.
        first: number of its first frame.
        shown: `(n_frames,)` int, how often each frame of the video is shown.
        placed: `(1, 2, 3)` float64 for the whole video or `(n_frames, 2, 3)`, source to crop pixels.
        size: side of the crop in pixels.

    Returns:
        `(N, size, size, 3)` uint8; `N` is how often the frames are shown together.
    """
    times = shown[first : first + len(batch)]
    out = np.empty((times.sum(), size, size, 3), np.uint8)
    position = 0
    for number, (image, count) in enumerate(zip(batch, times, strict=True), start=first):
        if count:
            out[position : position + count] = crop(image, placed[min(number, len(placed) - 1)], size)
            position += count
    return out


def _record(job: CropJob, footage: Footage, placed: Placed, source: dict[str, Any]) -> dict[str, Any]:
    """The record of the video for the store."""
    return {
        "key": job.video.key,
        "source": source,
        "spec": spec_record(job.spec),
        "fps": stored_fps(footage.fps, job.spec.fps, variable=footage.times is not None),
        "source_fps": footage.fps,
        "source_n_frames": footage.n_frames,
        "missing": footage.source.missing.tolist() if isinstance(footage.source, FolderSource) else [],
        "source_times": None if footage.times is None else footage.times.tolist(),
        "transform": np.median(placed.transforms, axis=0).tolist(),
        **placed.notes,
        **({"reader": job.reader, "why": job.why} if job.reader else {}),
        "versions": {package: version(package) for package in PACKAGES},
    }
