import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from fedn_lightning.cli.main import main
from fedn_lightning.errors import ConfigError, StoreError
from fedn_lightning.events import Corpus, Video
from fedn_lightning.motion.features import MotionCache
from fedn_lightning.motion.flow import MotionConfig
from fedn_lightning.video import prepare as module
from fedn_lightning.video.alignment import canonical_eyes
from fedn_lightning.video.media import probe
from fedn_lightning.video.prepare import prepare
from fedn_lightning.video.store import ArrayWriter, ClipStore
from fedn_synth.face.motion import FaceTracks
from lookalikes.faces import eyes_of
from lookalikes.movies import numbered, read_number, write_frames, write_movie

SIDE = 112


def corpus(*paths, fps=None):
    """A corpus of the given files."""
    videos = []
    for path in paths:
        header = probe(path)
        videos.append(Video("toy", "s1", path.stem, str(path), header.fps or fps, header.first_frame, header.n_frames))
    return Corpus("toy", tuple(videos), ())


def movie(path, frames=20, **options):
    """A numbered video with square pictures, so that a whole picture is its own crop."""
    write_movie(path, (numbered(i, SIDE, SIDE) for i in range(frames)), **options)
    return path


def stored_numbers(store, key):
    return [read_number(image) for image in ClipStore(store).video(key).frames]


def whole(*args, **kwargs):
    """Prepares whole pictures in this process."""
    return prepare(*args, **{"align": "none", "crop_size": SIDE, "jobs": 0, **kwargs})


def test_every_frame_is_stored_once_in_order(tmp_path):
    report = whole(corpus(movie(tmp_path / "a.mp4"), movie(tmp_path / "b.avi", codec="mjpeg")), tmp_path / "store")
    assert sorted(report.prepared) == ["s1/a", "s1/b"]
    assert (report.failed, report.frames) == ({}, 40)
    for key in ("s1/a", "s1/b"):
        assert stored_numbers(tmp_path / "store", key) == list(range(20))


def test_a_fast_source_is_resampled_by_time(tmp_path):
    whole(corpus(movie(tmp_path / "a.mp4", 100, fps=200.0)), tmp_path / "store")
    video = ClipStore(tmp_path / "store").video("s1/a")
    assert (video.fps, video.source_fps, video.n_frames, video.source_n_frames) == (30, 200, 15, 100)
    numbers = np.array(stored_numbers(tmp_path / "store", "s1/a"))
    assert (np.abs(numbers + 0.5 - video.store_to_source(np.arange(15) + 0.5)) <= 0.5).all()


def test_an_uneven_source_is_resampled_by_its_timestamps(tmp_path):
    times = [33 * i + (400 if i >= 5 else 0) for i in range(10)]
    write_movie(tmp_path / "a.mp4", (numbered(i, SIDE, SIDE) for i in range(10)), times=times)
    whole(corpus(tmp_path / "a.mp4"), tmp_path / "store")
    numbers = stored_numbers(tmp_path / "store", "s1/a")
    assert numbers.count(4) == pytest.approx(13, abs=1), "shown for 433 ms"
    assert sorted(set(numbers)) == list(range(10))
    video = ClipStore(tmp_path / "store").video("s1/a")
    assert video.store_to_source(video.source_to_store(7.5)) == pytest.approx(7.5)


@pytest.mark.parametrize("frames", ["store", "video"])
def test_an_unreadable_image_is_reported_and_the_frame_before_is_shown(tmp_path, capsys, frames):
    write_frames(tmp_path / "a", (numbered(i, SIDE, SIDE) for i in range(6)), first=0)
    (tmp_path / "a" / "img003.jpg").write_bytes(b"no image")
    toy = corpus(tmp_path / "a", fps=30.0)
    for _ in range(2):  # also where nothing is left to do
        report = whole(toy, tmp_path / "store", frames=frames, gaps="split", progress=True)
        assert report.failed == {}
        assert report.unreadable["s1/a"] == [f"{tmp_path / 'a' / 'img003.jpg'} is not a readable image"]
        assert "img003.jpg is not a readable image. The frame before is shown instead." in capsys.readouterr().err
    stored = ClipStore(tmp_path / "store").video("s1/a")
    assert [read_number(image) for image in stored.frames[0:6]] == [0, 1, 2, 2, 4, 5]
    assert stored.parts == [(0, 3), (4, 6)]


def test_a_folder_with_gaps_keeps_its_frame_numbers(tmp_path):
    write_frames(tmp_path / "a", (numbered(i, SIDE, SIDE) for i in range(12)), first=5)
    (tmp_path / "a" / "img009.jpg").unlink()
    toy = corpus(tmp_path / "a", fps=30.0)
    whole(toy, tmp_path / "store")
    assert stored_numbers(tmp_path / "store", "s1/a") == [0, 1, 2, 3, 3, 5, 6, 7, 8, 9, 10, 11]
    report = whole(toy, tmp_path / "other", gaps="error")
    assert "no image for frame 4" in report.failed["s1/a"]


def test_what_is_current_is_not_done_again(tmp_path):
    toy = corpus(movie(tmp_path / "a.mp4"), movie(tmp_path / "b.mp4"))
    whole(toy, tmp_path / "store")
    arrays = {path: path.stat().st_mtime_ns for path in (tmp_path / "store").glob("*.npy")}
    next((tmp_path / "store").glob("s1_a*.npy")).write_bytes(b"cut")
    report = whole(toy, tmp_path / "store")
    assert (report.prepared, report.reused) == (["s1/a"], ["s1/b"])
    b = next(path for path in arrays if path.name.startswith("s1_b"))
    assert b.stat().st_mtime_ns == arrays[b]
    movie(tmp_path / "b.mp4", 12)
    assert whole(toy, tmp_path / "store").prepared == ["s1/b"], "the source has changed"
    assert whole(toy, tmp_path / "store", crop_size=SIDE // 2).prepared == ["s1/a", "s1/b"]


def test_a_broken_video_is_set_aside_and_the_others_finish(tmp_path):
    toy = corpus(movie(tmp_path / "a.avi", codec="mjpeg"), movie(tmp_path / "b.mp4"))
    data = (tmp_path / "a.avi").read_bytes()
    (tmp_path / "a.avi").write_bytes(data[: len(data) // 2])
    report = prepare(toy, tmp_path / "store", align="none", crop_size=SIDE, jobs=2)
    assert report.prepared == ["s1/b"]
    assert "a.avi" in report.failed["s1/a"]
    assert ClipStore(tmp_path / "store").missing(["s1/a", "s1/b"]) == ("s1/a",)
    assert not list((tmp_path / "store").glob("*.part"))


@pytest.mark.slow  # a cluster
def test_ray_writes_the_same_store_and_is_resumed(tmp_path, ray_address):
    toy = Corpus("csv", corpus(*(movie(tmp_path / "videos" / "s1" / f"{n}.mp4") for n in "abc")).videos, ())
    (tmp_path / "videos" / "s1" / "broken.mp4").write_bytes((tmp_path / "videos" / "s1" / "a.mp4").read_bytes()[:900])
    (tmp_path / "annotations.csv").write_text("subject,video,onset,offset\n")
    whole(toy, tmp_path / "here")
    MotionCache(tmp_path / "here" / "motion", MotionConfig()).build(list(ClipStore(tmp_path / "here")), jobs=0)
    words = ["data", "prepare", tmp_path, "--dataset", "csv", "--store", tmp_path / "store", "--align", "none"]
    words += ["--size", SIDE, "--motion", "--launcher", "ray", "--address", ray_address]
    assert main([*map(str, words)]) == 1, "one video is broken"
    assert contents(tmp_path / "store") == contents(tmp_path / "here")
    first = {path: path.stat().st_mtime_ns for path in (tmp_path / "store").glob("*.npy")}
    gone = next((tmp_path / "store").glob("s1_a*.npy"))
    gone.unlink()
    main([*map(str, words)])
    assert contents(tmp_path / "store") == contents(tmp_path / "here")
    assert all(path.stat().st_mtime_ns == when for path, when in first.items() if path != gone)


def contents(store):
    return {path.name: path.read_bytes() for path in store.rglob("*") if path.suffix in (".npy", ".json")}


def test_a_source_that_broke_does_not_leave_its_old_crops(tmp_path):
    toy = corpus(movie(tmp_path / "a.mp4"))
    whole(toy, tmp_path / "store")
    (tmp_path / "a.mp4").write_bytes(b"broken")
    assert "s1/a" in whole(toy, tmp_path / "store").failed
    assert len(ClipStore(tmp_path / "store")) == 0


def test_a_killed_run_leaves_nothing_half_and_is_resumed(tmp_path):
    store = tmp_path / "store"
    toy = Corpus("csv", corpus(*(movie(tmp_path / "videos" / "s1" / f"{n}.mp4", 400) for n in "abc")).videos, ())
    (tmp_path / "annotations.csv").write_text("subject,video,onset,offset\n")
    words = ["data", "prepare", tmp_path, "--dataset", "csv", "--store", store, "--align", "none", "--size", SIDE]
    command = [sys.executable, "-m", "fedn_lightning", *map(str, words), "--jobs", "1"]
    with subprocess.Popen(command, start_new_session=True) as run:
        while not list(store.glob("*.json")):
            assert run.poll() is None
            time.sleep(0.01)
        os.killpg(run.pid, signal.SIGKILL)  # its workers too: one that lives on would still write into the store
    done = {video.key for video in ClipStore(store)}
    assert 1 <= len(done) < 3
    for part in store.glob("*.part"):
        os.utime(part, (0, 0))
    report = whole(toy, store)
    assert set(report.reused) >= done
    assert sorted(report.prepared + report.reused) == ["s1/a", "s1/b", "s1/c"]
    assert not list(store.glob("*.part"))
    assert stored_numbers(store, "s1/a") == list(range(400))


def test_a_disk_without_room_is_reported_before_the_start(tmp_path, monkeypatch):
    monkeypatch.setattr(module.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 1000}))
    with pytest.raises(StoreError, match=r"needs .* GB more, and the disk has 0\.0 GB free"):
        whole(corpus(movie(tmp_path / "a.mp4")), tmp_path / "store")


def test_a_disk_that_fills_up_is_a_clear_failure(tmp_path, monkeypatch):
    def full(self, crops):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(ArrayWriter, "write", full)
    report = whole(corpus(movie(tmp_path / "a.mp4")), tmp_path / "store")
    assert "the disk is full, so s1/a could not be stored" in report.failed["s1/a"]
    assert [path.name for path in (tmp_path / "store").iterdir()] == ["prepare.lock"]


def test_wrong_options_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="align is 'face'"):
        prepare(Corpus("toy", (), ()), tmp_path, align="face")
    with pytest.raises(ConfigError, match="crop_size must be at least 16"):
        prepare(Corpus("toy", (), ()), tmp_path, crop_size=2)


def test_the_eyes_are_put_in_their_places(face, tmp_path):
    tracks = FaceTracks.neutral(12)
    tracks.pose[:, 0] = np.linspace(-8, 8, 12)
    write_movie(tmp_path / "a.mp4", (face.render(tracks, i, 0) for i in range(12)))
    report = prepare(corpus(tmp_path / "a.mp4"), tmp_path / "store", crop_size=64, jobs=0)
    assert report.prepared == ["s1/a"]
    video = ClipStore(tmp_path / "store").video("s1/a")
    eyes = np.mean([eyes_of(face.landmarks(tracks, i)) for i in range(12)], axis=0)
    placed = eyes @ video.transform[:, :2].T + video.transform[:, 2]
    assert np.abs(placed - canonical_eyes(64)).max() < 2


def test_the_head_is_followed_if_asked_for(face, tmp_path):
    tracks = FaceTracks.neutral(40)
    tracks.pose[:, 0] = 8 * np.sin(np.arange(40) / 12)
    write_movie(tmp_path / "a.mp4", (face.render(tracks, i, 0) for i in range(40)), options={"crf": "16"})
    moved = {}
    for align in ("video", "track"):
        toy = corpus(tmp_path / "a.mp4")
        assert prepare(toy, tmp_path / align, crop_size=64, jobs=0, align=align).failed == {}
        frames = ClipStore(tmp_path / align).video("s1/a").frames[:].astype(float)
        moved[align] = np.abs(np.diff(frames, axis=0)).mean()
    assert moved["track"] < 0.6 * moved["video"]
    assert ClipStore(tmp_path / "track").video("s1/a").record["frames_lost"] == 0


def test_a_video_without_a_face_cannot_be_followed(tmp_path):
    report = prepare(corpus(movie(tmp_path / "a.mp4")), tmp_path / "store", crop_size=64, jobs=0, align="track")
    assert "no face was found in the frames looked at" in report.failed["s1/a"]


def test_a_box_stands_in_where_no_face_is_found(tmp_path):
    toy = corpus(movie(tmp_path / "a.mp4"))
    report = prepare(toy, tmp_path / "store", crop_size=64, jobs=0)
    assert "no face was found in the frames looked at (0, " in report.failed["s1/a"]
    for expected in ("prepared", "reused"):
        report = prepare(toy, tmp_path / "store", crop_size=64, jobs=0, boxes={"s1/a": (10, 10, 80, 80)})
        assert getattr(report, expected) == ["s1/a"]
    report = prepare(toy, tmp_path / "store", crop_size=64, jobs=0, boxes={"s1/a": (10, 10, 80, 81)})
    assert report.prepared == ["s1/a"], "another box is another crop"


def test_processes_that_start_at_once_share_the_work(tmp_path):
    toy = corpus(*(movie(tmp_path / f"{name}.mp4", 200) for name in "ab"))
    with ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(whole, toy, tmp_path / "store", jobs=1) for _ in range(2)]
    reports = [run.result() for run in runs]
    assert sorted(key for report in reports for key in report.prepared) == ["s1/a", "s1/b"]
    assert sorted(len(report.reused) for report in reports) == [0, 2]


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only for root")
def test_a_full_store_may_be_read_only(tmp_path):
    toy = corpus(movie(tmp_path / "a.mp4"))
    whole(toy, tmp_path / "store")
    (tmp_path / "store").chmod(0o500)
    try:
        assert whole(toy, tmp_path / "store").reused == ["s1/a"]
    finally:
        (tmp_path / "store").chmod(0o700)
