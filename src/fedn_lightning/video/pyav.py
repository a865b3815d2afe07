"""Exact frames of a video file by PyAV, and a scan of what a file really holds.

A frame is known by its timestamp, never by counting on from a jump, so that open groups of pictures, B frames and
edit lists cannot shift it. Files without timestamps of their own (AVI with B frames) are read from the start.
"""

from __future__ import annotations

import itertools
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from fedn_lightning.errors import VideoError
from fedn_lightning.video.frame_source import Frames, check_range
from fedn_lightning.video.media import reason

UNEVEN = 0.5
"""A frame rate is variable if a frame is more than this part of a frame away from an even beat."""


@dataclass(frozen=True)
class VideoScan:
    """What decoding a video from its first to its last frame finds.

    Attributes:
        times: `(n_frames,)` float64, seconds from the first frame at which each frame is shown.
        fps: frames per second, the average where the rate is variable.
        height: rows of a frame in pixels.
        width: columns of a frame in pixels.
        sampled: frame numbers of `samples`, evenly spread.
        samples: grey pictures `(H, W)` uint8 of those frames.
    """

    times: npt.NDArray[np.float64]
    fps: float
    height: int
    width: int
    sampled: tuple[int, ...]
    samples: tuple[npt.NDArray[np.uint8], ...]

    @property
    def n_frames(self) -> int:
        """Number of frames that can be decoded."""
        return len(self.times)

    @property
    def variable(self) -> bool:
        """Whether the frame rate is variable."""
        return bool(np.abs(self.times * self.fps - np.arange(self.n_frames)).max(initial=0) > UNEVEN)


class Thinning:
    """Keeps between `least` and `2 * least` evenly spread items of a sequence of unknown length.

    >>> kept = Thinning(2)
    >>> for number in range(9):
    ...     if kept.wants(number):
    ...         kept.add(number, str(number))
    >>> kept.numbers
    [0, 4, 8]
    """

    def __init__(self, least: int) -> None:
        self.least = least
        self.stride = 1
        self.numbers: list[int] = []
        self.items: list[Any] = []

    def wants(self, number: int) -> bool:
        """Whether item `number` belongs to the selection so far."""
        return self.least > 0 and number % self.stride == 0

    def add(self, number: int, item: Any) -> None:
        """Adds an item; thins out when there are too many."""
        if len(self.numbers) == 2 * self.least:
            self.stride *= 2
            keep = [i for i, n in enumerate(self.numbers) if n % self.stride == 0]
            self.numbers, self.items = [self.numbers[i] for i in keep], [self.items[i] for i in keep]
            if not self.wants(number):
                return
        self.numbers.append(number)
        self.items.append(item)


def scan(path: str, samples: int = 0, watch: Callable[[int, Any], None] = lambda number, grey: None) -> VideoScan:
    """Decodes a whole file once, without converting its pictures: counts, timestamps, and some grey pictures.

    Args:
        path: a video file.
        samples: at least this many frames are kept (at most twice as many), evenly spread over the video.
        watch: called with every frame's number and a function that gives its grey picture `(H, W)`.

    Raises:
        VideoError: if the file cannot be opened, holds no frame, or breaks off in an error.
    """
    shown: list[int | None] = []
    decoded: list[int | None] = []
    kept = Thinning(samples)
    height = width = 0
    with _opened(path) as (container, stream):
        rate = float(stream.average_rate or stream.guessed_rate or 0)
        declared, unit = stream.frames, float(stream.time_base)
        for number, frame in enumerate(_sound(path, container, stream)):
            shown.append(frame.pts)
            decoded.append(frame.dts)
            if kept.wants(number):
                kept.add(number, _upright(frame, "gray"))
            height, width = _upright_size(frame)
            watch(number, lambda frame=frame: _upright(frame, "gray"))
    if not shown:
        msg = f"{path} holds no frame that can be decoded."
        raise VideoError(msg)
    # An AVI has no timestamps of its own; those made up for it are out of order where there are B frames.
    stamps = next((np.array(s) * unit for s in (shown, decoded) if _ascending(s)), np.arange(len(shown)) / rate)
    seconds = stamps - stamps[0]
    _refuse_broken(path, seconds, rate, declared)
    return VideoScan(seconds, _rate(seconds, rate), height, width, tuple(kept.numbers), tuple(kept.items))


def scan_fast(path: str, samples: int = 0) -> VideoScan | None:
    """What :func:`scan` would find, from the packets' timestamps and by jumping to the pictures that are kept.

    A hundred times faster in a long video. It takes every packet for a frame; whoever decodes the video afterwards must
    count, and make a full scan if there are more or fewer.

    Args:
        path: a video file.
        samples: as for :func:`scan`; the same pictures.

    Returns:
        None if the file must be decoded to know, for it has no timestamps of its own.

    Raises:
        VideoError: if the file cannot be opened, holds no frame, or breaks off.
    """
    index = _indexed(path)
    if not index.stamped:
        return None
    if not index.stamps:
        msg = f"{path} holds no frame that can be decoded."
        raise VideoError(msg)
    seconds = (np.array(index.stamps) - index.stamps[0]) * index.unit
    _refuse_broken(path, seconds, index.fps, index.declared)
    kept, source = Thinning(samples), PyAVSource(path)
    for number in range(len(seconds)):
        if kept.wants(number):
            kept.add(number, None)
    pictures = tuple(source.grey(number) for number in kept.numbers)
    return VideoScan(seconds, _rate(seconds, index.fps), index.height, index.width, tuple(kept.numbers), pictures)


def _refuse_broken(path: str, seconds: npt.NDArray[np.float64], rate: float, declared: int) -> None:
    """Refuses a file that ends before its header says."""
    # Time, not count: an AVI leaves out a frame that shows nothing new.
    if declared and seconds[-1] * rate + 1 < declared - 1 - _discarded(path):
        msg = f"{path} breaks off: its header promises {declared} frames, {len(seconds)} can be decoded."
        raise VideoError(msg)


def _discarded(path: str) -> int:
    """Number of frames that a file holds but that its edit list cuts off."""
    with _opened(path) as (container, stream):
        return sum(bool(packet.is_discard) for packet in container.demux(stream))


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


class PyAVSource:
    """A video file read by PyAV: exact, at the cost of decoding from the key frame before a window.

    Args:
        path: the file.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._index: _Index | None = None

    @property
    def n_frames(self) -> int:
        """Number of frames shown; frames that an edit list discards are not among them."""
        return len(self._indexed().stamps)

    @property
    def fps(self) -> float:
        """Average frames per second."""
        return self._indexed().fps

    @property
    def height(self) -> int:
        """Rows of a frame in pixels."""
        return self._indexed().height

    @property
    def width(self) -> int:
        """Columns of a frame in pixels."""
        return self._indexed().width

    def frames(self, start: int, stop: int) -> Frames:
        """Frames `[start, stop)`; see :class:`~fedn_lightning.video.frame_source.FrameSource`."""
        index = self._indexed()
        check_range(self.path, start, stop, len(index.stamps))
        out = np.empty((stop - start, index.height, index.width, 3), np.uint8)
        return self._read(out, index, start) if start < stop else out

    def grey(self, number: int) -> npt.NDArray[np.uint8]:
        """The grey picture `(H, W)` of one frame, as :func:`scan` gives it."""
        index = self._indexed()
        check_range(self.path, number, number + 1, len(index.stamps))
        out: npt.NDArray[np.uint8] = self._read(np.empty((1, index.height, index.width), np.uint8), index, number)[0]
        return out

    def _read(self, out: npt.NDArray[np.uint8], index: _Index, start: int) -> npt.NDArray[np.uint8]:
        """Fills `out` `(T, H, W)`, grey, or `(T, H, W, 3)` from frame `start` on."""
        # An open group of pictures may need the key frame before: step back until nothing is missing.
        for key in [*reversed(index.keys[: bisect_right(index.keys, index.stamps[start])]), None]:
            if self._fill(out, index, start, key):
                return out
        msg = f"{self.path} cannot be decoded in frames {start} to {start + len(out) - 1}."
        raise VideoError(msg)

    def _fill(self, out: npt.NDArray[np.uint8], index: _Index, start: int, key: int | None) -> bool:
        """Decodes from a key frame (None: from the start); whether every frame wanted came, in order."""
        wanted = index.stamps[start : start + len(out)]
        found, layout = 0, "gray" if out.ndim == 3 else "rgb24"
        with _opened(self.path) as (container, stream):
            if key is not None:
                container.seek(key, stream=stream)
            for number, frame in enumerate(_decoded(self.path, container, stream)):
                stamp = frame.pts if index.stamped else number
                if stamp is None or stamp > wanted[found] or (stamp == wanted[found] and frame.is_corrupt):
                    return False
                if stamp == wanted[found]:
                    out[found] = _upright(frame, layout)
                    found += 1
                    if found == len(wanted):
                        return True
        return False

    def iterate(self, batch: int = 32) -> Iterator[Frames]:
        """All frames in one pass, `batch` at a time."""
        with _opened(self.path) as (container, stream):
            decoded = _sound(self.path, container, stream)
            while chunk := [_upright(frame, "rgb24") for frame in itertools.islice(decoded, batch)]:
                yield np.stack(chunk)

    def close(self) -> None:
        """Nothing is held open between reads."""

    def _indexed(self) -> _Index:
        if self._index is None:
            self._index = _indexed(self.path)
        return self._index


@dataclass(frozen=True)
class _Index:
    """Timestamps of all frames and of the key frames, ascending; frame numbers where `stamped` is false.

    `unit` is the length of a timestamp's step in seconds, `declared` the number of frames that the header tells, or 0.
    """

    stamps: list[int]
    keys: list[int]
    stamped: bool
    fps: float
    height: int
    width: int
    unit: float = 1.0
    declared: int = 0


def _indexed(path: str) -> _Index:
    """Reads the timestamps of all packets without decoding; decodes where packets have none."""
    stamps: list[int] = []
    keys: list[int] = []
    with _opened(path) as (container, stream):
        rate = float(stream.average_rate or stream.guessed_rate or 0)
        size = next((_upright(f, "gray").shape for f in _decoded(path, container, stream)), (0, 0))
    with _opened(path) as (container, stream):
        unit, declared = float(stream.time_base), stream.frames
        made_up = container.format.name == "avi" and stream.codec_context.has_b_frames
        for packet in _packets(path, container, stream):
            if packet.size == 0 or packet.is_discard:
                continue
            if packet.pts is None or made_up:
                count = scan(path).n_frames
                return _Index(list(range(count)), [], stamped=False, fps=rate, height=size[0], width=size[1])
            stamps.append(packet.pts)
            if packet.is_keyframe:
                keys.append(packet.pts)
    return _Index(sorted(stamps), sorted(keys), True, rate, size[0], size[1], unit, declared)


def _packets(path: str, container: Any, stream: Any) -> Iterator[Any]:
    """The packets of a file, which may break off."""
    try:
        yield from container.demux(stream)
    except (av.FFmpegError, OSError) as error:
        msg = f"{path} is damaged: {reason(error)}."
        raise VideoError(msg) from None


class _opened:  # noqa: N801 - used as a function
    """Opens a file for decoding on one thread; errors become sentences."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __enter__(self) -> tuple[Any, Any]:
        try:
            self._container = av.open(self.path)
            stream = self._container.streams.video[0]
        except (av.FFmpegError, OSError, IndexError, ValueError) as error:
            msg = f"{self.path} cannot be opened as a video: {reason(error)}."
            raise VideoError(msg) from None
        # The machine's cores are shared out by video, not by picture.
        stream.thread_type, stream.codec_context.thread_count = "SLICE", 1
        return self._container, stream

    def __exit__(self, *_: object) -> None:
        self._container.close()


def _decoded(path: str, container: Any, stream: Any) -> Iterator[Any]:
    """The frames that are shown, in the order they are shown."""
    number = 0
    try:
        for packet in container.demux(stream):
            for frame in packet.decode():
                yield frame
                number += 1
    except (av.FFmpegError, OSError) as error:
        msg = f"{path} cannot be decoded past frame {number}: {reason(error)}."
        raise VideoError(msg) from None


def _sound(path: str, container: Any, stream: Any) -> Iterator[Any]:
    """The frames that are shown; refuses a damaged one, which decoders show with holes painted over."""
    for number, frame in enumerate(_decoded(path, container, stream)):
        if frame.is_corrupt:
            msg = f"{path} is damaged at frame {number}; the {number} frames before it can be decoded."
            raise VideoError(msg)
        yield frame


def _upright_size(frame: Any) -> tuple[int, int]:
    """Rows and columns of a frame turned as its rotation flag says."""
    return (frame.width, frame.height) if round(frame.rotation / 90) % 2 else (frame.height, frame.width)


def _upright(frame: Any, layout: str) -> npt.NDArray[np.uint8]:
    """A frame as an array, turned as its rotation flag says (decord does so too)."""
    # Without threads=1 every frame would be converted by a scaler with a new pool of threads.
    image: npt.NDArray[np.uint8] = frame.reformat(format=layout, threads=1).to_ndarray()
    turns = round(frame.rotation / 90) % 4
    return np.ascontiguousarray(np.rot90(image, turns)) if turns else image
