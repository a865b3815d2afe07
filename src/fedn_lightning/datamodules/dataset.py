"""Windows of videos with their truths, and how they are put into a batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset

from fedn_lightning.datamodules.transforms import ClipAugmenter
from fedn_lightning.datamodules.windows import WindowDraw, truths_in_window
from fedn_lightning.events import EventTable
from fedn_lightning.models.anchors import Truths
from fedn_lightning.motion.features import mirrored, without
from fedn_lightning.utils.files import StoredArray
from fedn_lightning.video.readers import DecodedCrops

Sample = dict[str, Any]


@dataclass(frozen=True)
class WindowSource:
    """One video, or a part of it between two gaps, as the dataset reads it."""

    n_frames: int  # its length in stored frames
    # per augmented variant the frame features `(T, D)` of the video; empty when windows are read as pixels
    variants: tuple[npt.NDArray[np.float16] | StoredArray, ...]
    # `(T, H, W, 3)` uint8 RGB crops of the video: an array, or what decodes them when indexed
    frames: npt.NDArray[np.uint8] | StoredArray | DecodedCrops
    truths: EventTable  # expressions of the video, in stored frames from `first` on
    video: int = 0  # index of the video
    first: int = 0  # stored frame of the video at which it begins
    # `(T, M)` motion features of the video, put behind its frame features; None for a network without
    motion: npt.NDArray[np.float16] | None = None


class WindowDataset(Dataset[Sample]):
    """Loads the window that a :class:`WindowDraw` names; random only through the draw.

    A sample has `video`, `start` and `speed` (to map predictions back), either `features` `(W, D)` float32 or `frames`
    `(W, 3, H, W)` uint8, and the truths that overlap the window: `interval` `(M, 2)` in frames of the window, `type`,
    `emotion`, `whole` `(M,)`.

    Args:
        sources: the videos.
        window: frames in a window.
        share: of a truth that must lie inside a window for it to count.
        augmenter: applied to the pixels of draws that carry a seed.
    """

    def __init__(
        self, sources: Sequence[WindowSource], window: int, share: float, augmenter: ClipAugmenter | None = None
    ) -> None:
        self.sources, self.window, self.share, self.augmenter = sources, window, share, augmenter

    def __getitem__(self, draw: WindowDraw) -> Sample:
        source = self.sources[draw.video]
        position = source.first + np.minimum(draw.start + np.arange(self.window) * draw.speed, source.n_frames - 1)
        sample: Sample = {"video": source.video, "start": float(source.first + draw.start), "speed": draw.speed}
        if source.variants:
            features = interpolate(source.variants[draw.variant], position)
            if source.motion is not None:
                moved = without(interpolate(source.motion, position), draw.left_out) * np.float32(draw.amplitude)
                features = np.concatenate([features, mirrored(moved) if draw.mirror else moved], axis=1)
            sample["features"] = torch.from_numpy(features)
        else:
            clip = np.asarray(source.frames[np.rint(position).astype(np.int64)])
            if self.augmenter is not None and draw.seed is not None:
                clip = self.augmenter(clip, draw.seed)
            sample["frames"] = torch.from_numpy(clip).permute(0, 3, 1, 2)
        return sample | self._truths(source, draw)

    def _truths(self, source: WindowSource, draw: WindowDraw) -> Sample:
        truths, last = source.truths, min(draw.start + self.window * draw.speed, source.n_frames)
        touching, whole = truths_in_window(truths.start, truths.end, draw.start, last, self.share)
        interval = (np.stack([truths.start, truths.end], axis=1)[touching] - draw.start) / draw.speed
        return {
            "interval": torch.from_numpy(interval.astype(np.float32)),
            "type": torch.from_numpy(truths.type[touching]),
            "emotion": torch.from_numpy(truths.emotion[touching]),
            "whole": torch.from_numpy(whole[touching]),
            "end_known": torch.from_numpy(truths.end_known[touching]),
        }


def interpolate(
    features: npt.NDArray[np.float16] | StoredArray, position: npt.NDArray[np.float64]
) -> npt.NDArray[np.float32]:
    """Reads features `(T, D)` at fractional frames `(W,)`, linearly between neighbours.

    >>> interpolate(np.array([[0.0], [2.0], [4.0]], np.float16), np.array([0.0, 0.5, 2.0])).ravel()
    array([0., 1., 4.], dtype=float32)
    """
    below = np.floor(position).astype(np.int64)
    # Read and converted once, in one piece: neighbouring positions share frames.
    first = below.min()
    span = features[first : below.max() + 2].astype(np.float32)
    lower: npt.NDArray[np.float32] = span[below - first]
    part = (position - below).astype(np.float32)[:, None]
    if not part.any():
        return lower
    upper = span[np.minimum(below - first + 1, len(span) - 1)]
    lower *= 1 - part
    upper *= part
    lower += upper
    return lower


def collate(samples: Sequence[Sample]) -> dict[str, Any]:
    """Stacks samples; truths are padded to the most any window has.

    Returns:
        `video` `(B,)` int64, `start` and `speed` `(B,)` float64, `features` `(B, W, D)` or `frames` `(B, W, 3, H, W)`,
        and `truths`, the padded fields of :class:`fedn_lightning.models.anchors.Truths`.
    """
    most = max(len(s["type"]) for s in samples)

    def padded(name: str) -> Tensor:
        return torch.stack([pad_rows(s[name], most) for s in samples])

    counts = torch.tensor([len(s["type"]) for s in samples])
    truths = {name: padded(name) for name in ("interval", "type", "emotion", "whole", "end_known")}
    truths["present"] = torch.arange(most) < counts.unsqueeze(1)
    pixels = "features" if "features" in samples[0] else "frames"
    return {
        "video": torch.tensor([s["video"] for s in samples]),
        "start": torch.tensor([s["start"] for s in samples], dtype=torch.float64),
        "speed": torch.tensor([s["speed"] for s in samples], dtype=torch.float64),
        pixels: torch.stack([s[pixels] for s in samples]),
        "truths": truths,
    }


def pad_rows(rows: Tensor, count: int) -> Tensor:
    """Appends zero rows until there are `count`."""
    return torch.cat([rows, rows.new_zeros((count - len(rows), *rows.shape[1:]))])


def truths_of(batch: dict[str, Any]) -> Truths:
    """The truths of a batch, as the loss takes them."""
    return Truths(**batch["truths"])


def shift_at_random(truths: EventTable, n_frames: int, rng: np.random.Generator) -> EventTable:
    """Moves the truths of a video to random times, keeping their lengths: the control that must destroy all learning.

    Each truth gets a uniformly drawn start at which it fits into the video.
    """
    length = truths.end - truths.start
    start = np.floor(rng.uniform(0, 1, len(truths)) * np.maximum(n_frames - length, 0))
    return replace(truths, start=start, end=start + length)
