"""Frames of the videos under review as JPEG: whole, cut to the face, or with the motion since a frame magnified."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from fedn_lightning.errors import VideoError
from fedn_lightning.review.events import ReviewVideo
from fedn_lightning.video.alignment import Box
from fedn_lightning.video.media import check_range
from fedn_lightning.video.pyav import PyAVSource, scan, scan_fast
from fedn_lightning.video.readers import FolderSource, open_video

Image = npt.NDArray[np.uint8]

AHEAD, AHEAD_BYTES = 12, 32e6
"""Frames that are decoded at once, for whoever steps through them, and most bytes that they may take."""

CACHE_BYTES = 48e6
"""JPEG files that are kept."""

SIDE, CROP_SIDE = 960, 256
"""Longest side of a whole picture, and of a crop."""

AROUND = 0.25
"""A crop shows this part of the face's box more on every side."""


class Pictures:
    """The frames of any number of videos, the last ones kept in memory. Frames are counted from 1."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sources: dict[str, PyAVSource | FolderSource] = {}
        self._kept: OrderedDict[tuple[Any, ...], bytes] = OrderedDict()
        self._bytes = 0

    def timeline(self, video: ReviewVideo) -> dict[str, Any]:
        """When each frame is shown by a player's clock.

        Returns:
            `fps`, `start` (seconds of the first frame), `n_frames`, and `times`: seconds of each frame after the first,
            None where the rate is even.
        """
        if video.path.is_dir():
            return {"fps": video.fps, "start": 0.0, "n_frames": self._source(video).n_frames, "times": None}
        line = scan_fast(str(video.path)) or scan(str(video.path))
        times = np.round(line.times, 6).tolist() if line.variable else None
        return {"fps": line.fps, "start": line.start, "n_frames": line.n_frames, "times": times}

    def whole(self, video: ReviewVideo, number: int) -> bytes:
        """One frame; the next ones are decoded with it."""
        key = (video.id, number, "whole")
        with self._lock:
            if key not in self._kept:
                source = self._source(video)
                check_range(str(video.path), number - 1, number, source.n_frames)
                size = max(1, source.height * source.width * 3)
                stop = min(source.n_frames, number - 1 + max(1, min(AHEAD, int(AHEAD_BYTES / size))))
                for place, image in enumerate(source.frames(number - 1, stop), start=number):
                    self._keep((video.id, place, "whole"), _jpeg(_scaled(image, SIDE)))
            return self._use(key)

    def crop(self, video: ReviewVideo, number: int, face: int, since: int | None = None, by: float = 4.0) -> bytes:
        """The face in one frame.

        Args:
            video: the video.
            number: the frame.
            face: number of the face.
            since: magnifies the change since this frame; None shows the frame as it is.
            by: how many times.
        """
        key = (video.id, number, face, since, by)
        with self._lock:
            if key not in self._kept:
                image = self._cut(video, number, face)
                if since is not None:
                    image = magnified(self._cut(video, since, face), image, by)
                self._keep(key, _jpeg(_scaled(image, CROP_SIDE)))
            return self._use(key)

    def _cut(self, video: ReviewVideo, number: int, face: int) -> Image:
        image = np.asarray(self._source(video).frames(number - 1, number)[0], np.uint8)
        return cut(image, video.boxes[face]) if face in video.boxes else image

    def _source(self, video: ReviewVideo) -> PyAVSource | FolderSource:
        if video.id not in self._sources:
            source = open_video(video.path, video.fps or 30.0, reader="pyav")
            assert isinstance(source, PyAVSource | FolderSource)
            self._sources[video.id] = source
        return self._sources[video.id]

    def _keep(self, key: tuple[Any, ...], data: bytes) -> None:
        self._bytes += len(data) - len(self._kept.pop(key, b""))
        self._kept[key] = data
        while self._bytes > CACHE_BYTES and len(self._kept) > 1:
            self._bytes -= len(self._kept.popitem(last=False)[1])

    def _use(self, key: tuple[Any, ...]) -> bytes:
        self._kept.move_to_end(key)
        return self._kept[key]


def cut(image: Image, box: Box) -> Image:
    """The part of a picture `(H, W, 3)` around a face's box.

    >>> cut(np.zeros((100, 200, 3), np.uint8), (50, 20, 40, 40)).shape
    (60, 60, 3)
    """
    x, y, width, height = box
    left, top = int(max(0, x - AROUND * width)), int(max(0, y - AROUND * height))
    right, bottom = int(x + (1 + AROUND) * width), int(y + (1 + AROUND) * height)
    part = image[top:bottom, left:right]
    return part if part.size else image


def magnified(before: Image, after: Image, by: float) -> Image:
    """The later picture with its change since the earlier one made `by` times as large.

    Both are smoothed for the change, so that the noise of single pixels is not magnified.

    >>> magnified(np.full((2, 2, 3), 100, np.uint8), np.full((2, 2, 3), 110, np.uint8), 4.0)[0, 0].tolist()
    [140, 140, 140]
    """
    sigma = max(before.shape[:2]) / 128
    change = after.astype(np.float32) - before.astype(np.float32)
    smooth = cv2.GaussianBlur(change, (0, 0), sigma) if sigma >= 0.5 else change
    return np.clip(after + (by - 1) * smooth, 0, 255).astype(np.uint8)


def _scaled(image: Image, side: int) -> Image:
    """A picture whose longest side is at most `side`."""
    scale = side / max(image.shape[:2])
    if scale >= 1:
        return image
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def _jpeg(image: Image) -> bytes:
    done, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 88])
    if not done:
        raise VideoError("A frame cannot be written as JPEG.")
    return data.tobytes()
