"""The times at which the frames of a video file are shown, by a player's clock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fedn_lightning.errors import VideoError
from fedn_lightning.video.containers import clock_start, missing_bytes

UNEVEN = 0.5
"""A frame rate is variable if a frame is more than this part of a frame away from an even beat."""


@dataclass(frozen=True)
class Timeline:
    """The frames of a file in time. A last frame that is held for longer counts as one frame.

    Attributes:
        times: `(n_frames,)` float64, seconds from the first frame at which each frame is shown.
        start: seconds at which the first frame is shown, by the clock of a player, which starts with the first sound or
            picture of the file.
        fps: frames per second, the average where the rate is variable.
    """

    times: npt.NDArray[np.float64]
    start: float
    fps: float

    @property
    def n_frames(self) -> int:
        """Number of frames that are shown."""
        return len(self.times)

    @property
    def variable(self) -> bool:
        """Whether the frame rate is variable."""
        return bool(np.abs(self.times * self.fps - np.arange(self.n_frames)).max(initial=0) > UNEVEN)


@dataclass(frozen=True)
class Clock:
    """The timing of a file.

    Attributes:
        path: the file.
        unit: length of a timestamp's step in seconds.
        start: the timestamp in seconds that a player shows as 0.
        rate: frames per second.
        promised: number of frames in the header of an AVI without an index, else 0.
    """

    path: str
    unit: float
    start: float
    rate: float
    promised: int

    @classmethod
    def of(cls, path: str, container: Any, stream: Any) -> Clock:
        """The clock of an opened file."""
        rate = float(stream.average_rate or stream.guessed_rate or 0)
        # An index at the end of an AVI shows that the file is complete, whatever the header counts.
        without_index = container.format.name == "avi" and not len(stream.index_entries)
        promised = stream.frames if without_index else 0
        return cls(path, float(stream.time_base), clock_start(container), rate, promised)

    def timeline(self, *stamps: list[int | None]) -> Timeline:
        """The timeline of frames, by the first of several lists of timestamps that ascends.

        Args:
            stamps: for each frame the time it is shown; where that is out of order, as for an AVI with B frames, whose
                timestamps are made up, the time it is decoded. By the frame rate if neither ascends.

        Raises:
            VideoError: if there is no frame, or the file breaks off.
        """
        missing = missing_bytes(self.path)
        if missing:
            msg = f"{self.path} breaks off: the last {missing} bytes are missing. Copy the file again from its origin."
            raise VideoError(msg)
        if not stamps[0]:
            msg = f"{self.path} holds no frame that can be decoded."
            raise VideoError(msg)
        ascending = [np.array(s, np.float64) * self.unit for s in stamps if _ascending(s)]
        seconds = ascending[0] if ascending else np.arange(len(stamps[0])) / self.rate
        times = seconds - seconds[0]
        # Time, not count: an AVI has an empty chunk for a frame that shows nothing new.
        if self.promised and times[-1] * self.rate + 1 < self.promised - 1:
            msg = f"{self.path} breaks off: its header promises {self.promised} frames, {len(times)} can be decoded."
            raise VideoError(msg)
        # Only the times at which frames are shown belong to the clock of the sound.
        start = round(seconds[0] - self.start, 6) + 0.0 if _ascending(stamps[0]) else 0.0
        return Timeline(times, start, _rate(times, self.rate))


def _ascending(stamps: list[int | None]) -> bool:
    """Whether all timestamps are there and each is later than the one before."""
    return None not in stamps and bool((np.diff(np.array(stamps, np.float64)) > 0).all())


def _rate(times: npt.NDArray[np.float64], declared: float) -> float:
    """The frame rate: as declared if the timestamps agree over the whole length, otherwise their average."""
    steps = len(times) - 1
    if steps == 0 or times[-1] <= 0:
        return declared
    measured = steps / times[-1]
    # Containers round timestamps, some to milliseconds: within half a frame the declared rate is the better number.
    return declared if abs(times[-1] * declared - steps) <= UNEVEN else float(measured)
