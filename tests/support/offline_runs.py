"""Reads offline W&B runs back as a user can: by W&B's own program, without a server."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

_BESIDE = Path(sys.executable).with_name("wandb")
WANDB = str(_BESIDE if _BESIDE.exists() else shutil.which("wandb"))


def offline_run(folder: Path) -> Path:
    """The one offline run that a run folder holds."""
    (run,) = (folder / "wandb").glob("offline-run-*")
    return run


def inspect(folder: Path) -> dict[str, Any]:
    """State, configuration and summary of a stored run."""
    command = [WANDB, "leet", "inspect", "--summary", "--json", str(folder)]
    found: dict[str, Any] = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return found


def records(folder: Path) -> list[dict[str, Any]]:
    """Every record of a stored run's log, in order."""
    command = [WANDB, "leet", "inspect", "--json", str(folder)]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return [json.loads(line) for line in lines if line.strip()]


def artifacts(folder: Path) -> dict[str, dict[str, Any]]:
    """The artifacts that a stored run declares, by name, without those that W&B makes of its tables."""
    found = [record["artifact"] for record in records(folder) if record["type"] == "artifact"]
    return {artifact["name"]: artifact for artifact in found if artifact["type"] != "run_table"}


def is_input(artifact: dict[str, Any]) -> bool:
    """Whether the run uses an artifact; else it gives it."""
    return bool(artifact.get("use_after_commit", False))


def files_of(artifact: dict[str, Any]) -> dict[str, Path]:
    """The files of an artifact and where they lie until they are uploaded."""
    return {entry["path"]: Path(entry["local_path"]) for entry in artifact["manifest"]["contents"]}


def table(folder: Path, key: str, summary: dict[str, Any]) -> dict[str, Any]:
    """Columns and data of a logged table."""
    content: dict[str, Any] = json.loads((folder / "files" / summary[key]["path"]).read_text())
    return content
