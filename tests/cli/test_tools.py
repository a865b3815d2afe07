from __future__ import annotations

import json
from pathlib import Path

import pytest

from fedn_lightning import doctor
from fedn_lightning.cli.main import main
from fedn_lightning.doctor import Finding, Section, machine


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with an experiment and one of its data sets, and nobody's login."""
    (tmp_path / "experiments").mkdir()
    (tmp_path / "data" / "mine").mkdir(parents=True)
    corpus = {"data": {"init_args": {"corpus": {"root": "data/mine"}}}}
    weights = {"model": {"init_args": {"encoder": {"weights": "runs/encoder/best.ckpt"}}}}
    (tmp_path / "experiments" / "mine.yaml").write_text(json.dumps(corpus | weights))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.delenv("WANDB_BASE_URL", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_sound_installation_has_no_problem(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert not found["broken"]
    videos = {finding["name"]: finding["value"] for finding in found["videos"]}
    assert videos["PyAV"] == "writes and decodes H.264"
    assert videos["decord"] == "decodes H.264"
    assert videos["face cascade"] == "finds a generated face"
    data = {finding["name"]: finding["value"] for finding in found["data"]}
    assert data == {"data/mine": "there (mine)", "runs/encoder/best.ckpt": "not there (mine)"}
    assert {"machine", "devices", "packages", "extras", "w&b"} <= found.keys()


def test_what_is_broken_ends_with_code_one(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    broken = Finding("torch", "not installed", f"torch is missing in {Path.home()}/env.", broken=True)
    monkeypatch.setattr(doctor, "run_checks", lambda paths: [Section("Packages", (broken,))])
    assert main(["doctor"]) == 1
    assert capsys.readouterr().out.startswith("### Problems\n- torch is missing in ~/env.\n")
    assert main(["doctor", "--paths"]) == 1
    assert f"torch is missing in {Path.home()}/env." in capsys.readouterr().out


def test_a_key_is_found_and_never_shown(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WANDB_MODE", "online")
    (mode, login) = machine.check_wandb().findings
    assert "Run: wandb login" in mode.problem
    assert login.value.startswith("none")
    (checkout / "netrc").write_text("machine api.wandb.ai login user password 0123secret\n")
    (mode, login) = machine.check_wandb().findings
    assert (mode.problem, login.value) == ("", "by netrc")
    monkeypatch.setenv("WANDB_API_KEY", "0123secret")
    assert machine.check_wandb().findings[1].value == "by WANDB_API_KEY"
    assert "0123secret" not in str(machine.check_wandb())
    monkeypatch.setenv("WANDB_BASE_URL", "https://wandb.example.org")
    monkeypatch.delenv("WANDB_API_KEY")
    assert machine.check_wandb().findings[1].value.startswith("none")


def test_a_workspace_is_written_without_a_network(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("wandb_workspaces", reason="the extra dashboard is not installed")
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
    pytest.importorskip("wandb_workspaces", reason="the extra dashboard is not installed")
    from fedn_lightning.loggers import workspace

    def refuse(base: str) -> None:
        raise workspace.DashboardError(f"W&B at {base} cannot be reached.")

    monkeypatch.setattr(workspace, "check_reach", refuse)
    assert main(["dashboard"]) == 2
    assert capsys.readouterr().err.startswith("fedn: error: W&B at https://")
