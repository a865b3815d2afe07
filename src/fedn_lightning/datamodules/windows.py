"""Index arithmetic of windows: where they start, and which truths lie in them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from torch.utils.data import Sampler

from fedn_lightning.events import FloatArray
from fedn_lightning.motion.features import N_TRACKS

BoolArray = npt.NDArray[np.bool_]


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
    ) -> None:
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
        of_motion = np.random.default_rng([self.seed, self.epoch, 1])  # apart: the windows are those of any network
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
            )

    def _left_out(self, rng: np.random.Generator) -> tuple[int, ...]:
        if not self.dropout:
            return ()
        return tuple(np.flatnonzero(rng.random(N_TRACKS) < self.dropout).tolist())
