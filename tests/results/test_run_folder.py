from __future__ import annotations

from pathlib import Path

import pytest

from fedn_lightning.errors import ConfigError
from fedn_lightning.results.run_folder import RunFolder


@pytest.fixture
def used(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "result.json").write_text("{}")
    return folder


def test_an_earlier_run_is_moved_aside(used: Path) -> None:
    folder = RunFolder(used)
    aside = folder.open()
    assert aside is not None
    assert (aside / "result.json").is_file()
    assert list(used.iterdir()) == []


def test_two_runs_of_one_second_get_two_names(used: Path) -> None:
    run = RunFolder(used)
    first = run.open()
    run.close()
    (used / "x").touch()
    (used / "x").unlink()
    (used / "result.json").write_text("{}")
    second = RunFolder(used).open()
    assert None not in (first, second)
    assert first != second


def test_abandoning_puts_the_earlier_run_back(used: Path) -> None:
    folder = RunFolder(used)
    folder.open()
    (used / "half").touch()
    folder.abandon()
    assert [path.name for path in used.parent.iterdir()] == ["run"]
    assert [path.name for path in used.iterdir()] == ["result.json"]


def test_a_resumed_run_stays_whatever_happens(used: Path) -> None:
    folder = RunFolder(used, resume=True)
    assert folder.open() is None
    folder.abandon()
    assert (used / "result.json").is_file()


def test_an_empty_folder_is_simply_taken(tmp_path: Path) -> None:
    assert RunFolder(tmp_path).open() is None


def test_abandoning_leaves_no_empty_folders(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "runs" / "a" / "b")
    folder.open()
    (tmp_path / "runs" / "other").mkdir()
    folder.abandon()
    assert [path.name for path in tmp_path.rglob("*")] == ["runs", "other"]


def test_a_second_process_is_kept_out_until_the_first_has_finished(used: Path) -> None:
    first = RunFolder(used)
    first.open()
    (used / "config.yaml").write_text("mine")
    with pytest.raises(ConfigError, match="Another process is writing to the run folder"):
        RunFolder(used).open()
    with pytest.raises(ConfigError, match="--run_dir"):
        RunFolder(used, resume=True).open()
    assert (used / "config.yaml").read_text() == "mine"
    first.close()
    assert RunFolder(used).open() is not None


def test_a_lock_leaves_nothing_behind(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    run.open()
    run.close()
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
