"""Small videos of every container, damaged at random places, through `fedn predict`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import cv2
import numpy as np
import torch

from fedn_lightning.datamodules.windows import WindowConfig
from fedn_lightning.models.encoder import EncoderConfig
from fedn_lightning.models.fedn import NetworkConfig
from fedn_lightning.tasks.detection import DetectionTask
from fedn_synth.face.motion import FaceTracks
from lookalikes.faces import actor
from lookalikes.movies import Image, write_movie
from torture import damage
from torture.running import Case, Ended, run

CONTAINERS = {
    "mp4": "libx264", "mkv": "libx264", "avi": "mjpeg", "mov": "mjpeg", "webm": "libvpx", "ts": "libx264",
    "wmv": "wmv2", "mpg": "mpeg1video",
}  # fmt: skip
FRAMES = 45
DAMAGES = (
    damage.truncate, damage.truncate, damage.flip_bits, damage.zero_stretch, damage.noise_stretch,
    damage.remove_stretch, damage.repeat_stretch, damage.append_noise, damage.truncate, damage.flip_bits,
    damage.noise_only, damage.nothing,
)  # fmt: skip


def film_face() -> list[Image]:
    """A face that sways to and fro, `(240, 320, 3)` each."""
    tracks = FaceTracks.neutral(8)
    tracks.pose[:, 0] = 4 * np.sin(np.arange(8) / 3)
    face = actor()
    shown = [cv2.resize(face.render(tracks, k, 0), (320, 240), interpolation=cv2.INTER_AREA) for k in range(8)]
    return [shown[min(k % 14, 14 - k % 14)] for k in range(FRAMES)]


def write_detector(path: Path) -> None:
    """A checkpoint of a network that was never trained; everything it proposes counts."""
    torch.manual_seed(0)
    task = DetectionTask(
        EncoderConfig(10, 8), NetworkConfig(dim=16, channels=32, segment_heads=2, head_heads=2, dropout=0.0)
    )
    about = {
        "model": task.init_config(), "windows": vars(WindowConfig(64, 16, 16)), "crop_size": 32, "fps": 30.0,
        "emotions": ["negative", "positive", "surprise"], "dataset": "toy",
    }  # fmt: skip
    torch.save({"state_dict": task.state_dict(), "fedn": about}, path)


class Videos:
    """A file of each container in turn; each damage in turn."""

    name, count, short = "video", len(CONTAINERS) * len(DAMAGES), 8

    def __init__(self, shop: Path) -> None:
        shop.mkdir(parents=True)
        self.shop = shop
        images = film_face()
        for suffix, codec in CONTAINERS.items():
            options = {"g": "10"} if codec == "libx264" else {"b": "800000"}
            write_movie(shop / f"film.{suffix}", images, codec=codec, options=options)
        write_detector(shop / "best.ckpt")
        self.references = {suffix: self._predict(suffix) for suffix in CONTAINERS}

    def _predict(self, suffix: str) -> tuple[int, float]:
        ended = run(self._words(suffix, "film.", self.shop), self.shop)
        assert ended.code == 0, ended.err
        found = _answer(self.shop)
        assert found["n_frames"] == FRAMES, suffix
        return found["n_frames"], found["fps"]

    @staticmethod
    def _words(suffix: str, stem: str, shop: Path) -> list[str]:
        words = ["predict", f"{stem}{suffix}", "--ckpt", str(shop / "best.ckpt"), "--format", "json"]
        return [*words, "--overwrite", "--out", "out"]

    def make(self, number: int, rng: Random, home: Path) -> Case:
        """A case."""
        suffix = list(CONTAINERS)[number % len(CONTAINERS)]
        harm = DAMAGES[number // len(CONTAINERS) % len(DAMAGES)]
        home.mkdir(parents=True)
        (home / f"film.{suffix}").write_bytes(harm((self.shop / f"film.{suffix}").read_bytes(), rng))
        words = self._words(suffix, "film.", self.shop)
        return Case(f"{suffix}: {harm.__name__}", words, home, self._judge(suffix, home))

    def _judge(self, suffix: str, home: Path) -> Callable[[Ended], str | None]:
        """The right number of frames at the right rate, or a note; what one picture shows cannot be checked."""

        def judge(ended: Ended) -> str | None:
            if ended.code == 1:
                return None if "fedn: error" in ended.err else "exit code 1 without a word"
            found = _answer(home)
            n_frames, fps = self.references[suffix]
            same = found["n_frames"] == n_frames and abs(found["fps"] - fps) < 1e-6
            if same or found["notes"] or found["unreliable"]:
                return None
            return (
                f"{found['n_frames']} frames at {found['fps']:g} fps instead of {n_frames} at {fps:g}, without a word"
            )

        return judge


def _answer(home: Path) -> Any:
    return json.loads(next(home.glob("out/*/events.json")).read_text())
