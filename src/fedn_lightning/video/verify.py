"""Finds out, once per file, whether decord may jump in it, in a child process because some files hang decoders.

decord silently counts and jumps wrongly in some codecs, but reads every file correctly from the first frame on.
So the frames of one such pass are compared with windows read by jumping, and their count with PyAV's.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fedn_lightning.errors import FednError
from fedn_lightning.events import Video
from fedn_lightning.utils.workers import Cluster, Tick, run
from fedn_lightning.video.pyav import PyAVSource, scan
from fedn_lightning.video.readers import DecordSource, FolderSource
from fedn_lightning.video.store import fingerprint

WINDOWS = 12
"""Windows at random places that are read by jumping and compared; as many again begin at key frames."""

WINDOW_FRAMES = 5
COMPARED_SIZE = (96, 128)
"""Height and width at which frames are compared; decoding so small keeps what decord reads ahead small."""


@dataclass(frozen=True, slots=True)
class Verification:
    """The result of verifying a file."""

    path: str  # the video
    reader: str  # how clip windows may be read from it: `decord`, `pyav`, `folder`, or `none` if it cannot be decoded
    why: str  # what decided that, as a sentence
    n_frames: int = 0  # frames that can be decoded
    declared: int | None = None  # frames that its header promises, None if it is silent
    fps: float = 0.0  # frames per second
    variable: bool = False  # whether the frame rate is variable
    missing: int = 0  # missing frame numbers of a folder


def verify(
    videos: Sequence[Video],
    cache: str | Path | None = None,
    jobs: int | None = None,
    stall_seconds: float = 120.0,
    tick: Callable[[int, int], None] = lambda index, frames: None,
    cluster: Cluster | None = None,
) -> dict[str, Verification]:
    """Verifies videos, each once.

    Args:
        videos: what to verify.
        cache: a JSON file of earlier results; files that have not changed since are not verified again.
        jobs: child processes; as many as there are cores by default.
        stall_seconds: a file that gets no further for so long counts as one that cannot be decoded.
        tick: called with a video's index and the number of frames done.
        cluster: verifies by tasks of Ray.

    Returns:
        The result for each video's key. Nothing raises: a file that cannot be decoded has the reader `none`.
    """
    known = _load(cache)
    prints = [_print(video.path) for video in videos]
    todo = [index for index, mark in enumerate(prints) if mark is None or mark not in known]
    found = {mark: known[mark] for mark in prints if mark in known}
    results: dict[str, Verification] = {}
    asked = [videos[index] for index in todo]
    for position, result in run(verify_video, asked, jobs, stall_seconds, _shifted(todo, tick), cluster):
        video, mark = videos[todo[position]], prints[todo[position]]
        if isinstance(result, Exception):
            result = Verification(video.path, "none", str(result))
        results[video.key] = result
        # A timeout or a crash may be the machine's fault: it is not remembered.
        if mark is not None and result.reader != "none":
            found[mark] = result
    for video, mark in zip(videos, prints, strict=True):
        if video.key not in results and mark is not None:
            results[video.key] = found[mark]
    _save(cache, {**known, **found})
    return {video.key: results[video.key] for video in videos}


def verify_video(video: Video, tick: Tick) -> Verification:
    """Verifies one video in this process, which a bad file can hang.

    Raises:
        VideoError: if it cannot be decoded from beginning to end.
    """
    if Path(video.path).is_dir():
        return _verify_folder(video, tick)
    seen = scan(video.path, watch=lambda number, grey: None if number % 100 else tick(0))
    try:
        fault = _decord_fault(video.path, seen.n_frames, tick)
    except FednError as error:
        fault = str(error)
    right = "decord's count and the windows it reads by jumping agree with reading from the start"
    why = f"decord cannot be trusted with {video.path}: {fault}" if fault else right
    reader = "pyav" if fault else "decord"
    return Verification(video.path, reader, why, seen.n_frames, video.n_frames, seen.fps, seen.variable)


def _verify_folder(video: Video, tick: Tick) -> Verification:
    """Decodes every image of a folder."""
    source = FolderSource(video.path, video.fps)
    for batch in source.iterate():
        tick(len(batch))
    missing = len(source.missing)
    lacking = [f"{missing} frame numbers have no image that can be read", *source.unreadable.values()]
    why = "; ".join(lacking) if missing else "every frame has its image"
    return Verification(video.path, "folder", why, source.n_frames, source.n_frames, video.fps, missing=missing)


def _decord_fault(path: str, n_frames: int, tick: Tick) -> str:
    """What decord does wrong in a file; empty if nothing."""
    source = DecordSource(path, size=COMPARED_SIZE)
    if source.n_frames != n_frames:
        return f"it counts {source.n_frames} frames where {n_frames} can be decoded"
    truth = _digests_in_one_pass(source, n_frames, tick)
    for start in _starts(source.key_frames(), n_frames):
        stop = min(start + WINDOW_FRAMES, n_frames)
        got = [zlib.crc32(image.tobytes()) for image in source.frames(start, stop)]
        if got != truth[start:stop]:
            return f"it returns other frames when it jumps to frame {start}"
    if not np.array_equal(DecordSource(path).frames(0, 1), PyAVSource(path).frames(0, 1)):
        return "it shows other colours than PyAV"
    return ""


def _starts(keys: Sequence[int], n_frames: int) -> list[int]:
    """Where the windows to compare begin: at random, and at key frames, where open groups go wrong."""
    rng = np.random.default_rng(0)
    spread = [keys[i] for i in sorted({int(n) for n in np.linspace(0, len(keys) - 1, WINDOWS)})] if keys else []
    starts = [int(s) for s in rng.integers(0, n_frames, WINDOWS)] + spread
    return [max(0, min(start, n_frames - WINDOW_FRAMES)) for start in starts]


def _digests_in_one_pass(source: DecordSource, n_frames: int, tick: Tick) -> list[int]:
    """A checksum of every frame, read from the first to the last without a jump."""
    digests: list[int] = []
    for images in source.contiguous():
        digests += [zlib.crc32(image.tobytes()) for image in images]
        tick(len(images))
    return digests[:n_frames]


def _shifted(todo: list[int], tick: Callable[[int, int], None]) -> Callable[[int, int], None]:
    """Translates positions among what is to be done into indices of videos."""
    return lambda position, frames: tick(todo[position], frames)


def _print(path: str) -> str | None:
    """What a result is remembered under; None if the file cannot be read."""
    try:
        mark = fingerprint(path)
    except OSError:
        return None
    return f"{mark['bytes']}-{mark['sha256_ends']}"


def _load(cache: str | Path | None) -> dict[str, Verification]:
    """Earlier results; none if there are none, or they are of another version."""
    if cache is None or not Path(cache).is_file():
        return {}
    try:
        stored: Mapping[str, Any] = json.loads(Path(cache).read_text(encoding="utf-8"))
        return {mark: Verification(**result) for mark, result in stored.items()}
    except (ValueError, TypeError, AttributeError):
        return {}


def _save(cache: str | Path | None, results: Mapping[str, Verification]) -> None:
    """Writes the results in one step."""
    if cache is None:
        return
    path = Path(cache)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".{os.getpid()}.part")
    part.write_text(json.dumps({m: asdict(r) for m, r in results.items()}, indent=1), encoding="utf-8")
    part.replace(path)
