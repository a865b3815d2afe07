"""The command line that W&B's agent makes of a sweep file is one that `fedn` understands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from wandb.sdk.launch.sweeps.utils import create_sweep_command, create_sweep_command_args

from fedn_lightning.cli.fit import main
from fedn_lightning.errors import ConfigError
from fedn_lightning.loggers.metrics import find

HOME = Path(__file__).parents[1]
FILES = sorted((HOME / "experiments" / "sweeps").glob("*.yaml"))
TYPES = {"bayes", "grid", "random"}


def command_of(sweep: dict[str, Any], values: dict[str, Any]) -> list[str]:
    """The words after `fedn`, made as the agent makes them."""
    macros = create_sweep_command_args({"args": {key: {"value": value} for key, value in values.items()}})
    macros |= {"env": ["/usr/bin/env"], "program": [sweep["program"]]}
    words: list[str] = []
    for part in create_sweep_command(list(sweep["command"])):
        words += macros[part[2:-1]] if part.startswith("${") and part.endswith("}") else [part]
    assert words[:2] == ["/usr/bin/env", "fedn"]
    return words[2:]


def possible(parameter: dict[str, Any]) -> list[Any]:
    """All listed values of a parameter, or both ends of its range."""
    return parameter["values"] if "values" in parameter else [parameter["min"], parameter["max"]]


def value_at(config: dict[str, Any], key: str) -> Any:
    """The value of a key as the command line writes it: without `init_args`."""
    section, *parts = key.split(".")
    found = config[section]["init_args"]
    for part in parts:
        found = found[part]
    return found


@pytest.fixture(params=FILES, ids=lambda file: file.stem)
def sweep(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.chdir(HOME)
    monkeypatch.setenv("WANDB_RUN_ID", "abc12345")
    content: dict[str, Any] = yaml.safe_load(request.param.read_text())
    return content


def test_the_target_is_a_score_of_validation_subjects(sweep: dict[str, Any]) -> None:
    target = find(sweep["metric"]["name"])
    assert target is not None
    assert target.name.startswith("val/")
    assert (target.summary, sweep["metric"]["goal"]) == ("max", "maximize")
    assert "--test_after_fit=false" in sweep["command"]
    assert sweep["method"] in TYPES


@pytest.mark.parametrize("end", [0, -1], ids=["first", "last"])
def test_its_parameters_are_keys_of_the_experiment(
    sweep: dict[str, Any], end: int, capsys: pytest.CaptureFixture[str]
) -> None:
    values = {key: possible(parameter)[end] for key, parameter in sweep["parameters"].items()}
    with pytest.raises(SystemExit) as exit_:
        main([*command_of(sweep, values), "--print_config"])
    assert exit_.value.code == 0
    config = yaml.safe_load(capsys.readouterr().out)
    assert {key: value_at(config, key) for key in values} == values
    assert (config["test_after_fit"], config["wandb"]["mode"]) == (False, "online")
    assert "abc12345" in str(config["run_dir"]) or "WANDB_RUN_ID" in str(config["run_dir"])


def test_a_misspelt_parameter_would_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(HOME)
    sweep = yaml.safe_load(FILES[0].read_text())
    with pytest.raises(ConfigError, match="learning_rate"):
        main(command_of(sweep, {"model.optimiser.learning_rate": 0.1}))
