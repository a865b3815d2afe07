"""The Makefile does what it says; scripts/check_docs.py checks the facts that the documentation tells."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]
MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = set(re.findall(r"^([a-z%-]+):", MAKEFILE, re.MULTILINE))


def make(*options: str) -> str:
    """What `make` prints, also where these tests run under another `make`."""
    environment = {key: value for key, value in os.environ.items() if key not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    run = subprocess.run(["make", *options], cwd=ROOT, capture_output=True, text=True, check=True, env=environment)
    return run.stdout


def test_make_help_lists_every_target() -> None:
    assert {line.split()[1] for line in make("help").splitlines()} == TARGETS


def test_make_fit_runs_its_steps_in_order() -> None:
    said = make("--dry-run", "--always-make", "fit")
    lines = [line.removeprefix(".venv/bin/") for line in said.splitlines() if line.startswith(".venv/bin/fedn")]
    # The trainings at once are another make, which says again what comes before them.
    assert list(dict.fromkeys(lines)) == [
        "fedn data synth --preset standard --out data/synthetic --seed 7",
        "fedn data stills --out data/stills --seed 7 --size 128",
        "fedn fit --config experiments/encoder_synthetic.yaml",
        "fedn fit --config experiments/synthetic.yaml",
        "fedn fit --config experiments/fedn_plus.yaml > runs/fedn_plus.log 2>&1",
    ]


def test_the_image_is_made_of_files_that_are_there_and_of_the_tested_python() -> None:
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {name for line in lines if re.match("COPY (?!--)", line) for name in line.split()[1:-1]}
    assert copied == kept
    assert all((ROOT / name).exists() for name in copied)
    tested = re.search(r"container: python:(\d\.\d+)-(\w+)", (ROOT / ".github/workflows/ci.yml").read_text())
    assert tested
    bases = {line.split()[1] for line in lines if line.startswith("FROM")}
    assert bases == {f"python:{tested[1]}-slim-{tested[2]}"}
