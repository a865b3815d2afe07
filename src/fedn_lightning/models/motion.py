"""The motion stream: from the motion features of a frame to the width of a network."""

from __future__ import annotations

from torch import Tensor, nn

from fedn_lightning.motion.features import N_FEATURES


class MotionEncoder(nn.Module):
    """Brings the motion features of a frame and its neighbours to the width of the network (O).

    Small motion counts as well as large: features are compressed by the inverse hyperbolic sine first.

    Args:
        dim: features of a frame.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.first = nn.Conv1d(N_FEATURES, dim, 5, padding=2)
        self.second = nn.Conv1d(dim, dim, 5, padding=2)
        self.norm = nn.LayerNorm(dim)

    def forward(self, moved: Tensor) -> Tensor:
        """Maps `(B, T, N_FEATURES)` to `(B, T, dim)`."""
        hidden = nn.functional.gelu(self.first(moved.asinh().transpose(1, 2)))
        out: Tensor = self.norm(self.second(hidden).transpose(1, 2))
        return out
