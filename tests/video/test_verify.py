import pytest

from fedn_lightning.events import Video
from fedn_lightning.video import verify as module
from fedn_lightning.video.pyav import PyAVSource
from fedn_lightning.video.readers import DecordSource
from fedn_lightning.video.verify import verify, verify_video
from lookalikes.movies import numbered, read_number, write_frames, write_movie

N = 120
GOP = {"g": "30", "bf": "3", "b_strategy": "0"}
RIGHT = {"h264.mp4": ("libx264", GOP), "mjpeg.avi": ("mjpeg", {})}
WRONG = {
    "open-gop.mp4": ("libx264", {**GOP, "x264-params": "open-gop=1:keyint=30:bframes=3:log-level=-1"}),
    "hevc.mp4": ("libx265", {"x265-params": "keyint=30:bframes=3:open-gop=1:log-level=none"}),
    "h264.avi": ("libx264", {"g": "30", "bf": "0"}),
    "mpeg4-b.avi": ("mpeg4", {"g": "30", "bf": "2"}),
}


def video(path):
    return Video("toy", "s1", path.name, str(path), 30.0)


@pytest.fixture(scope="module")
def movies(tmp_path_factory):
    root = tmp_path_factory.mktemp("verify")
    for name, (codec, options) in {**RIGHT, **WRONG}.items():
        write_movie(root / name, map(numbered, range(N)), codec=codec, options=options)
    return root


@pytest.mark.parametrize("name", RIGHT)
def test_decord_may_jump_where_it_is_right(movies, name):
    result = verify_video(video(movies / name), lambda frames: None)
    assert (result.reader, result.n_frames) == ("decord", N)


@pytest.mark.parametrize("name", WRONG)
def test_files_that_decord_gets_wrong_go_to_pyav(movies, name):
    # First the fault itself: if it has gone, so may this module.
    decord = DecordSource(str(movies / name))
    wrong = [start for start in range(N) if read_number(decord.frames(start, start + 1)[0]) != start]
    assert wrong
    result = verify_video(video(movies / name), lambda frames: None)
    assert result.reader == "pyav"
    assert "other frames when it jumps" in result.why
    frames = PyAVSource(str(movies / name)).frames(wrong[0], wrong[0] + 1)
    assert read_number(frames[0]) == wrong[0]


def test_results_are_remembered_until_the_file_changes(movies, tmp_path):
    path = tmp_path / "a.avi"
    path.write_bytes((movies / "mjpeg.avi").read_bytes())
    looked = []

    def check():
        looked.clear()
        return verify([video(path)], tmp_path / "cache.json", jobs=0, tick=lambda index, frames: looked.append(frames))

    first = check()
    assert looked
    assert check() == first
    assert not looked
    path.write_bytes((movies / "h264.avi").read_bytes())
    assert check()["s1/a.avi"].reader == "pyav"


def test_files_that_cannot_be_decoded_are_distinguished(movies, tmp_path):
    (tmp_path / "text.avi").write_text("not a video")
    data = (movies / "mjpeg.avi").read_bytes()
    (tmp_path / "cut.avi").write_bytes(data[: len(data) // 2])
    results = verify([video(tmp_path / name) for name in ("text.avi", "cut.avi", "none.avi")], jobs=1)
    assert {result.reader for result in results.values()} == {"none"}
    assert "text.avi cannot be opened" in results["s1/text.avi"].why


def hang(item, tick):
    import time

    time.sleep(60)


def test_a_file_that_hangs_the_decoder_is_given_up(movies, monkeypatch, tmp_path):
    monkeypatch.setattr(module, "verify_video", hang)
    result = verify([video(movies / "h264.mp4")], tmp_path / "cache.json", jobs=1, stall_seconds=1.0)["s1/h264.mp4"]
    assert result.reader == "none"
    assert "made no progress for 1 s" in result.why
    monkeypatch.undo()
    again = verify([video(movies / "h264.mp4")], tmp_path / "cache.json", jobs=0)["s1/h264.mp4"]
    assert again.reader == "decord", "a timeout is not remembered"


def test_folders_are_decoded_whole(tmp_path):
    write_frames(tmp_path / "a", map(numbered, range(6)))
    (tmp_path / "a" / "img003.jpg").unlink()
    result = verify_video(video(tmp_path / "a"), lambda frames: None)
    assert (result.reader, result.n_frames, result.missing) == ("folder", 6, 1)
    (tmp_path / "a" / "img004.jpg").write_bytes(b"")
    result = verify([video(tmp_path / "a")], jobs=0)["s1/a"]
    assert (result.reader, result.missing) == ("folder", 2)
    assert "img004.jpg is empty" in result.why


def test_a_file_whose_colours_decord_shows_differently_goes_to_pyav(movies, monkeypatch):
    frames = module.PyAVSource.frames
    monkeypatch.setattr(module.PyAVSource, "frames", lambda *args: frames(*args) // 2)
    result = verify_video(video(movies / "h264.mp4"), lambda frames: None)
    assert result.reader == "pyav"
    assert "it shows other colours than PyAV" in result.why
