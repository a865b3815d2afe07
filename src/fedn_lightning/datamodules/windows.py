"""Windows of videos: where they start, which truths lie in them, and how they are read and put into a batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from fedn_lightning.datamodules.transforms import ClipAugmenter
from fedn_lightning.events import EventTable, FloatArray
from fedn_lightning.models.anchors import Truths
from fedn_lightning.motion.features import N_TRACKS, mirrored, without
from fedn_lightning.utils.files import StoredArray
from fedn_lightning.video.readers import DecodedCrops

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class WindowConfig:
    """Sliding windows; lengths and strides in frames at the working rate.

    Attributes:
        length: frames in a window (the precursor: 128, mark A).
        train_stride: between training windows (32, A).
        test_stride: between validation and test windows (16, A).
        test_length: frames in a validation or test window; None for `length`. Longer windows suit a network whose
            `model.network.reach` bounds what a step sees (O).
        share: of a truth that must lie inside a window for it to count (0.9, A).
        negatives: empty windows per window with an expression in a training epoch, at most (3, A).
        jitter: training windows move by up to this many frames (O).
        speed: training windows run up to this much faster or slower, e.g. 0.2 (O).
        unknown_offset: how truths are learned whose offset the release does not know (O). `onset`: only their onset and
            type; their end is assumed as far after the apex as their onset lies before it. `policy`: the end that
            `corpus.policies.offset_policy` gives them is learned like any other.
    """

    length: int = 128
    train_stride: int = 32
    test_stride: int = 16
    test_length: int | None = None
    share: float = 0.9
    negatives: float = 3.0
    jitter: int = 16
    speed: float = 0.0
    unknown_offset: Literal["onset", "policy"] = "onset"

    @property
    def tested(self) -> int:
        """Frames in a validation or test window."""
        return self.length if self.test_length is None else self.test_length

    def proposals(self, per_window: int) -> int:
        """Proposals of a validation or test window, where a window of `length` has `per_window`."""
        return max(per_window * self.tested // self.length, 1)


def window_starts(n_frames: int, window: int, stride: int) -> list[int]:
    """First frames of the windows of a video; together they cover every frame.

    Windows start every `stride` frames; the last is flush with the end of the video. A video no longer than a window
    has one, which starts at 0.

    Args:
        n_frames: of the video, at least 1.
        window: frames in a window.
        stride: frames between two starts, at most `window`.

    >>> window_starts(300, window=128, stride=64)
    [0, 64, 128, 172]
    """
    last = max(n_frames - window, 0)
    return [*range(0, last, stride), last]


def window_frames(start: int, window: int, n_frames: int) -> npt.NDArray[np.int64]:
    """Frame numbers `(window,)` of a window; past the end of a short video its last frame repeats.

    >>> window_frames(0, window=5, n_frames=3)
    array([0, 1, 2, 2, 2])
    """
    return np.minimum(np.arange(start, start + window), n_frames - 1)


def truths_in_window(
    start: FloatArray, end: FloatArray, first: float, last: float, share: float
) -> tuple[BoolArray, BoolArray]:
    """Which truths a window must find.

    Args:
        start: `(M,)` first frames of the truths.
        end: `(M,)` one past their last frames.
        first: first frame of the window.
        last: one past its last frame.
        share: of a truth's length that must lie inside for it to count (the precursor: more than 0.9, mark A).

    Returns:
        `touching` `(M,)`, the truth overlaps the window; `whole` `(M,)`, more than `share` of it lies inside.
    """
    inside = np.minimum(end, last) - np.maximum(start, first)
    return inside > 0, inside > share * (end - start)


class WindowDraw(NamedTuple):
    """One window to load."""

    video: int  # index of the video
    start: int  # first frame in the clip store
    variant: int = 0  # which augmented variant of the cached features; 0 is the video as it is
    speed: float = 1.0  # frames of video per frame of window; 1 leaves time alone
    seed: int | None = None  # of the clip's augmentation; None leaves the clip as it is
    amplitude: float = 1.0  # factor on the motion of the face, where a network takes it; 1 leaves it alone
    mirror: bool = False  # swaps left and right in that motion
    # tracks of that motion that are left out, see :data:`fedn_lightning.motion.features.N_TRACKS`
    left_out: tuple[int, ...] = ()
    sampled: tuple[int, ...] = ()  # frames of the window that are read as pixels too, for an encoder that learns


class TrainingWindows(Sampler[WindowDraw]):
    """Every window with an expression, and some of those without, in a new order each epoch.

    Args:
        windows: all training windows, on the training stride.
        busy: whether each has an expression to find.
        n_frames: frames of each video, to keep shifted windows inside.
        window: frames in a window.
        negatives: empty windows per window with an expression, at most; they are drawn again in each epoch.
        jitter: a start moves by up to this many frames either way.
        speed: window speeds are drawn log-uniformly from `[1 / (1 + speed), 1 + speed]`; 0 leaves time alone.
        variants: cached variants to draw from.
        augment: draws a seed for the clip's augmentation.
        seed: of everything.
        amplitude: motion is multiplied by factors drawn log-uniformly from `[1 / (1 + amplitude), 1 + amplitude]`.
        mirror: probability that left and right of the motion are swapped.
        dropout: probability that a track of the motion is left out of a window.
        sampled: frames of each window that are read as pixels too.
    """

    def __init__(
        self,
        windows: Sequence[WindowDraw],
        busy: Sequence[bool],
        n_frames: Sequence[int],
        window: int,
        negatives: float,
        jitter: int,
        speed: float,
        variants: int,
        augment: bool,
        seed: int,
        amplitude: float = 0.0,
        mirror: float = 0.0,
        dropout: float = 0.0,
        sampled: int = 0,
    ) -> None:
        self.sampled = min(sampled, window)
        self.amplitude, self.mirror, self.dropout = amplitude, mirror, dropout
        self.windows, self.n_frames, self.window = windows, n_frames, window
        self.busy = np.flatnonzero(np.asarray(busy, bool))
        self.empty = np.flatnonzero(~np.asarray(busy, bool))
        self.n_empty = min(len(self.empty), int(negatives * len(self.busy)))
        self.jitter, self.speed, self.variants, self.augment, self.seed = jitter, speed, variants, augment, seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by the trainer before each epoch, also after a resume, so that epochs differ and repeat exactly."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.busy) + self.n_empty

    def __iter__(self) -> Iterator[WindowDraw]:
        rng = np.random.default_rng([self.seed, self.epoch])
        # Apart: the windows are those of any network.
        of_motion, of_frames = (np.random.default_rng([self.seed, self.epoch, part]) for part in (1, 2))
        chosen = np.concatenate([self.busy, rng.choice(self.empty, self.n_empty, replace=False)])
        for index in rng.permutation(chosen):
            draw = self.windows[index]
            speed = float(np.exp(rng.uniform(-1, 1) * np.log1p(self.speed)))
            start = draw.start + int(rng.integers(-self.jitter, self.jitter + 1))
            last = max(self.n_frames[draw.video] - int(np.ceil(self.window * speed)), 0)
            yield WindowDraw(
                draw.video,
                int(np.clip(start, 0, last)),
                int(rng.integers(self.variants)),
                speed,
                int(rng.integers(2**31)) if self.augment else None,
                float(np.exp(of_motion.uniform(-1, 1) * np.log1p(self.amplitude))),
                bool(of_motion.random() < self.mirror),
                self._left_out(of_motion),
                tuple(np.sort(of_frames.choice(self.window, self.sampled, replace=False)).tolist()),
            )

    def _left_out(self, rng: np.random.Generator) -> tuple[int, ...]:
        if not self.dropout:
            return ()
        return tuple(np.flatnonzero(rng.random(N_TRACKS) < self.dropout).tolist())


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
    `emotion`, `whole` `(M,)`. A draw with `sampled` frames gives both: `frames` `(K, 3, H, W)`, and their places
    `sampled` `(K,)` in the window.

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
        if draw.sampled:
            position = np.rint(position)  # a picture lies between no two frames
            sample["sampled"] = torch.tensor(draw.sampled)
        if source.variants:
            features = interpolate(source.variants[draw.variant], position)
            if source.motion is not None:
                moved = without(interpolate(source.motion, position), draw.left_out) * np.float32(draw.amplitude)
                features = np.concatenate([features, mirrored(moved) if draw.mirror else moved], axis=1)
            sample["features"] = torch.from_numpy(features)
        if draw.sampled or not source.variants:
            shown = position[list(draw.sampled)] if draw.sampled else position
            clip = np.asarray(source.frames[np.rint(shown).astype(np.int64)])
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
    span = _as_float32(features[first : below.max() + 2])
    lower: npt.NDArray[np.float32] = span[below - first]
    part = (position - below).astype(np.float32)[:, None]
    if not part.any():
        return lower
    upper = span[np.minimum(below - first + 1, len(span) - 1)]
    lower *= 1 - part
    upper *= part
    lower += upper
    return lower


def _as_float32(rows: npt.NDArray[np.float16]) -> npt.NDArray[np.float32]:
    """Torch converts float16 ten times as fast as numpy does."""
    wide: npt.NDArray[np.float32] = torch.from_numpy(np.array(rows)).float().numpy()
    return wide


def collate(samples: Sequence[Sample]) -> dict[str, Any]:
    """Stacks samples; truths are padded to the most any window has.

    Returns:
        `video` `(B,)` int64, `start` and `speed` `(B,)` float64, `features` `(B, W, D)` or `frames` `(B, W, 3, H, W)`
        (or both, and `sampled`, as samples have them), and `truths`, the padded fields of
        :class:`fedn_lightning.models.anchors.Truths`.
    """
    most = max(len(s["type"]) for s in samples)

    def padded(name: str) -> Tensor:
        return torch.stack([pad_rows(s[name], most) for s in samples])

    counts = torch.tensor([len(s["type"]) for s in samples])
    truths = {name: padded(name) for name in ("interval", "type", "emotion", "whole", "end_known")}
    truths["present"] = torch.arange(most) < counts.unsqueeze(1)
    return {
        "video": torch.tensor([s["video"] for s in samples]),
        "start": torch.tensor([s["start"] for s in samples], dtype=torch.float64),
        "speed": torch.tensor([s["speed"] for s in samples], dtype=torch.float64),
        **{n: torch.stack([s[n] for s in samples]) for n in ("features", "frames", "sampled") if n in samples[0]},
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
