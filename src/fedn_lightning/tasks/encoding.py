"""The frame encoder as a part of a task: its configuration, its weights, and how pixels pass through it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from fedn_lightning.errors import ConfigError
from fedn_lightning.models.encoder import FrameEncoder, load_encoder


@dataclass(frozen=True)
class EncoderConfig:
    """The frame encoder.

    Attributes:
        depth: 18 (the paper's, mark S) or 10.
        width: channels of the first stage; 64 is the paper's.
        grid: side of the grid the last feature map is pooled to; 1 is the usual average (see
            :class:`fedn_lightning.models.encoder.FrameEncoder`).
        weights: checkpoint of pre-trained weights; null starts from random ones.
        frozen: leaves the encoder as it is, so that its frame features can be cached.
        chunk: frames encoded at once when training from pixels; the knob for memory.
    """

    depth: Literal[10, 18] = 18
    width: int = 64
    grid: int = 1
    weights: str | None = None
    frozen: bool = True
    chunk: int = 256

    def build(self) -> FrameEncoder:
        """Makes the encoder and loads its weights.

        Raises:
            CheckpointError: if the weights cannot be read or do not fit.
            ConfigError: if `weights` is the word None.
        """
        # jsonargparse 4.53 reads null for a nested key on the command line as this word, but not in a file.
        if self.weights == "None":
            msg = 'model.encoder.weights is the word "None"; write `weights: null` in a file and add it by --config.'
            raise ConfigError(msg)
        encoder = FrameEncoder(self.depth, self.width, self.grid)
        if self.weights is not None:
            load_encoder(encoder, self.weights)
        return encoder.requires_grad_(not self.frozen)


def encode_windows(encoder: FrameEncoder, frames: Tensor, config: EncoderConfig) -> Tensor:
    """Encodes the frames of windows; a trained encoder recomputes each chunk in the backward pass to save memory.

    Args:
        encoder: its BatchNorm layers must be in evaluation mode, or recomputing would update their statistics twice.
        frames: `(B, W, 3, H, W)` uint8.
        config: frozen or not, and the chunk.

    Returns:
        `(B, W, D)` features.
    """
    parts = torch.split(frames.flatten(0, 1), config.chunk)
    if config.frozen:
        with torch.no_grad():
            features = torch.cat([encoder(part) for part in parts])
    else:
        features = torch.cat([checkpoint(encoder, part, use_reentrant=False) for part in parts])
    return features.reshape(*frames.shape[:2], -1)
