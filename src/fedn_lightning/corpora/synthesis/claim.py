"""Claims an output folder for one job, so that the same command resumes it and no other writes into it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fedn_lightning.errors import ConfigError


def claim(out: Path, name: str, job: Mapping[str, Any]) -> None:
    """Marks a new or empty folder as a job's, or recognises it as the same job's.

    Args:
        out: the folder; made if missing.
        name: of the table that :func:`finish` writes: `corpus` for `corpus.json`.
        job: everything the files depend on; plain values.

    Raises:
        ConfigError: if the folder holds anything else. Nothing is written then.
    """
    for path in (out / f"{name}.json", _unfinished(out, name)):
        if path.exists():
            found = _read(path)
            if any(found.get(key) != value for key, value in job.items()):
                have, want = (", ".join(f"{key} {table.get(key)}" for key in job) for table in (found, job))
                msg = f"{path} says: {have}. Asked for: {want}. Choose another folder for --out."
                raise ConfigError(msg)
            return
    if out.is_file() or (out.is_dir() and any(out.iterdir())):
        msg = f"{out} exists and holds nothing that this command began; choose a new or empty folder for --out."
        raise ConfigError(msg)
    out.mkdir(parents=True, exist_ok=True)
    _unfinished(out, name).write_text(json.dumps(job, indent=2) + "\n")


def finish(out: Path, name: str, content: Mapping[str, Any]) -> None:
    """Writes the job's table, which says that everything is there, and takes the mark of the unfinished job away."""
    partial = out / f".{name}.json.partial"
    partial.write_text(json.dumps(content, indent=2) + "\n")
    partial.replace(out / f"{name}.json")
    _unfinished(out, name).unlink(missing_ok=True)


def _unfinished(out: Path, name: str) -> Path:
    return out / f"{name}.unfinished.json"


def _read(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text()))
    except (ValueError, TypeError) as error:
        msg = f"{path} cannot be read ({error}); remove its folder, or choose another one for --out."
        raise ConfigError(msg) from error
