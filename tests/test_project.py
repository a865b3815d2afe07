from __future__ import annotations

import itertools
import os
import re
import shlex
import subprocess
import tomllib
from pathlib import Path

import pytest

from fedn_lightning import __version__
from fedn_lightning.cli.main import find

ROOT = Path(__file__).parents[1]
MAKEFILE = (ROOT / "Makefile").read_text()
README = (ROOT / "README.md").read_text()
TARGETS = set(re.findall(r"^([a-z]+):", MAKEFILE, re.MULTILINE))


def commands_in(text: str) -> list[list[str]]:
    """The words of every command line in a page's code blocks, without prompts and comments."""
    blocks = re.findall(r"^```(?:sh|bash|shell|console)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [words for line in lines if (words := shlex.split(line.removeprefix("$ "), comments=True))]


COMMANDS = commands_in(README)


def make(*options: str) -> str:
    """What `make` prints, also where these tests run under another `make`."""
    environment = {key: value for key, value in os.environ.items() if key not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    run = subprocess.run(["make", *options], cwd=ROOT, capture_output=True, text=True, check=True, env=environment)
    return run.stdout


def test_a_pages_commands_are_found() -> None:
    page = "text\n```sh\n$ make fit # all\nfedn data synth \\\n  --out x\n```\n```python\nmake no\n```\n"
    assert commands_in(page) == [["make", "fit"], ["fedn", "data", "synth", "--out", "x"]]


@pytest.mark.parametrize("command", ["make fit", "make test"])
def test_the_readme_names_the_two_commands(command: str) -> None:
    assert command.split() in COMMANDS


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_command_in_the_readme_exists(words: list[str]) -> None:
    if words[0] == "make":
        assert {word for word in words[1:] if "=" not in word} <= TARGETS
    elif words[0] == "fedn":
        assert words[1] in ("--help", "--version") or find(words[1:]) is not None
        for option, value in itertools.pairwise(words):
            if option == "--config" and value.startswith("experiments/"):
                assert (ROOT / value).is_file()


def test_make_help_lists_every_target() -> None:
    assert {line.split()[1] for line in make("help").splitlines()} == TARGETS


def test_make_fit_runs_the_four_steps_in_order() -> None:
    said = make("--dry-run", "--always-make", "fit")
    assert [line.removeprefix(".venv/bin/") for line in said.splitlines() if line.startswith(".venv/bin/fedn")] == [
        "fedn data synth --preset standard --out data/synthetic --seed 7",
        "fedn data stills --out data/stills --seed 7 --size 128",
        "fedn fit --config experiments/encoder_synthetic.yaml",
        "fedn fit --config experiments/synthetic.yaml",
    ]


def test_the_version_is_told_once() -> None:
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == __version__


def test_the_malicious_releases_cannot_be_installed() -> None:
    requirements = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    (lightning,) = (line for line in requirements if line.startswith("lightning>"))
    assert {"!=2.6.2", "!=2.6.3"} <= set(re.split("[,>]", lightning))


def test_torch_is_not_pinned_since_its_build_depends_on_the_machine() -> None:
    assert not re.search(r"^torch==", (ROOT / "constraints.txt").read_text(), re.MULTILINE)


def test_the_changelog_has_a_place_for_changed_numbers() -> None:
    assert "### Changes that alter reported numbers" in (ROOT / "CHANGELOG.md").read_text()
