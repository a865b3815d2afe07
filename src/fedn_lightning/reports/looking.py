"""What a trained network looked at: the weights of both attentions in the windows around chosen events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from fedn_lightning.cli.checkpoints import read_checkpoint
from fedn_lightning.data.windows import window_frames, window_starts
from fedn_lightning.errors import CheckpointError
from fedn_lightning.events import FloatArray, IntArray
from fedn_lightning.nn.encoder import FrameEncoder
from fedn_lightning.nn.fedn import FEDN, NetworkConfig
from fedn_lightning.nn.segments import gather_segments
from fedn_lightning.reports.clips import read_crops
from fedn_lightning.tasks.encoding import EncoderConfig, encode_windows
from fedn_lightning.video.store import StoredVideo

SPREAD = (0.1, 0.9)
"""Share of the features below the lower and the upper edge of the gate's band."""


class Network(NamedTuple):
    """A trained network and the windows it takes."""

    encoder: FrameEncoder
    config: EncoderConfig
    fedn: FEDN
    window: int
    stride: int


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
    content = read_checkpoint(path)
    about: Mapping[str, Any] = content.get("fedn") or {}
    recipe: Mapping[str, Any] = about.get("model") or {}
    if not {"encoder", "network"} <= set(recipe) or "windows" not in about:
        msg = f"{path} is not the checkpoint of a detection run, so there is no attention to show."
        raise CheckpointError(msg)
    try:
        config = EncoderConfig(**recipe["encoder"])
        encoder = config.build()
        classes = len(about.get("emotions", ())) if recipe.get("recognise", True) else 0
        fedn = FEDN(encoder.feature_dim, classes, NetworkConfig(**recipe["network"]))
        encoder.load_state_dict(_part(content["state_dict"], "encoder."))
        fedn.load_state_dict(_part(content["state_dict"], "network."))
    except (TypeError, RuntimeError) as error:
        msg = f"{path} is of another version of the network, so there is no attention to show ({type(error).__name__})."
        raise CheckpointError(msg) from error
    windows = about["windows"]
    return Network(encoder.eval(), config, fedn.eval(), int(windows["length"]), int(windows["test_stride"]))


def _part(state: Mapping[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}


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
    starts = np.asarray(window_starts(video.n_frames, network.window, network.stride))
    first = int(starts[np.abs(starts + network.window / 2 - (start + end) / 2).argmin()])
    frames = window_frames(first, network.window, video.n_frames)
    pixels = torch.from_numpy(np.stack(read_crops(video, frames))).permute(0, 3, 1, 2).unsqueeze(0)
    attention = network.fedn.attention(encode_windows(network.encoder, pixels, network.config))
    gate = attention.window[0].double()
    low, high = torch.quantile(gate, torch.tensor(SPREAD, dtype=gate.dtype), dim=0)
    return Look(
        frames=frames,
        gate=gate.mean(0).numpy(),
        low=low.numpy(),
        high=high.numpy(),
        weights=attention.segments[0].double().numpy(),
        members=_members(network.fedn.config, network.window),
    )


def _members(config: NetworkConfig, window: int) -> IntArray:
    """Positions in the window of the frames of each segment, as the network gathers them."""
    position = torch.arange(window).view(1, window, 1)
    members: IntArray = gather_segments(position, config.segment_length, config.segment_stride)[0, ..., 0].numpy()
    return members
