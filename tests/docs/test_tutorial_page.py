"""The commands of docs/tutorial.md run as they stand there, with fewer people and shorter videos."""

from __future__ import annotations

import json
import os
import re
import runpy
import shlex
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from fedn_lightning import adaptation
from fedn_lightning.cli.main import main
from fedn_synth.plan.presets import PRESETS

HOME = Path(__file__).parents[2]
TUTORIAL = runpy.run_path(str(HOME / "scripts" / "tutorial.py"))
COMMANDS = TUTORIAL["commands"](TUTORIAL["PAGE"].read_text())

SHORTER = {"synth": ["--jobs", "1"], "adapt": ["--epochs", "1", "--jobs", "1"]}
"""Words that are added to a command here."""


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the commands wrote."""
    folder = tmp_path_factory.mktemp("tutorial")
    few = {"folders": (15, 16, 19, 20, 23), "n_videos": 5, "macros": 10, "micros": 5, "unannotated": ()}
    short = {"shortest": 240, "longest": 240, "mean_frames": 240}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setitem(PRESETS, "weights", replace(PRESETS["weights"], **few, **short))
        patch.setattr(adaptation, "MIN_EVENTS", 5)
        patch.syspath_prepend(str(HOME / "examples"))
        for command in COMMANDS:
            run(command)
    return folder / "runs" / "tutorial"


def run(command: str) -> None:
    program, *words = shlex.split(command)
    if program == "python":
        runpy.run_path(str(HOME / words[0]))["main"](words[1:])
    elif words[0] == "review":
        TUTORIAL["run"](command.replace("fedn", f"{sys.executable} -m fedn_lightning", 1), os.environ)
    elif words[0] != "predict" or Path(words[words.index("--ckpt") + 1] if "--ckpt" in words else HOME).exists():
        short = words[: words.index("--jobs")] if "--jobs" in words else words
        assert main([*short, *SHORTER.get(words[0] if words[0] != "data" else words[1], [])]) == 0, command


@pytest.mark.slow
def test_the_whole_loop_runs(ran: Path) -> None:
    report = json.loads((ran / "adapted" / "adapt.json").read_text())
    assert len(report["people"]) == 5
    assert (ran / "adapted" / "adapted.ckpt").exists() == (report["verdict"] != "worse")
    assert len(list(ran.glob("again/*/events.csv"))) == (report["verdict"] != "worse")
    table = (ran / "table" / "summary.md").read_text()
    assert re.findall(r"^\| (s\d+|all) ", table, re.MULTILINE)[:6] == ["s15", "s16", "s19", "s20", "s23", "all"]
    assert len(list(ran.glob("corrected/elan/*.eaf"))) == 5


def test_every_command_is_of_this_program() -> None:
    assert {shlex.split(command)[0] for command in COMMANDS} == {"fedn", "python"}
    assert [shlex.split(command)[1] for command in COMMANDS if command.startswith("fedn")] == [
        "data", "predict", "review", "evaluate", "adapt", "predict", "summary",
    ]  # fmt: skip
