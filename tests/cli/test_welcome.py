from __future__ import annotations

import io
import shlex
import sys

import pytest

from fedn_lightning.cli.main import FIRST_STEPS, find, main


def test_five_commands_that_exist_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    said = capsys.readouterr().out.splitlines()
    assert len(FIRST_STEPS) == 5
    for line, (command, purpose) in zip(said, FIRST_STEPS, strict=False):
        assert line.startswith(command)
        assert line.endswith(purpose)
        assert find(shlex.split(command)[1:]) is not None
    assert said[-1].startswith("fedn --help")


def test_a_terminal_gets_a_card(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr(sys, "stdout", Terminal())
    assert main([]) == 0
    said = sys.stdout.getvalue()
    assert said.startswith("\x1b[") or said.startswith("╭")
    assert all(command in said for command, _ in FIRST_STEPS)
