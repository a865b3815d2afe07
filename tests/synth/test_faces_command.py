from __future__ import annotations

from pathlib import Path

import cv2
import pytest

from fedn_lightning.cli.main import main


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
