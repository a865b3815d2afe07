"""When a face crop cannot be relied on: something else stands in it, the picture is cut, or it is blurred.

Everything is judged against the same video, so that no threshold depends on the camera or the person. The rules are
this project's own and find coarse faults alone; another person in the same place is told by the cut.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from fedn_lightning.events import EventTable

SIDE = 12
"""Crops are compared at this many pixels a side, which keeps 15 MB of an hour."""

LIKENESS = 0.3
"""Least correlation of a crop with the video's median crop; a face that turns or speaks stays above 0.6."""

JUMP = 40.0
"""Mean change from one crop to the next, in grey levels of 256, that only a cut makes."""

BLUR = 0.05
"""Sharpness (variance of the Laplacian) below this part of the video's median."""

AROUND_SECONDS = 0.2
"""Spans are widened by this on both sides: a window sees what comes just before and after."""

REASONS = ("no face", "cut", "blurred")


@dataclass(frozen=True)
class UnreliableSpan:
    """A stretch of a video in which no expression may begin.

    Attributes:
        face: number of the face from the left, from 1.
        start: first frame, 0-based; may be fractional.
        end: one past the last frame.
        reason: one of :data:`REASONS`.
    """

    face: int
    start: float
    end: float
    reason: str


class CropWatch:
    """Collects what must be known of the crops of one face."""

    def __init__(self) -> None:
        self._small: list[npt.NDArray[np.uint8]] = []
        self._sharp: list[float] = []

    def add(self, crops: npt.NDArray[np.uint8]) -> None:
        """Takes the next crops `(T, S, S, 3)`."""
        for picture in crops:
            grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
            self._small.append(np.asarray(cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8))
            self._sharp.append(float(cv2.Laplacian(grey, cv2.CV_32F).var()))

    def flags(self) -> npt.NDArray[np.bool_]:
        """`(N, 3)`: for each crop whether each of :data:`REASONS` holds."""
        small = np.stack(self._small).reshape(len(self._small), -1).astype(np.float32)
        usual = np.median(small[:: max(1, len(small) // 2000)], axis=0)
        absent = likeness(small, usual) < LIKENESS
        change = np.abs(np.diff(small, axis=0)).mean(axis=1) > JUMP
        cut = np.zeros(len(small), bool)
        cut[1:] |= change
        cut[:-1] |= change
        sharp = np.array(self._sharp)
        return np.stack([absent, cut, sharp < BLUR * np.median(sharp)], axis=1)


def likeness(pictures: npt.NDArray[np.float32], usual: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Correlation of pictures `(N, P)` with one `(P,)`; 0 for an even picture.

    >>> likeness(np.array([[1, 2, 3], [3, 2, 1], [5, 5, 5]], np.float32), np.array([0, 1, 2], np.float32)).tolist()
    [1.0, -1.0, 0.0]
    """
    one = pictures - pictures.mean(axis=1, keepdims=True)
    other = usual - usual.mean()
    norm = np.linalg.norm(one, axis=1).astype(np.float64) * float(np.linalg.norm(other))
    return np.asarray(np.round((one @ other) / np.where(norm == 0, 1, norm), 6), np.float64)


def find_spans(flags: npt.NDArray[np.bool_], fps: float) -> Iterator[tuple[int, int, str]]:
    """Stretches of crops, `(start, end, reason)`, widened an absent face before other reasons.

    >>> flags = np.zeros((20, 3), bool)
    >>> flags[8:10, 1] = True
    >>> list(find_spans(flags, fps=10.0))
    [(6, 12, 'cut')]
    """
    around = round(AROUND_SECONDS * fps)
    bad = np.convolve(flags.any(axis=1), np.ones(2 * around + 1), mode="full")[around:][: len(flags)] > 0
    edges = np.flatnonzero(np.diff(np.concatenate([[0], bad.astype(int), [0]])))
    for start, end in edges.reshape(-1, 2).tolist():
        yield start, end, REASONS[int(np.argmax(flags[start:end].any(axis=0)))]


def without_unreliable(events: EventTable, spans: list[UnreliableSpan]) -> npt.NDArray[np.bool_]:
    """Which events `(N,)` begin outside of all spans, both in the same frames."""
    inside = [(events.start >= span.start) & (events.start < span.end) for span in spans]
    return ~np.any(inside, axis=0) if inside else np.ones(len(events), bool)
