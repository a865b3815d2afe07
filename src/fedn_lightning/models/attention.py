"""Segment attention: the fine dynamics of a few neighbouring frames, fused into one vector a segment."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SegmentScore = Literal["sigmoid", "softmax"]


def gather_segments(frames: Tensor, length: int, stride: int) -> Tensor:
    """Cuts a window into overlapping segments, one for every `stride` frames.

    Segment `s` is centred on frames `[s * stride, (s + 1) * stride)`; beyond the window its edge frames repeat, so that
    a window of `T` frames has `T / stride` segments.

    Args:
        frames: `(B, T, D)`; `T` a multiple of `stride`.
        length: frames in a segment, at least `stride`.
        stride: frames between the starts of two segments.

    Returns:
        `(B, T / stride, length, D)`.

    >>> gather_segments(torch.arange(4.0).view(1, 4, 1), length=4, stride=2).squeeze()
    tensor([[0., 0., 1., 2.],
            [1., 2., 3., 3.]])
    """
    before = (length - stride) // 2
    after = length - stride - before
    padded = torch.cat([frames[:, :1].expand(-1, before, -1), frames, frames[:, -1:].expand(-1, after, -1)], dim=1)
    return padded.unfold(1, length, stride).transpose(2, 3)


class SegmentAttention(nn.Module):
    """Attention over the frames of a segment, and their fusion into one vector.

    Stated by a third-party summary of the paper (mark S): multi-head attention over the segment's frames,
    average-pooled to one global vector `g`; `g` repeated and concatenated to every frame vector `x_i`; fully
    connected layers give each frame a score and reduce the dimension; the frames are summed with those scores:

        g = mean_i MHA(x)_i,   s_i = w · [x_i; g],   y = sum_i a_i · V [x_i; g]

    How the scores become weights is ours (O). The default is the form of the Frame Attention Network (Meng et al., ICIP
    2019), the nearest published relative: `a_i = sigmoid(s_i) / sum_j sigmoid(s_j)`. With `softmax`, an ablation, g
    adds one number to all scores of a segment, which a softmax does not see: g then weighs no frame, so its half of `w`
    is left out.

    Neighbouring segments share frames, so whatever depends on a frame alone (queries, keys, values, the frame's half of
    both fully connected layers) is computed once per frame and then gathered, and the output projection, being linear,
    is applied to the mean instead of to every frame. This gives the formula's result at a quarter of its cost or less.

    Args:
        dim: features of a frame.
        out_dim: features of a segment.
        heads: attention heads; divides `dim`.
        length: frames in a segment.
        stride: frames between two segments.
        score: how the scores become weights.
    """

    def __init__(
        self,
        dim: int,
        out_dim: int,
        heads: int = 4,
        length: int = 8,
        stride: int = 2,
        score: SegmentScore = "sigmoid",
    ) -> None:
        super().__init__()
        self.heads, self.length, self.stride = heads, length, stride
        self.query_key_value = nn.Linear(dim, 3 * dim)
        self.project = nn.Linear(dim, dim)
        self.score_frame = nn.Linear(dim, 1, bias=score == "sigmoid")
        self.score_global = nn.Linear(dim, 1, bias=False) if score == "sigmoid" else None
        self.value_frame = nn.Linear(dim, out_dim)
        self.value_global = nn.Linear(dim, out_dim, bias=False)

    def forward(self, frames: Tensor) -> Tensor:
        """Maps frame features `(B, T, dim)` to segment features `(B, T / stride, out_dim)`."""
        return self.attend(frames)[0]

    def attend(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """As :meth:`forward`, and the weights `(B, T / stride, length)` of the frames in their segments."""
        batch, _, dim = frames.shape
        projected = gather_segments(self.query_key_value(frames), self.length, self.stride)
        count = projected.shape[1]
        query, key, value = projected.reshape(batch * count, self.length, 3, self.heads, dim // self.heads).unbind(2)
        mixed = F.scaled_dot_product_attention(query.transpose(1, 2), key.transpose(1, 2), value.transpose(1, 2))
        overall = self.project(mixed.mean(2).reshape(batch, count, dim))
        scores = gather_segments(self.score_frame(frames), self.length, self.stride)
        if self.score_global is not None:
            # The softmax of log sigmoid(s) is sigmoid(s) over its sum, and never divides 0 by 0.
            scores = -F.softplus(-(scores + self.score_global(overall).unsqueeze(2)))
        weights = scores.softmax(dim=2)
        values = gather_segments(self.value_frame(frames), self.length, self.stride)
        # The weights sum to one, so the global half of the value comes out of the sum.
        return (weights * values).sum(2) + self.value_global(overall), weights.squeeze(-1)


class SegmentMean(nn.Module):
    """The ablation of :class:`SegmentAttention`: the mean of a segment's frames, and a linear map to `out_dim`."""

    def __init__(self, dim: int, out_dim: int, length: int = 8, stride: int = 2) -> None:
        super().__init__()
        self.length, self.stride = length, stride
        self.value = nn.Linear(dim, out_dim)

    def forward(self, frames: Tensor) -> Tensor:
        """Maps frame features `(B, T, dim)` to segment features `(B, T / stride, out_dim)`."""
        return gather_segments(self.value(frames), self.length, self.stride).mean(2)

    def attend(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """As :meth:`forward`, and the weights `(B, T / stride, length)` of the frames, all equal."""
        segments = self(frames)
        return segments, segments.new_full((*segments.shape[:2], self.length), 1 / self.length)


Gate = Literal["softmax", "scaled_softmax", "none"]


class WindowAttention(nn.Module):
    """Gates the segments of a window by a softmax over time.

    Stated by a third-party summary of the paper (mark S): 1-D convolution over the window's segment features, softmax,
    element-wise product with those features. Taken literally (`softmax`) the gate sums to one over the `S` segments of
    a window and so divides activations by about `S`; `scaled_softmax`, ours (O) and the default, multiplies it by `S`,
    so that the gate has mean one. `none` is the ablation.

    Args:
        dim: features of a segment.
        kernel_size: of the convolution, odd.
        gate: which of the three.
    """

    def __init__(self, dim: int, kernel_size: int = 3, gate: Gate = "scaled_softmax") -> None:
        super().__init__()
        self.gate = gate
        # A bias is the same at all times, so the softmax over time would not see it.
        self.conv = None if gate == "none" else nn.Conv1d(dim, dim, kernel_size, padding=kernel_size // 2, bias=False)

    def forward(self, segments: Tensor) -> Tensor:
        """Gates `(B, dim, S)` segment features; the shape stays."""
        return segments * self.weights(segments)

    def weights(self, segments: Tensor) -> Tensor:
        """The gate `(B, dim, S)` itself."""
        if self.conv is None:
            return segments.new_ones(segments.shape)
        gate: Tensor = self.conv(segments).softmax(dim=2)
        return gate * segments.shape[2] if self.gate == "scaled_softmax" else gate
