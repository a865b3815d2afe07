"""Face crops of a run's videos from its clip store, as pictures for a page."""

from __future__ import annotations

import base64
from collections.abc import Sequence

import cv2
import numpy as np

from fedn_lightning.errors import StoreError
from fedn_lightning.events import IntArray, Video
from fedn_lightning.results.run_folder import resolve
from fedn_lightning.results.run_scores import RunFiles
from fedn_lightning.video.film_strip import SIDE, Image, cut_crops
from fedn_lightning.video.store import ClipStore, StoredVideo

QUALITY = 82
GAIN = 4
"""How many times a change between two crops is amplified."""


class Clips:
    """The clip store of a run, which may not be there.

    Args:
        run: whose configuration names the store.

    Attributes:
        reason: why there are no crops, as a sentence; empty if there are.
    """

    def __init__(self, run: RunFiles) -> None:
        self.reason = ""
        self._store: ClipStore | None = None
        crops = run.config.crops
        if not crops.get("store"):
            self.reason = "The configuration of this run names no clip store, so there are no crops to show."
            return
        try:
            store = ClipStore(resolve(str(crops["store"]), run.environment))
        except StoreError as error:
            self.reason = str(error)
            return
        self._store = store
        if not any(video.key in store for video in run.videos):
            self.reason = f"The clip store {store.root} holds none of these videos, so there are no crops to show."

    def __bool__(self) -> bool:
        return not self.reason

    def video(self, video: Video) -> StoredVideo:
        """The stored video.

        Raises:
            StoreError: if it is not there.
        """
        if self._store is None:
            raise StoreError(self.reason)
        return self._store.video(video.key)

    def crops(self, video: Video, frames: Sequence[float]) -> list[Image]:
        """The crops `(S, S, 3)` RGB nearest to some source frames.

        Raises:
            FednError: if they cannot be read.
        """
        stored = self.video(video)
        try:
            return cut_crops(stored, frames)
        finally:
            stored.close()


def read_crops(stored: StoredVideo, frames: IntArray) -> list[Image]:
    """Copies of some stored frames `(S, S, 3)`, in any order.

    Raises:
        VideoError: if they are decoded from a source that is not there.
    """
    return list(np.array(stored.frames[frames]))


def change(before: Image, after: Image) -> Image:
    """What has moved between two crops: grey where nothing has, amplified :data:`GAIN` times.

    >>> change(np.full((1, 1, 3), 10, np.uint8), np.full((1, 1, 3), 15, np.uint8)).ravel()
    array([148, 148, 148], dtype=uint8)
    """
    moved: Image = np.clip(128 + GAIN * (after.astype(np.int16) - before.astype(np.int16)), 0, 255).astype(np.uint8)
    return moved


def data_uri(image: Image, side: int = SIDE) -> str:
    """A crop as a JPEG that stands in the page itself, never larger than it was."""
    side = min(side, image.shape[0])
    small = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
    _, data = cv2.imencode(".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return f"data:image/jpeg;base64,{base64.b64encode(data.tobytes()).decode()}"
