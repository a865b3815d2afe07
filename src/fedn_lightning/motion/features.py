"""What FEDN's motion stream takes of the optical flow: how far parts of the face are from where they rest (O).

Each part of the face and the head itself has a displacement in every frame (:func:`tracks`). Two filters, one for slow
and one for fast expressions, take off where the part rests (:func:`motion_features`); the rest is counted in multiples
of the part's usual size at that time, so that neither the renderer nor the camera nor the face matters. No filter looks
farther than half a minute, so the features of a long video can be computed as it is read (:class:`MotionStream`).
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import numpy.typing as npt

from fedn_lightning.events import FloatArray
from fedn_lightning.motion.filters import SAMPLES, baseline, low_pass
from fedn_lightning.motion.flow import (
    EYES_APART,
    REGIONS,
    FlowStream,
    MotionConfig,
    Region,
    region_centres,
    region_means,
)
from fedn_lightning.motion.head import head_motion

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
"""The baseline's regions, and where blinks and speech show, so that the network can tell them from expressions."""

HEAD_POINTS: Final = np.array([4 + 4j, 11 + 4j, 4 + 11j, 11 + 11j])
"""Points, as `x + iy` in cells, whose motion with the head tells its shift, turn and change of size."""

FILTERS: Final = ((0.05, 8.0), (0.05, 2.0))
"""Seconds of the low-pass filter and of the running median that is the resting place, for macro and micro."""

USUAL: Final = (60.0, 120)
"""Seconds of the window over which the usual size of a part's motion is the median, and samples of that window."""

LEAST_NOISE: Final = 2e-4
"""Least usual size in eye distances, a hundredth of a pixel of a 128 px crop: flow is not finer."""

HEAD_UNIT: Final = 1e-2
"""Eye distances that count as 1 in the motion of the head itself."""

N_TRACKS: Final = len(AREAS) + len(HEAD_POINTS)
N_FEATURES: Final = len(FILTERS) * N_TRACKS * 2
"""Numbers a frame."""


def _partner(name: str) -> str:
    side = {"left": "right", "right": "left"}
    part, _, end = name.rpartition(", ")
    return f"{part}, {side[end]}" if end in side else name


_NAMES = [region.name for region in AREAS]
MIRROR: Final = np.array([*(_NAMES.index(_partner(name)) for name in _NAMES), *(len(_NAMES) + i for i in (1, 0, 3, 2))])
"""The track that each one becomes in the mirrored picture."""


def tracks(cells: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
    """Displacement of every part of the face without the head's, then of the head itself.

    Args:
        cells: `(T, CELLS, CELLS, 2)` displacements in cells.

    Returns:
        `(T, N_TRACKS, 2)` float32 in eye distances; slow drift is without meaning.
    """
    # As the cache keeps them, so that a stream says the same.
    kept = cells.astype(np.float16)
    head = head_motion(kept, np.concatenate([region_centres(AREAS), HEAD_POINTS]))
    own = region_means(kept, AREAS) - head[:, : len(AREAS)]
    return np.asarray(np.concatenate([own, head[:, len(AREAS) :]], axis=1) / EYES_APART, np.float32)


def motion_features(moved: npt.NDArray[np.float32], fps: float) -> npt.NDArray[np.float16]:
    """How far every track is from where it rests, for each of :data:`FILTERS`.

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


def _excursion(moved: FloatArray, smooth_seconds: float, rest_seconds: float, fps: float) -> FloatArray:
    smooth = low_pass(moved, smooth_seconds, fps)
    return smooth - baseline(smooth, rest_seconds, fps)


def displacements(cells: npt.NDArray[np.floating], fps: float) -> FloatArray:
    """How far each of :data:`AREAS` is from where it rests, by the filter of fast expressions.

    Args:
        cells: `(T, CELLS, CELLS, 2)` displacements in cells.
        fps: frames per second.

    Returns:
        `(T, A, 2)` float64 in eye distances.
    """
    return _excursion(tracks(cells)[:, : len(AREAS)].astype(np.float64), *FILTERS[-1], fps)


def _relative(excursion: FloatArray, fps: float) -> FloatArray:
    """Excursions `(T, N_TRACKS, 2)` in multiples of what is usual."""
    size = np.linalg.norm(excursion[:, : len(AREAS)], axis=-1)
    seconds, samples = USUAL
    usual = np.maximum(baseline(size, seconds, fps, samples, "reflect"), LEAST_NOISE)
    head = np.full((len(size), len(HEAD_POINTS)), HEAD_UNIT)
    return np.asarray(excursion / np.concatenate([usual, head], axis=1)[..., None], np.float64)


def mirrored(features: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The features `(T, N_FEATURES)` of the mirrored video."""
    grid = features.reshape(len(features), len(FILTERS), N_TRACKS, 2)[:, :, MIRROR]
    return np.ascontiguousarray((grid * np.array([-1, 1], features.dtype)).reshape(features.shape))


def reach(fps: float) -> tuple[int, int]:
    """How far the filters look, and where a part of a video may begin.

    Returns:
        Frames before and after a frame on which its features depend; and the number of which the first frame of a part
        must be a multiple, so that the running median falls on the same samples.
    """
    rests = [_median_reach(rest, SAMPLES, fps) for _, rest in FILTERS]
    usual, usual_step = _median_reach(*USUAL, fps)
    # Four deviations of the Gaussian, then a part's resting place, then its usual size.
    smooth = max(int(4 * seconds * fps + 0.5) for seconds, _ in FILTERS)
    return smooth + max(far for far, _ in rests) + usual, math.lcm(usual_step, *(step for _, step in rests))


def _median_reach(seconds: float, samples: int, fps: float) -> tuple[int, int]:
    """How far a running median of so many samples looks, in frames, and the frames between two samples."""
    width = max(round(seconds * fps), 1)
    step = max(width // samples, 1)
    return (width // step | 1) // 2 * step + step, step


EVERY = 256
"""Least number of frames whose features are computed together, as filtering goes over a whole minute each time."""


class MotionStream:
    """Motion features of a video from its crops as they come, equal to those of the whole video.

    Keeps the pictures that flow needs, and :data:`N_TRACKS` displacements for each frame of about a minute and a half.

    Args:
        n_frames: how many crops will come.
        fps: frames per second.
        config: how motion is measured.
    """

    def __init__(self, n_frames: int, fps: float, config: MotionConfig) -> None:
        self.n_frames, self.fps = n_frames, fps
        self._flow = FlowStream(n_frames, fps, config)
        self._reach, self._grid = reach(fps)
        self._moved = np.empty((0, N_TRACKS, 2), np.float32)
        self._first = 0
        self._done = 0

    def add(self, crops: npt.NDArray[np.uint8]) -> npt.NDArray[np.float16]:
        """Takes the next crops `(T, S, S, 3)`; returns features `(K, N_FEATURES)` of the next frames, K may be 0."""
        cells = self._flow.add(crops)
        if len(cells):
            self._moved = np.concatenate([self._moved, tracks(cells)])
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
