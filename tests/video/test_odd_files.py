"""Files that are not a plain list of frames, and what a player shows of each: the specification of the timeline.

The players' rules are those of mpv and Chromium, which count time from the first sound or picture of a file.
"""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition

from fedn_lightning.errors import VideoError
from fedn_lightning.video.media import ignored_streams, probe
from fedn_lightning.video.pyav import PyAVSource, scan, scan_fast
from lookalikes.movies import numbered, read_number, write_movie

FPS, N = 30, 30
LYING = (0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30)
MIRRORED = (-65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30)
UPSIDE_DOWN_MIRRORED = (65536, 0, 0, 0, -65536, 0, 0, 0, 1 << 30)
SWAPPED = (0, 65536, 0, 65536, 0, 0, 0, 0, 1 << 30)


@dataclass(frozen=True)
class Odd:
    """A file and what a player shows: frame numbers, when the first is shown, times that differ from an even beat."""

    name: str
    make: object
    shown: tuple[int, ...] = tuple(range(N))
    start: float = 0.0
    at: tuple[tuple[int, float], ...] = ()
    turned: object = lambda picture: picture
    fps: float = FPS


def frames_of(stream, numbers=range(N), stamps=None):
    """Packets of numbered pictures."""
    for position, number in enumerate(numbers):
        frame = av.VideoFrame.from_ndarray(numbered(number), format="rgb24")
        frame.pts, frame.time_base = (stamps or range(N))[position], Fraction(1, FPS)
        yield from stream.encode(frame)
    yield from stream.encode()


def add_picture(container, codec="libx264", options=None):
    """A video stream of the size of the numbered pictures."""
    stream = container.add_stream(codec, rate=FPS, options=options or {})
    stream.width, stream.height = 112, 48
    stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    return stream


def with_sound(delay, codec="aac"):
    """Sound from 0 on, and pictures `delay` frames later."""

    def make(path):
        with av.open(str(path), "w") as container:
            picture, sound = add_picture(container), container.add_stream(codec, rate=48000, layout="mono")
            packets = list(frames_of(picture, stamps=range(delay, delay + N)))
            for number in range(75):
                frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
                frame.sample_rate, frame.pts, frame.time_base = 48000, 1024 * number, Fraction(1, 48000)
                packets += sound.encode(frame)
            for packet in sorted([*packets, *sound.encode()], key=lambda p: p.dts * p.time_base):
                container.mux(packet)

    return make


def plain(codec="libx264", options=None, muxer=None):
    """Pictures alone, by an encoder and a muxer with options of their own."""

    def make(path):
        with av.open(str(path), "w", options=muxer or {}) as container:
            for packet in frames_of(add_picture(container, codec, options)):
                container.mux(packet)

    return make


def last_held(path):
    """The last frame is shown for two seconds."""
    with av.open(str(path), "w") as container:
        packets = list(frames_of(add_picture(container, options={"bf": "0"})))
        packets[-1].duration = round(2 / packets[-1].time_base)
        for packet in packets:
            container.mux(packet)


def empty_chunks(path):
    """An AVI that leaves out frames 10, 11 and 20, which showed nothing new."""
    numbers = [number for number in range(N) if number not in (10, 11, 20)]
    with av.open(str(path), "w") as container:
        for packet in frames_of(add_picture(container, "mjpeg"), numbers, numbers):
            container.mux(packet)


def cut_by_edit_list(path):
    """An edit list shows frames 10 to 24; the others are in the file all the same."""
    plain(options={"bf": "0", "g": "5"})(path)
    data = bytearray(path.read_bytes())
    entry = data.index(b"elst") + 12  # behind version, flags and number of entries
    data[entry : entry + 4] = (15 * 1000 // FPS).to_bytes(4, "big")  # in milliseconds
    data[entry + 4 : entry + 8] = (10 * 15360 // FPS).to_bytes(4, "big")  # in the stream's own unit
    path.write_bytes(data)


def cover_first(disposition=None):
    """A cover picture in the first stream, larger than the video."""

    def make(path):
        with av.open(str(path), "w") as container:
            cover = container.add_stream("mjpeg", rate=FPS)
            cover.width, cover.height, cover.pix_fmt = 640, 480, "yuvj420p"
            if disposition is not None:
                cover.disposition = disposition
            picture = add_picture(container)
            image = av.VideoFrame.from_ndarray(np.full((480, 640, 3), 90, np.uint8), format="rgb24")
            for packet in (*cover.encode(image), *cover.encode(), *frames_of(picture)):
                container.mux(packet)

    return make


def shown_by(matrix):
    """Pictures with a display matrix."""

    def make(path):
        with av.open(str(path), "w") as container:
            picture = add_picture(container)
            picture.set_display_matrix(matrix)
            for packet in frames_of(picture):
                container.mux(packet)

    return make


DELAY = 20  # frames, 0.667 s
FRAGMENTS = {"movflags": "frag_keyframe+empty_moov"}
ODD = [
    Odd("sound-first.mp4", with_sound(DELAY), start=DELAY / FPS),
    Odd("sound-first.mov", with_sound(DELAY), start=DELAY / FPS),
    Odd("sound-first.mkv", with_sound(DELAY), start=0.667),
    Odd("sound-first.ts", with_sound(DELAY), start=DELAY / FPS + 1024 / 48000),  # the encoder's first 1024 samples
    Odd("together.mp4", with_sound(0)),
    Odd("together.mkv", with_sound(0)),
    Odd("picture-alone.ts", plain()),  # its timestamps begin at 1.4 s
    Odd("fragments.mp4", plain(muxer=FRAGMENTS)),  # its header counts no frames
    Odd("held.mp4", last_held, at=((29, 29 / FPS),)),
    Odd("held.mkv", last_held, at=((29, 0.967),)),
    Odd(
        "empty-chunks.avi",
        empty_chunks,
        shown=tuple(n for n in range(N) if n not in (10, 11, 20)),
        at=((9, 9 / FPS), (10, 12 / FPS), (26, 29 / FPS)),
        fps=26 / 29 * FPS,
    ),
    Odd("cut.mp4", cut_by_edit_list, shown=tuple(range(10, 25))),
    Odd("cover.mp4", cover_first(Disposition.attached_pic)),
    Odd("cover-unmarked.mp4", cover_first()),
    Odd("cover-unmarked.mkv", cover_first()),
    Odd("turned.mp4", shown_by(LYING), turned=lambda picture: np.rot90(picture, -1)),
    Odd("mirrored.mp4", shown_by(MIRRORED), turned=np.fliplr),
    Odd("upside-down-mirrored.mp4", shown_by(UPSIDE_DOWN_MIRRORED), turned=np.flipud),
    Odd("swapped.mp4", shown_by(SWAPPED), turned=lambda picture: picture.swapaxes(0, 1)),
    Odd("plain.wmv", plain("wmv2")),
    Odd("plain.webm", plain("libvpx", {"deadline": "realtime"})),
    Odd("plain.mpg", plain("mpeg1video")),
]


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: odd.name)
def test_a_file_is_read_as_a_player_shows_it(odd, tmp_path):
    path = tmp_path / odd.name
    odd.make(path)
    looks = [scan(str(path), samples=2), scan_fast(str(path), samples=2)]
    for seen in looks:
        if seen is not None:
            assert seen.n_frames == len(odd.shown)
            assert seen.start == pytest.approx(odd.start, abs=1e-3)
            assert seen.fps == pytest.approx(odd.fps, rel=1e-3)
            expected = np.arange(len(odd.shown)) / FPS
            for number, seconds in odd.at:
                assert seen.times[number] == pytest.approx(seconds, abs=1e-3)
            if not seen.variable:
                assert seen.times == pytest.approx(expected, abs=2e-3)
    shown = np.concatenate(list(PyAVSource(str(path)).iterate()))
    upright = odd.turned(numbered(0)).shape[:2]
    assert shown.shape[1:3] == upright == (looks[0].height, looks[0].width)
    back = {"turned.mp4": lambda picture: np.rot90(picture)}.get(odd.name, odd.turned)
    assert [read_number(np.ascontiguousarray(back(picture))) for picture in shown] == list(odd.shown)
    middle = PyAVSource(str(path)).frames(5, 8)
    assert np.array_equal(middle, shown[5:8])
    assert probe(path).fps > 0


WHOLE = {
    "faststart.mp4": plain(options={"g": "5"}, muxer={"movflags": "faststart"}),
    "fragments.mp4": plain(options={"g": "5"}, muxer=FRAGMENTS),
    "plain.mkv": plain(options={"g": "5"}),
    "plain.webm": plain("libvpx", {"deadline": "realtime"}),
    "plain.avi": plain("mjpeg"),
    "h264.avi": plain(options={"g": "5", "bf": "0"}),
    "plain.mov": plain("mjpeg"),
    "plain.wmv": plain("wmv2"),
    "plain.ts": plain(options={"g": "5"}),
}


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("part", [0.5, 0.7, 0.95])
def test_a_truncated_file_is_recognised_in_every_container(name, part, tmp_path):
    path = tmp_path / name
    WHOLE[name](path)
    scan(str(path))  # whole, it is fine
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * part) | 31])  # not between two packets or boxes
    for look in (scan, scan_fast):
        with pytest.raises(VideoError, match=r"breaks off|is damaged|cannot be decoded|cannot be opened"):
            look(str(path))


def test_an_avi_that_was_filled_up_with_nothing_is_recognised(tmp_path):
    path = Path(tmp_path / "preallocated.avi")
    write_movie(path, map(numbered, range(60)), codec="mjpeg")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2] + bytes(len(data) - len(data) // 2))
    with pytest.raises(VideoError, match=r"breaks off|is damaged|cannot be decoded"):
        scan(str(path))


@pytest.mark.parametrize(
    ("make", "ignored"),
    [
        (plain(), []),
        (with_sound(0), ["audio (aac)"]),
        (cover_first(Disposition.attached_pic), ["cover picture (mjpeg)"]),
    ],
    ids=["picture alone", "sound", "cover"],
)
def test_streams_that_are_not_looked_at_are_listed(make, ignored, tmp_path):
    make(tmp_path / "v.mp4")
    assert [line.partition(": ")[2] for line in ignored_streams(tmp_path / "v.mp4")] == ignored
