"""A corpus of moving textures in a clip store: faces reduced to what the classical baseline can see."""

from __future__ import annotations

import os
import pickle
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
from pulses import write_video

from fedn_lightning.baselines.flow.task import MotionDataModule
from fedn_lightning.events import Corpus, Expression, Video
from fedn_lightning.motion.regions import CELLS, REGIONS

SIDE = 64
FILE = "corpus.pickle"


def texture(seed: int, side: int = SIDE) -> np.ndarray:
    """A grey texture `(side, side)` float32 with structure everywhere."""
    noise = np.random.default_rng(seed).standard_normal((side, side)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 1.5)
    return 128 + 40 * smooth / smooth.std()


def shifted(picture: np.ndarray, x: np.ndarray | float, y: np.ndarray | float) -> np.ndarray:
    """The picture with each pixel's content moved by `(x, y)` pixels, as uint8 RGB."""
    rows, columns = np.mgrid[: len(picture), : len(picture)].astype(np.float32)
    sources = (columns - x).astype(np.float32), (rows - y).astype(np.float32)
    moved = cv2.remap(picture, *sources, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    return np.repeat(moved.clip(0, 255).round().astype(np.uint8)[..., None], 3, axis=2)


def brows(side: int = SIDE) -> np.ndarray:
    """How much each pixel takes part when the brows move, 0 to 1."""
    mask = np.zeros((CELLS, CELLS), np.float32)
    for region in REGIONS:
        if "brow" in region.name:
            rows, columns = (slice(round(a * CELLS), round(b * CELLS)) for a, b in (region[2::2], region[1::2]))
            mask[rows, columns] = 1
    return cv2.resize(mask, (side, side), interpolation=cv2.INTER_LINEAR)


def write_moving(folder: Path, subjects: int = 4, n_frames: int = 300, seed: int = 0) -> Corpus:
    """Videos in which brows rise: far and long (macro) or little and briefly (micro), while the head sways.

    `folder/store` is the clip store, and :class:`MovingDataModule` finds the labels in `folder`.
    """
    (folder / "store").mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    videos, expressions = [], []
    for number in range(subjects):
        video = Video("moving", f"m{number}", "v", "nowhere", 30.0, n_frames=n_frames)
        raised = np.zeros(n_frames)
        for index, onset in enumerate(range(25, n_frames - 60, 60)):
            micro = index % 2 == 1
            start = onset + int(rng.integers(0, 10))
            length = int(rng.integers(10, 17)) if micro else 36
            raised[start : start + length] = np.sin(np.linspace(0, np.pi, length + 2)[1:-1]) * (0.6 if micro else 2.0)
            kind = "micro" if micro else "macro"
            expressions.append(Expression("moving", video.subject, "v", start, start + length, None, kind, "negative"))
        sway = 1.5 * np.sin(np.arange(n_frames) / 40 + number)
        face, mask = texture(number), brows()
        frames = [shifted(face, x, -y * mask) for x, y in zip(sway, raised, strict=True)]
        videos.append(video)
        write_video(folder / "store", video, np.stack(frames))
    corpus = Corpus("moving", tuple(videos), tuple(expressions))
    (folder / FILE).write_bytes(pickle.dumps(corpus))
    return corpus


class MovingDataModule(MotionDataModule):
    """Finds what :func:`write_moving` has written in `corpus.root`."""

    @cached_property
    def corpus(self) -> Corpus:
        """The moving textures; with MOVING_LABELS in the environment another file's."""
        return pickle.loads((Path(self.corpus_config.root) / os.environ.get("MOVING_LABELS", FILE)).read_bytes())

    def prepare_data(self) -> None:
        """Refuses a wrong split like the base class; the store is full."""
        _ = self.split
