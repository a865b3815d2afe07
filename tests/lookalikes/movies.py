"""Small videos of every kind that the readers must get right, each frame showing its own number."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]

BITS = 14
"""Bits of a frame number that a numbered picture shows, as black and white cells that survive any codec."""


def numbered(number: int, height: int = 48, width: int = 112) -> Image:
    """A `(H, W, 3)` picture that shows `number` in binary: one row of cells, and its complement below."""
    bits = np.array([number >> bit & 1 for bit in range(BITS)], np.uint8)
    cells = np.stack([bits, 1 - bits]) * 255
    return cv2.cvtColor(cv2.resize(cells, (width, height), interpolation=cv2.INTER_NEAREST), cv2.COLOR_GRAY2RGB)


def read_number(image: Image) -> int:
    """The number a picture of :func:`numbered` shows; -1 if its two rows contradict each other."""
    cells = cv2.resize(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), (BITS * 8, 16), interpolation=cv2.INTER_AREA)
    upper, lower = (cells[row, 4::8] > 127 for row in (4, 12))
    return int(np.sum(upper * 2 ** np.arange(BITS))) if (upper != lower).all() else -1


def write_movie(
    path: Path,
    images: Iterable[Image],
    fps: float = 30.0,
    codec: str = "libx264",
    options: dict[str, str] | None = None,
    times: Iterable[int] | None = None,
) -> None:
    """Encodes `(H, W, 3)` RGB pictures; `times` are timestamps in milliseconds, for a variable frame rate."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=Fraction(fps).limit_denominator(1000), options=options or {})
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        if times is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        for image, stamp in zip(images, _stamps(times), strict=False):
            if not stream.codec_context.is_open:
                stream.height, stream.width = image.shape[:2]
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            if stamp is not None:
                frame.pts, frame.time_base = stamp, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def _stamps(times: Iterable[int] | None) -> Iterator[int | None]:
    while times is None:
        yield None
    yield from times


def write_frames(folder: Path, images: Iterable[Image], pattern: str = "img{:03d}.jpg", first: int = 1) -> None:
    """Writes pictures as a folder of frames; JPEG as good as OpenCV makes it."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, image in enumerate(images, first):
        path = folder / pattern.format(number)
        quality = [cv2.IMWRITE_JPEG_QUALITY, 100] if path.suffix == ".jpg" else []
        cv2.imwrite(str(path), image[..., ::-1], quality)
