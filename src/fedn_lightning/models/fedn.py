"""FEDN: from the frame features of a window to intervals with confidence and emotion."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fedn_lightning.errors import ConfigError
from fedn_lightning.models.anchors import Anchors, make_anchors
from fedn_lightning.models.attention import (
    Gate,
    SegmentAttention,
    SegmentMean,
    SegmentScore,
    WindowAttention,
    local_mean,
)
from fedn_lightning.models.encoder import MotionEncoder
from fedn_lightning.models.head import DetectionHead, HeadOutput, TemporalPyramid
from fedn_lightning.models.precision import Precision, autocast
from fedn_lightning.motion.features import N_FEATURES

EDGE = 8
"""Twice the frames on either side of a frame that its encoded motion depends on."""

FrameNorm = Literal["none", "layer", "centred"]
Streams = Literal["appearance", "motion", "both", "two_trunks"]


@dataclass(frozen=True)
class NetworkConfig:
    """Sizes and variants of FEDN; the defaults are the reconstruction's (`docs/network.md` gives each one's mark).

    Attributes:
        dim: features of a segment.
        segment_length: frames in a segment.
        segment_stride: frames between two segments.
        segment_heads: attention heads inside a segment; divides `dim`.
        segment_score: how a segment's scores become weights, `sigmoid` (the mean of the segment takes part) or
            `softmax` (ablation); see :class:`fedn_lightning.models.attention.SegmentAttention`.
        segment_attention: False replaces it by the mean of the segment's frames (ablation).
        window_gate: `scaled_softmax`, `softmax` (literal), or `none` (ablation).
        channels: of pyramid levels and head.
        levels: of the pyramid.
        reductions: strides of the blocks that end the backbone.
        ratios: anchor lengths as multiples of a level's stride; empty for an anchor-free head (ablation).
        head_heads: attention heads of the head's branches; divides `channels`.
        decoupled: separate branches for interval, confidence and emotion.
        frame_norm: `layer` normalises each frame vector; `centred` also subtracts the window's mean vector, which
            removes the identity of the face; `none` leaves the encoder's features as they are. Ours (O).
        dropout: on segment features, while training.
        streams: input of the network. `appearance`: the encoder's features, as in the paper. `motion`: the motion of
            parts of the face. `both`: their sum. `two_trunks`: intervals and c come from motion, e from the sum. All
            but the first are ours (O).
        appearance_dropout: share of training windows whose appearance is left out, if motion is an input too.
        reach: frames before and after a step that the means, softmaxes and normalisations over time take in, so that
            a window can be as long as a video, ours (O); None for all of the window, as in the paper.
    """

    dim: int = 512
    segment_length: int = 8
    segment_stride: int = 2
    segment_heads: int = 4
    segment_score: SegmentScore = "sigmoid"
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
    streams: Streams = "appearance"
    appearance_dropout: float = 0.0
    reach: int | None = None

    def steps(self, stride: int) -> int | None:
        """:attr:`reach` in steps of so many frames."""
        return None if self.reach is None else self.reach // stride

    @property
    def has_motion(self) -> bool:
        """Whether motion features follow the encoder's in a frame vector."""
        return self.streams != "appearance"

    @property
    def strides(self) -> list[int]:
        """Frames between two time steps of each level."""
        first = self.segment_stride * math.prod(self.reductions)
        return [first * 2**level for level in range(self.levels)]


@dataclass(frozen=True)
class Attention:
    """The attention weights of the network in `B` windows of `S` segments.

    Attributes:
        segments: `(B, S, length)` weights of the frames of each segment; they sum to one.
        window: `(B, dim, S)` the gate of each feature over the segments.
    """

    segments: Tensor
    window: Tensor


class Trunk(nn.Module):
    """From frames to the levels of the pyramid: segment attention, sliding-window attention, pyramid.

    Args:
        config: sizes and variants.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        dim = config.dim
        self.segments: SegmentAttention | SegmentMean
        if config.segment_attention:
            self.segments = SegmentAttention(
                dim, dim, config.segment_heads, config.segment_length, config.segment_stride, config.segment_score
            )
        else:
            self.segments = SegmentMean(dim, dim, config.segment_length, config.segment_stride)
        self.dropout = nn.Dropout(config.dropout)
        reach = config.steps(config.segment_stride)
        self.window = WindowAttention(dim, gate=config.window_gate, reach=reach)
        self.pyramid = TemporalPyramid(dim, config.channels, config.levels, config.reductions, reach)

    def levels(self, frames: Tensor) -> list[Tensor]:
        """Maps `(B, T, dim)` to the levels `(B, channels, T_l)`."""
        return self._from_segments(self.segments(frames))

    def levels_of_rows(self, table: Tensor, rows: Tensor, offset: Tensor | None) -> list[Tensor]:
        """:meth:`levels` of the windows `table[rows] - offset`, computing shared frames once.

        Args:
            table: `(K, dim)` frames.
            rows: `(B, T)` which of them each window shows.
            offset: `(B, dim)` what is subtracted from all frames of a window; None for nothing.
        """
        return self._from_segments(self.segments.mix_shared(self.segments.products(table), rows, offset))

    def _from_segments(self, segments: Tensor) -> list[Tensor]:
        levels: list[Tensor] = self.pyramid(self.window(self.dropout(segments).transpose(1, 2)))
        return levels

    def attend(self, frames: Tensor) -> Attention:
        """The weights of both attentions for `(B, T, dim)`; call it in evaluation mode."""
        segments, weights = self.segments.attend(frames)
        return Attention(weights, self.window.weights(self.dropout(segments).transpose(1, 2)))


class FEDN(Trunk):
    """Everything after the frame encoder.

    frame features -> segment attention -> sliding-window attention -> two stride-2 blocks -> pyramid -> head

    The order is the paper's (P, S). The motion stream, and a second trunk for e, are ours (O).

    Args:
        feature_dim: features of a frame that the encoder gives.
        emotions: number of emotion classes; 0 for spotting alone.
        config: sizes and variants.

    Attributes:
        input_dim: features of a frame that the network takes: the encoder's, and the motion's behind them if
            `config.streams` asks for it.

    Raises:
        ConfigError: if heads do not divide the widths they split, two trunks are to share a branch, or `reach` is 0.
    """

    def __init__(self, feature_dim: int, emotions: int, config: NetworkConfig) -> None:
        dim, channels = config.dim, config.channels
        for name, width, heads in (
            ("segment_heads", dim, config.segment_heads),
            ("head_heads", channels, config.head_heads),
        ):
            if heads and width % heads:
                raise ConfigError(f"model.network.{name} = {heads} must divide {width}, the width it splits.")
        if config.reach is not None and config.reach < 1:
            raise ConfigError(f"model.network.reach = {config.reach} must be at least 1 frame, or null for the window.")
        if config.streams == "two_trunks" and not config.decoupled:
            msg = "model.network.streams = two_trunks needs decoupled = true: a shared branch has one trunk alone."
            raise ConfigError(msg)
        super().__init__(config)
        self.config, self.feature_dim = config, feature_dim
        self.input_dim = feature_dim + (N_FEATURES if config.has_motion else 0)
        self.motion = MotionEncoder(dim) if config.has_motion else None
        # With two trunks only e depends on appearance.
        self.has_appearance = config.streams in ("appearance", "both") or (
            config.streams == "two_trunks" and emotions > 0
        )
        if self.has_appearance:
            # Centring subtracts a bias again.
            bias = config.frame_norm != "centred"
            self.norm = nn.Identity() if config.frame_norm == "none" else nn.LayerNorm(feature_dim, bias=bias)
            self.reduce = nn.Identity() if feature_dim == dim else nn.Linear(feature_dim, dim)
        self.naming = Trunk(config) if emotions and config.streams == "two_trunks" else None
        self.head = DetectionHead(
            channels,
            channels,
            emotions,
            kinds=len(config.ratios) + 1,
            levels=config.levels,
            heads=config.head_heads,
            decoupled=config.decoupled,
            reach=config.steps(config.strides[0]),
        )

    def forward(self, features: Tensor) -> HeadOutput:
        """Detects in windows.

        Args:
            features: `(B, T, input_dim)` frame features of `B` windows; `T` a multiple of the coarsest stride.

        Returns:
            Predictions for the `N` anchors of :meth:`anchors`.
        """
        frames, for_emotion = self._frames(features)
        output: HeadOutput = self.head(
            self.levels(frames), None if self.naming is None else self.naming.levels(for_emotion)
        )
        return output

    @torch.no_grad()
    def detect(self, features: Tensor, rows: Tensor, precision: Precision = "fp32") -> HeadOutput:
        """Detects in overlapping windows of one video as :meth:`forward` does in `features[rows]`, up to rounding.

        What depends on a frame alone is computed once, however many windows show the frame. Use it in evaluation mode.

        Args:
            features: `(K, input_dim)` features of consecutive frames.
            rows: `(B, T)` int64, the frames of each window.
            precision: of the products; the head's last convolutions are in float32 in any case.

        Raises:
            ConfigError: if the device does not have the precision.
        """
        with autocast(features.device, precision):
            return self._detect(features, rows)

    def _detect(self, features: Tensor, rows: Tensor) -> HeadOutput:
        consecutive = bool((rows.diff(dim=1) == 1).all())  # a short video repeats a frame
        shares = isinstance(self.segments, SegmentAttention | SegmentMean)  # a part of somebody else's may not
        if not shares or self.config.reach is not None or rows.shape[1] < 2 * EDGE or not consecutive:
            whole: HeadOutput = self(features[rows])
            return whole
        seen, moved = torch.split(features, [self.feature_dim, self.input_dim - self.feature_dim], dim=-1)
        appearance, offset = (
            self._shared_appearance(seen, rows) if self.has_appearance else (features.new_zeros(()), None)
        )
        if self.motion is None:
            table = both = appearance
        else:
            table, rows, shown = self._shared_motion(moved, rows)
            both = table + appearance[shown] if self.has_appearance else table
        spots_alone = self.naming is not None
        levels = self.levels_of_rows(table if spots_alone else both, rows, None if spots_alone else offset)
        named = None if self.naming is None else self.naming.levels_of_rows(both, rows, offset)
        output: HeadOutput = self.head(levels, named)
        return output

    def attention(self, features: Tensor) -> Attention:
        """The weights of both attentions for the windows of :meth:`forward`; of two trunks, those of the spotting one.

        Call it in evaluation mode.
        """
        return self.attend(self._frames(features)[0])

    def _frames(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Frame features `(B, T, dim)` for the trunk, and for the trunk of e."""
        if features.shape[-1] != self.input_dim:
            raise ValueError(f"The network takes {self.input_dim} features of a frame, and got {features.shape[-1]}.")
        seen, moved = torch.split(features, [self.feature_dim, self.input_dim - self.feature_dim], dim=-1)
        motion = None if self.motion is None else self.motion(moved)
        if motion is None:
            appearance = self._appearance(seen)
            return appearance, appearance
        if not self.has_appearance:
            return motion, motion
        both = motion + self._appearance(seen)
        return (motion if self.config.streams == "two_trunks" else both), both

    def _appearance(self, seen: Tensor) -> Tensor:
        x = F.layer_norm(seen, seen.shape[-1:]) if isinstance(self.norm, nn.LayerNorm) else seen
        if self.config.frame_norm == "centred":
            x = x - x.mean(dim=1, keepdim=True)
        reduced = self._reduce(x)
        if self.config.frame_norm == "centred" and self.config.reach is not None:
            mean = local_mean(reduced.transpose(1, 2), self.config.reach).transpose(1, 2)
            reduced = reduced - mean + getattr(self.reduce, "bias", 0.0)  # a mean does not take a bias away
        if self.training and self.config.has_motion and self.config.appearance_dropout:
            kept = torch.rand(len(reduced), 1, 1, device=reduced.device) >= self.config.appearance_dropout
            reduced = reduced * kept
        return reduced

    def _reduce(self, x: Tensor) -> Tensor:
        """The map of normalised features `(..., feature_dim)` to `(..., dim)`.

        The gain of the normalisation is part of the map: features need no gradient then, and they are many.
        """
        gain, shift = (getattr(self.norm, name, None) for name in ("weight", "bias"))
        if not isinstance(self.reduce, nn.Linear):
            x = x if gain is None else x * gain
            return x if shift is None else x + shift
        weight, bias = self.reduce.weight, self.reduce.bias
        if shift is not None:
            bias = bias + weight @ shift
        return F.linear(x, weight if gain is None else weight * gain, bias)

    def _shared_appearance(self, seen: Tensor, rows: Tensor) -> tuple[Tensor, Tensor | None]:
        """Reduced appearance `(K, dim)` of frames, and what centring subtracts from each window, `(B, dim)`."""
        normed = self.norm(seen)
        if self.config.frame_norm != "centred":
            return self.reduce(normed), None
        normed = normed - normed.mean(dim=0)  # the face itself is much larger than its expressions, and rounded first
        share = normed.new_zeros(len(rows), len(normed)).scatter_(1, rows, 1 / rows.shape[1])
        mean = share @ normed  # the mean of each window's frames, without a copy of them
        return self.reduce(normed), F.linear(mean, self.reduce.weight) if isinstance(self.reduce, nn.Linear) else mean

    def _shared_motion(self, moved: Tensor, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Encoded motion `(K', dim)`, the rows `(B, T)` of the windows in it, and the frame `(K',)` that a row shows.

        Windows do not know what lies before and after them, so the frames at their ends are encoded anew for each.
        """
        assert self.motion is not None
        half = EDGE // 2
        whole = self.motion(moved[None])[0]
        ends = [self.motion(moved[rows[:, :EDGE]])[:, :half], self.motion(moved[rows[:, -EDGE:]])[:, half:]]
        shown = [torch.arange(len(whole), device=rows.device), rows[:, :half].flatten(), rows[:, -half:].flatten()]
        first = len(whole) + torch.arange(len(rows) * half, device=rows.device).view(-1, half)
        table = torch.cat([whole, *(part.flatten(0, 1) for part in ends)])
        return table, torch.cat([first, rows[:, half:-half], first + first.numel()], dim=1), torch.cat(shown)

    def anchors(self, window: int) -> Anchors:
        """The anchors of a window of that many frames.

        Raises:
            ConfigError: if the window is not a multiple of the coarsest level's stride.
        """
        strides = self.config.strides
        if window % strides[-1]:
            raise ConfigError(
                f"data.window = {window} frames must be a multiple of {strides[-1]}, the stride of the pyramid's "
                f"coarsest level; change data.window or model.network.levels."
            )
        return make_anchors([window // s for s in strides], strides, self.config.ratios)


TOGETHER = 32
"""Most windows in a group: the dot products of all pairs of its frames are computed."""


def overlapping(windows: Tensor, video: Tensor, start: Tensor) -> list[slice]:
    """Groups of at most :data:`TOGETHER` windows of a batch that overlap and show the same frames where they do.

    Windows whose frames are not consecutive, as of a part of a video that is shorter than a window, stand alone.

    Args:
        windows: `(B, T, ...)` features or pixels.
        video: `(B,)` the video of each window.
        start: `(B,)` its first frame.

    >>> overlapping(torch.tensor([[1, 2, 3], [2, 3, 4], [4, 4, 4]]), torch.zeros(3), torch.tensor([0, 1, 2]))
    [slice(0, 2, None), slice(2, 3, None)]
    """
    shifts = [int(shift) for shift in start.diff().tolist()]
    same = (video.diff() == 0).tolist()
    length = windows.shape[1]
    apart = [
        index + 1
        for index, shift in enumerate(shifts)
        if (index + 1) % TOGETHER == 0
        or not same[index]
        or not 0 < shift < length
        or not torch.equal(windows[index, shift:], windows[index + 1, : length - shift])
    ]
    return [slice(first, last) for first, last in itertools.pairwise([0, *apart, len(windows)])]


def join(windows: Tensor, start: Tensor) -> tuple[Tensor, Tensor]:
    """Joins overlapping windows to the frames that they show, and says which of them each window shows.

    Args:
        windows: `(B, T, ...)` that overlap, each with the one before.
        start: `(B,)` first frame of each, ascending.

    Returns:
        `(K, ...)` frames and `(B, T)` int64 rows; `frames[rows]` are the windows.

    >>> join(torch.tensor([[1, 2, 3], [2, 3, 4]]), torch.tensor([7, 8]))
    (tensor([1, 2, 3, 4]), tensor([[0, 1, 2],
            [1, 2, 3]]))
    """
    new = start.diff().long().tolist()
    frames = torch.cat([windows[0], *(window[-count:] for window, count in zip(windows[1:], new, strict=True))])
    first = (start - start[0]).long().unsqueeze(1)
    return frames, first + torch.arange(windows.shape[1], device=windows.device)
