"""Reads a checkpoint before a run relies on it, and says in a sentence what is wrong with it."""

from __future__ import annotations

import pickle
import re
from pathlib import Path
from typing import Any

import torch

from fedn_lightning.errors import CheckpointError

_MISMATCH = re.compile(
    r"size mismatch for (?P<name>\S+): .*?torch\.Size\(\[(?P<saved>[\d, ]*)\]\).*?\[(?P<now>[\d, ]*)\]"
)


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """Loads a checkpoint's content without running any code of it.

    Args:
        path: a `.ckpt` file of Lightning.

    Returns:
        Its dictionary; tensors stay on disk until they are used.

    Raises:
        CheckpointError: if there is no such file, or it is not a checkpoint of Lightning.
    """
    path = Path(path)
    if not path.is_file():
        msg = f"The checkpoint {path} does not exist (--ckpt_path)."
        raise CheckpointError(msg)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, LookupError) as error:
        msg = f"{path} is not a checkpoint that can be read safely (--ckpt_path); give a .ckpt file of a run."
        raise CheckpointError(msg) from error
    if not isinstance(content, dict) or "state_dict" not in content:
        msg = f"{path} holds no weights of a run (--ckpt_path); give a .ckpt file of a run."
        raise CheckpointError(msg)
    return content


def describe_differences(content: dict[str, Any], model: Any) -> list[str]:
    """Where the configuration of the model differs from that in a checkpoint.

    Args:
        content: the checkpoint; a task leaves its arguments in `fedn.model`, Lightning in `hyper_parameters`.
        model: the parsed configuration of the model, with `class_path` and `init_args`.

    Returns:
        A clause per differing argument, by name. Where the encoder's weights came from is no difference: the
        checkpoint holds them.
    """
    saved = _flat(content.get("fedn", {}).get("model") or content.get("hyper_parameters", {}))
    arguments = model.get("init_args") or {}
    configured = _flat(arguments.as_dict() if hasattr(arguments, "as_dict") else dict(arguments))
    return [
        f"model.{name} is {configured[name]!r}, in the checkpoint {saved[name]!r}"
        for name in sorted(saved.keys() & configured.keys())
        if saved[name] != configured[name] and not name.endswith("encoder.weights")
    ]


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    """Nested dictionaries as one, with dotted keys."""
    flat: dict[str, Any] = {}
    for key, child in value.items():
        if isinstance(child, dict):
            flat.update(_flat(child, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = list(child) if isinstance(child, tuple) else child
    return flat


def explain_failure(path: str | Path, error: Exception) -> CheckpointError:
    """Makes one sentence of PyTorch's list of all the tensors that do not fit."""
    text = str(error)
    if match := _MISMATCH.search(text):
        detail = f"{match['name']} is [{match['saved']}] in the file and [{match['now']}] in the network"
    else:
        detail = " ".join(text.split(":", 2)[-1].split())[:200].rstrip(".")
    return CheckpointError(f"The checkpoint {path} does not fit the configured network: {detail}.")
