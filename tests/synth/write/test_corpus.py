""""""

from __future__ import annotations

import csv
import json
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import openpyxl
import pytest
from error_runs import write_generated_truth

from fedn_lightning.analysis.synthetic_truth import EXPRESSIONS_FILE, FOLDER, read_distractors, read_expressions
from fedn_lightning.datasets import read
from fedn_lightning.errors import AnnotationError, ConfigError
from fedn_synth.face.motion import FaceTracks
from fedn_synth.plan.corpus_plan import plan_corpus
from fedn_synth.plan.presets import PRESETS
from fedn_synth.plan.video_plan import plan_expressions
from fedn_synth.write import corpus as write
from fedn_synth.write.corpus import WORKBOOK_NAME, AnnotationRow, Job, annotate, render, write_corpus, write_workbook

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
    found = read("casme2", str(corpus), offset_policy="drop")
    with (corpus / "truth" / "expressions.csv").open() as file:
        truths = {(row["subject"], row["video"], int(row["start"])): row for row in csv.DictReader(file)}

    assert len(found.videos) == 8
    assert len(found.expressions) == 27 - 2  # two offsets are unknown
    for expression in found.expressions:
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
    found = read("casme2", tmp_path / "none")
    assert (len(found.videos), found.expressions) == (8, ())
    half = write_corpus(tmp_path / "half", replace(JOB, rate=0.5), jobs=1)
    assert 0 < half["n_macro"] + half["n_micro"] < 27
    with pytest.raises(ConfigError, match="--rate must be between 0 and 1, got 2"):
        write_corpus(tmp_path / "more", replace(JOB, rate=2.0))


def rows_of(name: str, seed: int = 0) -> tuple[AnnotationRow, ...]:
    preset = PRESETS[name]
    scenes = plan_corpus(preset, seed)
    return annotate(scenes, {scene.index: plan_expressions(scene, preset, seed) for scene in scenes}, preset, seed)


def quirks(rows: tuple[AnnotationRow, ...]) -> Counter[str]:
    found: Counter[str] = Counter()
    for row in rows:
        found["offset 0"] += row.offset == 0
        found["apex 0"] += row.apex == 0
        found["late apex"] += 0 < row.offset < row.apex
        found["happyiness"] += row.self_report == "happyiness"
        found["stray case"] += row.expert != row.expert.lower()
        found["stray space"] += row.expert != row.expert.strip()
    found["overlap"] = sum(
        second.material.split("_")[0] == first.material.split("_")[0]
        and (second.subject, second.onset > first.onset) == (first.subject, True)
        and second.onset <= first.offset
        for first, second in pairwise(rows)
    )
    return found


def test_casme2_has_the_oddities_of_the_release_in_their_number() -> None:
    assert quirks(rows_of("casme2")) == {
        "offset 0": 44,
        "apex 0": 1,
        "late apex": 3,
        "happyiness": 1,
        "stray case": 4,
        "stray space": 4,
        "overlap": 18,
    }


@pytest.mark.parametrize("seed", range(4))
def test_tiny_has_every_quirk(seed: int) -> None:
    found = quirks(rows_of("tiny", seed))

    assert found["offset 0"] == 2
    assert all(
        found[name] == 1 for name in ("apex 0", "late apex", "happyiness", "stray case", "stray space", "overlap")
    )


def test_zero_offsets_strike_macro_expressions_only() -> None:
    assert {row.type for row in rows_of("standard") if row.offset == 0} == {"macro-expression"}


def test_faithful_rows_count_from_one_and_include_the_offset() -> None:
    preset = PRESETS["tiny"]
    scenes = plan_corpus(preset, 0)
    expressions = {scene.index: plan_expressions(scene, preset, 0) for scene in scenes}
    rows = annotate(scenes, expressions, preset, 0)
    truths = [expression for scene in scenes for expression in expressions[scene.index]]

    for row, expression in zip(rows, truths, strict=True):
        assert row.onset == expression.start + 1
        assert row.offset in (expression.end, 0)
        assert str(row.action_units) == expression.action_units
    assert any(isinstance(row.action_units, int) for row in rows)
    assert any(isinstance(row.action_units, str) for row in rows)
    assert {row.subject for row in rows} == {1, 2, 3, 4}


PRESET = PRESETS["tiny"]
SCENES = plan_corpus(PRESET, 0)
ROWS = annotate(SCENES, {scene.index: plan_expressions(scene, PRESET, 0) for scene in SCENES}, PRESET, 0)


def test_the_three_sheets_have_the_release_s_cells_and_no_headers(tmp_path: Path) -> None:
    path = tmp_path / WORKBOOK_NAME
    write_workbook(path, ROWS, SCENES)
    annotation, subjects, materials = openpyxl.load_workbook(path).worksheets

    assert [len(row) for row in annotation.iter_rows(values_only=True)] == [9] * len(ROWS)
    first = [cell.value for cell in annotation[1]]
    assert [type(cell) for cell in first] == [int, str, int, int, int, type(ROWS[0].action_units), str, str, str]
    assert list(subjects.iter_rows(max_row=3, values_only=True)) == [
        (15, "s15", 1),
        (15, "s15", 1),
        (16, "s16", 2),
    ]
    assert [cell.value for cell in materials[1]] == ["0101", "disgust1"]
    assert materials.max_row == 9


def test_equal_workbooks_are_equal_files(tmp_path: Path) -> None:
    write_workbook(tmp_path / "a.xlsx", ROWS, SCENES)
    time.sleep(1.1)  # openpyxl stamps the file with the second in which it is saved
    write_workbook(tmp_path / "b.xlsx", ROWS, SCENES)

    assert (tmp_path / "a.xlsx").read_bytes() == (tmp_path / "b.xlsx").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.xlsx", "b.xlsx"]


def test_what_was_written_is_read(tmp_path: Path) -> None:
    plans = write_generated_truth(tmp_path)
    expressions = read_expressions(tmp_path / FOLDER)
    for scene, plan in plans:
        key = f"s{scene.folder}", scene.stem
        happened = [(event.kind, event.start, event.end) for event in plan.distractors]
        assert list(read_distractors(tmp_path / FOLDER, *key)) == happened
        found = [
            (expression.start, expression.end, expression.emotion, expression.peak)
            for expression in expressions.get(key, [])
        ]
        assert found == [
            (expression.start, expression.end, expression.planned.emotion, round(expression.peak, 4))
            for expression in plan.expressions
        ]


def test_damage_is_named(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match=r"expressions\.csv cannot be read: No such file"):
        read_expressions(tmp_path)
    (tmp_path / EXPRESSIONS_FILE).write_text("subject,video,start,end,peak,emotion\ns15,a,12,3x,0.5,anger\n")
    with pytest.raises(AnnotationError, match="row 2, is not a row of a generated corpus"):
        read_expressions(tmp_path)
    with pytest.raises(AnnotationError, match=r"a\.npz is missing or damaged"):
        read_distractors(tmp_path, "s15", "a")
    (tmp_path / "s15").mkdir()
    (tmp_path / "s15" / "a.npz").write_bytes(b"PK half a file")
    with pytest.raises(AnnotationError, match=r"a\.npz is missing or damaged"):
        read_distractors(tmp_path, "s15", "a")
