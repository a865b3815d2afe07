"""What is known of a video without decoding it: frame rate and count from its header, or its folder's numbers."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from fedn_lightning.errors import VideoError
from fedn_lightning.utils.names import VIDEO_SUFFIXES as VIDEO_SUFFIXES

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff")

_LAST_NUMBER = re.compile(r"(\d+)\D*$")


def local_name(path: str | Path) -> str:
    """A file's name as FFmpeg must be given it, which takes `P01` of `P01:anna.mp4` for a protocol."""
    return str(Path(path).absolute())


@dataclass(frozen=True, slots=True)
class Header:
    """The header of a video.

    Attributes:
        fps: frames per second; 0 for a folder of images, which has none.
        n_frames: number of frames; for a folder, last number - first number + 1; None where a header is silent.
        first_frame: number of the first frame; 1 for a video file.
    """

    fps: float
    n_frames: int | None
    first_frame: int = 1


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
        msg = f"{folder} cannot be read as a folder of frames: {error.strerror}."
        raise VideoError(msg) from None
    frames = sorted((number, path) for number, path in found if number is not None)
    if not frames:
        msg = f"{folder} holds no numbered image ({', '.join(IMAGE_SUFFIXES)}), so it is not a video in frames."
        raise VideoError(msg)
    for (number, path), (following, other) in pairwise(frames):
        if number == following:
            msg = f"Two images claim frame {number}: {path} and {Path(other).name}. Remove one."
            raise VideoError(msg)
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
            count = stream.frames or None
    except (av.FFmpegError, OSError, IndexError, ValueError) as error:
        msg = f"{path} cannot be opened as a video: {reason(error)}."
        raise VideoError(msg) from None
    if not rate:
        msg = f"{path} does not say its frame rate, so its annotations have no time. Convert it to a common container."
        raise VideoError(msg)
    return Header(fps=float(rate), n_frames=count)


def picture_stream(container: Any) -> Any:
    """The stream of a video file that a player shows: cover pictures and streams of one frame are skipped.

    Args:
        container: an open file of PyAV.

    Raises:
        IndexError: if there is none.
    """
    streams = [s for s in container.streams.video if not s.disposition & s.disposition.attached_pic]
    moving = [s for s in streams if s.frames != 1] or streams
    best = container.streams.best("video")
    return best if best in moving else moving[0]


def reason(error: Exception) -> str:
    """Why a container cannot be opened, without the error number and the path that the message names already.

    >>> reason(OSError(2, "No such file or directory", "a.avi")), reason(IndexError())
    ('No such file or directory', 'it holds no pictures')
    """
    if isinstance(error, IndexError):  # there is no first video stream
        return "it holds no pictures"
    return str(getattr(error, "strerror", None) or error)
