"""Face crops of one event side by side: onset, apex, offset."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from fedn_lightning.events import FloatArray
from fedn_lightning.video.store import StoredVideo

Image = npt.NDArray[np.uint8]

SIDE = 112
"""Pixels of a crop in a strip."""
GAP = 4
"""Pixels between two crops."""


def key_frames(start: float, end: float, apex: float | None = None, curve: FloatArray | None = None) -> list[float]:
    """The source frames of onset, apex and offset of a half-open interval.

    Args:
        start: first frame, 0-based.
        end: one past the last frame.
        apex: annotated frame of maximum intensity, if it is known.
        curve: `(n_frames,)` confidence; without an annotated apex its peak inside the interval stands for it, and
            without both the middle.

    >>> key_frames(10, 20), key_frames(10, 20, curve=np.eye(30)[13])
    ([10.0, 14.5, 19.0], [10.0, 13.0, 19.0])
    """
    last = max(end - 1, start)
    if apex is None:
        inside = np.arange(int(np.ceil(start)), int(last) + 1)
        known = curve is not None and len(inside) and inside[-1] < len(curve) and np.ptp(curve[inside]) > 0
        apex = float(inside[np.argmax(curve[inside])]) if curve is not None and known else (start + last) / 2
    return [float(start), float(apex), float(last)]


def cut_crops(stored: StoredVideo, frames: Sequence[float]) -> list[Image]:
    """The stored crops `(S, S, 3)` RGB nearest to some source frames, 0-based.

    Raises:
        VideoError: if the store only says where the crops lie, and the video is not there.
    """
    place = np.clip(np.rint(stored.source_to_store(np.asarray(frames, np.float64))), 0, stored.n_frames - 1)
    return [np.array(stored.frames[index : index + 1])[0] for index in place.astype(np.int64).tolist()]


def join_crops(crops: Sequence[Image], side: int = SIDE) -> Image:
    """Lays crops side by side on white, `(side, N side + (N - 1) GAP, 3)`."""
    strip = np.full((side, len(crops) * side + (len(crops) - 1) * GAP, 3), 255, np.uint8)
    for index, crop in enumerate(crops):
        left = index * (side + GAP)
        strip[:, left : left + side] = cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA)
    return strip
