"""The video with the detections drawn into it: the face, a running label, and a timeline with a cursor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt

from fedn_lightning.events import EXPRESSION_TYPES
from fedn_lightning.inference.detections import GENERATED_ONLY, DetectedExpression, Detections
from fedn_lightning.utils.drawing import FAINT, MISSED, TYPE_COLOURS, emotion_colours
from fedn_lightning.utils.files import write_atomically
from fedn_lightning.utils.text import timecode
from fedn_lightning.video.media import local_name
from fedn_lightning.video.pyav import PyAVSource

Image = npt.NDArray[np.uint8]
Colour = tuple[int, int, int]

STRIP_HEIGHT = 56
"""Rows of the timeline below the picture."""

MIN_WIDTH = 320
"""Narrower videos are enlarged, or the label would not fit."""

TIME_BASE = 90_000
"""Timestamps a second, as in most containers."""

BATCH = 8


def write_annotated(path: str | Path, detections: Detections, tick: Callable[[int], None] = lambda n: None) -> Path:
    """Writes an MP4 (H.264, without the sound); the video is decoded once more, frame by frame.

    The square is what the network saw of the face; it and the label take the emotion's colour while an expression
    lasts. Frames keep their own times, also at a variable rate.

    Args:
        path: the file; it appears whole or not at all.
        detections: of one video.
        tick: called with the number of frames written.

    Raises:
        VideoError: if the video cannot be decoded any more.
    """
    return write_atomically(path, lambda temporary: _write(temporary, detections, tick))


def _write(path: Path, detections: Detections, tick: Callable[[int], None]) -> None:
    painter: _Painter | None = None
    number = 0
    with av.open(local_name(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(detections.fps).limit_denominator(1000))
        stream.pix_fmt, stream.options = "yuv420p", {"preset": "veryfast", "crf": "23"}
        stream.codec_context.time_base = Fraction(1, TIME_BASE)
        stamps = np.rint(TIME_BASE * detections.seconds_at(np.arange(detections.n_frames))).astype(np.int64)
        for batch in PyAVSource(detections.video).iterate(BATCH):
            if painter is None:
                painter = _Painter(detections, batch.shape[1], batch.shape[2])
                stream.width, stream.height = painter.width, painter.height
            for image in batch[: detections.n_frames - number]:
                frame = av.VideoFrame.from_ndarray(painter.paint(image, number), format="rgb24")
                frame.pts, frame.time_base = int(stamps[number]), Fraction(1, TIME_BASE)
                container.mux(stream.encode(frame))
                number += 1
            tick(len(batch))
        container.mux(stream.encode())


class _Painter:
    """Draws into one frame after the other."""

    def __init__(self, detections: Detections, height: int, width: int) -> None:
        self.detections = detections
        self.scale = max(1.0, MIN_WIDTH / width)
        # H.264 wants even sides.
        self.width, self.picture = (2 * round(self.scale * side / 2) for side in (width, height))
        self.height = self.picture + STRIP_HEIGHT
        self.colours = {name: _rgb(value) for name, value in emotion_colours(detections.emotions).items()}
        self.corners = [corners(squares, detections.crop_size) * self.scale for squares in detections.squares]
        self.strip = self._timeline()

    def paint(self, image: Image, number: int) -> Image:
        """The annotated picture of a frame."""
        canvas = np.empty((self.height, self.width, 3), np.uint8)
        canvas[: self.picture] = cv2.resize(image, (self.width, self.picture))
        now = [e for e in self.detections if e.start <= number + 0.5 < e.end]
        for face, outline in zip(self.detections.faces, self.corners, strict=True):
            mine = [e for e in now if e.face == face.number]
            self._face(canvas[: self.picture], outline[min(number, len(outline) - 1)], mine)
        canvas[self.picture :] = self.strip
        seconds = float(self.detections.seconds_at(number))
        x = self._column(seconds)
        cv2.line(canvas, (x, self.picture), (x, self.height - 1), (255, 255, 255), 1)
        _text(canvas, timecode(seconds), (6, self.picture - 8), (255, 255, 255))
        doubtful = {s.reason for s in self.detections.unreliable if s.start <= number + 0.5 < s.end}
        if doubtful:
            _text(canvas, f"unreliable: {', '.join(sorted(doubtful))}", (6, 34), (255, 120, 120))
        if self.detections.generated_only:
            _text(canvas, GENERATED_ONLY, (6, 16), (255, 220, 120))
        return canvas

    def _face(self, picture: Image, outline: npt.NDArray[np.float64], now: Sequence[DetectedExpression]) -> None:
        colour = self._colour(now[0]) if now else _rgb(MISSED)
        cv2.polylines(picture, [np.rint(outline).astype(np.int32)], True, colour, 2 if now else 1, cv2.LINE_AA)
        x, y = outline.min(axis=0)
        for line, e in enumerate(now):
            words = f"{e.type} {e.emotion or ''} {e.confidence:.2f}"
            place = max(int(x), 2), max(int(y) - 6 - 18 * line, 16 + 18 * line)
            _text(picture, words, place, self._colour(e))

    def _timeline(self) -> Image:
        """The strip below the picture: macro-expressions above, micro-expressions below."""
        strip = np.full((STRIP_HEIGHT, self.width, 3), 34, np.uint8)
        lane = STRIP_HEIGHT // len(EXPRESSION_TYPES)
        for row, kind in enumerate(EXPRESSION_TYPES):
            _text(strip, kind, (4, row * lane + 17), _rgb(TYPE_COLOURS[kind], light=0.5))
        for e in self.detections:
            top = EXPRESSION_TYPES.index(e.type) * lane + 4
            left, right = self._column(e.start_seconds), self._column(e.end_seconds)
            cv2.rectangle(strip, (left, top), (max(right, left + 1), top + lane - 8), self._colour(e), -1)
        return strip

    def _column(self, seconds: float) -> int:
        left = 52  # right of the names
        return left + int(
            (self.width - left - 2) * (seconds - self.detections.start) / max(self.detections.duration, 1e-9)
        )

    def _colour(self, e: DetectedExpression) -> Colour:
        return self.colours[e.emotion] if e.emotion else _rgb(FAINT)


def corners(transforms: npt.NDArray[np.float64], size: int) -> npt.NDArray[np.float64]:
    """The corners of the crop in the source picture.

    Args:
        transforms: `(N, 2, 3)` similarities, source to crop pixels.
        size: side of the crop in pixels.

    Returns:
        `(N, 4, 2)` x and y, clockwise from the upper left.

    >>> corners(np.array([[[0.5, 0, -5], [0, 0.5, -10]]]), 20).tolist()
    [[[10.0, 20.0], [50.0, 20.0], [50.0, 60.0], [10.0, 60.0]]]
    """
    square = np.array([[0, 0], [size, 0], [size, size], [0, size]], np.float64)
    inverse = np.linalg.inv(transforms[:, :, :2])
    moved = square[None] - transforms[:, None, :, 2]
    outlines: npt.NDArray[np.float64] = np.einsum("nij,nkj->nki", inverse, moved)
    return outlines


def _rgb(colour: str, light: float = 0.0) -> Colour:
    """A colour written `#rrggbb`, mixed with a share of white."""
    red, green, blue = (int(colour[k : k + 2], 16) for k in (1, 3, 5))
    return tuple(round(part + light * (255 - part)) for part in (red, green, blue))  # type: ignore[return-value]


def _text(image: Any, words: str, place: tuple[int, int], colour: Colour) -> None:
    """Writes text with a dark rim, readable on any background."""
    for tint, width in (((20, 20, 20), 3), (colour, 1)):
        cv2.putText(image, words, place, cv2.FONT_HERSHEY_SIMPLEX, 0.45, tint, width, cv2.LINE_AA)
