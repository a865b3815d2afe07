"""How matrix products are computed: the fastest way that keeps float32, and bfloat16 where it is asked for."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal

import torch

from fedn_lightning.errors import ConfigError

Precision = Literal["fp32", "bf16"]


def has_bf16(device: torch.device) -> bool:
    """Whether a device computes products of bfloat16 faster than those of float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return device.type == "cpu" and bool(torch.cpu.get_capabilities().get("avx512_bf16", False))


def autocast(device: torch.device, precision: Precision) -> AbstractContextManager[Any]:
    """The context in which a network computes with a precision. `fp32` leaves it to the trainer's own `precision`.

    Raises:
        ConfigError: if the device has no bfloat16.
    """
    if precision == "bf16" and not has_bf16(device):
        msg = f"model.inference.precision is bf16, which {device.type} here does not have; set it to fp32."
        raise ConfigError(msg)
    return torch.autocast(device.type, torch.bfloat16) if precision == "bf16" else nullcontext()


def hurry_products() -> bool:
    """Lets oneDNN multiply float32 matrices where it keeps float32, and returns whether it does now.

    PyTorch gives them to MKL, which leaves half of an AMD processor's AVX-512 unused. It gives them to oneDNN where
    bfloat16 would be allowed too; with AMX, oneDNN would then use it, so a product shows first which of the two it is.
    """
    backend: Any = torch.backends.mkldnn
    matmul = getattr(backend, "matmul", None)  # torch 2.6 has none
    if matmul is None or not backend.is_available():
        return False
    if matmul.fp32_precision == "none":
        matmul.fp32_precision = "bf16"
        fine = torch.full((128, 128), 1 + 2.0**-12)  # is 1 in bfloat16
        if not torch.equal(fine @ torch.eye(128), fine):
            matmul.fp32_precision = "none"
    return bool(matmul.fp32_precision == "bf16")
