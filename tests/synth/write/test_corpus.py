import csv
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fedn_lightning.datasets.casme2 import read_casme2
from fedn_lightning.errors import ConfigError
from fedn_synth.face.motion import FaceTracks
from fedn_synth.write import corpus as write
from fedn_synth.write.corpus import Job, render, write_corpus

JOB = Job("tiny", seed=0)


class GreyRenderer:
    """Stands in for the face where only files matter: brighter with every frame."""

    def __init__(self, identity: object) -> None:
        del identity

    def render(self, tracks: FaceTracks, frame: int, noise_seed: int) -> np.ndarray:
        del tracks, noise_seed
        return np.full((480, 640, 3), frame % 256, np.uint8)


@pytest.fixture(autouse=True, scope="module")
def no_faces() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fedn_synth.face.renderer.FaceRenderer", GreyRenderer)
        yield


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("corpora") / "tiny"
    write_corpus(out, JOB, jobs=1)
    return out


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_layout_is_the_release_s(corpus: Path) -> None:
    names = set(files(corpus))
    videos = {name for name in names if name.endswith(".avi")}

    assert "CAS(ME)^2code_final.xlsx" in names
    assert "rawvideo/s19/23_0502funnyerrors.avi" in videos
    assert len(videos) == 8
    assert names - videos == {
        "CAS(ME)^2code_final.xlsx",
        "corpus.json",
        "truth/expressions.csv",
        *(f"truth/s{Path(name).stem.split('_')[0]}/{Path(name).stem}.npz" for name in videos),
    }


def test_the_reader_of_the_release_reads_it(corpus: Path) -> None:
    read = read_casme2(str(corpus), offset_policy="drop")
    with (corpus / "truth" / "expressions.csv").open() as file:
        truths = {(row["subject"], row["video"], int(row["start"])): row for row in csv.DictReader(file)}

    assert len(read.videos) == 8
    assert len(read.expressions) == 27 - 2  # two offsets are unknown
    for expression in read.expressions:
        truth = truths[expression.subject, expression.video, int(expression.start)]
        assert expression.end == int(truth["end"])
        assert expression.apex in (int(truth["apex"]), None)
        assert (expression.type, expression.emotion) == (truth["type"], truth["expert"])
        assert expression.action_units == truth["action_units"]


def test_the_truth_holds_every_frame(corpus: Path) -> None:
    for path in (corpus / "truth").rglob("*.npz"):
        with np.load(path) as truth:
            assert truth["action_units"].shape == (600, 17, 2)
            assert truth["pose"].dtype == np.float32
            assert set(truth["distractor_kind"]) <= {"blink", "gaze", "head", "speech", "swallow", "posture"}
            for start, end, peak in zip(
                truth["expression_start"], truth["expression_end"], truth["expression_apex"], strict=True
            ):
                assert truth["action_units"][peak].max() > 0.05
                assert start < peak < end


def test_corpus_json_says_what_it_is(corpus: Path) -> None:
    content = json.loads((corpus / "corpus.json").read_text())

    assert content["licence"].startswith("Generated faces, not people.")
    assert (
        content | {"preset": "tiny", "seed": 0, "n_videos": 8, "n_frames": 4800, "n_macro": 16, "n_micro": 11}
        == content
    )


def test_an_interrupted_run_is_resumed_where_it_stopped(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "tiny"
    shutil.copytree(corpus, out)
    begin_or_resume = json.loads((out / "corpus.json").read_text())
    (out / "corpus.json").rename(out / "corpus.unfinished.json")
    lost = out / "rawvideo" / "s19" / "23_0502funnyerrors.avi"
    lost.rename(lost.with_name(f".{lost.name}.partial"))
    others = {path: path.stat().st_mtime_ns for path in out.rglob("*.avi")}

    write_corpus(out, JOB, jobs=1)

    assert files(out) == files(corpus)
    assert {path: path.stat().st_mtime_ns for path in others} == others
    assert begin_or_resume == json.loads((out / "corpus.json").read_text())


def test_another_corpus_is_never_written_over(corpus: Path) -> None:
    before = files(corpus)
    for other in (
        Job("tiny", seed=1),
        Job("tiny", seed=0, hard=True),
        Job("standard", seed=0),
        Job("tiny", 0, "frames"),
    ):
        with pytest.raises(ConfigError, match=r"corpus\.json was made with: preset tiny, seed 0"):
            write_corpus(corpus, other)
    assert files(corpus) == before


def test_a_negative_seed_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"seed must not be negative, got -1"):
        write_corpus(tmp_path / "out", Job("tiny", seed=-1))
    assert not (tmp_path / "out").exists()


def test_frames_are_rendered_once_each_and_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = write.plan_corpus(write.find_preset("tiny"), 0)[0]
    reports: list[int] = []
    frames = render(scene, write.find_preset("tiny"), JOB, FaceTracks.neutral(100), reports.append)

    assert [int(frame[0, 0, 0]) for frame in frames] == list(range(100))
    assert sum(reports) == 100
    assert len(reports) > 3


def test_scenes_can_be_written_as_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    scene = replace(
        write.plan_corpus(write.find_preset("tiny"), 0)[0], n_frames=30, expressions=(), overlaps=frozenset()
    )
    job = Job("tiny", 0, "frames", hard=True)
    write.video_path(tmp_path, scene, job.form).parent.mkdir(parents=True)

    write.write_scene(tmp_path, job, scene, lambda _: None)

    folder = tmp_path / "rawpic" / f"s{scene.folder}" / scene.stem
    assert sorted(path.name for path in folder.iterdir()) == [f"img{i:03d}.jpg" for i in range(1, 31)]


def test_a_rate_leaves_out_expressions_and_keeps_people_and_videos(tmp_path: Path) -> None:
    contents = write_corpus(tmp_path / "none", replace(JOB, rate=0.0), jobs=1)
    assert (contents["n_macro"], contents["n_micro"], contents["rate"]) == (0, 0, 0.0)
    read = read_casme2(tmp_path / "none")
    assert (len(read.videos), read.expressions) == (8, ())
    half = write_corpus(tmp_path / "half", replace(JOB, rate=0.5), jobs=1)
    assert 0 < half["n_macro"] + half["n_micro"] < 27
    with pytest.raises(ConfigError, match="--rate must be between 0 and 1, got 2"):
        write_corpus(tmp_path / "more", replace(JOB, rate=2.0))
