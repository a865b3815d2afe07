"""FEDN: from the frame features of a window to intervals with confidence and emotion."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from fedn_lightning.errors import ConfigError
from fedn_lightning.models.anchors import Slots, level_ranges, make_slots
from fedn_lightning.models.attention import Gate, SegmentAttention, SegmentMean, WindowAttention
from fedn_lightning.models.head import DetectionHead, HeadOutput, TemporalPyramid

FrameNorm = Literal["none", "layer", "centred"]


@dataclass(frozen=True)
class NetworkConfig:
    """Sizes and variants of FEDN; the defaults are the reconstruction's (`docs/network.md` gives each one's mark).

    Attributes:
        dim: features of a segment.
        segment_length: frames in a segment.
        segment_stride: frames between two segments.
        segment_heads: attention heads inside a segment; divides `dim`.
        segment_attention: False replaces it by the mean of the segment's frames (ablation).
        window_gate: `scaled_softmax`, `softmax` (literal), or `none` (ablation).
        channels: of pyramid levels and head.
        levels: of the pyramid.
        reductions: strides of the blocks that end the backbone.
        ratios: anchor lengths as multiples of a level's stride; empty for an anchor-free head (ablation).
        head_heads: attention heads of the head's branches; divides `channels`.
        decoupled: separate branches for interval, confidence and emotion.
        frame_norm: `layer` normalises each frame vector; `centred` also subtracts the window's mean vector, which takes
            the identity of the face away; `none` leaves the encoder's features as they are. Ours (O).
        dropout: on segment features, while training.
    """

    dim: int = 512
    segment_length: int = 8
    segment_stride: int = 2
    segment_heads: int = 4
    segment_attention: bool = True
    window_gate: Gate = "scaled_softmax"
    channels: int = 256
    levels: int = 4
    reductions: tuple[int, ...] = (2, 2)
    ratios: tuple[float, ...] = (0.5, 0.75, 1.0, 1.5, 2.0)
    head_heads: int = 4
    decoupled: bool = True
    frame_norm: FrameNorm = "centred"
    dropout: float = 0.1

    @property
    def strides(self) -> list[int]:
        """Frames between two time steps of each level."""
        first = self.segment_stride * math.prod(self.reductions)
        return [first * 2**level for level in range(self.levels)]


@dataclass(frozen=True)
class Attention:
    """What the network looked at in `B` windows of `S` segments.

    Attributes:
        segments: `(B, S, length)` weights of the frames of each segment; they sum to one.
        window: `(B, dim, S)` the gate of each feature over the segments.
    """

    segments: Tensor
    window: Tensor


class FEDN(nn.Module):
    """Everything after the frame encoder.

    frame features -> segment attention -> sliding-window attention -> two stride-2 blocks -> pyramid -> head

    The order is the paper's (P, S).

    Args:
        feature_dim: features of a frame.
        emotions: number of emotion classes; 0 for spotting alone.
        config: sizes and variants.

    Raises:
        ConfigError: if heads do not divide the widths they split.
    """

    def __init__(self, feature_dim: int, emotions: int, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        dim, channels = config.dim, config.channels
        for name, width, heads in (
            ("segment_heads", dim, config.segment_heads),
            ("head_heads", channels, config.head_heads),
        ):
            if heads and width % heads:
                msg = f"model.network.{name} = {heads} must divide {width}, the width it splits."
                raise ConfigError(msg)
        self.norm = nn.Identity() if config.frame_norm == "none" else nn.LayerNorm(feature_dim)
        self.reduce = nn.Identity() if feature_dim == dim else nn.Linear(feature_dim, dim)
        self.segments: SegmentAttention | SegmentMean
        if config.segment_attention:
            self.segments = SegmentAttention(
                dim, dim, config.segment_heads, config.segment_length, config.segment_stride
            )
        else:
            self.segments = SegmentMean(dim, dim, config.segment_length, config.segment_stride)
        self.dropout = nn.Dropout(config.dropout)
        self.window = WindowAttention(dim, gate=config.window_gate)
        self.pyramid = TemporalPyramid(dim, channels, config.levels, config.reductions)
        self.head = DetectionHead(
            channels,
            channels,
            emotions,
            kinds=len(config.ratios) + 1,
            levels=config.levels,
            heads=config.head_heads,
            decoupled=config.decoupled,
        )

    def forward(self, features: Tensor) -> HeadOutput:
        """Detects in windows.

        Args:
            features: `(B, T, feature_dim)` frame features of `B` windows; `T` a multiple of the coarsest stride.

        Returns:
            Predictions for the `N` slots of :meth:`slots`.
        """
        x = self.dropout(self.segments(self._frames(features))).transpose(1, 2)
        output: HeadOutput = self.head(self.pyramid(self.window(x)))
        return output

    def attention(self, features: Tensor) -> Attention:
        """The weights that both attentions give to the windows of :meth:`forward`; use it in evaluation mode."""
        segments, weights = self.segments.attend(self._frames(features))
        return Attention(weights, self.window.weights(self.dropout(segments).transpose(1, 2)))

    def _frames(self, features: Tensor) -> Tensor:
        """Frame features `(B, T, dim)` as the segment attention takes them."""
        x = self.norm(features)
        if self.config.frame_norm == "centred":
            x = x - x.mean(dim=1, keepdim=True)
        reduced: Tensor = self.reduce(x)
        return reduced

    def slots(self, window: int) -> Slots:
        """The slots of a window of that many frames.

        Raises:
            ConfigError: if the window is not a multiple of the coarsest level's stride.
        """
        strides = self.config.strides
        if window % strides[-1]:
            msg = (
                f"data.window = {window} frames must be a multiple of {strides[-1]}, the stride of the pyramid's "
                f"coarsest level; change data.window or model.network.levels."
            )
            raise ConfigError(msg)
        return make_slots([window // s for s in strides], strides, self.config.ratios, level_ranges(strides))
