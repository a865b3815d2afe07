"""Many videos at once: the same bytes as one at a time, one table, and a bad video that costs itself alone."""

from __future__ import annotations

import csv
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fedn_lightning.cli.main import main
from fedn_lightning.errors import VideoError
from fedn_lightning.inference.batch import read_manifest
from fedn_lightning.review.files import read_videos


@pytest.fixture(scope="module")
def recordings(films, tmp_path_factory) -> Path:
    """Three videos, one of them broken."""
    folder = tmp_path_factory.mktemp("recordings")
    for name in ("thirty.mp4", "fifty.mp4"):
        shutil.copy(films / name, folder)
    (folder / "broken.mp4").write_bytes((films / "thirty.mp4").read_bytes()[:2000])
    return folder


def predict(trained, recordings, out, *words: str) -> int:
    return main(["predict", str(recordings), "--ckpt", str(trained.path), "--out", str(out), *words])


def contents(out: Path) -> dict[str, bytes]:
    """All files; the folder's own name stands in tables of several videos."""
    files = [path for path in sorted(out.rglob("*")) if path.is_file()]
    return {str(path.relative_to(out)): path.read_bytes().replace(bytes(out), b"OUT") for path in files}


@pytest.fixture(scope="module")
def one_at_a_time(trained, recordings, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("out")
    assert predict(trained, recordings, out) == 1
    return out


def test_one_table_holds_all_videos(one_at_a_time):
    with (one_at_a_time / "videos.csv").open() as file:
        videos = {row["folder"]: row for row in csv.DictReader(file)}
    assert sorted(videos) == ["broken", "fifty", "thirty"]
    assert "broken.mp4" in videos["broken"]["error"]
    assert videos["thirty"]["n_frames"] == "150"
    with (one_at_a_time / "events.csv").open() as file:
        events = list(csv.DictReader(file))
    alone = [
        row for name in ("fifty", "thirty") for row in csv.DictReader((one_at_a_time / name / "events.csv").open())
    ]
    assert [{key: row[key] for key in alone[0]} for row in events] == alone
    counts = [sum(row["folder"] == name and row["type"] == "micro" for row in events) for name in ("fifty", "thirty")]
    assert counts == [int(videos[name]["micro"]) for name in ("fifty", "thirty")]
    assert sum(counts) > 0


def test_the_process_that_hands_out_videos_loads_no_torch():
    code = "import sys, fedn_lightning.inference.batch; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"


def test_what_was_written_can_be_reviewed(one_at_a_time, recordings):
    videos = {video.name: video for video in read_videos(one_at_a_time)}
    with (one_at_a_time / "events.csv").open() as file:
        events = list(csv.DictReader(file))
    assert sorted(videos) == ["fifty", "thirty"]
    for name, video in videos.items():
        assert video.path == (recordings / f"{name}.mp4").resolve()
        assert video.n_frames == {"fifty": 200, "thirty": 150}[name]
        assert len(video.boxes[1]) == 4
        written = [(int(row["onset"]), row["type"]) for row in events if row["folder"] == name]
        assert [(event.onset, event.type) for event in video.events] == written


@pytest.mark.slow  # four processes that import torch
def test_two_at_a_time_write_the_same_bytes(trained, recordings, one_at_a_time, tmp_path, capsys):
    assert predict(trained, recordings, tmp_path / "out", "--jobs", "2") == 1
    assert contents(tmp_path / "out") == contents(one_at_a_time)
    said = capsys.readouterr()
    assert "2 of 3 videos done, 0 finished before, 1 failed" in said.err
    assert "thirty.mp4" in said.out
    assert predict(trained, recordings, tmp_path / "out", "--jobs", "2") == 1
    assert "0 of 3 videos done, 2 finished before, 1 failed" in capsys.readouterr().err
    again, first = contents(tmp_path / "out"), contents(one_at_a_time)
    assert b"finished before" in again.pop("inputs.csv")
    assert again == {name: content for name, content in first.items() if name != "inputs.csv"}


@pytest.mark.slow  # a cluster
def test_ray_writes_the_same_bytes(trained, recordings, one_at_a_time, tmp_path, ray_address):
    assert predict(trained, recordings, tmp_path / "out", "--launcher", "ray", "--address", ray_address) == 1
    assert contents(tmp_path / "out") == contents(one_at_a_time)


def test_a_manifest_names_videos_a_line_or_in_a_table(tmp_path):
    (tmp_path / "list.txt").write_text("# recordings\na, b.mp4\n\nc.mp4\na, b.mp4\n")
    assert read_manifest(tmp_path / "list.txt") == [tmp_path / "a, b.mp4", tmp_path / "c.mp4"]
    (tmp_path / "table.csv").write_text('person;Video\nanna;"x.mp4"\nben;/y/z.mp4\n')
    assert read_manifest(tmp_path / "table.csv") == [tmp_path / "x.mp4", Path("/y/z.mp4")]
    (tmp_path / "empty.txt").write_text("# nothing\n")
    for name in ("empty.txt", "none.txt"):
        with pytest.raises(VideoError, match=name):
            read_manifest(tmp_path / name)


def test_a_missing_video_of_a_manifest_costs_itself_alone(trained, recordings, tmp_path, capsys):
    (tmp_path / "list.txt").write_text(f"{recordings / 'thirty.mp4'}\nnone.mp4\n")
    words = [
        "predict",
        "--manifest",
        str(tmp_path / "list.txt"),
        "--ckpt",
        str(trained.path),
        "--out",
        str(tmp_path / "o"),
    ]
    assert main(words) == 1
    assert (tmp_path / "o" / "thirty" / "events.csv").is_file()
    assert "none.mp4" in capsys.readouterr().err


def test_options_that_cannot_be_are_sentences(trained, recordings, capsys):
    assert main(["predict", "--ckpt", str(trained.path)]) == 2
    assert predict(trained, recordings, "unused", "--jobs", "0") == 2
    said = capsys.readouterr().err
    assert "--manifest" in said
    assert "--jobs is 0" in said
