"""The cache of measured motion: flow takes minutes for a corpus, all that follows it seconds."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from fedn_lightning.errors import StoreError
from fedn_lightning.motion.features import motion_features, tracks
from fedn_lightning.motion.flow import CELLS, MotionConfig, measure
from fedn_lightning.utils.console import ProgressBar
from fedn_lightning.utils.files import write_atomically
from fedn_lightning.video.store import StoredVideo, content
from fedn_lightning.video.workers import Tick, run

VERSION = 1
"""Of the measurement; another one never meets old files."""


class MotionCache:
    """What :func:`.flow.measure` says of stored videos, kept on disk as float16.

    A file's name holds a hash of all that its content depends on: the crops, the configuration, the grid, the version
    of OpenCV. Files are written beside and renamed: a killed run leaves no half file.

    Args:
        root: folder of the cache.
        config: how motion is measured.
    """

    def __init__(self, root: str | Path, config: MotionConfig) -> None:
        self.root, self.config = Path(root), config

    def path(self, video: StoredVideo) -> Path:
        """Where the motion of a video lies."""
        recipe = [content(video), video.fps, dataclasses.asdict(self.config), CELLS, VERSION, cv2.__version__]
        return self.root / f"{hashlib.sha256(json.dumps(recipe).encode()).hexdigest()[:24]}.npy"

    def load(self, video: StoredVideo) -> npt.NDArray[np.float16]:
        """The motion `(T, CELLS, CELLS, 2)` of a video in cells; :meth:`build` must have measured it."""
        motion: npt.NDArray[np.float16] = np.load(self.path(video))
        return motion

    def features(self, video: StoredVideo) -> npt.NDArray[np.float16]:
        """The motion features `(T, N_FEATURES)` of a video, see :mod:`fedn_lightning.motion.features`."""
        return motion_features(tracks(self.load(video)), video.fps)

    def build(self, videos: Sequence[StoredVideo], jobs: int | None) -> None:
        """Measures what is missing, with a progress bar in frames.

        Args:
            videos: of the clip store.
            jobs: processes, one per core if None; 0 measures in this one.

        Raises:
            StoreError: naming the first video that could not be measured.
        """
        missing = [(video, self.path(video), self.config) for video in videos if not self.path(video).is_file()]
        if not missing:
            return
        with ProgressBar("optical flow", sum(video.n_frames for video, _, _ in missing)) as bar:
            for index, error in run(measure_video, missing, jobs, tick=lambda _, done: bar.advance(done)):
                if isinstance(error, Exception):
                    msg = f"The motion of {missing[index][0].key} could not be measured: {error}."
                    raise StoreError(msg) from error


def measure_video(job: tuple[StoredVideo, Path, MotionConfig], tick: Tick) -> Any:
    """Measures one video and writes its file; what a worker process runs.

    Args:
        job: the video, where its motion goes, and how it is measured.
        tick: called with the frames done since the last call.
    """
    video, path, config = job
    motion = measure(video.frames, video.fps, config, tick)  # type: ignore[arg-type] # decoded crops are sliced alike
    write_atomically(path, partial(np.save, arr=motion.astype(np.float16)))
    video.close()
