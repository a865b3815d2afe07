""""""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from pulses import SIZE, write_video

from fedn_lightning.errors import StoreError
from fedn_lightning.events import Video
from fedn_lightning.video.store import (
    GAP,
    ArrayWriter,
    ClipStore,
    CropSpec,
    checksum,
    cut_crops,
    file_name,
    fingerprint,
    is_current,
    join_crops,
    key_frames,
    spec_record,
)

SPEC = CropSpec(crop_size=16)


def write(root, key="s1/a", frames=10, source=None):
    """A stored video of random crops; returns them."""
    crops = np.random.default_rng(0).integers(0, 256, (frames, 16, 16, 3), np.uint8)
    record = {
        "key": key,
        "source": source or {"path": "a.avi", "bytes": 1, "modified_ns": 2, "sha256_ends": "x"},
        "spec": spec_record(SPEC),
        "fps": 30.0,
        "source_fps": 60.0,
        "source_n_frames": 2 * frames,
        "source_times": None,
        "transform": [[1, 0, 0], [0, 1, 0]],
    }
    root.mkdir(exist_ok=True)
    with ArrayWriter(root, key, 16) as writer:
        writer.write(crops[:3])
        writer.write(crops[3:])
        writer.commit(record)
    return crops


def test_what_is_written_is_read(tmp_path):
    crops = write(tmp_path)
    store = ClipStore(tmp_path)
    video = store.video("s1/a")
    assert isinstance(video.frames[:2], np.memmap)
    assert np.array_equal(video.frames, crops)
    assert (video.n_frames, video.fps, video.source_fps, video.source_n_frames) == (10, 30, 60, 20)
    assert video.source_to_store([0, 20]).tolist() == [0, 10]
    assert video.store_to_source(10.0) == 20
    assert checksum(video.path) == video.record["crc32"]
    assert "s1/a" in store
    assert len(store) == 1
    assert store.missing(["s1/a", "s1/b"]) == ("s1/b",)


def test_a_pickled_video_carries_no_pixels(tmp_path):
    crops = write(tmp_path)
    video = ClipStore(tmp_path).video("s1/a")
    _ = video.frames
    packed = pickle.dumps(video)
    assert len(packed) < 2000
    assert np.array_equal(pickle.loads(packed).frames, crops)


def test_a_writer_that_does_not_commit_leaves_nothing(tmp_path):
    with ArrayWriter(tmp_path, "s1/a", 16) as writer:
        writer.write(np.zeros((2, 16, 16, 3), np.uint8))
    assert list(tmp_path.iterdir()) == []


def test_a_truncated_array_is_not_trained_on(tmp_path):
    write(tmp_path)
    array = next(tmp_path.glob("*.npy"))
    array.write_bytes(array.read_bytes()[:-1])
    with pytest.raises(StoreError, match="is truncated or of another size"):
        ClipStore(tmp_path).video("s1/a")


def test_missing_stores_and_videos_are_explained(tmp_path):
    with pytest.raises(StoreError, match=r"There is no clip store in .*nowhere"):
        ClipStore(tmp_path / "nowhere")
    with pytest.raises(StoreError, match="s1/a is not in the clip store"):
        ClipStore(tmp_path).video("s1/a")


def test_a_record_of_another_version_or_a_broken_one_is_no_video(tmp_path):
    write(tmp_path)
    path = next(tmp_path.glob("*.json"))
    record = json.loads(path.read_text())
    path.write_text(json.dumps({**record, "format": 0}))
    assert len(ClipStore(tmp_path)) == 0
    path.write_text("{")
    assert len(ClipStore(tmp_path)) == 0


def test_a_store_is_current_only_for_its_source_and_spec(tmp_path):
    source = tmp_path / "a.avi"
    source.write_bytes(b"one" * 1000)
    write(tmp_path / "store", source=fingerprint(source))
    video = ClipStore(tmp_path / "store").video("s1/a")
    assert is_current(video, SPEC, fingerprint(source))
    assert not is_current(video, CropSpec(crop_size=32), fingerprint(source))
    source.touch()
    assert is_current(video, SPEC, fingerprint(source)), "touched, not changed"
    source.write_bytes(b"two" * 1000)
    assert not is_current(video, SPEC, fingerprint(source))


def test_a_folder_is_known_by_its_files(tmp_path):
    (tmp_path / "1.jpg").write_bytes(b"12")
    before = fingerprint(tmp_path)["sha256_ends"]
    (tmp_path / "2.jpg").write_bytes(b"12")
    assert fingerprint(tmp_path)["sha256_ends"] != before


@pytest.mark.parametrize("key", ["s1/..", "s1/a b/../c", "s1/日本", "s1/" + "x" * 300, "s1/a:b*?"])
def test_names_of_users_make_safe_files(key):
    name = file_name(key)
    assert Path(name).name == name
    assert len(name) < 100
    assert name.isascii()
    assert name != file_name(key + " ")


def test_an_annotated_apex_goes_before_the_peak_of_the_confidence() -> None:
    curve = np.zeros(40)
    curve[15] = 1
    assert key_frames(10, 21, apex=12, curve=curve) == [10, 12, 20]
    assert key_frames(10, 21, curve=curve) == [10, 15, 20]
    assert key_frames(10, 21, curve=np.zeros(40)) == [10, 15, 20]
    assert key_frames(30.5, 90, curve=curve) == [30.5, 59.75, 89]  # the curve ends before the interval
    assert key_frames(4, 4.5) == [4, 4, 4]


def test_crops_are_those_of_the_nearest_stored_frames(tmp_path: Path) -> None:
    video = Video("x", "p", "v", "nowhere", 30.0)
    frames = np.repeat(np.arange(20, dtype=np.uint8), SIZE * SIZE * 3).reshape(20, SIZE, SIZE, 3)
    write_video(tmp_path, video, frames)
    crops = cut_crops(ClipStore(tmp_path).video(video.key), [3.2, 19.0, 25.0])
    assert [int(crop[0, 0, 0]) for crop in crops] == [3, 19, 19]


def test_crops_are_laid_side_by_side() -> None:
    black = np.zeros((8, 8, 3), np.uint8)
    strip = join_crops([black, black], side=16)
    assert strip.shape == (16, 2 * 16 + GAP, 3)
    assert (strip[:, 16 : 16 + GAP] == 255).all()
    assert (strip[:, :16] == 0).all()
