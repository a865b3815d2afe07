"""Checks of the data sets, the weights and the login that experiments need."""

from __future__ import annotations

import netrc
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml  # type: ignore[import-untyped]

from fedn_lightning.doctor.findings import Finding, Section

WANDB_MODES = ("offline", "online", "disabled", "dryrun", "run")
"""What the variable WANDB_MODE may say; the last two are old names of the first two."""

WANDB_HOST = "https://api.wandb.ai"


def check_data(experiments: Path, folder: Path) -> Section:
    """Which data sets and weights the experiments name are there, and the other content of the data folder.

    Args:
        experiments: folder of experiment files; paths in them start from the current folder.
        folder: the data folder.
    """
    named = configured_paths(experiments)
    found = [
        Finding(place, f"{'there' if Path(place).exists() else 'not there'} ({', '.join(sorted(who))})")
        for place, who in sorted(named.items())
    ]
    others = sorted(str(path) for path in folder.glob("*") if path.is_dir() and str(path) not in named)
    found += [Finding(place, "there") for place in others]
    if not named:
        found.append(
            Finding("experiments", f"none in the folder {experiments}; run this in the project's checkout to see them")
        )
    return Section("Data", tuple(found))


def configured_paths(experiments: Path) -> dict[str, set[str]]:
    """Data roots and encoder weights by the experiments that name them."""
    named: dict[str, set[str]] = {}
    for file in sorted(experiments.rglob("*.yaml")):
        try:
            content = yaml.safe_load(file.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, RecursionError, yaml.YAMLError):
            continue  # fedn fit reports the error
        for place in _paths_of(content):
            named.setdefault(place, set()).add(file.stem)
    return named


def _paths_of(content: Any) -> list[str]:
    paths = (
        ("data", "init_args", "corpus", "root"),
        ("data", "init_args", "root"),
        ("model", "init_args", "encoder", "weights"),
    )
    found = []
    for path in paths:
        value = content
        for key in path:
            value = value.get(key) if isinstance(value, Mapping) else None
        found += [place for place in (value if isinstance(value, list) else [value]) if isinstance(place, str)]
    return found


def check_wandb() -> Section:
    """Mode and login of W&B; the key is looked for, never shown."""
    mode = os.environ.get("WANDB_MODE", "")
    login = login_of(os.environ.get("WANDB_BASE_URL") or WANDB_HOST)
    problem = ""
    if mode and mode not in WANDB_MODES:
        problem = f'WANDB_MODE is "{mode}"; set it to offline, online or disabled, or unset it.'
    elif mode in ("online", "run") and not login:
        problem = f"WANDB_MODE is {mode}, but there is no login. Run: wandb login, or unset WANDB_MODE."
    return Section(
        "W&B",
        (
            Finding(
                "mode", f"{mode} (WANDB_MODE)" if mode else "offline, unless a configuration says otherwise", problem
            ),
            Finding("login", login or "none; only uploads need one"),
        ),
    )


def login_of(server: str) -> str:
    """Where a key for a W&B server comes from; empty if there is none. The key itself is not read out."""
    if os.environ.get("WANDB_API_KEY"):
        return "by WANDB_API_KEY"
    given = os.environ.get("NETRC")
    files = [Path(given)] if given else [Path.home() / ".netrc", Path.home() / "_netrc"]
    for file in files:
        try:
            known = netrc.netrc(file).hosts
        except (OSError, netrc.NetrcParseError):
            continue
        if urlsplit(server).hostname in known:
            return f"by {file.name}"
    return ""
