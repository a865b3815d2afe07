"""Convolution blocks and heads: temporal pyramid, detection head, and the recogniser of the two-step baseline."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from fedn_lightning.errors import ConfigError
from fedn_lightning.models.attention import convolve, local_mean
from fedn_lightning.models.encoder import MotionEncoder


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

    def forward(self, x: Tensor, lengths: Sequence[int] = (), reaches: Sequence[int | None] = (None,)) -> Tensor:
        """Maps `(B, inputs, T)` to `(B, outputs, T / stride)`.

        Args:
            x: one sequence, or several behind each other that do not see each other; then the stride must be 1.
            lengths: of those sequences.
            reaches: of the normalisation of each, see :func:`normalise`.
        """
        if len(lengths) < 2:
            return torch.relu(normalise(self.norm, convolve(self.conv, x), reaches[0]))
        parts = torch.split(apart(self.conv, x, lengths), list(lengths), dim=2)
        normed = [normalise(self.norm, part, reach) for part, reach in zip(parts, reaches, strict=True)]
        return torch.relu(torch.cat(normed, dim=2))


def normalise(norm: nn.GroupNorm, x: Tensor, reach: int | None) -> Tensor:
    """Group normalisation of `(B, C, T)` by the mean and variance of the steps at most `reach` away; None for all."""
    if reach is None:
        whole: Tensor = norm(x)
        return whole
    x = x.to(torch.promote_types(x.dtype, torch.float32))
    grouped = x.view(x.shape[0], norm.num_groups, -1, x.shape[2])
    mean = local_mean(grouped.mean(2), reach)
    variance = (local_mean(grouped.square().mean(2), reach) - mean.square()).clamp(min=0)
    scaled = (grouped - mean.unsqueeze(2)) * (variance + norm.eps).rsqrt().unsqueeze(2)
    normed: Tensor = scaled.flatten(1, 2) * norm.weight.unsqueeze(1) + norm.bias.unsqueeze(1)
    return normed


def apart(conv: nn.Conv1d, x: Tensor, lengths: Sequence[int]) -> Tensor:
    """A convolution of stride 1 over sequences behind each other, `(B, C, sum(lengths))`, as over each alone.

    One call for all levels of a pyramid takes half the time of one call each: the coarsest have two steps.
    """
    if len(lengths) < 2:
        return convolve(conv, x)
    gap = conv.kernel_size[0] // 2
    spaced = torch.cat([F.pad(part, (0, gap)) for part in torch.split(x, list(lengths), dim=2)], dim=2)
    found = torch.split(convolve(conv, spaced), [length + gap for length in lengths], dim=2)
    return torch.cat([part[:, :, :length] for part, length in zip(found, lengths, strict=True)], dim=2)


def visible(lengths: Sequence[int], reaches: Sequence[int | None], device: torch.device) -> Tensor:
    """Which steps of joined levels see which, `(sum(lengths), sum(lengths))` bool: near ones of their own level."""
    own = torch.cat([torch.full((n,), i, device=device) for i, n in enumerate(lengths)])
    seen: Tensor = own.unsqueeze(1) == own
    if reaches[0] is not None:
        bounds = zip(lengths, reaches, strict=True)
        bound = torch.cat([torch.full((n,), reach or 0, device=device) for n, reach in bounds])
        place = torch.arange(own.shape[0], device=device)  # len would fix the number in an exported graph
        seen = seen & ((place.unsqueeze(1) - place).abs() <= bound)
    return seen


class TemporalPyramid(nn.Module):
    """Two stride-2 blocks that end the backbone, then one further stride-2 block for each coarser level.

    The structure is stated by a third-party summary of the paper (S); four levels, 16/8/4/2 steps of a 128-frame
    window, are the precursor's (A); the normalisation is ours (O).

    Args:
        inputs: channels of a segment.
        channels: of every level.
        levels: number of levels.
        reductions: stride of each of the blocks that end the backbone.
        reach: segments so many before and after a step take part in its normalisation, ours (O); None for all.
    """

    def __init__(
        self,
        inputs: int,
        channels: int,
        levels: int = 4,
        reductions: tuple[int, ...] = (2, 2),
        reach: int | None = None,
    ) -> None:
        super().__init__()
        self.reductions, self.reach = reductions, reach
        widths = [inputs] + [channels] * len(reductions)
        blocks = [ConvBlock(widths[i], channels, stride=stride) for i, stride in enumerate(reductions)]
        self.stem = nn.Sequential(*blocks)
        self.down = nn.ModuleList(ConvBlock(channels, channels, stride=2) for _ in range(levels - 1))

    def forward(self, x: Tensor) -> list[Tensor]:
        """Maps `(B, inputs, S)` to one `(B, channels, T_l)` per level, each half as long as the one before."""
        reach, levels = self.reach, [x]
        for block, stride in zip([*self.stem, *self.down], (*self.reductions, *[2] * len(self.down)), strict=True):
            reach = None if reach is None else reach // stride
            levels.append(block(levels[-1], reaches=(reach,)))
        return levels[len(self.reductions) :]


class HeadOutput(NamedTuple):
    """What the head predicts for every anchor of a window.

    Attributes:
        regression: `(B, N, 2)`, see :func:`fedn_lightning.models.anchors.decode`.
        confidence: `(B, N, 2)` logits of c, one for each expression type (macro, micro).
        emotion: `(B, N, E)` logits of e, one for each emotion class.
    """

    regression: Tensor
    confidence: Tensor
    emotion: Tensor

    @classmethod
    def concatenate(cls, parts: Sequence[HeadOutput]) -> HeadOutput:
        """The windows of several outputs, in order."""
        return cls(*(torch.cat(tensors) for tensors in zip(*parts, strict=True)))


class Branch(nn.Module):
    """Refines a level: multi-head attention over its time steps, then 1-D convolutions.

    Stated (S): each branch refines with multi-head attention, then 1-D convolutions. Residual sum and layer
    normalisation around the attention are ours (O).

    Args:
        channels: of the level.
        hidden: channels of the convolutions.
        convolutions: how many.
        heads: attention heads; 0 leaves the attention out.
    """

    def __init__(self, channels: int, hidden: int, convolutions: int, heads: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels) if heads else None
        self.attention = nn.MultiheadAttention(channels, heads, batch_first=True) if heads else None
        widths = [channels] + [hidden] * convolutions
        self.convolutions = nn.Sequential(*(ConvBlock(widths[i], hidden) for i in range(convolutions)))

    def forward(self, levels: Tensor, lengths: Sequence[int] = (), reaches: Sequence[int | None] = (None,)) -> Tensor:
        """Maps `(B, channels, T)`, one level or several of those lengths behind each other, to `(B, hidden, T)`.

        A step sees those of its level at most the level's reach away; all of them if it is None.
        """
        if self.attention is not None and self.norm is not None:
            steps = self.norm(levels.transpose(1, 2))
            others = None
            if len(lengths) > 1 or reaches[0] is not None:
                others = ~visible(lengths, reaches, levels.device)
            # On so few steps a CPU's fused attention is slower than plain products, most of all in its backward pass.
            plain = self.training and steps.device.type == "cpu"
            with sdpa_kernel(SDPBackend.MATH) if plain else nullcontext():
                mixed = self.attention(steps, steps, steps, need_weights=False, attn_mask=others)[0]
            levels = levels + mixed.transpose(1, 2)
        for block in self.convolutions:
            levels = block(levels, lengths, reaches)
        return levels


class DetectionHead(nn.Module):
    """One head for all levels, its weights shared; branches decoupled by task.

    Six intervals a time step with start, end, c and e, and decoupling by task, are stated by a third-party summary of
    the paper (S). Five anchors and one anchor-free slot, and c per expression type, are the precursor's (A). A
    learned scale of the regression for each level is ours (O).

    Args:
        channels: of every level.
        hidden: channels inside a branch.
        emotions: number of emotion classes; 0 for spotting alone.
        kinds: anchors a time step, the anchor-free one included.
        levels: number of levels.
        convolutions: 1-D convolutions in a branch.
        heads: attention heads of a branch; 0 leaves the attention out.
        decoupled: one branch each for interval, confidence and emotion; False shares one branch (an ablation).
        prior: confidence an untrained head gives to every anchor, which keeps the first steps stable.
        reach: steps of the first level so many before and after a step that it sees, and half as many in each further
            level, ours (O); None for all.
    """

    def __init__(
        self,
        channels: int,
        hidden: int,
        emotions: int,
        kinds: int,
        levels: int,
        convolutions: int = 2,
        heads: int = 4,
        decoupled: bool = True,
        prior: float = 0.01,
        reach: int | None = None,
    ) -> None:
        super().__init__()
        self.kinds, self.emotions = kinds, emotions
        self.reaches = [None if reach is None else reach >> level for level in range(levels)]
        tasks = ("interval", "confidence", "emotion") if emotions else ("interval", "confidence")
        names = tasks if decoupled else ("shared",)
        self.branches = nn.ModuleDict({name: Branch(channels, hidden, convolutions, heads) for name in names})
        sizes = {"interval": 2, "confidence": 2, "emotion": emotions}
        self.outputs = nn.ModuleDict({name: nn.Conv1d(hidden, kinds * sizes[name], 3, padding=1) for name in tasks})
        self.scale = nn.Parameter(torch.ones(levels))
        for name in tasks:
            output = self.outputs[name]
            assert isinstance(output, nn.Conv1d)
            assert output.bias is not None
            nn.init.normal_(output.weight, std=0.01)
            nn.init.constant_(output.bias, -math.log((1 - prior) / prior) if name == "confidence" else 0.0)

    def forward(self, levels: list[Tensor], naming: list[Tensor] | None = None) -> HeadOutput:
        """Maps the pyramid's levels to predictions for all anchors.

        Args:
            levels: `(B, channels, T_l)` each.
            naming: levels of the same shapes for the branch of e, where it has a pyramid of its own.
        """
        # Levels behind each other take a quarter of the calls that each alone would take.
        lengths = [level.shape[2] for level in levels]
        joined = torch.cat(levels, dim=2)
        named = joined if naming is None else torch.cat(naming, dim=2)
        refined = {
            name: branch(named if name == "emotion" else joined, lengths, self.reaches)
            for name, branch in self.branches.items()
        }
        found = {}
        for name, output in self.outputs.items():
            assert isinstance(output, nn.Conv1d)
            shown = refined[name if name in refined else "shared"]
            with torch.autocast(joined.device.type, enabled=False):  # scores of bfloat16 would be equal by the hundred
                value = apart(output, shown.to(output.weight.dtype), lengths)
            if name == "interval":
                value = value * torch.cat([self.scale[i].expand(n) for i, n in enumerate(lengths)])
            steps = value.transpose(1, 2)
            found[name] = steps.reshape(steps.shape[0], sum(lengths) * self.kinds, -1)
        nothing = found["interval"].new_zeros((*found["interval"].shape[:2], 0))
        return HeadOutput(found["interval"], found["confidence"], found.get("emotion", nothing))


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
