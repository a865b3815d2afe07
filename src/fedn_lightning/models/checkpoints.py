"""Files of weights, read without running any code that they may hold."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path
from typing import Any, Final

import torch

from fedn_lightning.errors import CheckpointError

OLD_DEFAULTS: Final = {"segment_score": "softmax"}
"""What the network's configuration of a checkpoint of version 0.1 leaves unsaid. Version 0.4 no longer reads those."""

OLD_WEIGHTS: Final = (
    "network.segments.score_frame.bias",
    "network.segments.score_global.weight",
    "network.window.conv.bias",
    "network.norm.bias",
)
"""Weights of version 0.1 that never had an effect, since a softmax or a mean that is subtracted takes them away."""


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """Reads a checkpoint of this project, or any other file of `torch.save` with weights.

    Args:
        path: the file.

    Returns:
        Its dictionary; tensors stay on disk until they are used, where the file's format allows it.

    Raises:
        CheckpointError: if the file is missing, is no checkpoint, or holds more than plain weights.
    """
    path = Path(path)
    if not path.is_file():
        msg = f"There is no checkpoint at {path}; check the key that names it, or train one first."
        raise CheckpointError(msg)
    try:
        # Public weights from before torch 1.6 are no zip archives, and cannot be mapped.
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, LookupError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        msg = f"{path} cannot be read as a checkpoint of plain weights ({reason})."
        raise CheckpointError(msg) from error
    if not isinstance(content, dict):
        msg = f"{path} holds a {type(content).__name__}, not a mapping of parameter names to weights."
        raise CheckpointError(msg)
    return content
