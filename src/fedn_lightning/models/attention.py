"""Segment attention: the fine dynamics of a few neighbouring frames, fused into one vector a segment."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SegmentScore = Literal["sigmoid", "softmax"]


def segment_frames(count: int, length: int, stride: int) -> Tensor:
    """The frames of overlapping segments, one segment for every `stride` frames of a window.

    Segment `s` is centred on frames `[s * stride, (s + 1) * stride)`; beyond the window its edge frames repeat, so that
    a window of `T` frames has `T / stride` segments.

    Args:
        count: frames in the window, a multiple of `stride`.
        length: frames in a segment, at least `stride`.
        stride: frames between the starts of two segments.

    Returns:
        `(T / stride, length)` int64.

    >>> segment_frames(4, length=4, stride=2)
    tensor([[0, 0, 1, 2],
            [1, 2, 3, 3]])
    """
    first = torch.arange(0, count, stride) - (length - stride) // 2
    return (first.unsqueeze(1) + torch.arange(length)).clamp(0, count - 1)


def spread(weights: Tensor, stride: int) -> Tensor:
    """Weights of the frames of each segment as weights of all frames of the window: a banded matrix.

    A matrix product with it replaces a sum over gathered frames, of which neighbouring segments share most.

    Args:
        weights: `(..., S, length)` of the frames of :func:`segment_frames`.
        stride: frames between two segments.

    Returns:
        `(..., S, S * stride)`; weights of frames beyond the window are added to its edge frames.

    >>> spread(torch.ones(2, 4), stride=2)
    tensor([[2., 1., 1., 0.],
            [0., 1., 1., 2.]])
    """
    segments, length = weights.shape[-2:]
    count = segments * stride
    frames = segment_frames(count, length, stride).to(weights.device)
    return weights.new_zeros(*weights.shape[:-1], count).scatter_add(-1, frames.expand(weights.shape), weights)


def local_mean(x: Tensor, reach: int) -> Tensor:
    """The mean of `x` `(..., T)` over the steps at most `reach` away, in float32.

    A product with a banded matrix: sums of running totals would lose small values beside large ones.

    >>> local_mean(torch.tensor([0.0, 3.0, 6.0, 0.0]), reach=1)
    tensor([1.5000, 3.0000, 3.0000, 3.0000])
    """
    steps = torch.arange(x.shape[-1], device=x.device)
    band = ((steps - steps.unsqueeze(1)).abs() <= reach).to(torch.promote_types(x.dtype, torch.float32))
    with torch.autocast(x.device.type, enabled=False):
        mean: Tensor = (x.to(band.dtype) @ band) / band.sum(0)
    return mean


def convolve(conv: nn.Conv1d, x: Tensor) -> Tensor:
    """`conv(x)` of `(B, C, T)`, in memory where the channels of a step lie together: faster on a CPU."""
    steps = x.transpose(1, 2).contiguous().transpose(1, 2).unsqueeze(2)
    out: Tensor = F.conv2d(steps, conv.weight.unsqueeze(2), conv.bias, (1, *conv.stride), (0, *conv.padding))
    return out.squeeze(2)


BLOCK = 128
"""Frames whose segments are computed together in a long window: the cost of a block grows with its square."""


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
    both fully connected layers) is computed once per frame. Sums over the frames of a segment are products with a
    banded matrix. The output projection, being linear, is applied to the mean instead of to every frame. This gives
    the formula's result at a fraction of its cost.

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
        return self.mix(self.products(frames))

    @property
    def maps(self) -> tuple[nn.Linear, ...]:
        """The linear maps that a frame passes before it meets other frames."""
        return self.query_key_value, self.score_frame, self.value_frame

    def products(self, frames: Tensor) -> list[Tensor]:
        """What depends on a frame alone, `(..., 3 dim)`, `(..., 1)` and `(..., out_dim)` of frames `(..., dim)`."""
        return [linear(frames) for linear in self.maps]

    def mix(self, products: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Attention within segments, of the :meth:`products` of windows `(B, T, ...)`; returns as :meth:`attend`."""
        projected, scores, values = products
        count = values.shape[1]
        if count > 2 * BLOCK:
            return self._mix_blocks(products)
        frames = segment_frames(count, self.length, self.stride).T.to(values.device)  # (length, S)
        query, key, value = self._by_head(projected)
        logits = query @ key.transpose(2, 3)  # of all pairs of frames of the window
        pairs = frames.unsqueeze(1) * count + frames
        # Not index_select: its backward pass takes twice as long on a CPU.
        logits = logits.flatten(2).gather(2, pairs.flatten().expand(*logits.shape[:2], -1))
        logits = logits.view(*logits.shape[:2], *pairs.shape)
        mean = logits.softmax(dim=3).mean(dim=2).transpose(2, 3)  # (B, heads, S, length): the mean over queries
        overall = (spread(mean, self.stride) @ value).transpose(1, 2).flatten(2)
        overall, shift = self._overall(overall)
        weights = self._weights(scores.squeeze(2)[:, frames.T], shift)
        # The weights sum to one, so the global half of the value comes out of the sum.
        return spread(weights, self.stride) @ values + overall, weights

    def _mix_blocks(self, products: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """As :meth:`mix`, a block of frames at a time with those that its segments share: linear in the length."""
        batch, count = products[-1].shape[:2]
        extra = -(-(self.length - self.stride) // (2 * self.stride))  # segments beside a block
        first = torch.arange(0, count, BLOCK, device=products[-1].device) - extra * self.stride
        frames = torch.arange(BLOCK + 2 * extra * self.stride, device=first.device)
        rows = (first.unsqueeze(1) + frames).clamp(0, count - 1)
        parts = self.mix([part[:, rows].flatten(0, 1) for part in products])
        inner = slice(extra, extra + BLOCK // self.stride)
        whole = [part[:, inner].reshape(batch, -1, part.shape[2])[:, : count // self.stride] for part in parts]
        return whole[0], whole[1]

    def mix_shared(self, products: Sequence[Tensor], rows: Tensor, offset: Tensor | None) -> Tensor:
        """The segments of :meth:`mix` for windows `table[rows] - offset`, of the products of the table.

        A vector subtracted from all keys, or from all values, of a segment comes out of the attention; what is
        subtracted from the queries adds a number to each key's logits.

        Args:
            products: of a table of `K` frames, `(K, ...)`; their dot products are computed for all pairs, so that `K`
                should be some hundreds.
            rows: `(B, T)` which frames each window shows.
            offset: `(B, dim)` what is subtracted from all frames of a window; None for nothing.
        """
        projected, scores, values = products
        frames = segment_frames(rows.shape[1], self.length, self.stride).to(rows.device)
        shown = rows[:, frames]  # (B, S, length)
        flat = shown.flatten(0, 1).T
        query, key, value = (part[0] for part in self._by_head(projected.unsqueeze(0)))
        pairs = flat.unsqueeze(1) * len(values) + flat
        logits = (query @ key.transpose(1, 2)).flatten(1).index_select(1, pairs.flatten()).view(-1, *pairs.shape)
        seen = value.transpose(0, 1).flatten(1)[rows]
        scores = scores[shown].squeeze(3)
        moved: Tensor | float = 0.0
        if offset is not None:
            images = [F.linear(offset, linear.weight) for linear in self.maps]
            less = self._by_head(images[0].unsqueeze(1))
            to_keys = torch.einsum("bhd,hkd->hbk", less[0].squeeze(2), key)
            window = torch.arange(len(rows), device=rows.device).repeat_interleave(len(frames))
            logits = logits - to_keys[:, window, flat].unsqueeze(1)
            scores = scores - images[1].unsqueeze(2)
            seen = seen - less[2].transpose(1, 2).flatten(2)
            moved = images[2].unsqueeze(1)
        mean = logits.softmax(dim=2).mean(dim=1).view(self.heads, self.length, *shown.shape[:2]).permute(2, 0, 3, 1)
        by_head = seen.view(*rows.shape, self.heads, -1).transpose(1, 2)
        overall, shift = self._overall((spread(mean, self.stride) @ by_head).transpose(1, 2).flatten(2))
        weights = self._weights(scores, shift)
        return spread(weights, self.stride) @ values[rows] - moved + overall

    def _by_head(self, projected: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, over the root of their width, keys and values, `(B, heads, T, dim / heads)`."""
        query, key, value = projected.view(*projected.shape[:2], 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        return query / math.sqrt(query.shape[-1]), key, value

    def _overall(self, mixed: Tensor) -> tuple[Tensor, Tensor | None]:
        """What g, given before its projection, adds to values and to scores: maps one after another are one map."""
        maps = [self.value_global.weight, *([] if self.score_global is None else [self.score_global.weight])]
        joint = torch.cat(maps)
        found = F.linear(mixed, joint @ self.project.weight, joint @ self.project.bias)
        count = len(self.value_global.weight)
        return found[..., :count], found[..., count:] if self.score_global is not None else None

    def _weights(self, scores: Tensor, shift: Tensor | None) -> Tensor:
        """The weights of the frames `(B, S, length)` of segments, of their scores and of what g adds to them."""
        if shift is not None:
            # The softmax of log sigmoid(s) is sigmoid(s) over its sum, and never divides 0 by 0.
            scores = F.logsigmoid(scores + shift)
        return scores.softmax(dim=2)


class SegmentMean(nn.Module):
    """The ablation of :class:`SegmentAttention`: the mean of a segment's frames, and a linear map to `out_dim`."""

    def __init__(self, dim: int, out_dim: int, length: int = 8, stride: int = 2) -> None:
        super().__init__()
        self.length, self.stride = length, stride
        self.value = nn.Linear(dim, out_dim)

    def forward(self, frames: Tensor) -> Tensor:
        """Maps frame features `(B, T, dim)` to segment features `(B, T / stride, out_dim)`."""
        return self.attend(frames)[0]

    def attend(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """As :meth:`forward`, and the weights `(B, T / stride, length)` of the frames, all equal."""
        return self.mix(self.products(frames))

    @property
    def maps(self) -> tuple[nn.Linear, ...]:
        """As of :class:`SegmentAttention`."""
        return (self.value,)

    def products(self, frames: Tensor) -> list[Tensor]:
        """As of :class:`SegmentAttention`: `(..., out_dim)` alone."""
        return [self.value(frames)]

    def mix(self, products: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """As of :class:`SegmentAttention`."""
        count = products[0].shape[1] // self.stride
        weights = products[0].new_full((len(products[0]), count, self.length), 1 / self.length)
        return spread(weights, self.stride) @ products[0], weights

    def mix_shared(self, products: Sequence[Tensor], rows: Tensor, offset: Tensor | None) -> Tensor:
        """As of :class:`SegmentAttention`."""
        mixed = self.mix([products[0][rows]])[0]
        return mixed if offset is None else mixed - F.linear(offset, self.value.weight).unsqueeze(1)


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
        reach: the softmax is over the segments so many before and after each one, ours (O); None for all of a window.
    """

    def __init__(self, dim: int, kernel_size: int = 3, gate: Gate = "scaled_softmax", reach: int | None = None) -> None:
        super().__init__()
        self.gate, self.reach = gate, reach
        # A bias is the same at all times, so the softmax over time would not see it.
        self.conv = None if gate == "none" else nn.Conv1d(dim, dim, kernel_size, padding=kernel_size // 2, bias=False)

    def forward(self, segments: Tensor) -> Tensor:
        """Gates `(B, dim, S)` segment features; the shape stays."""
        return segments * self.weights(segments)

    def weights(self, segments: Tensor) -> Tensor:
        """The gate `(B, dim, S)` itself."""
        if self.conv is None:
            return segments.new_ones(segments.shape)
        logits = convolve(self.conv, segments)
        if self.reach is None:
            gate, count = logits.softmax(dim=2), segments.shape[2]
        else:
            # Below exp(-60) of the largest, segments count alike: no sum becomes 0.
            shares = (logits - logits.amax(dim=2, keepdim=True)).clamp(min=-60).exp()
            count = min(2 * self.reach + 1, segments.shape[2])
            gate = shares / local_mean(shares, self.reach) / count
        return gate * count if self.gate == "scaled_softmax" else gate
