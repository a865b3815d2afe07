"""Sliding windows over features that arrive bit by bit: only those of the open window are kept."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from fedn_lightning.data.windows import window_frames, window_starts

Features = npt.NDArray[np.floating]


class OpenWindows:
    """Cuts the windows of one video, those that a test has (see :func:`fedn_lightning.data.windows.window_starts`).

    Args:
        n_frames: frames of the video at the working rate.
        window: frames in a window.
        stride: frames between two starts.

    >>> windows = OpenWindows(n_frames=5, window=3, stride=2)
    >>> column = np.arange(5.0)[:, None]
    >>> [[(start, part.ravel().tolist()) for start, part in windows.add(column[k : k + 2])] for k in (0, 2, 4)]
    [[], [(0, [0.0, 1.0, 2.0])], [(2, [2.0, 3.0, 4.0])]]
    """

    def __init__(self, n_frames: int, window: int, stride: int) -> None:
        self.n_frames, self.window = n_frames, window
        self._starts = window_starts(n_frames, window, stride)
        self._next = 0
        self._first = 0
        self._kept: Features | None = None

    def add(self, features: Features) -> Iterator[tuple[int, npt.NDArray[np.float32]]]:
        """Takes the next frames' features `(T, D)`; yields start and features `(window, D)` of all windows they end."""
        self._kept = features if self._kept is None else np.concatenate([self._kept, features])
        known = self._first + len(self._kept)
        while self._next < len(self._starts):
            start = self._starts[self._next]
            self._forget(start)
            if known < min(start + self.window, self.n_frames):
                return
            rows = window_frames(start, self.window, self.n_frames) - self._first
            yield start, self._kept[rows].astype(np.float32)
            self._next += 1

    def _forget(self, start: int) -> None:
        """Drops what lies before the next window."""
        assert self._kept is not None
        drop = min(start - self._first, len(self._kept))
        self._kept, self._first = self._kept[drop:], self._first + drop
