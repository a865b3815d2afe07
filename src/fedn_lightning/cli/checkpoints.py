"""Reads a checkpoint before a run relies on it, and says in a sentence what is wrong with it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from fedn_lightning.errors import CheckpointError
from fedn_lightning.nn.checkpoints import read_checkpoint

_MISMATCH = re.compile(
    r"size mismatch for (?P<name>\S+): .*?torch\.Size\(\[(?P<saved>[\d, ]*)\]\).*?\[(?P<now>[\d, ]*)\]"
)


def read_run(path: str | Path) -> dict[str, Any]:
    """Reads the checkpoint that a run is to begin with.

    Args:
        path: a `.ckpt` file of Lightning.

    Returns:
        Its dictionary.

    Raises:
        CheckpointError: if there is no such file, or it is not a checkpoint of Lightning.
    """
    if not Path(path).is_file():
        msg = f"The checkpoint {path} does not exist (--ckpt_path)."
        raise CheckpointError(msg)
    content = read_checkpoint(path)
    if "state_dict" not in content:
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
