"""The result object and its files, on numbers made by hand."""

import csv
import json
import re
import sys
from dataclasses import replace
from types import SimpleNamespace

import av
import numpy as np
import pytest

from fedn_lightning.datasets.eaf import read_eaf
from fedn_lightning.datasets.elan import coded_events as read_back
from fedn_lightning.errors import FednError
from fedn_lightning.events import EventTable
from fedn_lightning.inference.config import generated_note
from fedn_lightning.inference.detections import COLUMNS, GENERATED_ONLY, Detections, FaceTrack
from fedn_lightning.inference.measures import UnreliableSpan
from fedn_lightning.inference.pictures import MAX_ROWS, draw
from fedn_lightning.inference.writers import Settings, coded_events, finished, write_events, write_outputs
from fedn_lightning.results import Names, read_events
from lookalikes.movies import numbered, write_movie

N = 90


@pytest.fixture
def found(tmp_path) -> Detections:
    """Four proposals; three reach the thresholds, two of which overlap within a type."""
    path = tmp_path / "v.mp4"
    write_movie(path, (numbered(i, 120, 160) for i in range(N)))
    rows = [
        [0, 0, 10, 40, 0, 1, 0.8, 0.7],
        [0, 0, 38, 54, 0, 2, 0.55, 0.9],
        [0, 0, 50.5, 60, 1, 0, 0.62, 0.9],
        [0, 0, 80, 85, 1, 0, 0.2, 0.9],
    ]
    curve = np.zeros((N, 2))
    curve[10:40, 0], curve[50:60, 1] = 0.8, 0.62
    return Detections(
        video=str(path), checkpoint="best.ckpt", n_frames=N, fps=30.0, times=None,
        emotions=("negative", "positive", "surprise"), threshold=(0.5, 0.6), n_faces=1,
        faces=(FaceTrack(1, (30.0, 20.0, 60.0, 60.0), EventTable.from_rows(rows), curve),),
        squares=(np.array([[[0.5, 0, -10], [0, 0.5, -5]]]),), crop_size=32,
    )  # fmt: skip


def test_expressions_come_by_time_in_frames_seconds_and_timecode(found):
    first, second, micro = found
    assert (first.frames, first.start_seconds, first.end_seconds) == (
        (11, 40),
        pytest.approx(1 / 3),
        pytest.approx(4 / 3),
    )
    assert (first.timecodes, first.type, first.emotion) == (("00:00:00.333", "00:00:01.333"), "macro", "positive")
    assert (second.emotion, micro.type, micro.confidence) == ("surprise", "micro", 0.62)
    assert len(found) == 3
    assert found[2] is micro
    assert len(found.at(0.5, 0.1)) == 4
    said = repr(found)
    assert said.startswith("v.mp4: 2 macro and 1 micro expressions in 00:00:03.000 (90 frames at 30 fps; face 1 of 1)")
    assert "  00:00:00.333 to 00:00:01.333  frames 11-40  macro  positive  0.80" in said


def test_times_of_a_variable_rate_are_those_of_its_frames(found):
    times = np.concatenate([np.arange(40) / 20, 2 + np.arange(50) / 50])
    first, *_ = replace(found, times=times, fps=30.0)
    assert (first.start_seconds, first.end_seconds) == (pytest.approx(0.5), pytest.approx(2.0))


def test_times_count_from_the_start_of_the_file(found, tmp_path):
    from pympi.Elan import Eaf

    late = replace(found, start=0.65)
    with write_events(late, tmp_path / "e.csv", "csv").open(newline="") as file:
        first = next(csv.DictReader(file))
    assert (first["onset"], first["start_seconds"], first["start_timecode"]) == ("11", "0.9833", "00:00:00.983")
    document = Eaf(str(write_events(late, tmp_path / "e.eaf", "elan")))
    assert document.get_annotation_data_for_tier("macro") == [(983, 1983, "positive")]
    assert late.duration == pytest.approx(found.duration)
    assert late.plot().axes[0].get_xlim() == pytest.approx((0.65, 3.65))


def test_nothing_found_is_said(found):
    nothing = found.at(0.9, 0.9)
    assert len(nothing) == 0
    assert "no expression in 00:00:03.000" in repr(nothing)
    assert "highest score and threshold: macro 0.8 of 0.9, micro 0.62 of 0.9" in repr(nothing)
    assert nothing.plot().axes


def test_pandas_is_optional(found, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)  # as if it were not installed
    with pytest.raises(FednError, match="to_pandas needs pandas: pip install pandas"):
        found.to_pandas()


def test_a_data_frame_is_made_of_the_rows_and_columns_of_the_file(found, monkeypatch):
    stand_in = SimpleNamespace(DataFrame=lambda rows, columns: (rows, columns))
    monkeypatch.setitem(sys.modules, "pandas", stand_in)
    rows, columns = found.to_pandas()
    assert columns == list(COLUMNS)
    assert rows == [e.to_dict() for e in found]
    assert all(list(row) == columns for row in rows)


def test_csv_json_and_challenge_files_hold_the_same(found, tmp_path):
    with write_events(found, tmp_path / "e.csv", "csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["video"] for row in rows] == ["v.mp4"] * 3
    assert [int(row["onset"]) for row in rows] == [11, 39, 52]
    told = json.loads(write_events(found, tmp_path / "e.json", "json").read_text())
    assert [e["start_timecode"] for e in told["expressions"]] == [row["start_timecode"] for row in rows]
    assert told["threshold"] == {"macro": 0.5, "micro": 0.6}
    claimed = read_events(write_events(found, tmp_path / "e_megc.csv", "megc"), Names()).events
    assert sorted(zip(claimed.start, claimed.end, claimed.type, strict=True)) == [(10, 40, 0), (38, 54, 0), (51, 60, 1)]


def test_one_movement_is_listed_once_with_its_other_type_beside_it(found, tmp_path):
    inside = EventTable.from_rows([[0, 0, 15, 30, 1, 0, 0.7, 0.9], [0, 0, 60, 75, 0, 1, 0.52, 0.9]])
    micro = EventTable.from_rows([[0, 0, 62, 72, 1, 0, 0.9, 0.9]])
    proposals = EventTable.concatenate([found.faces[0].proposals, inside, micro])
    both = replace(found, faces=(replace(found.faces[0], proposals=proposals),))
    assert [(e.type, e.frames, e.also) for e in both] == [
        ("macro", (11, 40), ("micro 0.70",)),
        ("macro", (39, 54), ()),
        ("micro", (52, 60), ()),
        ("micro", (63, 72), ("macro 0.52",)),
    ]
    with write_events(both, tmp_path / "e.csv", "csv").open(newline="") as file:
        assert [row["warning"] for row in csv.DictReader(file)][::3] == [
            "also found as micro 0.70",
            "also found as macro 0.52",
        ]
    told = json.loads(write_events(both, tmp_path / "e.json", "json").read_text())
    assert [e["also"] for e in told["expressions"]] == [["micro 0.70"], [], [], ["macro 0.52"]]
    assert len(both.at(0.75, 0.6)) == 3  # at another threshold the micro-expression is alone


def test_elan_tiers_hold_every_expression_and_no_overlap(found, tmp_path):
    from pympi.Elan import Eaf

    document = Eaf(str(write_events(found, tmp_path / "out" / "e.eaf", "elan")))
    names = [
        f"{tier}{text}" for tier in ("macro", "macro 2", "micro") for text in ("", " confidence", " emotion confidence")
    ]
    assert sorted(document.get_tier_names()) == sorted(names)
    assert document.get_ref_annotation_data_for_tier("macro confidence")[0][:3] == (333, 1333, "0.8")
    assert document.get_annotation_data_for_tier("macro") == [(333, 1333, "positive")]
    assert document.get_annotation_data_for_tier("macro 2") == [(1267, 1800, "surprise")]
    assert document.get_annotation_data_for_tier("micro") == [(1683, 2000, "negative")]
    (media,) = document.get_linked_files()
    assert media["MEDIA_URL"] == (tmp_path / "v.mp4").as_uri()
    assert media["RELATIVE_MEDIA_URL"] == "../v.mp4"
    assert set(dict(document.get_cv_entries("emotion"))) == {"emotion0", "emotion1", "emotion2"}
    assert read_back(read_eaf(tmp_path / "out" / "e.eaf")) == coded_events(found)
    assert not list((tmp_path / "out").glob("*.bak"))


def test_the_annotated_video_shows_face_label_and_cursor(found, tmp_path):
    settings = Settings("digest", annotate=True)
    files = write_outputs(found, tmp_path / "out", settings)
    assert [file.name for file in files] == ["events.csv", "timeline.png", "annotated.mp4"]
    with av.open(str(files[2])) as container:
        shown = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        stream = container.streams.video[0]
        assert float(stream.duration * stream.time_base) == pytest.approx(3.0, abs=0.1)
    assert len(shown) == N
    height, width = shown[0].shape[:2]
    assert (height, width) == (240 + 56, 320)  # enlarged, or the label would not fit
    strips = [picture[244:292, 60:].astype(int) for picture in (shown[0], shown[45])]
    assert (np.abs(strips[0] - strips[1]).max(axis=(0, 2)) > 100).sum() <= 12  # the cursor alone has moved
    green = (np.array(shown[25]).astype(int) - [0, 158, 115]).__abs__().sum(axis=2) < 90
    grey = (np.array(shown[5]).astype(int) - [0, 158, 115]).__abs__().sum(axis=2) < 90
    assert green[:240].sum() > 20 + grey[:240].sum()  # the square takes the emotion's colour


def test_finished_outputs_are_known_by_video_settings_and_files(found, tmp_path):
    settings, folder = Settings("digest", "json", face=2, threshold=(0.5, 0.5)), tmp_path / "out"
    assert finished(folder, found.video, settings) is None
    write_outputs(found, folder, settings)
    assert finished(folder, found.video, settings) == found.summary()
    for other in (
        replace(settings, checkpoint="other"),
        replace(settings, face="all"),
        replace(settings, annotate=True),
    ):
        assert finished(folder, found.video, other) is None
    (folder / "events.json").unlink()
    assert finished(folder, found.video, settings) is None


def test_a_long_video_is_a_bounded_picture(found):
    long = replace(found, n_frames=30 * 7200, faces=(replace(found.faces[0], curve=np.zeros((30 * 7200, 2))),))
    figure = draw(long)
    assert len(figure.axes) == 2 * MAX_ROWS
    assert figure.get_figheight() < 30
    ticks = [label.get_text() for label in figure.axes[-1].get_xticklabels()]
    assert any(re.fullmatch(r"01:\d\d:\d\d", tick) for tick in ticks)


@pytest.mark.parametrize("seconds", [1, 3, 7, 20, 50, 100, 600])
def test_a_mark_on_the_time_axis_tells_its_very_place(found, seconds):
    n = 30 * seconds
    figure = draw(replace(found, n_frames=n, faces=(replace(found.faces[0], curve=np.zeros((n, 2))),)))
    axis = figure.axes[-1].xaxis
    for place in axis.get_majorticklocs():
        minutes, second = axis.get_major_formatter()(place, 0).split(":")
        assert place < 0 or 60 * int(minutes) + float(second) == pytest.approx(place, abs=1e-6)


def test_a_detector_of_generated_faces_says_so_everywhere(found, tmp_path):
    from pympi.Elan import Eaf

    note = generated_note({"generated": True, "subjects": {"train": ["s1", "s2"], "val": ["s3"], "test": ["s4"]}})
    assert "3 generated people" in note
    assert "nothing was measured on real people" in note
    warned = replace(found, generated_only=True, notes=(note,))
    with write_events(warned, tmp_path / "e.csv", "csv").open(newline="") as file:
        assert {row["warning"] for row in csv.DictReader(file)} == {GENERATED_ONLY}
    told = json.loads(write_events(warned, tmp_path / "e.json", "json").read_text())
    assert told["trained_on_generated_faces_alone"] is True
    document = Eaf(str(write_events(warned, tmp_path / "e.eaf", "elan")))
    assert document.get_annotation_data_for_tier("warning") == [(0, 3000, GENERATED_ONLY)]
    assert any(GENERATED_ONLY in text.get_text() for text in warned.plot().texts)
    assert not any(GENERATED_ONLY in text.get_text() for text in found.plot().texts)
    assert note in repr(warned)
    assert note in told["notes"]


def test_unreliable_stretches_stand_in_every_output(found, tmp_path):
    from pympi.Elan import Eaf

    doubtful = replace(found, unreliable=(UnreliableSpan(found.faces[0].number, 30.0, 60.0, "no face"),))
    with write_events(doubtful, tmp_path / "e.csv", "csv").open(newline="") as file:
        assert any(row["warning"] == "unreliable: no face" for row in csv.DictReader(file))
    (span,) = json.loads(write_events(doubtful, tmp_path / "e.json", "json").read_text())["unreliable"]
    assert (span["start_seconds"], span["end_seconds"], span["reason"]) == (1.0, 2.0, "no face")
    document = Eaf(str(write_events(doubtful, tmp_path / "e.eaf", "elan")))
    assert document.get_annotation_data_for_tier("unreliable") == [(1000, 2000, "no face")]
    assert len(doubtful.plot().axes[0].patches) == len(found.plot().axes[0].patches) + 1
