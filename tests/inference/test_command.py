"""`fedn predict` as typed: many videos, one of them broken; finished ones are left alone."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from fedn_lightning.cli.main import main
from fedn_lightning.errors import VideoError
from fedn_lightning.inference import detector as module
from fedn_lightning.inference.batch import find_videos, folders_of, overlooked
from fedn_lightning.video.media import probe
from fedn_lightning.video.pyav import PyAVSource
from lookalikes.movies import write_movie


@pytest.fixture
def home(films, trained, tmp_path, monkeypatch) -> Path:
    """A folder with a good video, a broken one and one without a face; the checkpoint lies beside it."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "videos"
    folder.mkdir()
    (folder / "a.mp4").symlink_to(films / "fifty.mp4")
    (folder / "b.mp4").write_text("not a video")
    (folder / "note.txt").write_text("no video")
    write_movie(folder / "c.mp4", (np.full((120, 160, 3), 90, np.uint8) for _ in range(30)))
    (tmp_path / "best.ckpt").symlink_to(trained.path)
    return folder


def outcomes(out: Path) -> dict[str, str]:
    """The account of all input that a command leaves."""
    with (out / "inputs.csv").open(newline="") as file:
        return {Path(row["path"]).name: row["outcome"] for row in csv.DictReader(file)}


def test_a_folder_goes_on_after_a_broken_video_and_a_second_run_skips_what_is_done(home, capsys, monkeypatch):
    words = ["predict", "videos", "--ckpt", "best.ckpt", "--out", "videos/found", "--format", "json"]
    assert main(words) == 1
    said = capsys.readouterr()
    assert "a.mp4: " in said.out
    assert "written: videos/found/a" in said.out
    assert "1 of 3 videos done, 0 finished before, 2 failed" in said.err
    assert "fedn: error: videos/b.mp4 cannot be opened as a video" in said.err
    assert "fedn: error: videos/c.mp4: no face was found" in said.err
    assert "Traceback" not in said.err
    folder = home / "found" / "a"
    assert {path.name for path in folder.iterdir()} == {"events.json", "timeline.png", "frames.csv", "prediction.json"}
    assert json.loads((folder / "events.json").read_text())["n_frames"] == 200
    assert not (home / "found" / "b").exists()
    with (folder / "frames.csv").open(newline="") as file:
        frames = list(csv.DictReader(file))
    assert [row["frame"] for row in frames] == [str(number) for number in range(1, 201)]
    assert float(frames[50]["approx_time"]) == 1.0
    assert all(0 <= float(row["confidence_macro"]) <= 1 and float(row["eye_distance"]) > 20 for row in frames)
    told = json.loads((folder / "events.json").read_text())
    assert told["quality"][0]["frames"] == 200
    assert told["quality"][0]["no face"] == 0
    assert told["streams_ignored"] == []
    assert outcomes(home / "found") == {
        "a.mp4": "analysed",
        "b.mp4": "failed",
        "c.mp4": "failed",
        "note.txt": "not looked at",
    }

    written = (folder / "events.json").stat().st_mtime_ns
    monkeypatch.setattr(module, "load", lambda *args: pytest.fail("the checkpoint was not needed"))
    assert main(["predict", "videos/a.mp4", *words[2:]]) == 0
    assert "finished before" in capsys.readouterr().out
    assert outcomes(home / "found") == {"a.mp4": "finished before"}
    assert (folder / "events.json").stat().st_mtime_ns == written


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nothing.mp4"], "There is no video nothing.mp4"),
        (["none*.mp4"], r"none*.mp4 matches no video (.avi"),
        (["."], ". holds no video"),
        (["a.mp4", "--face", "0"], "--face 0 must be largest, all, or the number"),
        (["a.mp4", "--ckpt", "none.ckpt"], "There is no checkpoint none.ckpt (--ckpt)"),
    ],
)
def test_a_mistake_ends_in_a_sentence(words, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("best.ckpt").write_text("unread")
    if "a.mp4" in words:
        Path("a.mp4").write_text("unread")
    checkpoint = [] if "--ckpt" in words else ["--ckpt", "best.ckpt"]
    assert main(["predict", *words, *checkpoint]) in (1, 2)
    said = capsys.readouterr().err
    assert message in said
    assert "Traceback" not in said


def test_what_is_no_checkpoint(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("best.ckpt").write_text("not a checkpoint")
    Path("a.mp4").write_text("unread")
    assert main(["predict", "a.mp4", "--ckpt", "best.ckpt"]) == 2
    assert "best.ckpt cannot be read as a checkpoint" in capsys.readouterr().err


def test_inputs_are_found_once_and_named_apart(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("x/a.mp4", "x/y/a.mp4", "x/b.avi", "x/out/a/annotated.mp4", "x/note.txt", "x/.hidden.mp4"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text("")
    found = find_videos(["x", "x/*.avi", "x/a.mp4"], "x/out")
    assert [str(path) for path in found] == ["x/a.mp4", "x/b.avi", "x/y/a.mp4"]
    assert [folder.name for folder in folders_of(found, "out")] == ["x_a.mp4", "b", "y_a.mp4"]
    Path("frames").mkdir()
    Path("frames/img1.jpg").write_text("")
    with pytest.raises(VideoError, match="frames holds images, no video"):
        find_videos(["frames"], "out")


def test_videos_of_one_name_never_share_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = ["anna/interview.mp4", "ben/interview.mp4", "a/b_x.mp4", "a_b/x.mp4", "a/b/x.mp4", "a/B_X.mp4"]
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(name)
    folders = folders_of([Path(name) for name in names], "out")
    assert len({str(folder).casefold() for folder in folders}) == len(names)


def test_a_later_command_leaves_the_folder_of_another_video_alone(home, films, capsys):
    for name in ("anna", "ben"):
        (home / name).mkdir()
    (home / "anna" / "interview.mp4").symlink_to(films / "fifty.mp4")
    write_movie(home / "ben" / "interview.mp4", (np.full((120, 160, 3), 90, np.uint8) for _ in range(30)))
    assert main(["predict", "videos/anna/interview.mp4", "--ckpt", "best.ckpt", "--out", "out"]) == 0
    assert folders_of([Path("videos/ben/interview.mp4")], "out") == [Path("out/interview.mp4")]
    assert folders_of([Path("videos/anna/interview.mp4")], "out") == [Path("out/interview")]
    (home.parent / "out" / "interview" / "prediction.json").unlink()
    assert folders_of([Path("videos/ben/interview.mp4")], "out") == [Path("out/interview")]


def test_every_file_of_a_folder_is_accounted_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = ["d/a.MTS", "d/b.mpg", "d/c.ts", "d/sound.wav", "d/.d.mp4", "d/p/annotated.mp4", "d/p/prediction.json"]
    for name in [*names, "d/out/x.mp4"]:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text("")
    assert [str(path) for path in find_videos(["d"], "d/out")] == ["d/a.MTS", "d/b.mpg", "d/c.ts"]
    reasons = {str(path): reason for reason, paths in overlooked(["d"], "d/out").items() for path in paths}
    assert reasons.keys() == set(names[3:])
    assert "(.wav)" in reasons["d/sound.wav"]
    assert reasons["d/.d.mp4"] == "hidden"
    assert reasons["d/p/annotated.mp4"] == "written by fedn predict"


def test_brackets_and_colons_are_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("clips [1]").mkdir()
    write_movie(Path("clips [1]/a.mp4"), (np.full((48, 64, 3), 90, np.uint8) for _ in range(5)))
    write_movie(Path("P01-anna.mp4"), (np.full((48, 64, 3), 90, np.uint8) for _ in range(5)))
    Path("P01-anna.mp4").rename("P01:anna.mp4")
    assert find_videos(["clips [1]/*.mp4"], "out") == [Path("clips [1]/a.mp4")]
    assert probe("P01:anna.mp4").n_frames == 5
    assert sum(map(len, PyAVSource("P01:anna.mp4").iterate(4))) == 5


@pytest.mark.parametrize(
    ("words", "message"),
    [(["--out", "file"], "--out file is a file"), (["--format", "csv", "--format", "json"], "--format is given twice")],
)
def test_options_that_cannot_be_meant_are_refused(words, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name in ("file", "a.mp4", "best.ckpt"):
        Path(name).write_text("")
    assert main(["predict", "a.mp4", "--ckpt", "best.ckpt", *words]) == 2
    assert message in capsys.readouterr().err
