"""The interface of every source of frames."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np
import numpy.typing as npt

from fedn_lightning.errors import VideoError

Frames = npt.NDArray[np.uint8]
"""`(T, H, W, 3)` uint8, RGB."""


class FrameSource(Protocol):
    """A video whose frames can be read by number.

    Attributes:
        path: file or folder.
        n_frames: number of frames.
        fps: frames per second.
        height: rows of a frame in pixels.
        width: columns of a frame in pixels.
    """

    path: str

    @property
    def n_frames(self) -> int: ...  # noqa: D102 - the class docstring specifies the attributes

    @property
    def fps(self) -> float: ...  # noqa: D102

    @property
    def height(self) -> int: ...  # noqa: D102

    @property
    def width(self) -> int: ...  # noqa: D102

    def frames(self, start: int, stop: int) -> Frames:
        """Frames `[start, stop)`.

        Raises:
            VideoError: if one of them does not exist or cannot be decoded.
        """
        ...

    def iterate(self, batch: int = 32) -> Iterator[Frames]:
        """All frames from the first to the last in one pass, `batch` at a time; memory does not grow with length."""
        ...

    def close(self) -> None:
        """Closes the file; the source opens it again at the next read."""
        ...


def check_range(path: str, start: int, stop: int, n_frames: int) -> None:
    """Checks that a video has these frames.

    Raises:
        VideoError: naming the video, the frames and how many there are.
    """
    if not 0 <= start <= stop <= n_frames:
        msg = f"{path} has frames 0 to {n_frames - 1}; frames {start} to {stop - 1} were asked for."
        raise VideoError(msg)
