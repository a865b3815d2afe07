"""How matrix products are computed: the fastest way that keeps float32, and bfloat16 where it is asked for."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any, Literal, Self

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


class OneDnnProducts:
    """The context in which oneDNN multiplies float32 matrices on a CPU, where it keeps float32.

    PyTorch gives them to MKL, which leaves half of an AMD processor's AVX-512 unused. It gives them to oneDNN where
    bfloat16 would be allowed too; with AMX, oneDNN would then use it, so a product shows first which of the two it is.
    The setting belongs to the whole process, and while it holds `torch.get_float32_matmul_precision` raises. So it is
    undone at the end, and never made for another device or over a setting of the user's.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.active = False

    def __enter__(self) -> Self:
        setting = _setting()
        if self.device.type == "cpu" and setting is not None and setting.fp32_precision == "none" and _keeps_float32():
            setting.fp32_precision, self.active = "bf16", True
        return self

    def __exit__(self, *_: object) -> None:
        setting = _setting()
        if self.active and setting is not None and setting.fp32_precision == "bf16":
            setting.fp32_precision = "none"
        self.active = False


def _setting() -> Any:
    """What PyTorch allows oneDNN in products; None where there is no such setting, as in torch 2.6."""
    backend: Any = torch.backends.mkldnn
    return getattr(backend, "matmul", None) if backend.is_available() else None


@cache
def _keeps_float32() -> bool:
    """Whether oneDNN multiplies in float32 although it may round to bfloat16."""
    setting = _setting()
    setting.fp32_precision = "bf16"
    try:
        fine = torch.full((128, 128), 1 + 2.0**-12)  # is 1 in bfloat16
        return torch.equal(fine @ torch.eye(128), fine)
    finally:
        setting.fp32_precision = "none"
