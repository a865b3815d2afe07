import operator
from collections.abc import Iterator
from pathlib import Path

import cv2
import decord
import numpy as np
import pytest

from fedn_lightning.errors import ConfigError
from fedn_synth.write.output import (
    QUALITY,
    Image,
    Report,
    begin_or_resume,
    encode_jpeg,
    finish,
    run_all,
    write_frames,
    write_video,
)

HEIGHT, WIDTH = 480, 640


def textured(n: int) -> list[Image]:
    """A textured picture of which a small part moves down by one pixel."""
    rng = np.random.default_rng(0)
    coarse = cv2.resize(rng.normal(128, 40, (30, 40, 3)).astype(np.float32), (WIDTH, HEIGHT))
    fine = cv2.GaussianBlur(rng.normal(0, 150, (HEIGHT, WIDTH, 1)).astype(np.float32), (0, 0), 2)
    picture = coarse + fine[..., None]  # grey, as the texture of skin mostly is
    x, y = np.meshgrid(np.arange(WIDTH, dtype=np.float32), np.arange(HEIGHT, dtype=np.float32))
    bump = np.exp(-((x - 320) ** 2 + (y - 240) ** 2) / (2 * 25**2))
    shown = [cv2.remap(picture, x, y + bump * np.float32(i / n), cv2.INTER_LINEAR) for i in range(n)]
    return [np.clip(frame, 0, 255).astype(np.uint8) for frame in shown]


def read(path: Path) -> tuple[Image, float]:
    reader = decord.VideoReader(str(path), num_threads=1)
    return reader.get_batch(list(range(len(reader)))).asnumpy(), reader.get_avg_fps()


def test_random_access_by_decord_is_exact(tmp_path: Path) -> None:
    write_video(tmp_path / "a.avi", textured(40), QUALITY)
    frames, fps = read(tmp_path / "a.avi")
    reader = decord.VideoReader(str(tmp_path / "a.avi"), num_threads=1)

    assert (frames.shape, fps) == ((40, HEIGHT, WIDTH, 3), 30.0)
    for i in (31, 2, 39, 17, 0, 16):
        assert (reader[i].asnumpy() == frames[i]).all()


def test_a_movement_of_one_pixel_survives_compression(tmp_path: Path) -> None:
    clean = textured(20)
    write_video(tmp_path / "a.avi", clean, QUALITY)
    decoded, _ = read(tmp_path / "a.avi")
    part = np.s_[200:280, 280:360]
    moved = (clean[-1][part].astype(float) - clean[0][part]).ravel()
    seen = (decoded[-1][part].astype(float) - decoded[0][part]).ravel()

    assert 0.8 < moved @ seen / (moved @ moved) < 1.05  # how much of the movement is kept
    assert np.corrcoef(moved, seen)[0, 1] > 0.85


def test_equal_frames_are_equal_files(tmp_path: Path) -> None:
    for name in ("a.avi", "b.avi"):
        write_video(tmp_path / name, textured(4), QUALITY)

    assert (tmp_path / "a.avi").read_bytes() == (tmp_path / "b.avi").read_bytes()


def test_frames_are_numbered_as_in_the_release(tmp_path: Path) -> None:
    small = [np.full((8, 8, 3), i % 251, np.uint8) for i in range(1001)]
    write_frames(tmp_path / "v", small, 95)
    names = {path.name for path in (tmp_path / "v").iterdir()}

    assert len(names) == 1001
    assert {"img001.jpg", "img999.jpg", "img1000.jpg", "img1001.jpg"} <= names
    assert cv2.imread(str(tmp_path / "v" / "img1001.jpg"))[0, 0, 0] == 1000 % 251


@pytest.mark.parametrize(("write", "name"), [(write_video, "a.avi"), (write_frames, "a")])
def test_an_interrupted_video_is_not_there_and_can_be_written_again(write, name: str, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    def interrupted() -> Iterator[Image]:
        yield textured(1)[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / name, interrupted(), 90)
    assert list(tmp_path.iterdir()) == []

    (tmp_path / f".{name}.partial").touch()  # a killed run cannot tidy up
    write(tmp_path / name, textured(2), 90)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_red_stays_red() -> None:
    image = np.zeros((16, 16, 3), np.uint8)
    image[..., 0] = 200
    decoded = cv2.imdecode(np.frombuffer(encode_jpeg(image, 98, full_colour=True), np.uint8), cv2.IMREAD_COLOR)

    assert decoded[8, 8, 2] > 190
    assert decoded[8, 8, 0] < 10


def test_one_job_works_here_and_in_order() -> None:
    done: list[int] = []

    def work(task: int, report: Report) -> None:
        done.append(task)
        report(1)

    run_all(work, [3, 1, 2], title="Testing", total=3, jobs=1)
    assert done == [3, 1, 2]


def test_an_error_in_a_process_of_its_own_is_raised_here() -> None:
    # A function that worker processes can import, whatever imported this test; it fails since a text takes no queue.
    with pytest.raises(TypeError):
        run_all(operator.truediv, ["a", "b", "c"], title="Testing", total=3, jobs=2)


def test_no_job_at_all_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"--jobs must be at least 1, got 0"):
        run_all(operator.add, [1], title="Testing", total=1, jobs=0)


JOB = {"seed": 1, "size": 64}


def test_a_job_resumes_its_own_folder_before_and_after_it_ended(tmp_path: Path) -> None:
    out = tmp_path / "new" / "folder"
    begin_or_resume(out, "stills", JOB)
    begin_or_resume(out, "stills", JOB)
    assert (out / "stills.unfinished.json").exists()

    finish(out, "stills", JOB | {"n": 3})
    begin_or_resume(out, "stills", JOB)
    assert [path.name for path in out.iterdir()] == ["stills.json"]


@pytest.mark.parametrize("finished", [True, False])
def test_another_job_is_refused(tmp_path: Path, finished: bool) -> None:
    begin_or_resume(tmp_path, "stills", JOB)
    if finished:
        finish(tmp_path, "stills", JOB)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    with pytest.raises(ConfigError, match=r"was made with: seed 1, size 64. Asked for: seed 2, size 64. Choose"):
        begin_or_resume(tmp_path, "stills", JOB | {"seed": 2})
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_folder_with_other_things_is_not_changed(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")

    with pytest.raises(ConfigError, match=r"holds nothing that this command began"):
        begin_or_resume(tmp_path, "corpus", JOB)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_file_in_place_of_the_folder_is_not_changed(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")

    with pytest.raises(ConfigError, match=r"out exists and holds nothing"):
        begin_or_resume(tmp_path / "out", "corpus", JOB)


@pytest.mark.parametrize("content", ["", "[1, 2]", "{"])
def test_a_damaged_table_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "corpus.json").write_text(content)

    with pytest.raises(ConfigError, match=r"corpus\.json cannot be read"):
        begin_or_resume(tmp_path, "corpus", JOB)
