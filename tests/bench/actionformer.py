"""A local-attention detector of ActionFormer's published size (Zhang et al., ECCV 2022), written from its paper.

It has the paper's layers and widths and no trained weights. The benchmark measures its speed, not its accuracy.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

WINDOW = 19
"""Steps that a step attends to."""

BLOCK = 64
"""Queries computed together; each block sees the keys around it."""


class ChannelNorm(nn.Module):
    """Layer normalisation of `(B, C, T)` over C."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x.transpose(1, 2)).transpose(1, 2)


class LocalAttention(nn.Module):
    """Multi-head attention within a window of steps; depthwise convolutions of stride `stride` come first."""

    def __init__(self, dim: int, heads: int, stride: int) -> None:
        super().__init__()
        self.heads = heads
        self.reduce = nn.ModuleList(
            nn.Sequential(nn.Conv1d(dim, dim, 3, stride, 1, groups=dim, bias=False), ChannelNorm(dim)) for _ in range(3)
        )
        self.maps = nn.ModuleList(nn.Conv1d(dim, dim, 1) for _ in range(3))
        self.project = nn.Conv1d(dim, dim, 1)

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = (m(r(x)) for m, r in zip(self.maps, self.reduce, strict=True))
        batch, dim, steps = query.shape
        half, blocks = WINDOW // 2, -(-steps // BLOCK)
        pad = blocks * BLOCK - steps
        query = F.pad(query, (0, pad)).view(batch, self.heads, -1, blocks, BLOCK).permute(0, 3, 1, 4, 2)
        key, value = (
            F.pad(part, (half, half + pad))
            .view(batch, self.heads, dim // self.heads, -1)
            .unfold(3, BLOCK + 2 * half, BLOCK)
            .permute(0, 3, 1, 4, 2)
            for part in (key, value)
        )
        offset = torch.arange(BLOCK + 2 * half)[None] - torch.arange(BLOCK)[:, None]
        at = torch.arange(blocks)[:, None] * BLOCK + torch.arange(BLOCK + 2 * half) - half
        seen = ((offset >= 0) & (offset < WINDOW))[None] & ((at >= 0) & (at < steps))[:, None]
        seen |= (torch.arange(blocks)[:, None] * BLOCK + torch.arange(BLOCK) >= steps)[:, :, None]  # rows of padding
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=seen[None, :, None])
        return self.project(mixed.permute(0, 2, 4, 1, 3).reshape(batch, dim, -1)[:, :, :steps])


class Block(nn.Module):
    """A transformer block with stride."""

    def __init__(self, dim: int, heads: int, stride: int = 1) -> None:
        super().__init__()
        self.norms = nn.ModuleList(ChannelNorm(dim) for _ in range(2))
        self.attention = LocalAttention(dim, heads, stride)
        self.skip = nn.MaxPool1d(3, stride, 1) if stride > 1 else nn.Identity()
        self.mlp = nn.Sequential(nn.Conv1d(dim, 4 * dim, 1), nn.GELU(), nn.Conv1d(4 * dim, dim, 1))

    def forward(self, x: Tensor) -> Tensor:
        x = self.skip(x) + self.attention(self.norms[0](x))
        return x + self.mlp(self.norms[1](x))


def conv(inputs: int, outputs: int) -> nn.Module:
    """A convolution over three steps, normalised."""
    return nn.Sequential(nn.Conv1d(inputs, outputs, 3, padding=1, bias=False), ChannelNorm(outputs), nn.ReLU())


class ActionFormer(nn.Module):
    """Two convolutions, two blocks, five blocks of stride 2; two heads of three convolutions shared by six levels."""

    def __init__(self, feature_dim: int, dim: int, classes: int, heads: int = 4) -> None:
        super().__init__()
        self.embed = nn.Sequential(conv(feature_dim, dim), conv(dim, dim))
        self.stem = nn.Sequential(*(Block(dim, heads) for _ in range(2)))
        self.branch = nn.ModuleList(Block(dim, heads, 2) for _ in range(5))
        self.classify, self.regress = (
            nn.Sequential(conv(dim, dim), conv(dim, dim), nn.Conv1d(dim, outputs, 3, padding=1))
            for outputs in (classes, 2)
        )

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Maps `(1, feature_dim, T)` to start, end in steps and the best class's score, over all levels."""
        x = self.stem(self.embed(features))
        levels = [x]
        for block in self.branch:
            levels.append(block(levels[-1]))
        rows = []
        for index, level in enumerate(levels):
            score = self.classify(level).sigmoid().amax(1)[0]
            reach = F.relu(self.regress(level))[0] * 2**index
            centre = (torch.arange(level.shape[2]) + 0.5) * 2**index
            rows.append((centre - reach[0], centre + reach[1], score))
        start, end, score = (torch.cat(parts) for parts in zip(*rows, strict=True))
        return start, end, score
