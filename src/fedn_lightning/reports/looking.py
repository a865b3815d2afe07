"""What a trained network looked at: the weights of both attentions in the windows around chosen events."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from fedn_lightning.data.windows import window_frames, window_starts
from fedn_lightning.detector.recipe import Recipe, load
from fedn_lightning.events import FloatArray, IntArray
from fedn_lightning.nn.encoder import FrameEncoder
from fedn_lightning.nn.fedn import FEDN, NetworkConfig
from fedn_lightning.nn.segments import gather_segments
from fedn_lightning.reports.clips import read_crops
from fedn_lightning.tasks.encoding import encode_windows
from fedn_lightning.video.store import StoredVideo

SPREAD = (0.1, 0.9)
"""Share of the features below the lower and the upper edge of the gate's band."""


class Network(NamedTuple):
    """A trained network and what its checkpoint says of it."""

    recipe: Recipe
    encoder: FrameEncoder
    fedn: FEDN


@dataclass(frozen=True)
class Look:
    """Weights over one window of `W` frames in `S` segments of `L` frames.

    Attributes:
        frames: `(W,)` int64 frames of the clip store.
        gate: `(S,)` the window attention's gate, mean over the features.
        low: `(S,)` the gate below which a tenth of the features lies.
        high: `(S,)` the gate above which a tenth lies.
        weights: `(S, L)` the segment attention's weights of the frames; each row sums to one.
        members: `(S, L)` int64 positions in the window of the frames of each segment.
    """

    frames: IntArray
    gate: FloatArray
    low: FloatArray
    high: FloatArray
    weights: FloatArray
    members: IntArray

    def per_frame(self) -> FloatArray:
        """`(W,)` mean weight of each frame in its segments, as a multiple of the weight it has without preference."""
        total, places = np.zeros(len(self.frames)), np.zeros(len(self.frames))
        np.add.at(total, self.members, self.weights)
        np.add.at(places, self.members, 1)  # a frame at the edge stands in a segment more than once
        share: FloatArray = total / places * self.weights.shape[1]
        return share

    def segment_in(self, start: float, end: float) -> int:
        """Of the segments centred in stored frames `[start, end)` the one with the widest band; else the nearest."""
        centre = self.frames[self.members].mean(axis=1)
        inside = np.flatnonzero((centre >= start) & (centre < end))
        if not len(inside):
            return int(np.abs(centre - (start + end) / 2).argmin())
        return int(inside[(self.high - self.low)[inside].argmax()])


def load_network(path: Path) -> Network:
    """Builds the network of a detection run's checkpoint.

    Args:
        path: e.g. `RUN/checkpoints/best.ckpt`.

    Raises:
        CheckpointError: if there is none, or it is not that of a detection run.
    """
    return Network(*load(path, None, torch.device("cpu")))


@torch.inference_mode()
def look_at(network: Network, video: StoredVideo, start: float, end: float) -> Look:
    """Runs the network on the window that has an event nearest to its middle, of those it saw in the test.

    Args:
        network: as :func:`load_network` gives it.
        video: the stored video.
        start: first stored frame of the event.
        end: one past its last.

    Raises:
        VideoError: if crops are decoded from a source that is not there.
    """
    window = network.recipe.window
    starts = np.asarray(window_starts(video.n_frames, window, network.recipe.stride))
    first = int(starts[np.abs(starts + window / 2 - (start + end) / 2).argmin()])
    frames = window_frames(first, window, video.n_frames)
    pixels = torch.from_numpy(np.stack(read_crops(video, frames))).permute(0, 3, 1, 2).unsqueeze(0)
    attention = network.fedn.attention(encode_windows(network.encoder, pixels, network.recipe.encoder))
    gate = attention.window[0].double()
    low, high = torch.quantile(gate, torch.tensor(SPREAD, dtype=gate.dtype), dim=0)
    return Look(
        frames=frames,
        gate=gate.mean(0).numpy(),
        low=low.numpy(),
        high=high.numpy(),
        weights=attention.segments[0].double().numpy(),
        members=_members(network.recipe.network, window),
    )


def _members(config: NetworkConfig, window: int) -> IntArray:
    """Positions in the window of the frames of each segment, as the network gathers them."""
    position = torch.arange(window).view(1, window, 1)
    members: IntArray = gather_segments(position, config.segment_length, config.segment_stride)[0, ..., 0].numpy()
    return members
