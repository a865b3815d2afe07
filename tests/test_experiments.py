"""Every shipped experiment file is read by the command as it is, with keys and values that exist."""

from __future__ import annotations

from pathlib import Path

import pytest

from fedn_lightning.cli.train import main

EXPERIMENTS = Path(__file__).parents[1] / "experiments"
FILES = sorted(EXPERIMENTS.glob("*.yaml"))
CONTROLS = sorted((EXPERIMENTS / "controls").glob("*.yaml"))


def read(capsys: pytest.CaptureFixture[str], *files: Path) -> str:
    with pytest.raises(SystemExit) as end:
        main(["fit", *(word for file in files for word in ("--config", str(file))), "--print_config"])
    assert end.value.code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_an_experiment_is_read(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert f"experiment: {file.stem}" in read(capsys, file)


@pytest.mark.parametrize(
    ("control", "line"),
    [("untrained_encoder", "weights: null"), ("shifted_labels", "shift_labels: true")],
)
def test_a_control_changes_what_it_names(control: str, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    base = EXPERIMENTS / "synthetic.yaml"
    assert line not in read(capsys, base)
    assert line in read(capsys, base, EXPERIMENTS / "controls" / f"{control}.yaml")


def test_every_control_is_tested() -> None:
    assert {file.stem for file in CONTROLS} == {"untrained_encoder", "shifted_labels"}
