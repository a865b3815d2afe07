"""Index arithmetic of windows: where they start, and which truths lie in them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fedn_lightning.events import FloatArray

BoolArray = npt.NDArray[np.bool_]


def window_starts(n_frames: int, window: int, stride: int) -> list[int]:
    """First frames of the windows of a video; together they cover every frame.

    Windows start every `stride` frames; the last is flush with the end of the video. A video no longer than a window
    has one, which starts at 0.

    Args:
        n_frames: of the video, at least 1.
        window: frames in a window.
        stride: frames between two starts, at most `window`.

    >>> window_starts(300, window=128, stride=64)
    [0, 64, 128, 172]
    """
    last = max(n_frames - window, 0)
    return [*range(0, last, stride), last]


def window_frames(start: int, window: int, n_frames: int) -> npt.NDArray[np.int64]:
    """Frame numbers `(window,)` of a window; past the end of a short video its last frame repeats.

    >>> window_frames(0, window=5, n_frames=3)
    array([0, 1, 2, 2, 2])
    """
    return np.minimum(np.arange(start, start + window), n_frames - 1)


def truths_in_window(
    start: FloatArray, end: FloatArray, first: float, last: float, share: float
) -> tuple[BoolArray, BoolArray]:
    """Which truths a window must find.

    Args:
        start: `(M,)` first frames of the truths.
        end: `(M,)` one past their last frames.
        first: first frame of the window.
        last: one past its last frame.
        share: of a truth's length that must lie inside for it to count (the precursor: more than 0.9, mark A).

    Returns:
        `touching` `(M,)`, the truth meets the window; `whole` `(M,)`, more than `share` of it lies inside.
    """
    inside = np.minimum(end, last) - np.maximum(start, first)
    return inside > 0, inside > share * (end - start)
