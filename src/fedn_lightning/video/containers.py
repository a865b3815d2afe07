"""Opens video files: their picture's stream, their end, and when each frame is shown by a player's clock."""

from __future__ import annotations

import struct
from collections.abc import Container, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import av
import numpy as np
import numpy.typing as npt

from fedn_lightning.errors import VideoError
from fedn_lightning.video.media import local_name, picture_stream, reason

MOST_THREADS = 16
"""Decoding threads of a file; each holds a picture or two, and FFmpeg advises against more."""


class opened:  # noqa: N801 - used as a function
    """Opens a file for decoding and gives its container and its picture's stream.

    Args:
        path: the file.
        threads: on which the codec decodes several pictures at once, where it can; they come in the same order.

    Raises:
        VideoError: on entering, if the file cannot be opened or holds no moving picture.
    """

    def __init__(self, path: str, threads: int = 1) -> None:
        self.path, self.threads = path, min(threads, MOST_THREADS)

    def __enter__(self) -> tuple[Any, Any]:
        try:
            self._container = av.open(local_name(self.path))
            stream = picture_stream(self._container)
        except (av.FFmpegError, OSError, IndexError, ValueError) as error:
            raise VideoError(f"{self.path} cannot be opened as a video: {reason(error)}.") from None
        stream.thread_type = "FRAME" if self.threads > 1 else "SLICE"
        stream.codec_context.thread_count = self.threads
        return self._container, stream

    def __exit__(self, *_: object) -> None:
        self._container.close()


def packets(path: str, container: Any, stream: Any) -> Iterator[Any]:
    """The packets of a stream; a file that breaks off raises a :class:`VideoError`."""
    try:
        yield from container.demux(stream)
    except (av.FFmpegError, OSError) as error:
        raise VideoError(f"{path} is damaged: {reason(error)}.") from None


def decoded(path: str, container: Any, stream: Any, needed: Container[int] = ()) -> Iterator[Any]:
    """The frames that are shown, in the order they are shown; what cannot be decoded raises a :class:`VideoError`.

    Args:
        path: the file, for the message.
        container: of the file.
        stream: of the picture.
        needed: timestamps; if given, other frames of H.264 that no frame is predicted from may be left out. In other
            codecs that mark does not hold for all frames.
    """
    number, spared = 0, bool(needed) and stream.codec_context.name == "h264"
    try:
        for packet in container.demux(stream):
            if spared:
                stream.codec_context.skip_frame = "DEFAULT" if packet.pts in needed else "NONREF"
            for frame in packet.decode():
                yield frame
                number += 1
    except (av.FFmpegError, OSError) as error:
        raise VideoError(f"{path} cannot be decoded past frame {number}: {reason(error)}.") from None


def clock_start(container: Any) -> float:
    """The timestamp in seconds that a player shows as 0: that of the first sound or picture."""
    starts = [
        float(stream.start_time * stream.time_base)
        for stream in (*container.streams.video, *container.streams.audio)
        if stream.start_time is not None and not stream.disposition & stream.disposition.attached_pic
    ]
    return min(starts, default=0.0)


def missing_bytes(path: str) -> int:
    """How many bytes are missing at the end of a file, by the sizes that its parts declare.

    Knows MP4 and MOV, Matroska and WebM, AVI, ASF (WMV) and MPEG transport streams; 0 where a file does not say:
    live recordings, and streams that are cut between two packets.
    """
    size = Path(path).stat().st_size
    with Path(path).open("rb") as file:
        head = file.read(1 << 16)
        if head[4:8] in _BOXES:
            return max(0, _boxes_end(file, size) - size)
        if head[:4] == b"RIFF":
            return max(0, _riff_end(file, size) - size)
        if head[:4] == _EBML:
            return max(0, _segment_end(file) - size)
    if _ASF_PROPERTIES in head:
        place = head.index(_ASF_PROPERTIES) + 40
        return max(0, int.from_bytes(head[place : place + 8], "little") - size)
    # 188 bytes a packet in a .ts, 4 more before each in the .mts of a camera.
    for first, length in ((0, 188), (4, 192)):
        if head[first : first + 4 * length : length] == b"GGGG":
            return -size % length
    return 0


_BOXES = {b"ftyp", b"moov", b"mdat", b"moof", b"free", b"skip", b"wide", b"styp", b"sidx", b"mfra", b"uuid", b"udta"}
_EBML, _SEGMENT = bytes.fromhex("1a45dfa3"), bytes.fromhex("18538067")
_ASF_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_RIFF_SLACK = 8
"""Some programs count the eight bytes of the head in the size of an AVI."""


def _boxes_end(file: BinaryIO, size: int) -> int:
    """Where the last box of an MP4 should end; the file's size if what follows is no box."""
    place = 0
    while place + 16 <= size:
        file.seek(place)
        length, kind, long = struct.unpack(">I4sQ", file.read(16))
        length = long if length == 1 else length
        if kind not in _BOXES or length < 8:  # a length of 0 goes to the end of the file
            return size
        place += length
    return place


def _riff_end(file: BinaryIO, size: int) -> int:
    """Where the last part of an AVI should end; a size of 0 was never filled in."""
    place = end = 0
    while place + 8 <= size:
        file.seek(place)
        kind, length = struct.unpack("<4sI", file.read(8))
        if kind != b"RIFF" or not length:
            return end
        end = place + 8 + length - _RIFF_SLACK
        place += 8 + length + length % 2
    return end


def _segment_end(file: BinaryIO) -> int:
    """Where the segment of a Matroska file should end; 0 if it was written without a size, as live recordings are."""
    file.seek(4)
    length = _ebml_size(file)
    file.seek(length or 0, 1)
    if length is None or file.read(4) != _SEGMENT:
        return 0
    length = _ebml_size(file)
    return 0 if length is None else file.tell() + length


def _ebml_size(file: BinaryIO) -> int | None:
    """A size of one to eight bytes; the leading zero bits of the first give their number. None if unknown."""
    first = file.read(1)
    if not first or not first[0]:
        return None
    more = 8 - first[0].bit_length()
    value = int.from_bytes(bytes([first[0] & (0x7F >> more)]) + file.read(more), "big")
    return None if value == (1 << 7 * (more + 1)) - 1 else value


UNEVEN = 0.5
"""A frame rate is variable if a frame is more than this part of a frame away from an even beat."""


@dataclass(frozen=True)
class Timeline:
    """The frames of a file in time. A last frame that is held for longer counts as one frame."""

    times: npt.NDArray[np.float64]  # `(n_frames,)` float64, seconds from the first frame at which each frame is shown
    # seconds at which the first frame is shown, by the clock of a player, which starts with the first sound or picture
    # of the file
    start: float
    fps: float  # frames per second, the average where the rate is variable

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
    """The timing of a file."""

    path: str  # the file
    unit: float  # length of a timestamp's step in seconds
    start: float  # the timestamp in seconds that a player shows as 0
    rate: float  # frames per second
    promised: int  # number of frames in the header of an AVI, else 0
    indexed: int  # number of frames in its index; without one, of those that were looked at on opening

    @classmethod
    def of(cls, path: str, container: Any, stream: Any) -> Clock:
        """The clock of an opened file."""
        rate = float(stream.average_rate or stream.guessed_rate or 0)
        promised, indexed = (stream.frames, len(stream.index_entries)) if container.format.name == "avi" else (0, 0)
        return cls(path, float(stream.time_base), clock_start(container), rate, promised, indexed)

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
            raise VideoError(f"{self.path} holds no frame that can be decoded.")
        ascending = [np.array(s, np.float64) * self.unit for s in stamps if _ascending(s)]
        seconds = ascending[0] if ascending else np.arange(len(stamps[0])) / self.rate
        times = seconds - seconds[0]
        # An index at the end of an AVI shows that the file is complete, whatever the header counts. Time, not count: an
        # AVI has an empty chunk for a frame that shows nothing new.
        if self.indexed < len(times) and times[-1] * self.rate + 1 < self.promised - 1:
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
