"""The interface of every source of frames, and what is known of a video without decoding it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from fedn_lightning.errors import VideoError
from fedn_lightning.utils.text import VIDEO_SUFFIXES as VIDEO_SUFFIXES

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
        raise VideoError(f"{path} has frames 0 to {n_frames - 1}; frames {start} to {stop - 1} were asked for.")


IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff")

_LAST_NUMBER = re.compile(r"(\d+)\D*$")


def local_name(path: str | Path) -> str:
    """A file's name as FFmpeg must be given it, which takes `P01` of `P01:anna.mp4` for a protocol."""
    return str(Path(path).absolute())


@dataclass(frozen=True, slots=True)
class Header:
    """The header of a video."""

    fps: float  # frames per second; 0 for a folder of images, which has none
    # number of frames; for a folder, last number - first number + 1; None where a header is silent
    n_frames: int | None
    first_frame: int = 1  # number of the first frame; 1 for a video file
    pixels: int = 0  # of a picture of a video file


def frame_number(name: str) -> int | None:
    """The frame number in an image's file name: the last run of digits before the suffix.

    >>> frame_number("img001.jpg"), frame_number("006_1_0123.jpg"), frame_number("Thumbs.db")
    (1, 123, None)
    """
    stem, suffix = os.path.splitext(name)  # noqa: PTH122 - called for every frame of a corpus, Path is ten times slower
    found = _LAST_NUMBER.search(stem)
    return int(found.group(1)) if found and suffix.lower() in IMAGE_SUFFIXES else None


def numbered_images(folder: str | Path) -> list[tuple[int, str]]:
    """The images of a folder by frame number (1, 2, ... 10, not 1, 10, 2).

    Returns:
        `(number, path)`, ascending; numbers may start anywhere and have gaps. Images without a number are not frames.

    Raises:
        VideoError: if the folder holds no numbered image, or two images with one number.
    """
    try:
        with os.scandir(folder) as entries:
            found = [(frame_number(e.name), e.path) for e in entries if not e.name.startswith(".")]
    except OSError as error:
        raise VideoError(f"{folder} cannot be read as a folder of frames: {error.strerror}.") from None
    frames = sorted((number, path) for number, path in found if number is not None)
    if not frames:
        msg = f"{folder} holds no numbered image ({', '.join(IMAGE_SUFFIXES)}), so it is not a video in frames."
        raise VideoError(msg)
    for (number, path), (following, other) in pairwise(frames):
        if number == following:
            raise VideoError(f"Two images have the frame number {number}: {path} and {Path(other).name}. Remove one.")
    return frames


def probe(path: str | Path) -> Header:
    """Reads a video's header, or a folder's file names; decodes nothing.

    A header can lie about the number of frames; `fedn data prepare` counts what can really be decoded.

    Raises:
        VideoError: if the path is neither a readable video file nor a folder of numbered images.
    """
    if Path(path).is_dir():
        frames = numbered_images(path)
        first, last = frames[0][0], frames[-1][0]
        return Header(fps=0.0, n_frames=last - first + 1, first_frame=first)
    import av

    try:
        with av.open(local_name(path)) as container:
            stream = picture_stream(container)
            rate = stream.average_rate or stream.guessed_rate
            count, pixels = stream.frames or None, stream.width * stream.height
    except (av.FFmpegError, OSError, IndexError, ValueError) as error:
        raise VideoError(f"{path} cannot be opened as a video: {reason(error)}.") from None
    if not rate:
        msg = f"{path} does not say its frame rate, so its annotations have no time. Convert it to a common container."
        raise VideoError(msg)
    return Header(float(rate), count, pixels=pixels)


def picture_stream(container: Any) -> Any:
    """The stream of a video file that a player shows: cover pictures and streams of one frame are skipped.

    Args:
        container: an open file of PyAV.

    Raises:
        IndexError: if there is none.
    """
    # What breaks off may name no codec.
    known = [s for s in container.streams.video if s.codec_context]
    streams = [s for s in known if not s.disposition & s.disposition.attached_pic]
    moving = [s for s in streams if s.frames != 1] or streams
    best = container.streams.best("video")
    return best if best in moving else moving[0]


def ignored_streams(path: str | Path) -> tuple[str, ...]:
    """What a video file holds beside the picture that is analysed, e.g. `stream 1: audio (aac)`; in their order."""
    import av

    with av.open(local_name(path)) as container:
        shown = picture_stream(container)
        return tuple(
            f"stream {stream.index}: "
            + ("cover picture" if stream.disposition & stream.disposition.attached_pic else stream.type)
            + (f" ({stream.codec_context.name})" if stream.codec_context else "")
            for stream in container.streams
            if stream.index != shown.index
        )


def reason(error: Exception) -> str:
    """Why a container cannot be opened, without the error number and the path that the message names already.

    >>> reason(OSError(2, "No such file or directory", "a.avi")), reason(IndexError())
    ('No such file or directory', 'it holds no pictures')
    """
    if isinstance(error, IndexError):  # there is no first video stream
        return "it holds no pictures"
    return str(getattr(error, "strerror", None) or error)
