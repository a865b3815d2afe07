from __future__ import annotations

from pathlib import Path

import cv2
import pytest

from fedn_lightning.cli.main import main


def test_stills_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["data", "stills", "--out", str(tmp_path), "--identities", "2", "--per-identity", "1", "--size", "32"]

    assert main([*words, "--jobs", "1"]) == 0
    assert "1 stills to train on, 1 of other people to validate on" in capsys.readouterr().out
    assert main([*words, "--seed", "5"]) == 2
    assert "stills.json was made with: seed 0" in capsys.readouterr().err


def test_a_corpus_is_not_written_among_other_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine").write_text("")

    assert main(["data", "synth", "--preset", "tiny", "--out", str(tmp_path)]) == 2
    assert "holds nothing that this command began" in capsys.readouterr().err


def test_an_unknown_preset_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "synth", "--preset", "huge", "--out", str(tmp_path)]) == 2
    assert "invalid choice: 'huge'" in capsys.readouterr().err


def test_writes_a_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "new" / "sheet.png"
    assert main(["data", "faces", "--out", str(out), "--seed", "2", "--identities", "1"]) == 0
    assert cv2.imread(str(out)).shape[1] > 1000
    assert str(out) in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--out", "sheet.txt"], r"must end in .png or .jpg"),
        (["--out", "sheet.png", "--seed", "-1"], "--seed must be at least 0"),
        (["--out", "sheet.png", "--identities", "0"], "--identities at least 1"),
    ],
)
def test_bad_options_end_with_a_sentence(
    options: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["data", "faces", *options]) == 2
    assert message.replace("\\", "") in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
