"""Sliding-window attention: the wider context, as a gate over the segments of a window."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

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
        self.conv = None if gate == "none" else nn.Conv1d(dim, dim, kernel_size, padding=kernel_size // 2)

    def forward(self, segments: Tensor) -> Tensor:
        """Gates `(B, dim, S)` segment features; the shape stays."""
        return segments * self.weights(segments)

    def weights(self, segments: Tensor) -> Tensor:
        """The gate `(B, dim, S)` itself."""
        if self.conv is None:
            return segments.new_ones(segments.shape)
        gate: Tensor = self.conv(segments).softmax(dim=2)
        return gate * segments.shape[2] if self.gate == "scaled_softmax" else gate
