import gc
import pickle

import av
import numpy as np
import pytest

from fedn_lightning.errors import ConfigError, VideoError
from fedn_lightning.video.containers import decoded, opened
from fedn_lightning.video.pyav import PyAVSource, scan, scan_fast
from fedn_lightning.video.readers import FolderSource, open_video
from lookalikes.movies import numbered, read_number, write_frames, write_movie

N = 150
B_FRAMES = {"g": "30", "bf": "3", "b_strategy": "0"}
FILES = {
    "h264.mp4": ("libx264", {"g": "30", "bf": "0"}),
    "h264-b.mp4": ("libx264", B_FRAMES),
    "open-gop.mp4": ("libx264", {**B_FRAMES, "x264-params": "open-gop=1:keyint=30:bframes=3:log-level=-1"}),
    "open-gop.mkv": ("libx264", {**B_FRAMES, "x264-params": "open-gop=1:keyint=30:bframes=3:log-level=-1"}),
    "hevc.mp4": ("libx265", {"x265-params": "keyint=30:bframes=3:open-gop=1:log-level=none"}),
    "h264-b.avi": ("libx264", B_FRAMES),
    "h264.avi": ("libx264", {"g": "30", "bf": "0"}),
    "mjpeg.avi": ("mjpeg", {}),
    "mpeg4-b.avi": ("mpeg4", {"g": "30", "bf": "2"}),
}


def numbers(images):
    return [read_number(image) for image in images]


@pytest.fixture(scope="module")
def movies(tmp_path_factory):
    root = tmp_path_factory.mktemp("movies")
    for name, (codec, options) in FILES.items():
        write_movie(root / name, map(numbered, range(N)), codec=codec, options=options)
    write_movie(root / "200fps.mp4", map(numbered, range(N)), fps=200.0)
    write_movie(root / "variable.mp4", map(numbered, range(N)), times=[33 * i + 40 * (i // 10) for i in range(N)])
    return root


@pytest.mark.parametrize("name", [*FILES, "200fps.mp4", "variable.mp4"])
def test_every_frame_is_the_one_asked_for(movies, name):
    source = open_video(movies / name, reader="pyav")
    assert source.n_frames == N
    assert (source.height, source.width) == numbered(0).shape[:2]
    assert numbers(image for batch in source.iterate(32) for image in batch) == list(range(N))
    for start, stop in ((0, 1), (29, 31), (61, 64), (95, 110), (N - 3, N)):
        assert numbers(source.frames(start, stop)) == list(range(start, stop)), (start, stop)


@pytest.mark.parametrize("name", [*FILES, "200fps.mp4", "variable.mp4"])
def test_decord_is_right_from_the_first_frame_on(movies, name):
    source = open_video(movies / name)
    assert source.n_frames == N
    assert numbers(source.frames(0, 40)) == list(range(40))
    assert numbers(image for batch in source.iterate(32) for image in batch) == list(range(N))


@pytest.mark.parametrize("name", ["h264.mp4", "h264-b.mp4", "mjpeg.avi"])
def test_decord_jumps_rightly_in_common_files(movies, name):
    source = open_video(movies / name)
    for start in (95, 31, 0, 140):
        assert numbers(source.frames(start, start + 5)) == list(range(start, start + 5))


def test_rates_and_times_come_from_the_file(movies):
    assert open_video(movies / "200fps.mp4", reader="pyav").fps == 200
    seen = scan(str(movies / "h264.avi"), samples=4)
    assert (seen.n_frames, seen.fps, seen.variable, seen.height, seen.width) == (N, 30, False, 48, 112)
    assert seen.times[30] == pytest.approx(1.0, abs=0.01)
    assert 4 <= len(seen.samples) <= 8
    picked = [read_number(np.repeat(s[..., None], 3, 2)) for s in seen.samples]
    assert picked == list(seen.sampled)
    assert not any(scan(str(movies / name)).variable for name in FILES)
    uneven = scan(str(movies / "variable.mp4"))
    assert uneven.variable
    assert uneven.times[20] == pytest.approx(33e-3 * 20 + 80e-3, abs=1e-3)


def test_frames_that_an_edit_list_cuts_off_do_not_count(movies, tmp_path):
    path = tmp_path / "cut.mp4"
    with av.open(str(movies / "h264.mp4")) as source, av.open(str(path), "w") as cut:
        stream = cut.add_stream_from_template(source.streams.video[0])
        start = None
        for packet in source.demux(video=0):
            if packet.dts is None:
                continue
            # Negative timestamps become an edit list: the first ten frames are there to be decoded, not to be shown.
            start = packet.pts + 10 * packet.duration if start is None else start
            packet.pts, packet.dts = packet.pts - start, packet.dts - start
            packet.stream = stream
            cut.mux(packet)
    source = PyAVSource(str(path))
    shown = numbers(image for batch in source.iterate() for image in batch)
    assert shown == list(range(10, N))
    assert source.n_frames == len(shown)
    assert numbers(source.frames(40, 43)) == [50, 51, 52]
    assert scan(str(path)).n_frames == len(shown)


@pytest.mark.parametrize("name", [*FILES, "200fps.mp4", "variable.mp4"])
def test_fast_scan_finds_what_a_scan_finds(movies, name):
    found, expected = scan_fast(str(movies / name), samples=3), scan(str(movies / name), samples=3)
    if found is None:
        assert name in ("h264-b.avi", "mpeg4-b.avi")  # their timestamps are made up
        return
    np.testing.assert_allclose(found.times, expected.times, atol=1e-9)
    assert (found.fps, found.height, found.width) == (expected.fps, expected.height, expected.width)
    assert found.sampled == expected.sampled
    assert np.array_equal(found.samples, expected.samples)


@pytest.mark.parametrize("threads", [1, 3])
def test_frames_of_h264_that_nothing_depends_on_are_left_out_on_the_way_to_others(movies, threads):
    path = str(movies / "h264-b.mp4")
    source = PyAVSource(path, threads)
    stamps = source._indexed().stamps
    with opened(path, threads) as (container, stream):
        shown = [frame.pts for frame in decoded(path, container, stream, {stamps[k] for k in (13, 14, 97)})]
    assert {stamps[k] for k in (13, 14, 97)} <= set(shown)
    assert len(shown) < 0.6 * N  # every other frame is a B frame that no other is predicted from
    every = list(source.greys(range(N)))
    assert all(np.array_equal(grey, every[k]) for k, grey in zip((13, 14, 97), source.greys([13, 14, 97]), strict=True))


def test_a_turned_video_is_shown_upright(movies, tmp_path):
    path = tmp_path / "turned.mp4"
    with av.open(str(movies / "h264.mp4")) as source, av.open(str(path), "w") as turned:
        stream = turned.add_stream_from_template(source.streams.video[0])
        stream.set_display_rotation(90)
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                turned.mux(packet)
    source = PyAVSource(str(path))
    assert (source.height, source.width) == (112, 48)
    assert np.array_equal(source.frames(3, 4)[0], np.rot90(PyAVSource(str(movies / "h264.mp4")).frames(3, 4)[0]))
    assert scan(str(path), samples=2).samples[0].shape == (112, 48)
    assert [(seen.height, seen.width) for seen in (scan(str(path)), scan_fast(str(path)))] == [(112, 48)] * 2


@pytest.mark.parametrize("name", [*FILES, "variable.mp4"])
def test_pictures_are_those_that_pyav_converts_by_itself(movies, name):
    with av.open(str(movies / name)) as container:
        frame = next(container.decode(video=0))
        expected = frame.to_ndarray(format="rgb24"), frame.to_ndarray(format="gray")
    source = PyAVSource(str(movies / name))
    assert np.array_equal(source.frames(0, 1)[0], expected[0])
    assert np.array_equal(next(source.greys([0])), expected[1])


@pytest.mark.parametrize("name", [*FILES, "200fps.mp4", "variable.mp4"])
def test_several_threads_decode_the_same_frames_in_the_same_order(movies, name):
    path = str(movies / name)
    assert numbers(image for batch in PyAVSource(path, threads=3).iterate() for image in batch) == list(range(N))
    assert numbers(PyAVSource(path, threads=3).frames(61, 64)) == [61, 62, 63]
    for find in (scan, scan_fast):
        alone, together = find(path, samples=5), find(path, samples=5, threads=3)
        if alone is not None:
            assert np.array_equal(alone.samples, together.samples)
            assert np.array_equal(alone.times, together.times)


@pytest.mark.parametrize("name", [*FILES, "variable.mp4"])
@pytest.mark.parametrize("box", [(21, 7, 60, 40), (-9, -9, 30, 20), (90, 30, 200, 90), (200, 0, 210, 9)])
def test_a_part_of_a_picture_is_converted_like_the_whole(movies, name, box):
    source = PyAVSource(str(movies / name))
    left, top, right, bottom = (max(edge, 0) for edge in box)
    whole = (image for batch in source.iterate() for image in batch)
    for count, (here, there) in enumerate(zip(source.within(box), whole, strict=True)):
        assert here.shape == there.shape
        assert np.array_equal(here[top:bottom, left:right], there[top:bottom, left:right]), count


@pytest.mark.parametrize("form", ["odd", "444", "10 bits", "bt709"])
def test_unusual_pictures_are_converted_alike_too(tmp_path, form):
    path, (height, width) = tmp_path / "odd.mkv", (47, 113) if form == "odd" else (48, 112)
    rng = np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1" if form == "odd" else "libx264", rate=30)
        stream.height, stream.width = height, width
        stream.pix_fmt = {"444": "yuv444p", "10 bits": "yuv420p10le"}.get(form, "yuv420p")
        if form == "bt709":
            stream.codec_context.colorspace = stream.codec_context.color_primaries = stream.codec_context.color_trc = 1
        for _ in range(4):
            picture = rng.integers(0, 255, (height, width, 3), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(stream.encode())
    source = PyAVSource(str(path))
    for here, there in zip(source.within((21, 7, 60, 40)), source.iterate(1), strict=True):
        assert np.array_equal(here[7:40, 21:60], there[0, 7:40, 21:60])


def test_frames_that_were_read_are_let_go_without_the_garbage_collector(movies):
    gc.collect()
    gc.disable()
    try:
        for _ in PyAVSource(str(movies / "h264.mp4")).iterate(1):
            pass
        left = sum(isinstance(each, av.VideoFrame) for each in gc.get_objects())
    finally:
        gc.enable()
    assert left < 10


def test_sources_travel_to_other_processes(movies):
    for reader in ("decord", "pyav"):
        source = open_video(movies / "h264.mp4", reader=reader)
        source.frames(0, 1)
        assert numbers(pickle.loads(pickle.dumps(source)).frames(5, 7)) == [5, 6]


def test_frames_that_do_not_exist_are_refused(movies):
    for reader in ("decord", "pyav"):
        with pytest.raises(VideoError, match=r"h264\.mp4 has frames 0 to 149; frames 149 to 150 were asked for"):
            open_video(movies / "h264.mp4", reader=reader).frames(149, 151)


def test_what_is_no_video_is_refused(tmp_path):
    with pytest.raises(VideoError, match="There is no video"):
        open_video(tmp_path / "none.avi")
    (tmp_path / "text.avi").write_text("not a video")
    for reader in ("decord", "pyav"):
        with pytest.raises(VideoError, match=r"text\.avi cannot be opened as a video"):
            _ = open_video(tmp_path / "text.avi", reader=reader).n_frames
    with pytest.raises(ConfigError, match="reader is 'vlc'"):
        open_video(tmp_path / "text.avi", reader="vlc")
    with pytest.raises(VideoError, match="give the rate"):
        open_video(tmp_path)
    with pytest.raises(VideoError, match="holds no numbered image"):
        open_video(tmp_path, fps=30)


def test_a_truncated_file_is_distinguished_from_a_whole_one(movies, tmp_path):
    data = (movies / "mjpeg.avi").read_bytes()
    (tmp_path / "cut.avi").write_bytes(data[: len(data) * 2 // 3])
    with pytest.raises(VideoError, match=r"cut\.avi (breaks off|is damaged|cannot be decoded)"):
        scan(str(tmp_path / "cut.avi"))
    with pytest.raises(VideoError, match=r"cut\.avi (breaks off|is damaged|cannot be decoded)"):
        scan_fast(str(tmp_path / "cut.avi"))


def test_folders_are_sorted_by_number_and_start_at_their_first(tmp_path):
    write_frames(tmp_path, map(numbered, range(12)), "img{}.jpg", first=995)
    source = FolderSource(str(tmp_path), 30.0)
    assert source.n_frames == 12
    assert numbers(source.frames(0, 12)) == list(range(12)), "1000 comes after 999"
    assert numbers(i for batch in source.iterate(5) for i in batch) == list(range(12))


def test_gaps_repeat_the_frame_before_or_are_refused(tmp_path):
    write_frames(tmp_path, map(numbered, range(8)), first=0)
    for number in (3, 4):
        (tmp_path / f"img{number:03d}.jpg").unlink()
    source = FolderSource(str(tmp_path), 30.0)
    assert source.n_frames == 8
    assert source.missing.tolist() == [3, 4]
    assert numbers(source.frames(0, 8)) == [0, 1, 2, 2, 2, 5, 6, 7]
    assert numbers(source.frames(4, 6)) == [2, 5]
    with pytest.raises(VideoError, match="no image for frame 3, and gaps is error"):
        FolderSource(str(tmp_path), 30.0, gaps="error").frames(2, 6)


@pytest.mark.parametrize(("content", "why"), [(b"", "is empty"), (b"no image", "is not a readable image")])
def test_an_unreadable_image_is_named_and_costs_its_frame_alone(tmp_path, content, why):
    write_frames(tmp_path, map(numbered, range(6)), first=0)
    (tmp_path / "img002.jpg").write_bytes(content)
    source = FolderSource(str(tmp_path), 30.0)
    assert numbers(source.frames(2, 4)) == [1, 3]
    assert numbers(source.frames(0, 6)) == [0, 1, 1, 3, 4, 5]
    assert source.unreadable == {2: f"{tmp_path / 'img002.jpg'} {why}"}
    assert source.missing.tolist() == [2]
    with pytest.raises(VideoError, match=rf"img002\.jpg {why}, and gaps is error"):
        FolderSource(str(tmp_path), 30.0, gaps="error").frames(0, 6)


def test_an_unreadable_first_image_shows_the_next(tmp_path):
    write_frames(tmp_path, map(numbered, range(4)), first=0)
    (tmp_path / "img000.jpg").write_bytes(b"no image")
    source = FolderSource(str(tmp_path), 30.0)
    assert (source.height, source.width) == (48, 112)
    assert numbers(source.frames(0, 4)) == [1, 1, 2, 3]


def test_a_folder_of_many_unreadable_images_is_refused(tmp_path):
    write_frames(tmp_path, map(numbered, range(20)), first=0)
    for number in (4, 9, 14):
        (tmp_path / f"img{number:03d}.jpg").write_bytes(b"")
    with pytest.raises(VideoError, match=r"img004\.jpg is empty, and more than 10% of the images .* Copy the folder"):
        FolderSource(str(tmp_path), 30.0).frames(0, 20)


def test_an_image_of_another_size_is_named(tmp_path):
    write_frames(tmp_path, map(numbered, range(4)))
    source = FolderSource(str(tmp_path), 30.0)
    write_frames(tmp_path, [numbered(0, height=24)], first=2)
    with pytest.raises(VideoError, match=r"img002\.jpg is 112x24; the video's first frame 112x48"):
        source.frames(0, 4)


def test_two_images_of_one_number_are_refused(tmp_path):
    write_frames(tmp_path, map(numbered, range(2)))
    write_frames(tmp_path, map(numbered, range(2)), "img_{}.jpg")
    with pytest.raises(VideoError, match="Two images have the frame number 1"):
        FolderSource(str(tmp_path), 30.0)


def test_names_with_spaces_and_other_alphabets_are_read(tmp_path):
    write_movie(tmp_path / "日本 ..é" / "a b.mp4", map(numbered, range(3)))
    folder = tmp_path / "日本 ..é"
    assert numbers(PyAVSource(str(folder / "a b.mp4")).frames(0, 3)) == [0, 1, 2]
    (folder / "frames").mkdir()
    import cv2

    cv2.imencode(".png", numbered(7))[1].tofile(folder / "frames" / "ü 1.png")
    assert numbers(FolderSource(str(folder / "frames"), 30.0).frames(0, 1)) == [7]
