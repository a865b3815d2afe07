"""The encoders of a frame: a ResNet for its appearance, convolutions over time for its motion features."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.utils import fuse_conv_bn_eval
from torch.utils.checkpoint import checkpoint

from fedn_lightning.errors import ConfigError
from fedn_lightning.models.checkpoints import load_encoder
from fedn_lightning.models.external_encoders import LandmarkEncoder, OnnxEncoder, read_program
from fedn_lightning.motion.features import N_FEATURES

BLOCKS: dict[int, tuple[int, int, int, int]] = {10: (1, 1, 1, 1), 18: (2, 2, 2, 2)}
"""Residual blocks per stage for each supported depth."""

ENCODED_TOGETHER = {"cpu": 32}
"""Frames encoded at once on a device; a CPU encodes 32 faster than 128, in a quarter of the memory.

The features are the same in bfloat16; in float32 a last part of one frame may be rounded differently.
"""


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut; parameter names are torchvision's, so that public checkpoints load.

    Args:
        inputs: channels in.
        outputs: channels out.
        stride: of the first convolution and the shortcut.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.downsample: nn.Module | None = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Maps `(N, inputs, H, W)` to `(N, outputs, H / stride, W / stride)`."""
        shortcut = x if self.downsample is None else self.downsample(x)
        x = self.relu(self.bn1(self.conv1(x)))
        out: Tensor = self.relu(self.bn2(self.conv2(x)) + shortcut)
        return out


class FrameEncoder(nn.Module):
    """ResNet that turns a face crop into one feature vector.

    The paper's encoder is a ResNet-18 pre-trained for expression recognition on AffectNet and frozen (mark S). Depth,
    width and grid are ours (O); `depth=18, width=64, grid=1` is the paper's size.

    Args:
        depth: 18 (two blocks a stage) or 10 (one).
        width: channels of the first stage; the last has 8 times as many.
        grid: side of the grid the last feature map is pooled to. 1 is the usual global average; 2 keeps brows apart
            from mouth and left from right, at 4 times the feature size.
        mean: RGB mean subtracted from frames in 0..1 (ImageNet's by default, as torchvision's checkpoints expect).
        std: RGB deviation they are divided by.

    Attributes:
        feature_dim: length of a frame's feature vector, `8 * width * grid ** 2`.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        depth: Literal[10, 18] = 18,
        width: int = 64,
        grid: int = 1,
        mean: tuple[float, float, float] = (0.485, 0.456, 0.406),
        std: tuple[float, float, float] = (0.229, 0.224, 0.225),
    ) -> None:
        super().__init__()
        self.grid = grid
        self.feature_dim = 8 * width * grid * grid
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1) * 255, persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1) * 255, persistent=False)
        self.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        channels = width
        for stage, count in enumerate(BLOCKS[depth]):
            outputs = width * 2**stage
            blocks = [
                BasicBlock(channels if i == 0 else outputs, outputs, 2 if stage and i == 0 else 1) for i in range(count)
            ]
            self.add_module(f"layer{stage + 1}", nn.Sequential(*blocks))
            channels = outputs
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, frames: Tensor) -> Tensor:
        """Maps `(N, 3, H, W)` RGB frames, values 0..255, uint8 or float, to `(N, feature_dim)`."""
        x = (frames - self.mean.float()).div_(self.std.float()).contiguous(memory_format=torch.channels_last)
        x = self.maxpool(self.relu(self.bn1(self.conv1(x.to(self.conv1.weight.dtype)))))
        for stage in range(1, 5):
            x = self.get_submodule(f"layer{stage}")(x)
        return nn.functional.adaptive_avg_pool2d(x, self.grid).flatten(1)


def folded(encoder: nn.Module) -> nn.Module:
    """A frozen encoder as it is fastest: in bfloat16, channels last, BatchNorm folded into the convolutions.

    Its features differ from those of the encoder itself in bfloat16 by rounding (0.5 %, like those from float32).

    Args:
        encoder: another network than a :class:`FrameEncoder` is returned as it is.
    """
    if not isinstance(encoder, FrameEncoder):
        return encoder
    fast = copy.deepcopy(encoder).eval().requires_grad_(False)
    fast.add_module("maxpool", _MaxPool())
    for module in fast.modules():
        for convolution, norm in (("conv1", "bn1"), ("conv2", "bn2"), ("0", "1")):
            if isinstance(getattr(module, norm, None), nn.BatchNorm2d):
                setattr(module, convolution, fuse_conv_bn_eval(getattr(module, convolution), getattr(module, norm)))
                setattr(module, norm, nn.Identity())
    fast.bfloat16().to(memory_format=torch.channels_last)  # type: ignore[call-overload] # torch's stubs forget it
    fast.mean, fast.std = encoder.mean.clone(), encoder.std.clone()  # bfloat16 would round them
    return fast


class _MaxPool(nn.Module):
    """`nn.MaxPool2d(3, 2, 1)`, of even sides in half the time on a CPU, without a gradient."""

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[2] % 2 or x.shape[3] % 2:
            return nn.functional.max_pool2d(x, 3, 2, 1)
        for dim in (2, 3):
            even, odd = (x[:, :, k::2] if dim == 2 else x[..., k::2] for k in (0, 1))
            x = torch.maximum(even, odd)
            later = x.narrow(dim, 1, x.shape[dim] - 1)
            torch.maximum(later, odd.narrow(dim, 0, x.shape[dim] - 1), out=later)
        return x


Encoder = FrameEncoder | OnnxEncoder | LandmarkEncoder
"""What turns crops `(N, 3, H, W)` into features `(N, feature_dim)`."""


@dataclass(frozen=True)
class EncoderConfig:
    """The frame encoder of a task.

    Attributes:
        depth: 18 (the paper's, mark S) or 10.
        width: channels of the first stage; 64 is the paper's.
        grid: side of the grid the last feature map is pooled to; 1 is the usual average, see :class:`FrameEncoder`.
        weights: checkpoint of pre-trained weights; null starts from random ones.
        frozen: leaves the encoder as it is, so that its frame features can be cached.
        chunk: frames encoded at once when training from pixels; the knob for memory.
        sampled: frames of a training window from which an encoder that is trained learns. The features of the others
            are read from a cache that is made anew each epoch, so that windows may be as long as videos are. 0 for all
            frames, without a cache and without a motion stream.
        frozen_epochs: first epochs in which such an encoder stays as it is, while the rest learns from its features.
        landmarker: model of MediaPipe's face landmarker, whose landmarks are the features instead (docs/encoders.md).
        onnx: file of another network, which is the encoder instead (docs/encoders.md); it stays frozen.
        output: name of its tensor that is the feature; null for its only output.
        size: side in pixels of the picture that it takes; null where the file tells it.
        mean: RGB mean that is subtracted from its pixels in 0..1.
        std: RGB deviation that they are divided by.
    """

    depth: Literal[10, 18] = 18
    width: int = 64
    grid: int = 1
    weights: str | None = None
    frozen: bool = True
    chunk: int = 256
    sampled: int = 0
    frozen_epochs: int = 0
    landmarker: str | None = None
    onnx: str | None = None
    output: str | None = None
    size: int | None = None
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)

    def __post_init__(self) -> None:
        if self.sampled < 0 or self.frozen_epochs < 0:
            raise ConfigError("model.encoder.sampled and model.encoder.frozen_epochs must not be negative.")
        if self.frozen and (self.sampled or self.frozen_epochs):
            msg = "model.encoder.sampled and .frozen_epochs are for an encoder that is trained: set .frozen to false."
            raise ConfigError(msg)
        if self.frozen_epochs and not self.sampled:
            raise ConfigError(
                "model.encoder.frozen_epochs needs model.encoder.sampled, the frames it learns from later."
            )

    @property
    def cached(self) -> bool:
        """Whether features are computed once for each frame and rounded, not window by window."""
        return self.frozen or self.sampled > 0

    @property
    def outside(self) -> str | None:
        """The file of a network that this project did not make; None for its own encoder."""
        return self.onnx or self.landmarker

    def build(self, program: Tensor | None = None) -> Encoder:
        """Makes the encoder and loads its weights.

        Args:
            program: content of the file of `onnx` or `landmarker`, where it is known already.

        Raises:
            CheckpointError: if the weights cannot be read or do not fit.
            ConfigError: if `weights` is the word None.
        """
        # jsonargparse 4.53 reads null for a nested key on the command line as this word, but not in a file.
        if self.weights == "None":
            msg = 'model.encoder.weights is the word "None"; write `weights: null` in a file and add it by --config.'
            raise ConfigError(msg)
        file = self.outside
        if file is not None:
            if not self.frozen or self.weights is not None or (self.onnx and self.landmarker):
                raise ConfigError(
                    "model.encoder.onnx or .landmarker names one network that is used as it is: set "
                    "model.encoder.frozen to true and model.encoder.weights to null."
                )
            content = read_program(file) if program is None else program
            if self.onnx is None:
                return LandmarkEncoder(content, file)
            return OnnxEncoder(content, self.onnx, self.output, self.size, self.mean, self.std, self.grid)
        encoder = FrameEncoder(self.depth, self.width, self.grid)
        if self.weights is not None:
            load_encoder(encoder, self.weights)
        return encoder.requires_grad_(not self.frozen)


def encode_windows(encoder: Encoder, frames: Tensor, config: EncoderConfig) -> Tensor:
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


@torch.inference_mode()
def encode_crops(
    encoder: nn.Module, crops: npt.NDArray[np.uint8], device: torch.device, half: bool = True, frozen: bool = True
) -> npt.NDArray[np.floating]:
    """The features of face crops, as the network was trained with them.

    Args:
        encoder: in evaluation mode, on `device`.
        crops: `(T, S, S, 3)` uint8 RGB.
        device: where the encoder runs.
        half: compute in bfloat16 (3 times faster on recent CPUs).
        frozen: False for an encoder that was trained on all frames of windows: its features were never rounded.

    Returns:
        `(T, D)` float16, float32 of an encoder that is not frozen.
    """
    frames = torch.from_numpy(crops).to(device).permute(0, 3, 1, 2)
    parts = torch.split(frames, ENCODED_TOGETHER.get(device.type, max(len(frames), 1)))
    with torch.autocast(device.type, dtype=torch.bfloat16, enabled=half and frozen):
        features = torch.cat([encoder(part).float() for part in parts]).cpu()
    return (features.half() if frozen else features).numpy()


class MotionEncoder(nn.Module):
    """Brings the motion features of a frame and its neighbours to the width of the network (O).

    Features are first compressed by the inverse hyperbolic sine, so that small motion counts as well as large.

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
