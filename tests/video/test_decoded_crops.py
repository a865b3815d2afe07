"""Crops decoded on the fly against the crops of the store, pixel by pixel."""

import pickle

import numpy as np
import pytest
from torch.utils.data import DataLoader, Dataset

from fedn_lightning.cli.main import main
from fedn_lightning.errors import ConfigError, StoreError
from fedn_lightning.events import Corpus, Video
from fedn_lightning.video import prepare as prepare_module
from fedn_lightning.video import readers
from fedn_lightning.video.media import probe
from fedn_lightning.video.prepare import prepare
from fedn_lightning.video.pyav import PyAVSource
from fedn_lightning.video.readers import DecordSource, FolderSource, stretches
from fedn_lightning.video.store import ClipStore
from fedn_lightning.video.verify import Verification
from fedn_synth.face.motion import FaceTracks
from lookalikes.movies import numbered, read_number, write_frames, write_movie

N, SIDE = 100, 112
GOP = {"g": "30", "bf": "3", "b_strategy": "0"}
FILES = {
    "mjpeg.avi": ({"codec": "mjpeg"}, DecordSource),
    "h264.mp4": ({"options": GOP}, DecordSource),
    "200fps.mp4": ({"options": GOP, "fps": 200.0}, DecordSource),
    "open-gop.mp4": ({"options": {**GOP, "x264-params": "open-gop=1:keyint=30:bframes=3:log-level=-1"}}, PyAVSource),
    "mpeg4-b.avi": ({"codec": "mpeg4", "options": {"g": "30", "bf": "2"}}, PyAVSource),
    "uneven.mp4": ({"times": [33 * i + 40 * (i // 10) for i in range(N)]}, None),
}


def corpus(*paths):
    videos = []
    for path in paths:
        header = probe(path)
        first, count = header.first_frame, header.n_frames
        videos.append(Video("toy", "s1", path.name, str(path), header.fps or 30.0, first, count))
    return Corpus("toy", tuple(videos), ())


def whole(videos, store, frames, **options):
    """Whole pictures as crops, in this process."""
    report = prepare(videos, store, crop_size=SIDE, jobs=0, align="none", frames=frames, **options)
    assert report.failed == {}
    return report


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    """The folder of the movies, with a store of crops and one of videos."""
    root = tmp_path_factory.mktemp("decoded")
    for name, (options, _) in FILES.items():
        write_movie(root / name, (numbered(i, SIDE, SIDE) for i in range(N)), **options)
    write_frames(root / "folder", (numbered(i, SIDE, SIDE) for i in range(20)), first=3)
    (root / "folder" / "img009.jpg").unlink()
    videos = corpus(*(root / name for name in [*FILES, "folder"]))
    for frames in ("store", "video"):
        whole(videos, root / f"store-{frames}", frames)
    return root


def both(stores, name):
    return [ClipStore(stores / f"store-{frames}").video(f"s1/{name}") for frames in ("store", "video")]


@pytest.mark.parametrize("name", [*FILES, "folder"])
def test_every_window_equals_the_stores(stores, name):
    stored, linked = both(stores, name)
    assert (linked.n_frames, linked.fps) == (stored.n_frames, stored.fps)
    rng = np.random.default_rng(1)
    windows = [rng.integers(0, stored.n_frames, 12), np.arange(stored.n_frames)]
    windows += [np.clip(np.arange(16) + start, 0, stored.n_frames - 1) for start in rng.integers(0, stored.n_frames, 8)]
    for window in windows:
        assert np.array_equal(linked.frames[window], stored.frames[window])
    assert np.array_equal(linked.frames[5:9], stored.frames[5:9])
    assert linked.frames[np.array([], np.int64)].shape == (0, SIDE, SIDE, 3)
    assert len(linked.frames) == stored.n_frames
    if linked.fps == linked.source_fps and name != "folder":
        assert [read_number(image) for image in linked.frames[40:50]] == list(range(40, 50))


def test_each_file_goes_to_the_reader_that_is_right_for_it(stores):
    for name, (_, kind) in FILES.items():
        assert kind is None or isinstance(both(stores, name)[1].frames.source, kind), name
    assert isinstance(both(stores, "folder")[1].frames.source, FolderSource)
    sizes = [sum(f.stat().st_size for f in (stores / f"store-{x}").iterdir()) for x in ("store", "video")]
    assert sizes[1] < sizes[0] / 100, "no crops are written"


def test_the_user_sees_which_reader_is_used(stores, tmp_path, capsys):
    videos = corpus(*(stores / name for name in ("h264.mp4", "open-gop.mp4", "folder")))
    for _ in range(2):  # also when nothing is left to do
        report = whole(videos, tmp_path, "video", progress=True)
        said = capsys.readouterr().err
        assert "windows are decoded from the videos: 1 by decord, 1 by folder, 1 by pyav\n" in said
        assert "s1/open-gop.mp4 by pyav: decord cannot be trusted with" in said
        assert "other frames when it jumps" in said
    assert report.readers["s1/h264.mp4"][0] == "decord"
    assert len(report.reused) == 3


def test_a_crop_that_follows_the_head_is_the_stores(face, tmp_path):
    tracks = FaceTracks.neutral(40)
    tracks.pose[:, 0] = 8 * np.sin(np.arange(40) / 12)
    write_movie(tmp_path / "a.mp4", (face.render(tracks, i, 0) for i in range(40)))
    clips = []
    for frames in ("store", "video"):
        report = prepare(
            corpus(tmp_path / "a.mp4"), tmp_path / frames, crop_size=64, jobs=0, align="track", frames=frames
        )
        assert report.failed == {}
        clips.append(ClipStore(tmp_path / frames).video("s1/a.mp4"))
    window = np.arange(40)[::3]
    assert len(clips[1].frames.transforms) == 40
    assert np.array_equal(*(clip.frames[window] for clip in clips))


class Windows(Dataset):
    def __init__(self, clip, starts):
        self.clip, self.starts = clip, starts

    def __len__(self):
        return len(self.starts)

    def __getitem__(self, item):
        return self.clip[np.arange(8) + self.starts[item]]


@pytest.mark.parametrize("name", ["h264.mp4", "open-gop.mp4"])
def test_workers_decode_although_the_parent_has_read_before(stores, name):
    stored, linked = both(stores, name)
    starts = [60, 3, 41, 90]
    assert np.array_equal(linked.frames[:2], stored.frames[:2]), "the parent's reader is open now"
    batches = DataLoader(Windows(linked.frames, starts), batch_size=2, num_workers=2, timeout=60)
    got = np.concatenate([batch.numpy() for batch in batches])
    assert np.array_equal(got, np.stack([stored.frames[s : s + 8] for s in starts]))
    assert np.array_equal(linked.frames[50:52], stored.frames[50:52]), "and the parent reads on"
    assert len(pickle.dumps(linked.frames)) < 20_000


def test_only_a_few_videos_stay_open(tmp_path, monkeypatch):
    monkeypatch.setattr(readers, "MAX_OPEN", 2)
    paths = [tmp_path / f"{i}.mp4" for i in range(3)]
    for path in paths:
        write_movie(path, (numbered(i, SIDE, SIDE) for i in range(20)))
    whole(corpus(*paths), tmp_path / "store", "video")
    clips = [clip.frames for clip in ClipStore(tmp_path / "store")]
    for clip in (clips[0], clips[1], clips[0], clips[2]):
        assert clip[3:5].shape == (2, SIDE, SIDE, 3)
    assert [clip.source._reader is None for clip in clips] == [False, True, False]


def test_a_moved_video_is_found_again_and_a_lost_one_is_named(tmp_path):
    write_movie(tmp_path / "a.mp4", (numbered(i, SIDE, SIDE) for i in range(20)))
    whole(corpus(tmp_path / "a.mp4"), tmp_path / "store", "video")
    (tmp_path / "new").mkdir()
    (tmp_path / "a.mp4").rename(tmp_path / "new" / "a.mp4")
    with pytest.raises(StoreError, match=r"a\.mp4 of s1/a\.mp4, which its windows are decoded from, is missing"):
        ClipStore(tmp_path / "store").video("s1/a.mp4")
    assert whole(corpus(tmp_path / "new" / "a.mp4"), tmp_path / "store", "video").prepared == ["s1/a.mp4"]
    clip = ClipStore(tmp_path / "store").video("s1/a.mp4")
    assert [read_number(image) for image in clip.frames[7:9]] == [7, 8]
    assert whole(corpus(tmp_path / "new" / "a.mp4"), tmp_path / "store", "store").prepared == ["s1/a.mp4"]


def test_what_cannot_be_read_is_set_aside(tmp_path):
    write_movie(tmp_path / "a.mp4", (numbered(i, SIDE, SIDE) for i in range(20)))
    videos = corpus(tmp_path / "a.mp4")
    (tmp_path / "a.mp4").write_bytes(b"broken")
    report = prepare(videos, tmp_path / "store", crop_size=SIDE, jobs=0, align="none", frames="video")
    assert "a.mp4 cannot be opened" in report.failed["s1/a.mp4"]
    assert (report.prepared, report.reused, report.readers) == ([], [], {})
    with pytest.raises(ConfigError, match="frames is 'disk'; it must be one of store, video"):
        prepare(videos, tmp_path / "store", frames="disk")


def test_a_file_that_hangs_decord_is_named_and_the_store_suggested(tmp_path, monkeypatch):
    write_movie(tmp_path / "a.mp4", (numbered(i, SIDE, SIDE) for i in range(20)))
    videos = corpus(tmp_path / "a.mp4")
    stopped = Verification(str(tmp_path / "a.mp4"), "none", "the decoder made no progress for 120 s and was stopped")
    monkeypatch.setattr(prepare_module, "verify", lambda *args: {"s1/a.mp4": stopped})
    report = prepare(videos, tmp_path / "store", crop_size=SIDE, jobs=0, align="none", frames="video")
    assert report.failed["s1/a.mp4"].startswith(f"{tmp_path}/a.mp4: the decoder made no progress for 120 s")
    assert report.failed["s1/a.mp4"].endswith("frames: store does without it.")
    assert whole(videos, tmp_path / "store", "store").prepared == ["s1/a.mp4"]


def test_stretches_hold_every_number_and_are_short_enough():
    rng = np.random.default_rng(0)
    for _ in range(50):
        numbers = np.unique(rng.integers(0, 300, 40))
        found = list(stretches(numbers, 16))
        assert all(0 < stop - first <= 16 for first, stop in found)
        held = [n for first, stop in found for n in range(first, stop) if n in numbers]
        assert held == numbers.tolist()


def test_the_command_writes_no_crops_if_asked(tmp_path, capsys):
    write_movie(tmp_path / "videos" / "anna" / "a.mp4", (numbered(i, SIDE, SIDE) for i in range(20)))
    (tmp_path / "annotations.csv").write_text("subject,video,onset,offset\n")
    words = ["--dataset", "csv", "--store", str(tmp_path / "store"), "--align", "none", "--size", str(SIDE)]
    options = ["--frames", "video", "--gaps", "split", "--jobs", "0"]
    assert main(["data", "prepare", str(tmp_path), *words, *options]) == 0
    said = capsys.readouterr()
    assert "1 videos prepared" in said.out
    assert "windows are decoded from the videos: 1 by decord" in said.err
    clip = ClipStore(tmp_path / "store").video("anna/a")
    assert clip.parts == [(0, 20)]
    assert [read_number(image) for image in clip.frames[3:6]] == [3, 4, 5]
