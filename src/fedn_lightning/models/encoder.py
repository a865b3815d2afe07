"""The frame encoder: a ResNet whose parameter names are torchvision's, so that public checkpoints load."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from fedn_lightning.errors import CheckpointError
from fedn_lightning.models.checkpoints import read_checkpoint

BLOCKS: dict[int, tuple[int, int, int, int]] = {10: (1, 1, 1, 1), 18: (2, 2, 2, 2)}
"""Residual blocks per stage for each supported depth."""

WRAPPERS = ("state_dict", "model_state_dict", "model", "net")
"""Keys under which public checkpoints store their weights."""

PREFIXES = ("module.", "model.", "encoder.", "backbone.", "resnet.", "net.")
"""Prefixes that wrappers put before torchvision's parameter names."""


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut; names as in torchvision.

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
    width and grid are ours (O): `depth=18, width=64, grid=1` is the paper's size, with parameters named as in
    torchvision.

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
        """Encodes frames.

        Args:
            frames: `(N, 3, H, W)` RGB, values 0..255, uint8 or float.

        Returns:
            `(N, feature_dim)` features.
        """
        x = ((frames.float() - self.mean) / self.std).contiguous(memory_format=torch.channels_last)
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        for stage in range(1, 5):
            x = self.get_submodule(f"layer{stage}")(x)
        return nn.functional.adaptive_avg_pool2d(x, self.grid).flatten(1)


@torch.inference_mode()
def frozen_features(encoder: nn.Module, frames: Tensor, half: bool = True) -> Tensor:
    """What a frozen encoder says of frames, in the precision in which it is kept.

    Args:
        encoder: in evaluation mode.
        frames: `(N, 3, H, W)` uint8 on the encoder's device.
        half: compute in bfloat16 (3 times faster on recent CPUs).

    Returns:
        `(N, D)` float16 on the CPU.
    """
    with torch.autocast(frames.device.type, dtype=torch.bfloat16, enabled=half):
        features: Tensor = encoder(frames)
    return features.float().cpu().half()


def encoder_weights(content: Mapping[str, object]) -> dict[str, Tensor]:
    """Picks the encoder's weights out of a checkpoint and gives them torchvision's names.

    Wrappers such as `state_dict` and prefixes such as `module.` are taken off; a classifier (`fc.*`) is left out.
    """
    for wrapper in WRAPPERS:
        inner = content.get(wrapper)
        if isinstance(inner, Mapping):
            content = inner
            break
    weights: dict[str, Tensor] = {}
    for name, value in content.items():
        stripped = name
        while stripped.startswith(PREFIXES):
            stripped = stripped.split(".", 1)[1]
        if isinstance(value, Tensor) and stripped.startswith(("conv1.", "bn1.", "layer")):
            weights[stripped] = value
    return weights


def load_encoder(encoder: FrameEncoder, path: str) -> None:
    """Loads a public or own checkpoint into the encoder; every parameter must be found and fit.

    Args:
        encoder: changed in place.
        path: a file of `torch.save`, read with `weights_only=True`.

    Raises:
        CheckpointError: naming the file and the first parameters that are missing or of another shape.
    """
    weights = encoder_weights(read_checkpoint(path))
    own = encoder.state_dict()
    missing = [name for name in own if name not in weights and not name.endswith("num_batches_tracked")]
    wrong = [
        f"{name} is {tuple(weights[name].shape)} in the file and {tuple(own[name].shape)} in the configured encoder"
        for name in own
        if name in weights and weights[name].shape != own[name].shape
    ]
    if missing or wrong:
        what = "; ".join([*wrong[:3], *(f"{name} is missing" for name in missing[:3])])
        msg = f"The checkpoint {path} does not fit the encoder: {what}. Set model.encoder to its depth and width."
        raise CheckpointError(msg)
    encoder.load_state_dict({name: weights[name] for name in own if name in weights}, strict=False)


def fingerprint(encoder: nn.Module) -> str:
    """A short hash of all weights and statistics; two encoders with one fingerprint give the same features."""
    digest = hashlib.sha256(repr(type(encoder)).encode())
    for name, value in sorted(encoder.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    digest.update(str(getattr(encoder, "grid", "")).encode())
    return digest.hexdigest()[:16]
