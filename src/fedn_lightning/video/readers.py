"""Frames of a video by number, from a video file (decord or PyAV) or a folder of images.

Every source counts frames from 0 in the order they are shown and returns RGB. Sources open their file when first
read, so that they can be sent to worker processes.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args

import cv2
import numpy as np
import numpy.typing as npt

from fedn_lightning.errors import VideoError
from fedn_lightning.utils.text import check_choice
from fedn_lightning.video.alignment import crop
from fedn_lightning.video.media import Frames, FrameSource, check_range, local_name, numbered_images
from fedn_lightning.video.pyav import PyAVSource

Reader = Literal["decord", "pyav"]
Gaps = Literal["repeat", "split", "error"]


def open_video(path: str | Path, fps: float | None = None, reader: Reader = "decord") -> FrameSource:
    """Opens a video file or a folder of numbered images.

    Args:
        path: the video.
        fps: frame rate of a folder; ignored for a file.
        reader: for files, `decord` (fast, but silently wrong when jumping in some codecs: use it where
            :mod:`fedn_lightning.video.verify` found it right) or `pyav` (exact, slower when jumping).

    Raises:
        VideoError: if nothing is there, or a folder is opened without a rate.
        ConfigError: if there is no such reader.
    """
    if Path(path).is_dir():
        if not fps:
            raise VideoError(f"{path} is a folder of frames; give the rate (fps) at which they were taken.")
        return FolderSource(str(path), fps)
    if not Path(path).is_file():
        raise VideoError(f"There is no video {path}.")
    check_choice("reader", reader, get_args(Reader))
    if reader == "decord":
        return DecordSource(str(path))
    return PyAVSource(str(path))


class FolderSource:
    """A folder with one image per frame. Frame 0 is the lowest number; numbers may have gaps.

    Args:
        path: the folder.
        fps: frames per second at which the images were taken.
        gaps: what replaces a missing number or an image that cannot be read: `repeat` and `split` show the frame before
            it, `error` refuses. Under `split` no window contains it, see
            :attr:`fedn_lightning.video.store.StoredVideo.parts`.

    Attributes:
        unreadable: why an image cannot be read, by its frame; complete once every frame was read.

    Raises:
        VideoError: if the folder holds no numbered image, or lacks one under `error`.
    """

    def __init__(self, path: str, fps: float, gaps: Gaps = "repeat") -> None:
        self.path = path
        self.fps = fps
        images = numbered_images(path)
        first = images[0][0]
        self.n_frames = images[-1][0] - first + 1
        self._indices = np.array([number - first for number, _ in images])
        self._images = [image for _, image in images]
        self._shape: tuple[int, int] | None = None
        self._gaps = gaps
        self.unreadable: dict[int, str] = {}
        if gaps == "error" and len(self.missing):
            raise VideoError(f"{path} has no image for frame {self.missing[0]}, and gaps is error.")

    @property
    def missing(self) -> npt.NDArray[np.int64]:
        """Frames that have no image, or none that can be read as far as is known, ascending."""
        return np.setdiff1d(np.arange(self.n_frames), np.setdiff1d(self._indices, list(self.unreadable)))

    @property
    def height(self) -> int:
        """Rows of a frame in pixels."""
        return self._size()[0]

    @property
    def width(self) -> int:
        """Columns of a frame in pixels."""
        return self._size()[1]

    def frames(self, start: int, stop: int) -> Frames:
        """Frames `[start, stop)`; see :class:`FrameSource`."""
        check_range(self.path, start, stop, self.n_frames)
        rows = np.searchsorted(self._indices, np.arange(start, stop), side="right") - 1
        out = np.empty((stop - start, self.height, self.width, 3), np.uint8)
        for position, row in enumerate(rows):
            if position and row == rows[position - 1]:
                out[position] = out[position - 1]
            else:
                out[position] = self._nearest(row)
        return out

    def iterate(self, batch: int = 32) -> Iterator[Frames]:
        """All frames, `batch` at a time."""
        for start in range(0, self.n_frames, batch):
            yield self.frames(start, min(start + batch, self.n_frames))

    def close(self) -> None:
        """Nothing is held open."""

    def _size(self) -> tuple[int, int]:
        if self._shape is None:
            self._shape = self._nearest(0).shape[:2]
        return self._shape

    def _nearest(self, row: int) -> npt.NDArray[np.uint8]:
        """An image; if it cannot be read, the nearest before it that can, or at the start the nearest after it."""
        for candidate in (*range(row, -1, -1), *range(row + 1, len(self._images))):
            frame = int(self._indices[candidate])
            if frame not in self.unreadable:
                try:
                    return self._read(candidate)
                except UnreadableImageError as error:
                    self._note_unreadable(frame, str(error))
        raise VideoError(f"{self.path} holds no image that can be read.")

    def _note_unreadable(self, frame: int, why: str) -> None:
        """Remembers an image that cannot be read; refuses the folder if there are many, or under `gaps="error"`."""
        self.unreadable[frame] = why
        if self._gaps == "error":
            raise VideoError(f"{why}, and gaps is error.")
        if len(self.unreadable) > max(1, MAX_UNREADABLE * len(self._images)):
            first = next(iter(self.unreadable.values()))
            raise VideoError(
                f"{first}, and more than {MAX_UNREADABLE:.0%} of the images in {self.path} cannot be read. Copy the "
                "folder again from its origin."
            )

    def _read(self, row: int) -> npt.NDArray[np.uint8]:
        image = _imread(self._images[row])
        if self._shape is not None and image.shape[:2] != self._shape:
            height, width = self._shape
            msg = f"{self._images[row]} is {image.shape[1]}x{image.shape[0]}; the video's first frame {width}x{height}."
            raise VideoError(msg)
        return image


MAX_UNREADABLE = 0.1
"""Share of a folder's images that may be unreadable (one always may)."""


class UnreadableImageError(VideoError):
    """A file is empty or no image; the message names it, without a full stop."""


def _imread(path: str) -> npt.NDArray[np.uint8]:
    """An image as `(H, W, 3)` RGB."""
    # Not cv2.imread(path): it cannot open every unicode name on every system, and prints to stderr when it fails.
    try:
        data = np.fromfile(path, np.uint8)
    except OSError as error:
        raise VideoError(f"{path} cannot be read: {error.strerror}.") from None
    image = cv2.imdecode(data, cv2.IMREAD_COLOR_RGB) if len(data) else None
    if image is None:
        raise UnreadableImageError(f"{path} is {'empty' if not len(data) else 'not a readable image'}")
    return np.asarray(image, np.uint8)


class DecordSource:
    """A video file read by decord: the fastest reader of windows.

    Jumping is silently wrong in some files (open-GOP H.264, HEVC, H.264 in AVI, MPEG-4 with B frames, edit lists):
    :mod:`fedn_lightning.video.verify` finds out which. :meth:`iterate` is right in all, because it is PyAV's: decord
    decodes ahead without bound, up to gigabytes when the consumer is slower than the decoder.

    Args:
        path: the file.
        size: `(height, width)` to scale to while decoding, which is faster than doing so afterwards.
    """

    def __init__(self, path: str, size: tuple[int, int] | None = None) -> None:
        self.path = path
        self.size = size
        self._reader: Any = None
        self._shape: tuple[int, int] | None = None

    @property
    def n_frames(self) -> int:
        """Number of frames, as decord counts them from the container."""
        return len(self._open())

    @property
    def fps(self) -> float:
        """Average frames per second."""
        return float(self._open().get_avg_fps())

    @property
    def height(self) -> int:
        """Rows of a frame in pixels."""
        return self._size()[0]

    @property
    def width(self) -> int:
        """Columns of a frame in pixels."""
        return self._size()[1]

    def frames(self, start: int, stop: int) -> Frames:
        """Frames `[start, stop)`; see :class:`FrameSource`."""
        check_range(self.path, start, stop, self.n_frames)
        if start == stop:
            return np.empty((0, self.height, self.width, 3), np.uint8)
        out = self._batch(start, stop)
        # decord would decode on to the end of the file in the background, at full memory cost.
        self._open().seek(0)
        return out

    def _batch(self, start: int, stop: int) -> Frames:
        import decord

        try:
            return np.asarray(self._open().get_batch(range(start, stop)).asnumpy(), np.uint8)
        except decord.DECORDError as error:
            msg = f"{self.path} cannot be decoded in frames {start} to {stop - 1}: {_first_line(error)}."
            raise VideoError(msg) from None

    def iterate(self, batch: int = 32) -> Iterator[Frames]:
        """All frames, `batch` at a time, by PyAV (see the class); scaled to `size` if one is set."""
        for images in PyAVSource(self.path).iterate(batch):
            yield images if self.size is None else np.stack([cv2.resize(i, self.size[::-1]) for i in images])

    def key_frames(self) -> list[int]:
        """Numbers of the frames that can be decoded by themselves, as decord takes them from the container."""
        return [int(number) for number in self._open().get_key_indices()]

    def contiguous(self, batch: int = 64) -> Iterator[Frames]:
        """All frames by decord itself, never jumping: right in every file, but see the class about memory."""
        self.close()
        for start in range(0, self.n_frames, batch):
            yield self._batch(start, min(start + batch, self.n_frames))
        self.close()

    def close(self) -> None:
        """Drops the reader and what it has decoded ahead."""
        self._reader = None

    def __getstate__(self) -> dict[str, Any]:
        # A reader opened in one process hangs another.
        return {**self.__dict__, "_reader": None}

    def _open(self) -> Any:
        if self._reader is None:
            import decord

            # Native code would print a line for every frame it conceals; what goes wrong is raised or verified.
            decord.logging.set_level(decord.logging.FATAL)
            height, width = self.size or (-1, -1)
            try:
                # One thread: a second gains 5 % on windows and takes more than a gigabyte.
                self._reader = decord.VideoReader(local_name(self.path), num_threads=1, height=height, width=width)
            except (decord.DECORDError, RuntimeError) as error:
                raise VideoError(f"{self.path} cannot be opened as a video: {_first_line(error)}.") from None
        return self._reader

    def _size(self) -> tuple[int, int]:
        if self.size is not None:
            return self.size
        if self._shape is None:
            self._shape = self._open()[0].shape[:2]
            self._open().seek(0)
        return self._shape


def _first_line(error: Exception) -> str:
    """The first line of an error of native code, which is often a stack trace."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].strip().rstrip(".")


MAX_OPEN = 4
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
    while len(_open) > MAX_OPEN:
        _open.popleft().close()


def _close_all() -> None:
    while _open:
        _open.pop().close()


if hasattr(os, "register_at_fork"):
    # A forked worker has none of the decoder's threads and would wait for them for ever.
    os.register_at_fork(before=_close_all)
