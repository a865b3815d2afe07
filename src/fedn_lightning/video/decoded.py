"""Face crops that are decoded from their video when they are asked for, instead of being read from the clip store."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from fedn_lightning.video.alignment import crop
from fedn_lightning.video.frame_source import Frames, FrameSource

MOST_OPEN = 4
"""Videos a process keeps open for the next window: an open decoder holds threads and tens of megabytes."""

CHUNK_BYTES = 64 << 20
"""Source pictures decoded at a time, so that windows of 200 fps at full size do not fill the memory."""

_open: deque[FrameSource] = deque()


class DecodedCrops:
    """The crops of a video, indexed like the store's array; equal to it pixel by pixel.

    Nothing is open before the first read, so it may be sent to worker processes.

    Args:
        source: reads the video; must deliver any frame rightly when it jumps.
        plan: `(M,)` int64, the source frame that each crop shows, ascending.
        transforms: `(1, 2, 3)` float64 for the whole video or `(n_frames, 2, 3)`, source pixels to crop pixels.
        size: side of the crops in pixels.
    """

    def __init__(
        self, source: FrameSource, plan: npt.NDArray[np.int64], transforms: npt.NDArray[np.float64], size: int
    ) -> None:
        self.source, self.plan, self.transforms, self.size = source, plan, transforms, size

    def __len__(self) -> int:
        return len(self.plan)

    def __getitem__(self, index: npt.NDArray[np.int64] | slice) -> Frames:
        """Crops `(T, S, S, 3)` uint8 RGB of the frames that a slice or `(T,)` int64 names.

        Raises:
            VideoError: if one of them cannot be decoded.
        """
        wanted = self.plan[index]
        out = np.empty((len(wanted), self.size, self.size, 3), np.uint8)
        if not len(wanted):
            return out
        _keep_open(self.source)
        needed = np.unique(wanted)
        for first, stop in stretches(needed, max(16, CHUNK_BYTES // (self.source.height * self.source.width * 3))):
            images = self.source.frames(first, stop)
            for number in needed[(needed >= first) & (needed < stop)]:
                transform = self.transforms[min(number, len(self.transforms) - 1)]
                out[wanted == number] = crop(images[number - first], transform, self.size)
        return out


def stretches(numbers: npt.NDArray[np.int64], longest: int) -> Iterator[tuple[int, int]]:
    """Stretches `[first, stop)` of at most `longest` frames that together hold all `numbers`, which ascend.

    Frames between two numbers belong to a stretch: decoding them is cheaper than another jump.

    >>> list(stretches(np.array([3, 4, 6, 20, 21]), longest=5))
    [(3, 7), (20, 22)]
    """
    while len(numbers):
        here = numbers < numbers[0] + longest
        yield int(numbers[0]), int(numbers[here][-1]) + 1
        numbers = numbers[~here]


def _keep_open(source: FrameSource) -> None:
    """Lets a video stay open after it was read, and closes those that were not read for longest."""
    if source in _open:
        _open.remove(source)
    _open.append(source)
    while len(_open) > MOST_OPEN:
        _open.popleft().close()


def _close_all() -> None:
    while _open:
        _open.pop().close()


if hasattr(os, "register_at_fork"):
    # A forked worker has none of the decoder's threads and would wait for them for ever.
    os.register_at_fork(before=_close_all)
