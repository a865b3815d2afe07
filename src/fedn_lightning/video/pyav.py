"""Exact frames of a video file by PyAV, and a scan of what a file really holds.

A frame is known by its timestamp, never by counting on from a jump, so that open groups of pictures, B frames and
edit lists cannot shift it. Files without timestamps of their own (AVI with B frames) are read from the start.
"""

from __future__ import annotations

import itertools
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from av.filter import Graph

from fedn_lightning.errors import VideoError
from fedn_lightning.video.containers import Clock, Timeline, decoded, opened, packets
from fedn_lightning.video.media import Frames, check_range


@dataclass(frozen=True)
class VideoScan(Timeline):
    """The result of decoding a video from its first to its last frame."""

    height: int  # rows of a frame in pixels
    width: int  # columns of a frame in pixels
    sampled: tuple[int, ...]  # frame numbers of `samples`, evenly spread
    samples: tuple[npt.NDArray[np.uint8], ...]  # grey pictures `(H, W)` uint8 of those frames


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


def scan(
    path: str, samples: int = 0, watch: Callable[[int, Any], None] = lambda number, grey: None, threads: int = 1
) -> VideoScan:
    """Decodes a whole file once, without converting its pictures: counts, timestamps, and some grey pictures.

    Args:
        path: a video file.
        samples: at least this many frames are kept (at most twice as many), evenly spread over the video.
        watch: called with every frame's number and a function that gives its grey picture `(H, W)`.
        threads: that decode, see :class:`.containers.opened`.

    Raises:
        VideoError: if the file cannot be opened, holds no frame, or breaks off in an error.
    """
    shown: list[int | None] = []
    decoded_at: list[int | None] = []
    kept = Thinning(samples)
    height = width = 0
    upright = _Upright()
    with opened(path, threads) as (container, stream):
        clock = Clock.of(path, container, stream)
        for number, frame in enumerate(_sound(path, container, stream)):
            shown.append(frame.pts)
            decoded_at.append(frame.dts)
            if kept.wants(number):
                kept.add(number, upright(frame, "gray"))
            height, width = upright.size(frame)
            watch(number, lambda frame=frame: upright(frame, "gray"))
    line = clock.timeline(shown, decoded_at)
    return VideoScan(line.times, line.start, line.fps, height, width, tuple(kept.numbers), tuple(kept.items))


def scan_fast(path: str, samples: int = 0, threads: int = 1) -> VideoScan | None:
    """What :func:`scan` would find, from the packets' timestamps and by jumping to the pictures that are kept.

    A hundred times faster in a long video. It takes every packet for a frame; a later decoding must count the
    frames, and needs a full scan if there are more or fewer.

    Returns:
        None if the file has no timestamps of its own and must be decoded.

    Raises:
        VideoError: if the file cannot be opened, holds no frame, or breaks off.
    """
    index = _indexed(path)
    if not index.stamped:
        return None
    line = index.clock.timeline(list(index.stamps))
    kept = Thinning(samples)
    for number in range(line.n_frames):
        if kept.wants(number):
            kept.add(number, None)
    pictures = tuple(PyAVSource(path, threads).greys(kept.numbers))
    return VideoScan(line.times, line.start, line.fps, index.height, index.width, tuple(kept.numbers), pictures)


class PyAVSource:
    """A video file read by PyAV: exact, at the cost of decoding from the key frame before a window.

    Args:
        path: the file.
        threads: that decode, see :class:`.containers.opened`.
    """

    def __init__(self, path: str, threads: int = 1) -> None:
        self.path, self.threads = path, threads
        self._index: _Index | None = None

    @property
    def n_frames(self) -> int:
        """Number of frames shown; frames that an edit list discards are not among them."""
        return len(self._indexed().stamps)

    @property
    def fps(self) -> float:
        """Average frames per second."""
        return self._indexed().clock.rate

    @property
    def height(self) -> int:
        """Rows of a frame in pixels."""
        return self._indexed().height

    @property
    def width(self) -> int:
        """Columns of a frame in pixels."""
        return self._indexed().width

    def frames(self, start: int, stop: int) -> Frames:
        """Frames `[start, stop)`; see :class:`~fedn_lightning.video.media.FrameSource`."""
        index = self._indexed()
        check_range(self.path, start, stop, len(index.stamps))
        out = np.empty((stop - start, index.height, index.width, 3), np.uint8)
        return self._read(out, index, start) if start < stop else out

    def greys(self, numbers: Sequence[int]) -> Iterator[npt.NDArray[np.uint8]]:
        """The grey pictures `(H, W)` of some frames, ascending, as :func:`scan` gives them; opens the file once."""
        index, upright = self._indexed(), _Upright()
        for number in numbers:
            check_range(self.path, number, number + 1, len(index.stamps))
        needed = {index.stamps[number] for number in numbers}
        with opened(self.path, self.threads) as (container, stream):
            frames: Iterator[Any] = iter(())
            at: int | None = None
            for number in numbers:
                wanted = index.stamps[number]
                before = bisect_right(index.keys, wanted)
                key = index.keys[before - 1] if before else None
                if key is not None and (at is None or at < key):  # nothing is gained by a jump within a group
                    container.seek(key, stream=stream)
                    frames = decoded(self.path, container, stream, needed)
                frame = next((f for f in frames if f.pts is None or f.pts >= wanted), None)
                at = None if frame is None else frame.pts
                found = frame is not None and at == wanted and not frame.is_corrupt
                yield upright(frame, "gray") if found else self._grey(index, number)

    def _grey(self, index: _Index, number: int) -> npt.NDArray[np.uint8]:
        """The grey picture of a frame that a jump to the key frame before it does not find."""
        out: npt.NDArray[np.uint8] = self._read(np.empty((1, index.height, index.width), np.uint8), index, number)[0]
        return out

    def _read(self, out: npt.NDArray[np.uint8], index: _Index, start: int) -> npt.NDArray[np.uint8]:
        """Fills `out` `(T, H, W)`, grey, or `(T, H, W, 3)` from frame `start` on."""
        # An open group of pictures may need the key frame before: step back until nothing is missing.
        for key in [*reversed(index.keys[: bisect_right(index.keys, index.stamps[start])]), None]:
            if self._fill(out, index, start, key):
                return out
        raise VideoError(f"{self.path} cannot be decoded in frames {start} to {start + len(out) - 1}.")

    def _fill(self, out: npt.NDArray[np.uint8], index: _Index, start: int, key: int | None) -> bool:
        """Decodes from a key frame (None: from the start); whether every frame wanted came, in order."""
        wanted = index.stamps[start : start + len(out)]
        found, layout = 0, "gray" if out.ndim == 3 else "rgb24"
        upright = _Upright()
        with opened(self.path, self.threads) as (container, stream):
            if key is not None:
                container.seek(key, stream=stream)
            for number, frame in enumerate(decoded(self.path, container, stream)):
                stamp = frame.pts if index.stamped else number
                if stamp is None or stamp > wanted[found] or (stamp == wanted[found] and frame.is_corrupt):
                    return False
                if stamp == wanted[found]:
                    out[found] = upright(frame, layout)
                    found += 1
                    if found == len(wanted):
                        return True
        return False

    def iterate(self, batch: int = 32) -> Iterator[Frames]:
        """All frames in one pass, `batch` at a time."""
        with opened(self.path, self.threads) as (container, stream):
            frames, upright = _sound(self.path, container, stream), _Upright()
            while chunk := [upright(frame, "rgb24") for frame in itertools.islice(frames, batch)]:
                yield np.stack(chunk) if batch > 1 else chunk[0][None]

    def within(self, box: tuple[int, int, int, int]) -> Iterator[npt.NDArray[np.uint8]]:
        """All frames `(H, W, 3)` in one pass, right inside a box alone, where they equal those of :meth:`iterate`.

        Converting a part costs less. The array is the same every time.

        Args:
            box: `left, top, right, bottom` in whole pixels, right and bottom excluded; may reach outside the picture.
        """
        with opened(self.path, self.threads) as (container, stream):
            part: _Part | None = None
            for frame in _sound(self.path, container, stream):
                part = part or _Part(frame, box)
                yield part(frame)

    def close(self) -> None:
        """Nothing is held open between reads."""

    def _indexed(self) -> _Index:
        if self._index is None:
            self._index = _indexed(self.path)
        return self._index


@dataclass(frozen=True)
class _Index:
    """Timestamps of all frames and of the key frames, ascending; frame numbers where `stamped` is false.

    `clock` holds the file's timing.
    """

    stamps: list[int]
    keys: list[int]
    stamped: bool
    height: int
    width: int
    clock: Clock


def _indexed(path: str) -> _Index:
    """Reads the timestamps of all packets without decoding; decodes where packets have none."""
    stamps: list[int] = []
    keys: list[int] = []
    with opened(path) as (container, stream):
        clock = Clock.of(path, container, stream)
        size = next((_Upright().size(frame) for frame in decoded(path, container, stream)), (0, 0))
    with opened(path) as (container, stream):
        made_up = container.format.name == "avi" and stream.codec_context.has_b_frames
        for packet in packets(path, container, stream):
            if packet.size == 0 or packet.is_discard:
                continue
            if packet.pts is None or made_up:
                count = scan(path).n_frames
                return _Index(list(range(count)), [], False, *size, clock)
            stamps.append(packet.pts)
            if packet.is_keyframe:
                keys.append(packet.pts)
    return _Index(sorted(stamps), sorted(keys), True, *size, clock)


def _sound(path: str, container: Any, stream: Any) -> Iterator[Any]:
    """The frames that are shown; refuses a damaged one, which decoders show with holes painted over."""
    for number, frame in enumerate(decoded(path, container, stream)):
        if frame.is_corrupt:
            raise VideoError(f"{path} is damaged at frame {number}; the {number} frames before it can be decoded.")
        yield frame


class _Upright:
    """Makes arrays of a file's frames, turned and mirrored as the display matrix of its first frame says.

    PyAV keeps a frame whose side data was read until the garbage collector comes: hundreds of megabytes if all were.
    """

    def __init__(self) -> None:
        self._turn: tuple[bool, int, int] | None = None

    def size(self, frame: Any) -> tuple[int, int]:
        """Rows and columns of a frame."""
        return (frame.width, frame.height) if self._found(frame)[0] else (frame.height, frame.width)

    def __call__(self, frame: Any, layout: str) -> npt.NDArray[np.uint8]:
        """A frame in a pixel format of PyAV, `gray` or `rgb24`."""
        # Without threads=1 every frame would be converted by a scaler with a new pool of threads.
        image: npt.NDArray[np.uint8] = frame.reformat(format=layout, threads=1).to_ndarray()
        swapped, down, across = self._found(frame)
        if swapped:
            image = image.swapaxes(0, 1)
        return np.ascontiguousarray(image[::down, ::across])

    def _found(self, frame: Any) -> tuple[bool, int, int]:
        if self._turn is None:
            self._turn = _turn(frame)
        return self._turn


class _Part:
    """Makes arrays of a file's frames, right in a box alone: the rest is not converted.

    A frame that is turned, odd in size, or not in the usual format (whose colour has half the size) is converted whole.
    """

    def __init__(self, first: Any, box: tuple[int, int, int, int]) -> None:
        self._upright, self._form = _Upright(), _form(first)
        left, top = (max(edge, 0) // 2 * 2 for edge in box[:2])
        right, bottom = (min(box[2] + 1, first.width) // 2 * 2, min(box[3] + 1, first.height) // 2 * 2)
        usual = first.format.name in ("yuv420p", "yuvj420p") and first.width % 2 == first.height % 2 == 0
        self._graph: Any = None
        if usual and left < right and top < bottom and _turn(first) == (False, 1, 1):
            self._picture = np.zeros((first.height, first.width, 3), np.uint8)
            self._part = self._picture[top:bottom, left:right]
            self._graph = Graph()
            source = self._graph.add_buffer(
                width=first.width, height=first.height, format=first.format, time_base=first.time_base
            )
            cut = self._graph.add("crop", f"{right - left}:{bottom - top}:{left}:{top}")
            source.link_to(cut)
            cut.link_to(self._graph.add("buffersink"))
            self._graph.configure()

    def __call__(self, frame: Any) -> npt.NDArray[np.uint8]:
        """A frame `(H, W, 3)`; the array of the next may be the same."""
        if self._graph is None or _form(frame) != self._form:
            return self._upright(frame, "rgb24")
        self._graph.push(frame)
        self._part[:] = self._graph.pull().reformat(format="rgb24", threads=1).to_ndarray()
        return self._picture


def _form(frame: Any) -> tuple[int, int, str]:
    return frame.width, frame.height, frame.format.name


def _turn(frame: Any) -> tuple[bool, int, int]:
    """How a frame is shown: whether rows and columns are swapped, then the steps through both, 1 or -1."""
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return False, 1, 1
    # A place (x, y) of the stored picture is shown at (a x + c y, b x + d y).
    a, b, _, c, d = np.frombuffer(matrix, np.int32)[:5].tolist()
    swapped = abs(b) > abs(a)
    down, across = (b, c) if swapped else (d, a)
    return swapped, -1 if down < 0 else 1, -1 if across < 0 else 1
