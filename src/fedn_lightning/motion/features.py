"""Motion features of a face (O): how far its parts are from their resting position, in every frame.

Each part of the face, and the head itself, has a displacement in every frame (:func:`tracks`). Two filters, one for
slow and one for fast expressions, subtract the resting position (:func:`motion_features`). What remains is divided by
the part's usual size at that time, so that it depends neither on renderer, camera nor face. No filter looks farther
than half a minute, so the features of a long video can be computed as it is read (:class:`MotionStream`).
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal

import cv2
import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter1d, median_filter

from fedn_lightning.errors import StoreError
from fedn_lightning.events import FloatArray
from fedn_lightning.motion.flow import FlowStream, MotionConfig, measure
from fedn_lightning.motion.regions import CELLS, EYES_APART, REGIONS, Region, head_motion, region_centres, region_means
from fedn_lightning.utils.console import ProgressBar
from fedn_lightning.utils.files import locked, write_atomically
from fedn_lightning.utils.workers import Cluster, Tick, run
from fedn_lightning.video.store import StoredVideo, content

SAMPLES = 30
"""Samples in the window of a running median; a slow baseline needs no more at any frame rate."""


def low_pass(signal: FloatArray, seconds: float, fps: float) -> FloatArray:
    """Removes changes faster than an expression with a Gaussian.

    Args:
        signal: `(T, ...)`.
        seconds: standard deviation of the Gaussian; 0 changes nothing.
        fps: frames per second.
    """
    if seconds <= 0:
        return signal
    return np.asarray(gaussian_filter1d(signal, seconds * fps, axis=0, mode="nearest"), np.float64)


def baseline(
    signal: FloatArray,
    seconds: float,
    fps: float,
    samples: int = SAMPLES,
    edges: Literal["nearest", "reflect"] = "nearest",
) -> FloatArray:
    """The resting position of each channel: its running median, which short expressions do not move.

    Args:
        signal: `(T, ...)`.
        seconds: width of the window.
        fps: frames per second.
        samples: of the window.
        edges: padding of both ends, by the last value or by the mirrored signal.

    Returns:
        Like `signal`; computed on every few frames and interpolated.

    >>> pulse = np.zeros((90, 1)); pulse[40:50] = 1
    >>> float(baseline(pulse, 2.0, 30.0).max())
    0.0
    """
    width = max(round(seconds * fps), 1)
    step = max(width // samples, 1)
    flat = signal.reshape(len(signal), -1)
    at = np.arange(0, len(signal), step)
    size = width // step | 1
    # Extended here: mode "reflect" of scipy 1.17 reads foreign memory where the window is much longer than the signal.
    extended = np.pad(flat[at], ((size // 2, size // 2), (0, 0)), mode="symmetric" if edges == "reflect" else "edge")
    slow = median_filter(extended, size=(size, 1), mode="nearest")[size // 2 :][: len(at)]
    frames = np.arange(len(signal))
    return np.stack([np.interp(frames, at, channel) for channel in slow.T], axis=1).reshape(signal.shape)


AREAS: Final = (
    *REGIONS,
    Region("eye, left", 3 / 16, 4 / 16, 6 / 16, 7 / 16),
    Region("eye, right", 10 / 16, 4 / 16, 13 / 16, 7 / 16),
    Region("cheek, left", 3 / 16, 8 / 16, 5 / 16, 11 / 16),
    Region("cheek, right", 11 / 16, 8 / 16, 13 / 16, 11 / 16),
    Region("between the brows", 7 / 16, 2 / 16, 9 / 16, 4 / 16),
    Region("upper lip", 7 / 16, 10 / 16, 9 / 16, 12 / 16),
    Region("lower lip", 7 / 16, 12 / 16, 9 / 16, 14 / 16),
    Region("chin", 6 / 16, 14 / 16, 10 / 16, 16 / 16),
)
"""The baseline's regions, and those of blinks and speech, so that the network can tell them from expressions."""

HEAD_POINTS: Final = np.array([4 + 4j, 11 + 4j, 4 + 11j, 11 + 11j])
"""Points, as `x + iy` in cells, whose motion gives the head's shift, turn and change of size."""

FILTERS: Final = ((0.05, 8.0), (0.05, 2.0))
"""Seconds of the low-pass filter and of the running median (the resting position), for macro and micro."""

USUAL: Final = (60.0, 120)
"""Window in seconds of the median that is the usual size of a part's motion, and samples in that window."""

MIN_NOISE: Final = 2e-4
"""Minimum usual size in eye distances, 0.01 pixel of a 128 px crop: flow is not finer."""

HEAD_UNIT: Final = 1e-2
"""Eye distances that count as 1 in the motion of the head itself."""

N_TRACKS: Final = len(AREAS) + len(HEAD_POINTS)
N_FEATURES: Final = len(FILTERS) * N_TRACKS * 2
"""Motion features per frame."""


def _partner(name: str) -> str:
    side = {"left": "right", "right": "left"}
    part, _, end = name.rpartition(", ")
    return f"{part}, {side[end]}" if end in side else name


_NAMES = [region.name for region in AREAS]
MIRROR: Final = np.array([*(_NAMES.index(_partner(name)) for name in _NAMES), *(len(_NAMES) + i for i in (1, 0, 3, 2))])
"""The track that each one becomes in the mirrored picture."""


def tracks(cells: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
    """Displacements of every part of the face relative to the head, then of the head itself.

    Args:
        cells: `(T, CELLS, CELLS, 2)` displacements in cells.

    Returns:
        `(T, N_TRACKS, 2)` float32 in eye distances; slow drift has no meaning.
    """
    # As in the cache, so that a stream gives equal values.
    kept = cells.astype(np.float16)
    head = head_motion(kept, np.concatenate([region_centres(AREAS), HEAD_POINTS]))
    own = region_means(kept, AREAS) - head[:, : len(AREAS)]
    return np.asarray(np.concatenate([own, head[:, len(AREAS) :]], axis=1) / EYES_APART, np.float32)


def motion_features(moved: npt.NDArray[np.float32], fps: float) -> npt.NDArray[np.float16]:
    """Distance of every track from its resting position, for each of :data:`FILTERS`.

    Args:
        moved: `(T, N_TRACKS, 2)` of :func:`tracks`.
        fps: frames per second.

    Returns:
        `(T, N_FEATURES)` float16 by filter, track and axis: parts of the face in multiples of their usual size, the
        head in units of :data:`HEAD_UNIT`.
    """
    parts = [_relative(_excursion(moved.astype(np.float64), smooth, rest, fps), fps) for smooth, rest in FILTERS]
    limit = np.finfo(np.float16).max
    return np.stack(parts, axis=1).reshape(len(moved), -1).clip(-limit, limit).astype(np.float16)


def excursions(moved: npt.NDArray[np.floating], fps: float, smooth_seconds: float, rest_seconds: float) -> FloatArray:
    """Distances of tracks `(T, N_TRACKS, 2)` from rest by one of :data:`FILTERS`, in eye distances."""
    return _excursion(moved.astype(np.float64), smooth_seconds, rest_seconds, fps)


def _excursion(moved: FloatArray, smooth_seconds: float, rest_seconds: float, fps: float) -> FloatArray:
    smooth = low_pass(moved, smooth_seconds, fps)
    return smooth - baseline(smooth, rest_seconds, fps)


def displacements(cells: npt.NDArray[np.floating], fps: float) -> FloatArray:
    """Distance of each of :data:`AREAS` from its resting position, by the filter of fast expressions.

    Args:
        cells: `(T, CELLS, CELLS, 2)` displacements in cells.
        fps: frames per second.

    Returns:
        `(T, A, 2)` float64 in eye distances.
    """
    return _excursion(tracks(cells)[:, : len(AREAS)].astype(np.float64), *FILTERS[-1], fps)


def _relative(excursion: FloatArray, fps: float) -> FloatArray:
    """Excursions `(T, N_TRACKS, 2)` in multiples of the usual size."""
    size = np.linalg.norm(excursion[:, : len(AREAS)], axis=-1)
    seconds, samples = USUAL
    usual = np.maximum(baseline(size, seconds, fps, samples, "reflect"), MIN_NOISE)
    head = np.full((len(size), len(HEAD_POINTS)), HEAD_UNIT)
    return np.asarray(excursion / np.concatenate([usual, head], axis=1)[..., None], np.float64)


def mirrored(features: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The features `(T, N_FEATURES)` of the mirrored video."""
    grid = features.reshape(len(features), len(FILTERS), N_TRACKS, 2)[:, :, MIRROR]
    return np.ascontiguousarray((grid * np.array([-1, 1], features.dtype)).reshape(features.shape))


def without(features: npt.NDArray[np.float32], left_out: Sequence[int]) -> npt.NDArray[np.float32]:
    """The features `(T, N_FEATURES)` as if the tracks of these indices rested; changed in place."""
    if left_out:
        features.reshape(len(features), len(FILTERS), N_TRACKS, 2)[:, :, list(left_out)] = 0
    return features


def reach(fps: float) -> tuple[int, int]:
    """How far the filters look, and at which frames a part of a video may begin.

    Returns:
        Frames before and after a frame on which its features depend; and the number of which a part's first frame must
        be a multiple, so that the running median uses the same samples.
    """
    rests = [_median_reach(rest, SAMPLES, fps) for _, rest in FILTERS]
    usual, usual_step = _median_reach(*USUAL, fps)
    # Four deviations of the Gaussian, plus the two running medians.
    smooth = max(int(4 * seconds * fps + 0.5) for seconds, _ in FILTERS)
    return smooth + max(far for far, _ in rests) + usual, math.lcm(usual_step, *(step for _, step in rests))


def _median_reach(seconds: float, samples: int, fps: float) -> tuple[int, int]:
    """How far a running median looks, in frames, and the frames between two of its samples."""
    width = max(round(seconds * fps), 1)
    step = max(width // samples, 1)
    return (width // step | 1) // 2 * step + step, step


EVERY = 256
"""Minimum number of frames computed together, because each call filters more than a minute."""


class MotionStream:
    """Motion features of a video computed as its crops arrive; equal to those of the whole video.

    Keeps the pictures that flow needs, and the displacements of about a minute and a half.

    Args:
        n_frames: how many crops will come.
        fps: frames per second.
        config: how motion is measured.
        watch: is given the displacements of :func:`tracks` as they are measured.
    """

    def __init__(
        self,
        n_frames: int,
        fps: float,
        config: MotionConfig,
        watch: Callable[[npt.NDArray[np.float32]], None] = lambda moved: None,
    ) -> None:
        self.n_frames, self.fps, self._watch = n_frames, fps, watch
        self._flow = FlowStream(n_frames, fps, config)
        self._reach, self._grid = reach(fps)
        self._moved = np.empty((0, N_TRACKS, 2), np.float32)
        self._first = 0
        self._done = 0

    def add(self, crops: npt.NDArray[np.uint8]) -> npt.NDArray[np.float16]:
        """Takes the next crops `(T, S, S, 3)`; returns features `(K, N_FEATURES)` of the next frames, K may be 0."""
        cells = self._flow.add(crops)
        if len(cells):
            moved = tracks(cells)
            self._watch(moved)
            self._moved = np.concatenate([self._moved, moved])
        known = self._first + len(self._moved)
        ready = known if known == self.n_frames else known - self._reach
        if not len(cells) or (ready < self._done + EVERY and ready < self.n_frames):
            return np.empty((0, N_FEATURES), np.float16)
        here = slice(self._done - self._first, ready - self._first)
        features = motion_features(self._moved, self.fps)[here]
        self._done = ready
        forget = max(ready - self._reach, 0) // self._grid * self._grid - self._first
        if forget > 0:
            self._moved, self._first = self._moved[forget:], self._first + forget
        return features


VERSION = 1
"""Version of the measurement, part of the file names."""


def features_beside(path: Path) -> Path:
    """The file of the motion features beside that of a video's motion; its name tells the filters they come from."""
    recipe = repr([FILTERS, USUAL, SAMPLES, AREAS, HEAD_POINTS.tolist(), MIN_NOISE, HEAD_UNIT])
    return path.with_suffix(f".{hashlib.sha256(recipe.encode()).hexdigest()[:8]}.npy")


class MotionCache:
    """Displacements (:func:`.flow.measure`) of stored videos, and their features, kept on disk as float16.

    A file's name holds a hash of everything its content depends on: the crops, the configuration, the grid, the version
    of OpenCV. Files appear whole or not at all.
    """

    def __init__(self, root: str | Path, config: MotionConfig) -> None:
        self.root, self.config = Path(root), config

    def path(self, video: StoredVideo) -> Path:
        """The file of a video."""
        # Without what is null, so that files from before `rate` keep their names.
        config = {name: value for name, value in dataclasses.asdict(self.config).items() if value is not None}
        key = [content(video), video.fps, config, CELLS, VERSION, cv2.__version__]
        return self.root / f"{hashlib.sha256(json.dumps(key).encode()).hexdigest()[:24]}.npy"

    def load(self, video: StoredVideo) -> npt.NDArray[np.float16]:
        """The motion `(T, CELLS, CELLS, 2)` of a video in cells; :meth:`build` must have measured it."""
        motion: npt.NDArray[np.float16] = np.load(self.path(video))
        return motion

    def features(self, video: StoredVideo) -> npt.NDArray[np.float16]:
        """The motion features `(T, N_FEATURES)` of a video, computed where an older version has measured it."""
        made = features_beside(self.path(video))
        if not made.is_file():
            return motion_features(tracks(self.load(video)), video.fps)
        features: npt.NDArray[np.float16] = np.load(made)
        return features

    def build(self, videos: Sequence[StoredVideo], jobs: int | None, cluster: Cluster | None = None) -> None:
        """Measures what is missing, with a progress bar in frames; of two runs the second waits for the first.

        Args:
            videos: of the clip store.
            jobs: processes, one per core if None; 0 measures in this one.
            cluster: measures by tasks of Ray.

        Raises:
            StoreError: naming the first video that could not be measured.
        """

        def missing() -> list[tuple[StoredVideo, Path, MotionConfig]]:
            return [(video, self.path(video), self.config) for video in videos if not self.path(video).is_file()]

        if missing():
            self.root.mkdir(parents=True, exist_ok=True)
            with locked(self.root / "motion.lock"):
                self._build(missing(), jobs, cluster)

    def _build(
        self, missing: Sequence[tuple[StoredVideo, Path, MotionConfig]], jobs: int | None, cluster: Cluster | None
    ) -> None:
        with ProgressBar("optical flow", sum(video.n_frames for video, _, _ in missing)) as bar:

            def tick(index: int, frames: int) -> None:
                bar.advance(frames)

            for index, error in run(measure_video, missing, jobs, tick=tick, cluster=cluster):
                if isinstance(error, Exception):
                    msg = f"The motion of {missing[index][0].key} could not be measured: {error}."
                    raise StoreError(msg) from error


def measure_video(job: tuple[StoredVideo, Path, MotionConfig], tick: Tick) -> Any:
    """Measures one video and writes its files, in a worker process.

    Args:
        job: the video, the file, and the configuration.
        tick: called with the frames done since the last call.
    """
    video, path, config = job
    motion = measure(video.frames, video.fps, config, tick)  # type: ignore[arg-type] # decoded crops are sliced alike
    features = motion_features(tracks(motion), video.fps)
    write_atomically(features_beside(path), partial(np.save, arr=features))
    write_atomically(path, partial(np.save, arr=motion.astype(np.float16)))  # last: it says that both are there
    video.close()
