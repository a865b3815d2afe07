""""""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import pytest
from error_runs import write_generated_run
from toys import make_record

from fedn_lightning import doctor
from fedn_lightning.cli.main import main
from fedn_lightning.doctor import Finding, Section, machine
from fedn_lightning.results.writing import write_tables


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


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    place = tmp_path_factory.mktemp("runs")
    for seed, name in enumerate(("one", "two")):
        write_generated_run(place / name, place / "corpus", seed)
    return place


def test_one_run_gives_tables_and_pictures(home, capsys):
    assert main(["errors", str(home / "one"), "--out", str(home / "out")]) == 0
    output = capsys.readouterr().out
    for word in (
        "localisation",
        "F1 if corrected",
        "mAP if corrected",
        "named, overlapping",
        "c alone",
        "by chance",
        "offset unknown",
    ):
        assert word in output
    for name in ("kinds.png", "corrected.png", "sensitivity.png"):
        picture = cv2.imread(str(home / "out" / name))
        assert picture is not None, name
        assert picture.std() > 5, name
    content = json.loads((home / "out" / "errors.json").read_text())
    assert content["kinds"]["spotting"]["background"]["false_positives"] > 0
    assert "# Errors of one" in (home / "out" / "errors.md").read_text()
    assert main(["errors", str(home / "one"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == content


def test_two_runs_side_by_side(home, capsys):
    runs = [str(home / "one"), str(home / "two")]
    assert main(["errors", *runs, "--names", "joint", "two step", "--out", str(home / "both")]) == 0
    output = capsys.readouterr().out
    assert all(word in output for word in ("two step: F1", "two step: predictions", "ranked by c alone"))
    names = {str(path.relative_to(home / "both")) for path in (home / "both").rglob("*") if path.is_file()}
    each = {"errors.csv", "errors.md", "errors.json", "kinds.png", "corrected.png", "sensitivity.png"}
    assert names == {f"{run}/{name}" for run in ("joint", "two step") for name in each} | {
        "errors.md", "errors.json", "losses.png",
    }  # fmt: skip
    assert cv2.imread(str(home / "both" / "losses.png")).std() > 5


def test_a_run_on_no_generated_corpus_and_one_without_any_error(tmp_path, capsys):
    write_tables(make_record(), tmp_path / "toy")
    assert main(["errors", str(tmp_path / "toy")]) == 0
    output = capsys.readouterr().out
    assert "Distractors and intensities are unknown" in output
    assert "by chance" not in output
    for name in ("predictions.csv", "proposals.csv", "truth.csv"):
        head = (tmp_path / "toy" / name).read_text().splitlines()[0]
        (tmp_path / "toy" / name).write_text(f"{head}\n")
    assert main(["errors", str(tmp_path / "toy"), "--out", str(tmp_path / "out")]) == 0
    assert "now -" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere"], "holds no result of a run"),
        (["one", "two", "--names", "a"], "got 2 runs and 1 names"),
        (["one", "two", "--names", "a", "a"], "Runs need different names, got a, a"),
        (["one", "--truth", "two"], "expressions.csv cannot be read"),
    ],
)
def test_user_errors_exit_with_code_2(home, capsys, monkeypatch, words, message):
    monkeypatch.chdir(home)
    assert main(["errors", *words]) == 2
    assert message in " ".join(capsys.readouterr().err.split())
