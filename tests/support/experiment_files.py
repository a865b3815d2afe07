"""Experiment files as the parser reads them: layer over layer, each as values by their dotted path."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from fedn_lightning.cli.config import layers


def leaves(value: Any, path: str = "") -> dict[str, Any]:
    """The values of nested keys by their path, without class paths."""
    if not isinstance(value, dict):
        return {path.removeprefix("."): value}
    found: dict[str, Any] = {}
    for key, child in value.items():
        if key != "class_path":
            found |= leaves(child, path if key == "init_args" else f"{path}.{key}")
    return found


def read_layers(file: Path) -> list[dict[str, Any]]:
    """The layers of a file, base first."""
    base, *texts = layers(file)
    return [
        leaves(yaml.safe_load(base if "\n" in base else Path(base).read_text())),
        *(leaves(json.loads(text)) for text in texts),
    ]
