"""From the crops of one face, as they arrive, to its movement and the proposals of all its windows."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from fedn_lightning.datamodules.windows import window_frames, window_starts
from fedn_lightning.events import FloatArray
from fedn_lightning.inference.config import DetectorConfig
from fedn_lightning.inference.measures import MovementWatch
from fedn_lightning.models.encoder import Encoder, encode_crops, folded
from fedn_lightning.models.fedn import FEDN, join, overlapping
from fedn_lightning.models.head import HeadOutput
from fedn_lightning.models.postprocessing import PROPOSAL_COLUMNS, propose
from fedn_lightning.models.precision import OneDnnProducts
from fedn_lightning.motion.features import N_FEATURES, MotionStream

Features = npt.NDArray[np.floating]
Images = npt.NDArray[np.uint8]

BEHIND = 16
"""Parts of a video that another thread may lie behind."""


class Aside:
    """Gives the crops of one face to a function in another thread, part by part, while the caller goes on.

    Args:
        thread: an executor with one thread; several faces may share it.
        function: of crops `(T, S, S, 3)`.

    Attributes:
        seconds: spent in the function.
    """

    def __init__(self, thread: Executor, function: Callable[[Images], Any]) -> None:
        self._thread, self._function = thread, function
        self._given: deque[Future[Any]] = deque()
        self.seconds = 0.0

    def put(self, crops: Images) -> list[Any]:
        """Takes the next part; returns the results that are ready, in order, and waits if too many are not."""
        self._given.append(self._thread.submit(self._call, crops))
        return self.results(BEHIND)

    def results(self, behind: int = 0) -> list[Any]:
        """The next results, in order; waits until no more than `behind` are missing."""
        found = []
        while self._given and (len(self._given) > behind or self._given[0].done()):
            found.append(self._given.popleft().result())
        return found

    def _call(self, crops: Images) -> Any:
        started = time.perf_counter()
        result = self._function(crops)
        self.seconds += time.perf_counter() - started
        return result


class WindowCutter:
    """Cuts the windows of one video, those that a test has (see :func:`.window_starts`).

    Args:
        n_frames: frames of the video at the working rate.
        window: frames in a window.
        stride: frames between two starts.

    >>> windows = WindowCutter(n_frames=5, window=3, stride=2)
    >>> column = np.arange(5.0)[:, None]
    >>> [[(start, part.ravel().tolist()) for start, part in windows.add(column[k : k + 2])] for k in (0, 2, 4)]
    [[], [(0, [0.0, 1.0, 2.0])], [(2, [2.0, 3.0, 4.0])]]
    """

    def __init__(self, n_frames: int, window: int, stride: int) -> None:
        self.n_frames, self.window = n_frames, window
        self._starts = window_starts(n_frames, window, stride)
        self._next = 0
        self._first = 0
        self._kept: Features | None = None

    def add(self, features: Features) -> Iterator[tuple[int, npt.NDArray[np.float32]]]:
        """Takes the next frames' features `(T, D)`; yields start and features `(window, D)` of all windows they end."""
        self._kept = features if self._kept is None else np.concatenate([self._kept, features])
        known = self._first + len(self._kept)
        while self._next < len(self._starts):
            start = self._starts[self._next]
            self._forget(start)
            if known < min(start + self.window, self.n_frames):
                return
            rows = window_frames(start, self.window, self.n_frames) - self._first
            yield start, self._kept[rows].astype(np.float32)
            self._next += 1

    def _forget(self, start: int) -> None:
        """Drops what lies before the next window."""
        assert self._kept is not None
        drop = min(start - self._first, len(self._kept))
        self._kept, self._first = self._kept[drop:], self._first + drop


CHUNK = 32
"""Frames encoded at once: 128 give the same features on a CPU, a fifth slower and in four times the memory."""

TOGETHER = 4096
"""Frames of the windows that the network sees at once, as 32 windows of 128 frames have."""

IN_FRAMES = [PROPOSAL_COLUMNS.index(name) for name in ("start", "end", "window")]


class Networks:
    """Encoder and network on their device, and the seconds spent in each."""

    def __init__(self, config: DetectorConfig, encoder: Encoder, network: FEDN, device: torch.device) -> None:
        self.config, self.network, self.device = config, network, device
        self.encoder = folded(encoder) if config.encoder.cached else encoder
        self.anchors = network.anchors(config.window).to(device)
        self.feature_dim = encoder.feature_dim
        self.seconds = {"encode": 0.0, "motion": 0.0, "network": 0.0}
        self._products = OneDnnProducts(device)

    def encode(self, crops: npt.NDArray[np.uint8]) -> npt.NDArray[np.floating]:
        """Features `(T, D)` of crops `(T, S, S, 3)`, in the precision that the network was trained with."""
        started = time.perf_counter()
        features = encode_crops(self.encoder, crops, self.device, frozen=self.config.encoder.cached)
        self.seconds["encode"] += time.perf_counter() - started
        return features

    @torch.inference_mode()
    def propose(self, starts: Sequence[int], windows: Sequence[npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
        """Proposals `(B, P, 8)` of windows `(window, D)` of one video, each in frames of its window."""
        started = time.perf_counter()
        batch, start = torch.from_numpy(np.stack(windows)).to(self.device), torch.tensor(starts, device=self.device)
        parts = overlapping(batch, torch.zeros_like(start), start)
        precision = self.config.inference.precision
        with self._products:
            found = [self.network.detect(*join(batch[part], start[part]), precision) for part in parts]
        output = HeadOutput.concatenate(found)
        zeros = torch.zeros(len(windows), dtype=torch.float64, device=self.device)
        per_window = self.config.inference.per_window
        rows = propose(output, self.anchors, zeros, zeros, torch.ones_like(zeros), per_window)
        self.seconds["network"] += time.perf_counter() - started
        # Within a window they are the network's own float32 numbers, so nothing is lost; an hour has 340 000 of them.
        return rows.float().cpu().numpy().reshape(len(windows), -1, len(PROPOSAL_COLUMNS))


TABLE_RATE = 15.0
"""Flow is measured so often a second where no network needs it: its table is smoothed more than that."""


class FaceProposer:
    """Collects the proposals and the movement of one face; keeps a chunk of crops and the features of the open window.

    Motion is measured in another thread, and its features come some seconds late, since their filters look ahead; so
    long the encoder's features wait.

    Args:
        networks: encoder and network.
        n_crops: how many crops there will be.
        fps: their rate, in frames per second.
        thread: measures motion.

    Attributes:
        movement: of the face, complete once :meth:`proposals` was called.
    """

    def __init__(self, networks: Networks, n_crops: int, fps: float, thread: Executor) -> None:
        self.networks, self.n_crops = networks, n_crops
        config = networks.config
        self._windows = WindowCutter(n_crops, config.window, config.stride)
        motion = config.motion if config.network.has_motion else replace(config.motion, rate=TABLE_RATE)
        self.movement = MovementWatch(n_crops, fps, motion)
        measure = self.movement.add
        if config.network.has_motion:
            measure = MotionStream(n_crops, fps, motion, self.movement.take).add
        self._motion = Aside(thread, measure)
        # Of the next frames; without a motion stream the features of motion have no columns.
        self._encoded: Features = np.empty((0, networks.feature_dim), np.float16)
        self._moved: list[Features] = [np.empty((0, N_FEATURES if config.network.has_motion else 0), np.float16)]
        self._crops: list[Images] = []
        self._waiting: list[tuple[int, npt.NDArray[np.float32]]] = []
        self._seen = 0
        self._starts: list[int] = []
        self._proposals: list[npt.NDArray[np.float32]] = []

    def add(self, crops: Images) -> None:
        """Takes the next crops `(T, S, S, 3)`."""
        self._seen += len(crops)
        self._crops.append(crops)
        self._moved += self._motion.put(crops)
        while self._held() >= CHUNK or (self._seen == self.n_crops and self._held()):
            held = np.concatenate(self._crops)
            self._crops = [held[CHUNK:]]
            self._encoded = np.concatenate([self._encoded, self.networks.encode(held[:CHUNK])])
            self._cut()

    def proposals(self) -> FloatArray:
        """All proposals `(P, 8)`, once every crop was added, in an order that depends on their values alone."""
        self._moved += self._motion.results()
        self.networks.seconds["motion"] += self._motion.seconds
        self._cut()
        self._flush()
        table = np.concatenate(self._proposals).astype(np.float64)
        table[:, :, IN_FRAMES] += np.array(self._starts)[:, None, None]
        table = table.reshape(-1, len(PROPOSAL_COLUMNS))
        return table[np.lexsort(table.T[::-1])]

    def _held(self) -> int:
        return sum(map(len, self._crops))

    def _cut(self) -> None:
        for window in self._windows.add(self._features()):
            self._waiting.append(window)
            if len(self._waiting) * self._windows.window >= TOGETHER:
                self._flush()

    def _features(self) -> Features:
        """The next frames' features that are complete, `(K, D)`; K may be 0."""
        moved = np.concatenate(self._moved)
        ready = min(len(moved), len(self._encoded))
        features = np.concatenate([self._encoded[:ready], moved[:ready]], axis=1)
        self._encoded, self._moved = self._encoded[ready:], [moved[ready:]]
        return features

    def _flush(self) -> None:
        if self._waiting:
            starts, windows = zip(*self._waiting, strict=True)
            self._starts += starts
            self._proposals.append(self.networks.propose(starts, windows))
            self._waiting = []
