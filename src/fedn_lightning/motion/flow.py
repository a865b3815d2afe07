"""Optical flow of a whole video against nearby reference frames, joined to one displacement per frame.

Every frame is compared with a reference at most about a second away, not with the frame before. So errors do not add up
from frame to frame, and a micro-expression is compared with the face before or after it, as in methods with a sliding
reference. Neighbouring references share some frames; the median difference on these is the motion between the
references. Displacements are therefore continuous over the whole video; slow drift remains and is filtered out later.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from fedn_lightning.errors import ConfigError
from fedn_lightning.motion.regions import CELLS, Cells

Grey = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class MotionConfig:
    """How optical flow is measured (O).

    Attributes:
        side: crops are scaled to this side in pixels, a multiple of 16, before flow is computed.
        reference_seconds: time between two reference frames.
        overlap_seconds: time that two neighbouring references share.
        rate: flow is measured in so many frames a second at least, and interpolated between; null for all of them.
    """

    side: int = 128
    reference_seconds: float = 2.0
    overlap_seconds: float = 0.5
    rate: float | None = None

    def __post_init__(self) -> None:
        if self.side < CELLS or self.side % CELLS:
            msg = f"data.motion.side = {self.side} must be a multiple of {CELLS}, the cells on a side of the face."
            raise ConfigError(msg)
        if not 0 < self.overlap_seconds <= self.reference_seconds:
            raise ConfigError(
                f"data.motion.overlap_seconds = {self.overlap_seconds} must lie above 0 and not above "
                f"reference_seconds = {self.reference_seconds}."
            )
        if self.rate is not None and not self.rate > 0:
            raise ConfigError(f"data.motion.rate = {self.rate} must be above 0, or null.")

    def every(self, fps: float) -> int:
        """How many frames there are from one in which flow is measured to the next.

        >>> [MotionConfig(rate=15.0).every(fps) for fps in (10.0, 25.0, 30.0, 200.0)]
        [1, 1, 2, 13]
        """
        return 1 if self.rate is None else max(1, int(fps / self.rate))


@dataclass(frozen=True, slots=True)
class Stretch:
    """The frames `[first, stop)` that one reference frame is compared with; 0-based, half open."""

    first: int
    stop: int
    reference: int


def stretches(n_frames: int, period: int, overlap: int) -> list[Stretch]:
    """Divides a video into stretches, each with its reference in the middle.

    Args:
        n_frames: of the video, at least 1.
        period: frames between two references, at least 1.
        overlap: frames that two neighbours share, 1 to `period`.

    Returns:
        Stretches that cover all frames; neighbours share exactly `overlap` frames.

    >>> [(s.first, s.stop, s.reference) for s in stretches(150, period=60, overlap=10)]
    [(0, 70, 35), (60, 150, 105)]
    """
    starts = list(range(0, max(n_frames - period // 2 - overlap, 1), period))
    stops = [start + overlap for start in starts[1:]] + [n_frames]
    return [Stretch(a, b, (a + b) // 2) for a, b in zip(starts, stops, strict=True)]


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Limits OpenCV to one thread: its flow depends on the number of threads, among which it divides a picture."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


class FlowStream:
    """Measures motion from crops as they come; keeps the grey pictures of one stretch.

    Args:
        n_frames: how many crops will come.
        fps: frames per second.
        config: size of the pictures, and references.
    """

    def __init__(self, n_frames: int, fps: float, config: MotionConfig) -> None:
        self._n_frames, self._every = n_frames, config.every(fps)
        period = max(round(config.reference_seconds * fps / self._every), 1)
        overlap = min(max(round(config.overlap_seconds * fps / self._every), 1), period)
        self._stretches = stretches(len(range(0, n_frames, self._every)), period, overlap)
        self._side = config.side
        self._flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        self._greys: list[Grey] = []
        self._before = np.empty((0, CELLS, CELLS, 2), np.float32)
        self._seen = self._told = 0
        self._last = self._before

    def add(self, frames: npt.NDArray[np.uint8]) -> Cells:
        """Takes the next crops.

        Args:
            frames: `(T, S, S, 3)` uint8 RGB.

        Returns:
            `(K, CELLS, CELLS, 2)` float32 displacements of the next finished frames in cells, relative to the video's
            first reference frame; K may be 0. After the last crop all frames have been returned.
        """
        self._greys += [grey(frame, self._side) for frame in frames[-self._seen % self._every :: self._every]]
        self._seen += len(frames)
        settled = [self._before[:0]]
        while self._stretches and len(self._greys) >= self._stretches[0].stop - self._stretches[0].first:
            settled.append(self._measure(self._stretches.pop(0)))
        return self._between(np.concatenate(settled))

    def _between(self, measured: Cells) -> Cells:
        """The displacements of the next frames, by those that were measured in some; after the last they stay."""
        if self._every == 1 or not len(measured):
            return measured
        known = np.concatenate([self._last, measured])
        first = -(-self._told // self._every) - len(self._last)  # number of `known[0]` among those that are measured
        stop = self._every * (first + len(known) - 1) + 1 if self._stretches else self._n_frames
        place = np.arange(self._told, stop) / self._every - first
        low = np.minimum(place.astype(int), len(known) - 1)
        share = (place - low).astype(np.float32)[:, None, None, None]
        self._told, self._last = stop, known[-1:]
        between = known[low] + share * (known[np.minimum(low + 1, len(known) - 1)] - known[low])
        return np.asarray(between, np.float32)

    def _measure(self, stretch: Stretch) -> Cells:
        """The displacements of a stretch up to the start of the next one."""
        reference = self._greys[stretch.reference - stretch.first]
        pictures = self._greys[: stretch.stop - stretch.first]
        with one_thread():
            here = join(self._before, np.stack([cell_flow(self._flow, reference, picture) for picture in pictures]))
        settled = (self._stretches[0].first if self._stretches else stretch.stop) - stretch.first
        self._before, self._greys = here[settled:], self._greys[settled:]
        return here[:settled]


CHUNK = 64
"""Crops read at once."""


def measure(
    frames: npt.NDArray[np.uint8], fps: float, config: MotionConfig, tick: Callable[[int], None] = lambda done: None
) -> Cells:
    """The displacement of every cell of the face in every frame; linear in the video's length.

    Args:
        frames: `(T, S, S, 3)` uint8 RGB crops, an array or what decodes them when sliced.
        fps: frames per second.
        config: size of the pictures, and references.
        tick: called with the frames done since the last call.

    Returns:
        `(T, CELLS, CELLS, 2)` float32 in cells, relative to the first reference frame; slow drift has no meaning.
    """
    stream = FlowStream(len(frames), fps, config)
    parts = []
    for first in range(0, len(frames), CHUNK):
        parts.append(stream.add(np.asarray(frames[first : first + CHUNK])))
        tick(len(parts[-1]))
    return np.concatenate(parts)


def join(before: Cells, here: Cells) -> Cells:
    """Shifts a stretch's displacements so that they continue those before it.

    The shift is the median difference on the shared frames; over these, one fades into the other.

    Args:
        before: `(K, CELLS, CELLS, 2)` the known displacements of the stretch's first K frames; K = 0 at the start.
        here: `(L, CELLS, CELLS, 2)` against the stretch's own reference.

    Returns:
        `(L, CELLS, CELLS, 2)`.
    """
    shared = len(before)
    if not shared:
        return here
    here = here + np.median(before - here[:shared], axis=0)
    share = ((np.arange(shared) + 1) / (shared + 1)).astype(np.float32)[:, None, None, None]
    here[:shared] = (1 - share) * before + share * here[:shared]
    return here


def grey(frame: npt.NDArray[np.uint8], side: int) -> Grey:
    """A crop `(S, S, 3)` uint8 RGB as a grey picture `(side, side)` uint8."""
    picture = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    if len(picture) != side:
        method = cv2.INTER_AREA if len(picture) > side else cv2.INTER_LINEAR
        picture = cv2.resize(picture, (side, side), interpolation=method)
    return np.asarray(picture, np.uint8)


def cell_flow(flow: cv2.DISOpticalFlow, reference: Grey, picture: Grey) -> Cells:
    """Mean displacement of every cell from the reference to the picture.

    Args:
        flow: dense inverse search (Kroeger et al., "Fast optical flow using dense inverse search", ECCV 2016).
        reference: `(S, S)` uint8.
        picture: `(S, S)` uint8.

    Returns:
        `(CELLS, CELLS, 2)` float32 in cells.
    """
    dense = flow.calc(reference, picture, None)  # type: ignore[call-overload] # OpenCV's stubs forget None
    cells = cv2.resize(dense, (CELLS, CELLS), interpolation=cv2.INTER_AREA) * (CELLS / len(reference))
    return np.asarray(cells, np.float32)
