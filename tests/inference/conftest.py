"""A checkpoint trained on a filmed face, what `fedn test` says of held-out films, and those films."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import lightning
import numpy as np
import pytest
import torch

from fedn_lightning.datamodules.base import CorpusConfig, CropConfig
from fedn_lightning.datamodules.detection import DetectionDataModule
from fedn_lightning.datamodules.windows import WindowConfig
from fedn_lightning.events import Corpus, DetectionRecord, Expression, Video
from fedn_lightning.models.encoder import EncoderConfig
from fedn_lightning.models.fedn import NetworkConfig
from fedn_lightning.motion.flow import MotionConfig
from fedn_lightning.tasks.detection import DetectionTask
from fedn_lightning.video.prepare import prepare
from fedn_synth.face.motion import FaceTracks
from lookalikes.faces import actor
from lookalikes.movies import Image, write_movie

SIZE = 32

THRESHOLD = 0.0108

ENCODER = EncoderConfig(10, 8)


@pytest.fixture(scope="session")
def pictures() -> list[Image]:
    """A face that sways and smiles, `(240, 320, 3)`; shown to and fro they make a film of any length."""
    tracks = FaceTracks.neutral(12)
    tracks.pose[:, 0] = 4 * np.sin(np.arange(12) / 4)
    face = actor()
    return [cv2.resize(face.render(tracks, i, 0), (320, 240), interpolation=cv2.INTER_AREA) for i in range(12)]


def to_and_fro(pictures: list[Image], count: int) -> list[Image]:
    """The pictures as a film of that many frames."""
    order = [*range(len(pictures)), *range(len(pictures) - 2, 0, -1)]
    return [pictures[order[i % len(order)]] for i in range(count)]


@pytest.fixture(scope="session")
def films(pictures, tmp_path_factory) -> Path:
    """`thirty.mp4` (150 frames at 30 fps), `fifty.mp4` (200 at 50, with flicker), and `short.mp4` to learn from."""
    folder = tmp_path_factory.mktemp("films")
    write_movie(folder / "thirty.mp4", to_and_fro(pictures, 150))
    write_movie(folder / "short.mp4", to_and_fro(pictures, 70))
    flicker = [
        np.clip(p * (0.8 + 0.2 * np.sin(i / 9)), 0, 255).astype(np.uint8)
        for i, p in enumerate(to_and_fro(pictures, 200))
    ]
    write_movie(folder / "fifty.mp4", flicker, fps=50.0)
    return folder


@dataclass(frozen=True)
class Trained:
    """A checkpoint, and what a test said of `thirty` and `fifty` for each alignment."""

    path: Path
    tests: dict[str, DetectionRecord]


@pytest.fixture(scope="session")
def trained(films, tmp_path_factory) -> Trained:
    return _trained(films, tmp_path_factory.mktemp("trained"), ENCODER)


@pytest.fixture(scope="session")
def trained_on_motion(films, tmp_path_factory) -> Trained:
    """FEDN+ in small, with a reach, so that a window of a test is twice as long as one of training."""
    changes = {"streams": "two_trunks", "reach": 32}
    return _trained(
        films, tmp_path_factory.mktemp("trained"), ENCODER, WindowConfig(64, 16, 96, test_length=128), **changes
    )


@pytest.fixture(scope="session")
def train():
    """Trains on films, in a folder, with an encoder; see :func:`_trained`."""
    return _trained


def _trained(
    films: Path, folder: Path, encoder: EncoderConfig, windows: WindowConfig = WindowConfig(64, 16, 16), **changes: Any
) -> Trained:
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    torch.manual_seed(0)
    task = DetectionTask(
        encoder,
        NetworkConfig(dim=16, channels=16, segment_heads=2, head_heads=2, dropout=0.0, **changes),
    )
    tests = {}
    for align in ("video", "track"):
        data = _data(films, folder / align, align, windows)
        trainer = lightning.Trainer(
            max_epochs=1, accelerator="cpu", default_root_dir=folder, logger=False, enable_progress_bar=False,
            enable_model_summary=False, enable_checkpointing=False,
        )  # fmt: skip
        if align == "video":
            trainer.fit(task, data)
            task.threshold.fill_(THRESHOLD)  # so short a training finds none that is of use
            trainer.save_checkpoint(folder / "best.ckpt")
        trainer.test(task, data, verbose=False)
        tests[align] = task.record
    return Trained(folder / "best.ckpt", tests)


def _data(films: Path, store: Path, align: str, windows: WindowConfig) -> DetectionDataModule:
    names = {"p0": "short", "p1": "short", "p2": "thirty", "p3": "fifty"}
    videos = tuple(
        Video("films", subject, name, str(films / f"{name}.mp4"), 50.0 if name == "fifty" else 30.0)
        for subject, name in names.items()
    )
    expressions = tuple(
        Expression("films", v.subject, v.name, start, start + 15, None, "micro", "positive")
        for v in videos
        for start in (20, 45)
    )
    module = DetectionDataModule(
        CorpusConfig("films", "nowhere"),
        CropConfig(str(store), SIZE, align=align),
        windows,
        test_subject=["p2", "p3"],
        val_subject=["p1"],
        batch_size=4,
        motion=MotionConfig(side=64),
    )
    module.corpus = corpus = Corpus("films", videos, expressions)
    module.prepare_data = lambda: None
    prepare(corpus, store, crop_size=SIZE, jobs=0, align=align)
    return module
