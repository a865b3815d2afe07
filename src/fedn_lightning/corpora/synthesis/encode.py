"""Writes frames as a video file or as a folder of images, so that an interrupted run leaves nothing half-written.

Video files are Motion JPEG in AVI. QUALITY-TABLE
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path
from typing import Final, Literal

import cv2
import numpy as np
import numpy.typing as npt

from fedn_lightning.corpora.synthesis.presets import FPS, FRAME_HEIGHT, FRAME_WIDTH

Image = npt.NDArray[np.uint8]
Form = Literal["video", "frames"]

QUALITY: Final = 92
"""JPEG quality of the frames of an ordinary corpus."""
HARD_QUALITY: Final = 60
"""JPEG quality of a hard corpus."""
STILL_QUALITY: Final = 98
"""JPEG quality of still images, whose colour is kept at full resolution."""

SUFFIX: Final[dict[Form, str]] = {"video": ".avi", "frames": ""}
FOLDER: Final[dict[Form, str]] = {"video": "rawvideo", "frames": "rawpic"}
"""Folder of the release that holds each form."""


def encode_jpeg(image: Image, quality: int, full_colour: bool = False) -> bytes:
    """Encodes an image.

    Args:
        image: `(H, W, 3)` uint8 RGB.
        quality: 1 to 100.
        full_colour: whether colour keeps the full resolution (4:4:4) rather than half of it (4:2:0).

    Returns:
        The content of a JPEG file.
    """
    sampling = cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444 if full_colour else cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420
    options = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling]
    _, content = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options)
    return content.tobytes()


def write_video(path: Path, frames: Iterable[Image], quality: int) -> None:
    """Writes frames as Motion JPEG in AVI, 30 per second; every frame is a key frame.

    Args:
        path: the file; it appears when it is complete.
        frames: `(480, 640, 3)` uint8 RGB each.
        quality: JPEG quality.
    """
    import av

    partial = _partial(path)
    # bitexact leaves the muxer's version out of the file. The frames are compressed by libjpeg, not by the container's
    # own encoder: it is twice as fast and knows a quality that keeps micro-movements.
    with av.open(str(partial), "w", format="avi", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("mjpeg", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = FRAME_WIDTH, FRAME_HEIGHT, "yuvj420p"
        for number, frame in enumerate(frames):
            packet = av.Packet(encode_jpeg(frame, quality))
            packet.stream, packet.time_base, packet.is_keyframe = stream, Fraction(1, FPS), True
            packet.pts, packet.dts, packet.duration = number, number, 1
            container.mux(packet)
    partial.replace(path)


def write_frames(path: Path, frames: Iterable[Image], quality: int) -> None:
    """Writes frames as `img001.jpg`, `img002.jpg`, ..., `img1000.jpg`, counting from 1 as the release does.

    Args:
        path: the folder; it appears when it is complete.
        frames: `(H, W, 3)` uint8 RGB each.
        quality: JPEG quality.
    """
    partial = _partial(path)
    partial.mkdir()
    for number, frame in enumerate(frames, start=1):
        (partial / f"img{number:03d}.jpg").write_bytes(encode_jpeg(frame, quality))
    partial.replace(path)


WRITERS: Final[dict[Form, Callable[[Path, Iterable[Image], int], None]]] = {
    "video": write_video,
    "frames": write_frames,
}
"""The function that writes each form."""


def _partial(path: Path) -> Path:
    """The name under which a file or folder grows, with what an interrupted run left under it removed."""
    partial = path.with_name(f".{path.name}.partial")
    if partial.is_dir():
        shutil.rmtree(partial)
    else:
        partial.unlink(missing_ok=True)
    return partial
