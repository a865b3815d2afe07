"""Pictures of what was found in a video: a timeline, and the video with the events drawn into it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from fedn_lightning.events import EXPRESSION_TYPES
from fedn_lightning.inference.detections import GENERATED_ONLY, DetectedExpression, Detections, FaceTrack
from fedn_lightning.utils.drawing import FAINT, INK, MISSED, ROW_SECONDS, TYPE_COLOURS, confidence_top, emotion_colours
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


MAX_ROWS = 12
"""A longer video is drawn at a smaller scale: an hour in rows of a minute would be a picture of 130 MB."""

MAX_POINTS = 4000
"""Points of a confidence curve in a row; each shows the maximum of its frames."""

WHOLE = 10.0
"""Seconds in a row from which its axis tells whole seconds."""

HEADER, ROW = 0.85, 1.9
"""Inches above the first row, and of a row."""


def draw(detections: Detections) -> Figure:
    """Draws a timeline; each face has its own rows.

    Returns:
        A figure with the time in minutes and seconds.
    """
    n_rows = min(MAX_ROWS, max(1, int(np.ceil(detections.duration / ROW_SECONDS - 1e-9))))
    shown = detections.duration / n_rows
    height = HEADER + 0.35 + ROW * n_rows * len(detections.faces)
    figure = Figure(figsize=(14, height), dpi=110, facecolor="white")
    FigureCanvasAgg(figure)
    figure.subplots_adjust(left=0.075, right=0.985, top=1 - HEADER / height, bottom=0.4 / height)
    grid = figure.add_gridspec(n_rows * len(detections.faces), 1, hspace=0.3)
    top = confidence_top(detections.to_record())
    for place, face in enumerate(detections.faces):
        for row in range(n_rows):
            pair = grid[place * n_rows + row].subgridspec(2, 1, height_ratios=[1.0, 1.3], hspace=0.1)
            lanes = figure.add_subplot(pair[0])
            curve = figure.add_subplot(pair[1], sharex=lanes)
            span = detections.start + row * shown, detections.start + (row + 1) * shown
            _draw_lanes(lanes, detections, [e for e in detections if e.face == face.number])
            _draw_curve(curve, detections, face, span)
            for stretch in (s for s in detections.unreliable if s.face == face.number):
                edges = [float(detections.seconds_at(edge)) for edge in (stretch.start, stretch.end)]
                for axis in (lanes, curve):
                    axis.axvspan(*edges, color=FAINT, alpha=0.35, linewidth=0)
            lanes.set_xlim(*span)
            lanes.tick_params(labelbottom=False)
            curve.set_ylim(0, 1.02 * top)
            # Steps of 2.5 would be told as 2 and 3.
            curve.xaxis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 5, 10], integer=shown >= WHOLE))
            curve.xaxis.set_major_formatter(lambda seconds, _: _mark(seconds, shown))
    _draw_title(figure, detections)
    return figure


def _draw_lanes(axis: Any, detections: Detections, expressions: list[DetectedExpression]) -> None:
    colours = emotion_colours(detections.emotions)
    for e in expressions:
        colour = colours[e.emotion] if e.emotion else FAINT
        lane, width = EXPRESSION_TYPES.index(e.type), e.end_seconds - e.start_seconds
        # The rim keeps the shortest event visible.
        axis.barh(lane, width, left=e.start_seconds, height=0.72, facecolor=colour, edgecolor=colour, linewidth=1.1)
    axis.set_ylim(len(EXPRESSION_TYPES) - 0.4, -0.6)
    axis.set_yticks(range(len(EXPRESSION_TYPES)), EXPRESSION_TYPES, fontsize=9)
    _clean(axis)
    axis.tick_params(axis="both", length=0)


def _draw_curve(axis: Any, detections: Detections, face: FaceTrack, span: tuple[float, float]) -> None:
    middle = detections.seconds_at(np.arange(detections.n_frames) + 0.5)
    inside = slice(*np.searchsorted(middle, span))
    seconds, values = thinned(middle[inside], face.curve[inside])
    for column, (kind, threshold) in enumerate(zip(EXPRESSION_TYPES, detections.threshold, strict=True)):
        axis.fill_between(seconds, values[:, column], color=TYPE_COLOURS[kind], alpha=0.13, linewidth=0)
        axis.plot(seconds, values[:, column], color=TYPE_COLOURS[kind], linewidth=1.2)
        if np.isfinite(threshold):
            axis.axhline(threshold, color=TYPE_COLOURS[kind], linewidth=0.9, linestyle=(0, (4, 3)))
    axis.set_ylabel("confidence", fontsize=9, color=INK)
    _clean(axis)


def _mark(seconds: float, shown: float) -> str:
    """A time on the axis, as exact as a row of `shown` seconds needs it."""
    text = timecode(max(seconds, 0.0))
    return (text if seconds >= 3600 else text[3:])[: -4 if shown >= WHOLE else -2 if shown >= 2 else -1]


def thinned(seconds: Any, values: Any, most: int = MAX_POINTS) -> tuple[Any, Any]:
    """At most about `most` points of a curve, each the maximum of its neighbours, so that no peak is lost.

    >>> thinned(np.arange(4.0), np.array([[0.0], [3.0], [1.0], [0.0]]), most=2)[1].ravel().tolist()
    [3.0, 1.0]
    """
    step = max(1, int(np.ceil(len(seconds) / most)))
    first = np.arange(0, len(seconds), step)
    return seconds[first], np.maximum.reduceat(values, first, axis=0) if len(first) else values


def _clean(axis: Any) -> None:
    for side, spine in axis.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(MISSED)
    axis.tick_params(colors=INK, labelsize=9)
    axis.grid(axis="x", color="#eceef0", linewidth=0.8)
    axis.set_axisbelow(True)


def _draw_title(figure: Figure, detections: Detections) -> None:
    height = figure.get_figheight()
    top = 1 - 0.1 / height
    title, _, rest = repr(detections).splitlines()[0].partition(": ")
    rest += f"; {GENERATED_ONLY}" if detections.generated_only else ""
    figure.text(0.012, top, title, fontsize=13, weight="bold", color=INK, va="top")
    figure.text(0.012, top - 0.26 / height, rest, fontsize=10, color="#555c64", va="top")
    handles = [Patch(color=colour, label=name) for name, colour in emotion_colours(detections.emotions).items()]
    handles += [Patch(color=TYPE_COLOURS[kind], label=f"{kind} confidence") for kind in EXPRESSION_TYPES]
    figure.legend(
        handles=handles, loc="upper left", ncols=len(handles), frameon=False, fontsize=9, handlelength=1.4,
        borderpad=0, borderaxespad=0, labelcolor=INK, bbox_to_anchor=(0.012, top - 0.5 / height),
    )  # fmt: skip
