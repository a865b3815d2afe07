"""AdamW with linear warm-up and cosine decay, for every task."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn


@dataclass(frozen=True)
class OptimiserConfig:
    """AdamW and its schedule (the precursor: 1e-4 to 8e-4, 5 epochs of warm-up, then cosine; mark A).

    Attributes:
        lr: greatest learning rate.
        weight_decay: of matrices and kernels; biases, norms and scales are not decayed.
        warmup: share of all steps in which the rate rises linearly.
        final: rate at the end, as a share of `lr`.
    """

    lr: float = 4e-4
    weight_decay: float = 0.05
    warmup: float = 0.17
    final: float = 0.01


def rate(step: int, total: int, config: OptimiserConfig) -> float:
    """Share of the greatest learning rate at a step.

    >>> config = OptimiserConfig(warmup=0.5, final=0.0)
    >>> [round(rate(step, 8, config), 2) for step in range(9)]
    [0.25, 0.5, 0.75, 1.0, 1.0, 0.85, 0.5, 0.15, 0.0]
    """
    warm = max(1, round(config.warmup * total))
    if step < warm:
        return (step + 1) / warm
    progress = min(1.0, (step - warm) / max(1, total - warm))
    return config.final + (1 - config.final) * 0.5 * (1 + math.cos(math.pi * progress))


def configure(parameters: Iterable[nn.Parameter], total: int, config: OptimiserConfig) -> dict[str, Any]:
    """Optimiser and per-step schedule in the form Lightning takes.

    Args:
        parameters: those to train.
        total: steps of the whole training.
        config: rates.
    """
    trained = [p for p in parameters if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    optimiser = torch.optim.AdamW(groups, lr=config.lr)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: rate(step, total, config))
    return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
