from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from fedn_lightning.doctor import machine

PROJECT = Path(__file__).parents[2] / "pyproject.toml"


def test_an_old_package_is_named_with_what_to_do() -> None:
    found = machine.check_requirement(Requirement("pytest>=9999"))
    assert found.broken
    assert found.problem.startswith("pytest is ")
    assert "but the project needs >=9999. Run: pip install" in found.problem


def test_a_missing_package_is_named() -> None:
    found = machine.check_requirement(Requirement("no-such-package-of-ours>=1"))
    assert (found.value, found.broken) == ("not installed", True)


def test_every_requirement_of_this_machine_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    needs = tomllib.loads(PROJECT.read_text())["project"]["dependencies"]
    monkeypatch.setattr(machine, "requirements", lambda: [Requirement(line) for line in needs])
    names = [finding.name for finding in machine.check_packages().findings]
    assert len([name for name in names if name.startswith("decord")]) == 1
    assert {"torch", "lightning", "av", "wandb"} <= set(names)


def test_a_missing_extra_is_no_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    needs = [Requirement("no-such-package-of-ours; extra == 'dev'"), Requirement("pytest; extra == 'dev'")]
    monkeypatch.setattr(machine, "requirements", lambda: needs)
    (found,) = (finding for finding in machine.check_extras().findings if finding.name == "dev")
    assert found.value == "not installed (no-such-package-of-ours); pip install 'fedn-lightning[dev]'"
    assert not found.problem
