"""Files of weights: reading them safely, and loading an encoder from a public or own one."""

from __future__ import annotations

import hashlib
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

from fedn_lightning.errors import CheckpointError

OLD_DEFAULTS: Final = {"segment_score": "softmax"}
"""Values missing in the network configuration of version 0.1 checkpoints. Version 0.4 no longer reads those."""

OLD_WEIGHTS: Final = (
    "network.segments.score_frame.bias",
    "network.segments.score_global.weight",
    "network.window.conv.bias",
    "network.norm.bias",
)
"""Weights of version 0.1 that never had an effect: a softmax, or a subtracted mean, cancels them."""

WRAPPERS = ("state_dict", "model_state_dict", "model", "net")
"""Keys under which public checkpoints store their weights."""

PREFIXES = ("module.", "model.", "encoder.", "backbone.", "resnet.", "net.")
"""Prefixes that wrappers put before torchvision's parameter names."""


def check_archive(path: Path) -> None:
    """Compares an archive with its checksums. `torch.load` does not: it takes any bits for weights.

    Raises:
        ValueError: naming the first part that is damaged.
    """
    with zipfile.ZipFile(path) as archive:
        if damaged := archive.testzip():
            raise ValueError(f"the checksum of {damaged} is wrong, so the file is damaged")


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """Reads a file of `torch.save` that holds plain weights, without running code that it may contain.

    Returns:
        Its dictionary; tensors are mapped from disk where the file format allows it.

    Raises:
        CheckpointError: if the file is missing, is no checkpoint, or holds more than plain weights.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"There is no checkpoint at {path}; check the key that names it, or train one first.")
    try:
        is_archive = zipfile.is_zipfile(path)
        if is_archive:
            check_archive(path)
        # Public weights from before torch 1.6 are not zip archives and cannot be mapped.
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=is_archive)
    except (
        zipfile.BadZipFile,
        NotImplementedError,
        OSError,
        pickle.UnpicklingError,
        RuntimeError,
        EOFError,
        ValueError,
        LookupError,
    ) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise CheckpointError(f"{path} cannot be read as a checkpoint of plain weights ({reason}).") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} holds a {type(content).__name__}, not a mapping of parameter names to weights.")
    return content


def describe_mismatches(own: Mapping[str, Tensor], given: Mapping[str, Tensor], limit: int = 3) -> str:
    """The first parameters that a checkpoint lacks or holds in another shape; empty if all fit."""
    wrong = [
        f"{name} is {tuple(given[name].shape) if name in given else 'missing'} there and {tuple(value.shape)} here"
        for name, value in own.items()
        if name not in given or given[name].shape != value.shape
    ]
    more = f" (and {len(wrong) - limit} more)" if len(wrong) > limit else ""
    return "; ".join(wrong[:limit]) + more


def encoder_weights(content: Mapping[str, object]) -> dict[str, Tensor]:
    """The encoder's weights in a checkpoint, by torchvision's names, without wrappers and classifier (`fc.*`)."""
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


def load_encoder(encoder: nn.Module, path: str) -> None:
    """Loads a public or own checkpoint into a frame encoder; every parameter must be there and fit.

    Raises:
        CheckpointError: naming the file and the first parameters that do not fit.
    """
    weights = encoder_weights(read_checkpoint(path))
    own = encoder.state_dict()
    # Checkpoints of old torch versions have no batch counter; evaluation does not use it.
    needed = {n: v for n, v in own.items() if n in weights or not n.endswith("num_batches_tracked")}
    if what := describe_mismatches(needed, weights):
        msg = f"The checkpoint {path} does not fit the encoder: {what}. Set model.encoder to its depth and width."
        raise CheckpointError(msg)
    encoder.load_state_dict({name: weights[name] for name in needed}, strict=False)


def weights_digest(encoder: nn.Module) -> str:
    """A short hash of all weights and statistics; encoders with equal digests give equal features."""
    digest = hashlib.sha256(repr(type(encoder)).encode())
    for name, value in sorted(encoder.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    digest.update(str(getattr(encoder, "grid", "")).encode())
    return digest.hexdigest()[:16]
