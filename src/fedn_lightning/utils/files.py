"""Atomic writes: a file appears complete or not at all."""

from __future__ import annotations

import json
import math
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any


def write_atomically(path: str | Path, write: Callable[[Path], object]) -> Path:
    """Lets `write` fill a temporary file beside `path` and then puts it in place.

    Neither a reader nor a killed run ever sees half a file.

    Args:
        path: the file; its folder is made.
        write: receives the temporary path, which has the same suffix.

    Returns:
        `path`.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}.", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        write(temporary)
        temporary.chmod(0o644)  # mkstemp gives the owner alone access
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def write_text(path: str | Path, text: str) -> Path:
    """Writes a text file atomically."""
    return write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def write_json(path: str | Path, value: Any) -> Path:
    """Writes JSON atomically; a number that is not defined (NaN, infinity) becomes null, as JSON has no such values."""
    return write_text(path, json.dumps(plain(value), indent=2, ensure_ascii=False) + "\n")


def plain(value: Any) -> Any:
    """A value of JSON's types: numbers of numpy and torch become Python's; NaN and infinity become None."""
    if isinstance(value, dict):
        return {str(key): plain(child) for key, child in value.items()}
    if isinstance(value, list | tuple):
        return [plain(child) for child in value]
    if hasattr(value, "item"):  # numbers of numpy and torch
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
