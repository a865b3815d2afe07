"""The two networks as they are exported: from crops to features, and from features to decoded intervals."""

from __future__ import annotations

from torch import Tensor, nn

from fedn_lightning.models.anchors import decode
from fedn_lightning.models.encoder import FrameEncoder
from fedn_lightning.models.fedn import FEDN


class CropEncoder(nn.Module):
    """The frame encoder, taking crops as image libraries hold them.

    Args:
        encoder: in evaluation mode.
    """

    def __init__(self, encoder: FrameEncoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, crops: Tensor) -> Tensor:
        """Maps `(N, S, S, 3)` uint8 RGB crops to `(N, D)` float32 features; normalisation is inside."""
        features: Tensor = self.encoder(crops.permute(0, 3, 1, 2))
        return features


class WindowDetector(nn.Module):
    """FEDN and the decoding of its slots.

    Args:
        network: in evaluation mode.
    """

    def __init__(self, network: FEDN) -> None:
        super().__init__()
        self.network = network

    def forward(self, features: Tensor) -> tuple[Tensor, ...]:
        """Detects in windows.

        Args:
            features: `(B, T, D)` float32; `T` a multiple of the coarsest level's stride.

        Returns:
            For the `N` slots of a window: `(B, N, 2)` start and end in frames of the window, half open; `(B, N, 2)`
            confidence that it is a macro- and a micro-expression, 0 to 1; and, from a network with emotions, `(B, N,
            E)` confidence in each, 0 to 1.
        """
        output = self.network(features)
        intervals = decode(self.network.slots(features.shape[1]), output.regression)
        found = (intervals, output.confidence.sigmoid())
        return (*found, output.emotion.sigmoid()) if output.emotion.shape[-1] else found
