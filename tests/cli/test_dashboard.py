from __future__ import annotations

import json
from pathlib import Path

import pytest

from fedn_lightning.cli.main import main


def test_a_workspace_is_written_without_a_network(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "workspace.json"
    assert main(["dashboard", "--project", "faces", "--group", "g", "--json", str(file), "--dry-run"]) == 0
    assert json.loads(file.read_text())["project"] == "faces"
    shown = capsys.readouterr()
    assert "faces, g" in shown.out
    assert "Timelines and film strips: 4 panels" in shown.out
    assert str(file) in shown.err


def test_creating_one_without_a_network_ends_with_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from fedn_lightning.loggers import workspace

    def refuse(base: str) -> None:
        raise workspace.DashboardError(f"W&B at {base} cannot be reached.")

    monkeypatch.setattr(workspace, "check_reach", refuse)
    assert main(["dashboard"]) == 2
    assert capsys.readouterr().err.startswith("fedn: error: W&B at https://")
