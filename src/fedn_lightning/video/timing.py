"""Index arithmetic between a source's frames and a store's, at another frame rate or on uneven timestamps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

SAME_RATE = 0.005
"""Relative difference up to which a source's rate counts as the store's, so that 29.97 fps is left untouched."""

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]


def stored_fps(source_fps: float, fps: float, *, variable: bool = False) -> float:
    """The rate a video is stored at: its own if it is even and near enough to the working rate.

    >>> stored_fps(29.97, 30.0), stored_fps(200.0, 30.0)
    (29.97, 30.0)
    """
    return source_fps if not variable and abs(source_fps / fps - 1) <= SAME_RATE else fps


def frame_plan(n_frames: int, source_fps: float, fps: float, times: FloatArray | None = None) -> IntArray:
    """Which source frame is shown in each stored frame.

    A stored frame shows what the source shows in the middle of the stored frame's time, so that intervals keep their
    position: source frame `f` starts at stored position `f * fps / source_fps`.

    Args:
        n_frames: number of source frames, at least 1.
        source_fps: frames per second of the source.
        fps: frames per second of the store.
        times: `(n_frames,)` seconds at which the source frames start, where they are uneven.

    Returns:
        `(M,)` int64, ascending; `M` is the source's duration in stored frames, rounded, at least 1.

    >>> frame_plan(20, 200, 30).tolist()
    [3, 10, 16]
    """
    if times is None:
        if source_fps == fps:
            return np.arange(n_frames)
        count = max(1, round(n_frames * fps / source_fps))
        middle = ((np.arange(count) + 0.5) * source_fps / fps).astype(np.int64)
    else:
        count = max(1, round((times[-1] + 1 / source_fps) * fps))
        middle = np.searchsorted(times, (np.arange(count) + 0.5) / fps, side="right") - 1
    return np.clip(middle, 0, n_frames - 1)


def unbroken(plan: IntArray, missing: npt.ArrayLike) -> list[tuple[int, int]]:
    """Stretches of stored frames between the gaps of a source.

    Args:
        plan: `(M,)` source frame of each stored frame, see :func:`frame_plan`.
        missing: `(K,)` source frames that do not exist, ascending; a stored frame may show the replacement of one.

    Returns:
        Stretches `[first, stop)`: no missing frame lies in one, nor between two frames of one.

    >>> unbroken(np.array([0, 1, 2, 3, 4, 5, 6]), [3])
    [(0, 3), (4, 7)]
    """
    gaps = np.asarray(missing, np.int64)
    shown = np.flatnonzero(~np.isin(plan, gaps))
    _, first = np.unique(np.searchsorted(gaps, plan[shown]), return_index=True)
    groups = np.split(shown, first[1:]) if len(shown) else []
    return [(int(group[0]), int(group[-1]) + 1) for group in groups]


def source_to_store(frame: npt.ArrayLike, source_fps: float, fps: float, times: FloatArray | None = None) -> FloatArray:
    """Carries frame positions (interval ends, may be fractional) of the source to the store.

    Args:
        frame: source positions; `n_frames` is the end of the video.
        source_fps: frames per second of the source.
        fps: frames per second of the store.
        times: `(n_frames,)` seconds, where the source is uneven.

    >>> source_to_store([0, 100, 200], 200, 30).tolist()
    [0.0, 15.0, 30.0]
    """
    frame = np.asarray(frame, np.float64)
    if times is None:
        return frame * (fps / source_fps)
    edges = np.append(times, times[-1] + 1 / source_fps)
    return np.asarray(np.interp(frame, np.arange(len(edges)), edges) * fps, np.float64)


def store_to_source(frame: npt.ArrayLike, source_fps: float, fps: float, times: FloatArray | None = None) -> FloatArray:
    """Inverts :func:`source_to_store`.

    >>> store_to_source([15.0], 200, 30).tolist()
    [100.0]
    """
    frame = np.asarray(frame, np.float64)
    if times is None:
        return frame * (source_fps / fps)
    edges = np.append(times, times[-1] + 1 / source_fps)
    return np.asarray(np.interp(frame / fps, edges, np.arange(len(edges))), np.float64)


@dataclass(frozen=True)
class Timing:
    """The frames of one video and those of its store."""

    n_frames: int  # frames of the source
    fps: float  # frames per second of the source, the average where the rate is variable
    times: FloatArray | None  # `(n_frames,)` float64 seconds of each source frame where the rate is variable, else None
    stored_fps: float  # frames per second of the store
    n_stored: int  # frames of the store

    def to_store(self, frame: npt.ArrayLike) -> FloatArray:
        """Source positions in frames of the store, see :func:`source_to_store`."""
        return source_to_store(frame, self.fps, self.stored_fps, self.times)

    def to_source(self, frame: npt.ArrayLike) -> FloatArray:
        """Inverts :meth:`to_store`."""
        return store_to_source(frame, self.fps, self.stored_fps, self.times)

    def per_source_frame(self, values: FloatArray) -> FloatArray:
        """Values of stored frames `(n_stored, ...)` for each source frame `(n_frames, ...)`."""
        stored = np.minimum(np.rint(self.to_store(np.arange(self.n_frames))), self.n_stored - 1)
        return values[stored.astype(np.int64)]
