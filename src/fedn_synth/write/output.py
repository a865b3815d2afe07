"""How every writer of this package writes: resumable folders, parallel work, video files and folders of images.

Video files are Motion JPEG in AVI: like the data set's own they are `.avi`, and each frame is a key frame, so that any
reader's random access is exact (decord's is wrong for H.264 in AVI and with B-frames). How codecs fared, measured on
generated faces at 640x480, one core; the signal is a smile of intensity 0.2 (about one pixel) seen in a 128 px crop, of
2.15 grey levels; *kept* is the regression of the decoded signal on the true one, *error* the rest in grey levels:

| codec | encoded frames/s | KB a frame | PSNR | kept | error | decord exact |
| --- | --- | --- | --- | --- | --- | --- |
| libjpeg 60, muxed | 1 510 | 14 | 39.1 | 0.97 | 1.16 | yes |
| libjpeg 75, muxed | 1 490 | 19 | 40.0 | 0.96 | 0.96 | yes |
| **libjpeg 85, muxed** | 1 230 | 28 | 40.9 | 0.97 | 0.76 | yes |
| libjpeg 90, muxed | 1 250 | 39 | 41.5 | 0.98 | 0.68 | yes |
| libjpeg 95, muxed | 1 080 | 62 | 42.5 | 0.99 | 0.58 | yes |
| ffmpeg mjpeg, q 2 | 520 | 25 | 40.7 | 0.96 | 0.70 | yes |
| MPEG-4 part 2, q 2, no B-frames | 750 | 4.6 | 40.6 | 0.92 | 0.77 | yes |
| MPEG-4 part 2, q 5, no B-frames | 830 | 1.3 | 38.1 | 0.81 | 1.15 | yes |

Frames that predict one another (MPEG-4) take a sixth of the space, but shrink faint movements, which is what the corpus
is about, and take longer. So the frames are compressed one by one by libjpeg, at the quality set in bold.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from fedn_lightning.errors import ConfigError, FednError
from fedn_lightning.utils import available_cores
from fedn_lightning.utils.console import ProgressBar
from fedn_lightning.utils.files import write_json
from fedn_lightning.utils.workers import WorkerError, run
from fedn_synth import Form
from fedn_synth.plan.presets import FPS, FRAME_HEIGHT, FRAME_WIDTH

Image = npt.NDArray[np.uint8]

QUALITY: Final = 85
"""JPEG quality of the frames of an ordinary corpus."""
HARD_QUALITY: Final = 50
"""JPEG quality of a hard corpus."""
STILL_QUALITY: Final = 98
"""JPEG quality of still images, whose colour is kept at full resolution."""

SUFFIX: Final[dict[Form, str]] = {"video": ".avi", "frames": ""}
FOLDER: Final[dict[Form, str]] = {"video": "rawvideo", "frames": "rawpic"}
"""Folder of the release that holds each form."""


def encode_jpeg(image: Image, quality: int, full_colour: bool = False) -> bytes:
    """Encodes an image.

    Args:
        image: `(H, W, 3)` uint8 RGB.
        quality: 1 to 100.
        full_colour: whether colour keeps the full resolution (4:4:4) rather than half of it (4:2:0).

    Returns:
        The content of a JPEG file.
    """
    sampling = cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444 if full_colour else cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420
    options = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling]
    _, content = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options)
    return content.tobytes()


def write_video(path: Path, frames: Iterable[Image], quality: int) -> None:
    """Writes frames as Motion JPEG in AVI, 30 per second; every frame is a key frame.

    Args:
        path: the file; it appears when it is complete.
        frames: `(480, 640, 3)` uint8 RGB each.
        quality: JPEG quality.
    """
    import av

    # bitexact leaves the muxer's version out of the file.
    options = {"fflags": "+bitexact"}
    with _growing(path) as partial, av.open(str(partial), "w", format="avi", options=options) as container:
        stream = container.add_stream("mjpeg", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = FRAME_WIDTH, FRAME_HEIGHT, "yuvj420p"
        for number, frame in enumerate(frames):
            packet = av.Packet(encode_jpeg(frame, quality))
            packet.stream, packet.time_base, packet.is_keyframe = stream, Fraction(1, FPS), True
            packet.pts, packet.dts, packet.duration = number, number, 1
            container.mux(packet)


def write_frames(path: Path, frames: Iterable[Image], quality: int) -> None:
    """Writes frames as `img001.jpg`, `img002.jpg`, ..., `img1000.jpg`, counting from 1 as the release does.

    Args:
        path: the folder; it appears when it is complete.
        frames: `(H, W, 3)` uint8 RGB each.
        quality: JPEG quality.
    """
    with _growing(path) as partial:
        partial.mkdir()
        for number, frame in enumerate(frames, start=1):
            (partial / f"img{number:03d}.jpg").write_bytes(encode_jpeg(frame, quality))


WRITERS: Final[dict[Form, Callable[[Path, Iterable[Image], int], None]]] = {
    "video": write_video,
    "frames": write_frames,
}
"""The function that writes each form."""


@contextmanager
def _growing(path: Path) -> Iterator[Path]:
    """Gives the name under which a file or folder grows; it gets its own name at the end, or is removed on an error."""
    partial = path.with_name(f".{path.name}.partial")
    _remove(partial)  # what a killed run left
    try:
        yield partial
    except BaseException:
        _remove(partial)
        raise
    partial.replace(path)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def begin_or_resume(out: Path, name: str, job: Mapping[str, Any], defaults: Mapping[str, Any] | None = None) -> None:
    """Marks a new or empty folder as a job's, or recognises it as the same job's.

    Raises:
        ConfigError: if the folder holds anything else. Nothing is written then.
    """
    for path in (out / f"{name}.json", _unfinished(out, name)):
        if path.exists():
            found = {**(defaults or {}), **_read(path)}
            if any(found.get(key) != value for key, value in {**(defaults or {}), **job}.items()):
                have, want = (", ".join(f"{key} {table.get(key)}" for key in job) for table in (found, job))
                raise ConfigError(f"{path} was made with: {have}. Asked for: {want}. Choose another folder for --out.")
            return
    if out.is_file() or (out.is_dir() and any(out.iterdir())):
        msg = f"{out} exists and holds nothing that this command began; choose a new or empty folder for --out."
        raise ConfigError(msg)
    out.mkdir(parents=True, exist_ok=True)
    _unfinished(out, name).write_text(json.dumps(job, indent=2) + "\n")


def finish(out: Path, name: str, content: Mapping[str, Any]) -> None:
    """Writes the job's summary, which marks the folder as complete, and deletes the mark of the unfinished job."""
    write_json(out / f"{name}.json", content)
    _unfinished(out, name).unlink(missing_ok=True)


def _unfinished(out: Path, name: str) -> Path:
    return out / f"{name}.unfinished.json"


def _read(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text()))
    except (ValueError, TypeError) as error:
        msg = f"{path} cannot be read ({error}); remove its folder, or choose another one for --out."
        raise ConfigError(msg) from error


Task = TypeVar("Task")
Report = Callable[[int], None]
"""Called by a piece of work with the number of units (frames, images) it has done since it called last."""

STALL_SECONDS: Final = 600.0
"""A process that reports nothing for so long is stopped."""


def run_all(
    work: Callable[[Task, Report], None],
    tasks: Sequence[Task],
    *,
    title: str,
    total: int,
    done: int = 0,
    jobs: int | None = None,
) -> None:
    """Runs every task; the first error stops the rest and is raised.

    Args:
        work: does one task; a module's function, since worker processes import it by its name.
        tasks: picklable arguments, the longest first for an even end.
        title: title of the progress bar.
        total: units of all tasks, including those done before.
        done: units that an earlier, interrupted run has done.
        jobs: number of processes; 1 works in this process, None takes a process per available core.

    Raises:
        ConfigError: if `jobs` is below 1.
        FednError: if a process was killed from outside, or made no progress.
    """
    if jobs is not None and jobs < 1:
        raise ConfigError(f"--jobs must be at least 1, got {jobs}.")
    jobs = min(jobs or available_cores(), max(len(tasks), 1))
    with ProgressBar(title, total, done=done, unit="images") as progress:
        single, workers = partial(_on_one_thread, work), jobs if jobs > 1 else 0
        results = run(single, tasks, workers, STALL_SECONDS, lambda _, units: progress.advance(units))
        for _, result in results:
            if isinstance(result, WorkerError):
                msg = f"A worker process failed: {result}. If memory is short, repeat the command with --jobs 1."
                raise FednError(msg)
            if isinstance(result, Exception):
                raise result


def _on_one_thread(work: Callable[[Task, Report], None], task: Task, report: Report) -> None:
    """One thread per process: the processes already use every core."""
    cv2.setNumThreads(1)
    work(task, report)
