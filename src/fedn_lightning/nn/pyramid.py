"""The end of the backbone and the temporal feature pyramid: convolutions of stride 2, one level each."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ConvBlock(nn.Module):
    """1-D convolution, group normalisation, ReLU.

    Args:
        inputs: channels in.
        outputs: channels out.
        kernel_size: odd.
        stride: in time.
    """

    def __init__(self, inputs: int, outputs: int, kernel_size: int = 3, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv1d(inputs, outputs, kernel_size, stride, kernel_size // 2)
        self.norm = nn.GroupNorm(min(16, outputs), outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Maps `(B, inputs, T)` to `(B, outputs, T / stride)`."""
        out: Tensor = torch.relu(self.norm(self.conv(x)))
        return out


class TemporalPyramid(nn.Module):
    """Two stride-2 blocks that end the backbone, then one further stride-2 block for each coarser level.

    The structure is stated by a third-party summary of the paper (S); four levels, 16/8/4/2 steps of a 128-frame
    window, are the precursor's (A); the normalisation is ours (O).

    Args:
        inputs: channels of a segment.
        channels: of every level.
        levels: number of levels.
        reductions: stride of each of the blocks that end the backbone.
    """

    def __init__(self, inputs: int, channels: int, levels: int = 4, reductions: tuple[int, ...] = (2, 2)) -> None:
        super().__init__()
        widths = [inputs] + [channels] * len(reductions)
        blocks = [ConvBlock(widths[i], channels, stride=stride) for i, stride in enumerate(reductions)]
        self.stem = nn.Sequential(*blocks)
        self.down = nn.ModuleList(ConvBlock(channels, channels, stride=2) for _ in range(levels - 1))

    def forward(self, x: Tensor) -> list[Tensor]:
        """Maps `(B, inputs, S)` to one `(B, channels, T_l)` per level, each half as long as the one before."""
        levels = [self.stem(x)]
        for block in self.down:
            levels.append(block(levels[-1]))
        return levels
