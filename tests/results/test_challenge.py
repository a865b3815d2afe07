import numpy as np
import pytest

from fedn_lightning.events import DetectionRecord, EventTable, Video
from fedn_lightning.metrics.functional.matching import interval_iou
from fedn_lightning.results import Names, read_events
from fedn_lightning.results.writing import whole_frames, write_challenge


def record(names=(("s1", "a"), ("s2", "b"))):
    videos = tuple(Video("casme3", subject, name, "", 30.0, first_frame=k) for k, (subject, name) in enumerate(names))
    rows = [
        [0, 0, 9, 20, 1, 0, 0.9, 1],
        [1, 1, 4.5, 30.2, 0, 1, 0.8, 1],
        [1, 1, 50, 60, 1, -1, 0.7, 1],
        [1, 1, 70, 80, 1, 0, 0.1, 1],
    ]
    return DetectionRecord(
        videos, (100, 100), ("negative", "positive"), EventTable(), EventTable.from_rows(rows), threshold=0.5
    )


def test_the_spotting_file(tmp_path):
    path = write_challenge(tmp_path / "out.csv", record(), "megc")
    assert path.read_text().splitlines() == [
        "vid,pred_onset,pred_offset,type",
        "a,9,19,me",  # this release counts from 0
        "b,6,30,mae",
        "b,51,60,me",
    ]


def test_names_shared_by_subjects_carry_the_subject_and_are_found_again(tmp_path):
    path = write_challenge(tmp_path / "out.csv", record((("s1", "a"), ("s2", "a"))), "megc")
    assert path.read_text().splitlines()[1].startswith("s1_a,")
    names = Names()
    names.add(("s1", "a"))
    names.add(("s2", "a"))
    assert read_events(path, names).events.video.tolist() == [0, 1, 1]


def test_the_spot_then_recognise_file_leaves_macro_expressions_out(tmp_path):
    path = write_challenge(tmp_path / "out.csv", record(), "str")
    assert path.read_text().splitlines() == [
        "subject,video,onset,offset,emotion",
        "s1,a,9,19,negative",
        "s2,b,51,60,others",
    ]
    file = read_events(path, Names())
    assert (file.format, file.events.start.tolist()) == ("str", [8, 50])


@pytest.mark.parametrize(("start", "end"), [(0, 1), (3.4, 3.6), (10.5, 22.49), (7, 90)])
def test_whole_frames_keep_the_interval(start, end):
    onset, offset = whole_frames(start, end)
    assert offset >= onset
    if end - start >= 10:
        assert interval_iou(onset - 1, offset, start, end) > 0.9
    assert np.isclose((onset - 1 + offset) / 2, (start + end) / 2, atol=1)
