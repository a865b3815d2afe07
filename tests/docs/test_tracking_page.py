"""docs/tracking.md speaks of settings, keys and files that exist."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

from fedn_lightning.loggers.media import ROWS, TIMELINES
from fedn_lightning.loggers.metrics import find
from fedn_lightning.loggers.wandb import WandbSettings

HOME = Path(__file__).parents[2]
PAGE = (HOME / "docs" / "tracking.md").read_text()


def test_every_setting_is_described_and_every_described_one_exists() -> None:
    described = set(re.findall(r"`wandb\.([a-z_]+)", PAGE))
    assert described == {field.name for field in fields(WandbSettings)}


def test_every_key_is_logged() -> None:
    keys = set(re.findall(r"`((?:test|val|pooled|strict|published|train)/[^`]+)`", PAGE))
    assert {"test/events", "pooled/subjects", "val/timeline"} <= keys
    examples = {key: [key.replace("*", name) for name in ("loss", "strs")] for key in keys}
    assert [key for key, names in sorted(examples.items()) if not any(map(find, names))] == []


def test_every_sweep_is_listed() -> None:
    listed = set(re.findall(r"experiments/sweeps/\w+\.yaml", PAGE))
    assert listed == {f"experiments/sweeps/{file.name}" for file in (HOME / "experiments" / "sweeps").glob("*.yaml")}


def test_the_bounds_are_those_of_the_code() -> None:
    assert f"{ROWS} rows" in PAGE
    assert f"`_{TIMELINES:02}`" in PAGE
