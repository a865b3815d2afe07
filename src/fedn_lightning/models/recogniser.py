"""The recogniser of the two-step baseline: from the frame features of an interval to an emotion."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from fedn_lightning.errors import ConfigError
from fedn_lightning.models.encoder import MotionEncoder
from fedn_lightning.models.head import Branch, ConvBlock


@dataclass(frozen=True)
class RecogniserConfig:
    """Sizes of the recogniser; they equal those of FEDN, so that neither network is larger. All of it is ours (O).

    Attributes:
        dim: features of a frame inside the network.
        channels: of the convolutions.
        heads: attention heads; divides `channels`.
        convolutions: 1-D convolutions after the attention.
        dropout: on frame features and on the interval's vector, while training.
        motion: motion features follow the encoder's in a frame vector, as in FEDN with a motion stream.
    """

    dim: int = 128
    channels: int = 128
    heads: int = 4
    convolutions: int = 2
    dropout: float = 0.3
    motion: bool = False


class Recogniser(nn.Module):
    """Recognises the emotion of an interval whose ends are known.

    frame features minus the face at rest -> 1-D convolution of stride 2 -> the branch of FEDN's head (multi-head
    attention, 1-D convolutions) -> sum over time weighted by attention, which finds the apex -> classes

    Args:
        feature_dim: features of a frame that the encoder gives.
        emotions: number of emotion classes.
        config: sizes.

    Raises:
        ConfigError: if the heads do not divide the channels.
    """

    def __init__(self, feature_dim: int, emotions: int, config: RecogniserConfig) -> None:
        super().__init__()
        if config.heads and config.channels % config.heads:
            msg = f"model.network.heads = {config.heads} must divide {config.channels}, the width it splits."
            raise ConfigError(msg)
        self.norm = nn.LayerNorm(feature_dim)
        self.reduce = nn.Linear(feature_dim, config.dim)
        self.feature_dim = feature_dim
        self.motion = MotionEncoder(config.dim) if config.motion else None
        self.dropout = nn.Dropout(config.dropout)
        self.stem = ConvBlock(config.dim, config.channels, stride=2)
        self.branch = Branch(config.channels, config.channels, config.convolutions, config.heads)
        self.weight = nn.Conv1d(config.channels, 1, 1)
        self.classes = nn.Linear(config.channels, emotions)

    def forward(self, features: Tensor, around: Tensor) -> Tensor:
        """Recognises intervals.

        Args:
            features: `(B, L, D)` frame features of `B` intervals, each resampled to `L` points: the encoder's, followed
                by those of motion if the network takes them.
            around: `(B, D)` mean frame features of the face around each interval.

        Returns:
            `(B, emotions)` logits.
        """
        seen, rest = features[..., : self.feature_dim], around[..., : self.feature_dim]
        x = self.reduce(self.norm(seen) - self.norm(rest).unsqueeze(1))
        if self.motion is not None:
            x = x + self.motion(features[..., self.feature_dim :])
        x = self.branch(self.stem(self.dropout(x).transpose(1, 2)))
        pooled = (x * self.weight(x).softmax(dim=2)).sum(dim=2)
        logits: Tensor = self.classes(self.dropout(pooled))
        return logits
