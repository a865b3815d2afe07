from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest
from toys import make_record

from fedn_lightning.events import EventTable
from fedn_lightning.results import Names, read_events
from fedn_lightning.results.writing import event_rows, write_tables


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_predictions_are_what_the_network_claims_and_proposals_are_all(tmp_path: Path) -> None:
    record = make_record()
    write_tables(record, tmp_path)
    assert len(read(tmp_path / "predictions.csv")) == 3
    assert len(read(tmp_path / "proposals.csv")) == 4
    assert len(read(tmp_path / "videos.csv")) == 2  # also the video in which there is nothing
    assert read(tmp_path / "videos.csv")[1] == {
        "subject": "05", "video": "05_0102calm", "n_frames": "300", "fps": "30",
    }  # fmt: skip


def test_frames_are_inclusive_as_the_release_counts(tmp_path: Path) -> None:
    record = make_record()
    write_tables(record, tmp_path)
    first = read(tmp_path / "truth.csv")[0]
    assert (first["onset"], first["offset"]) == ("31", "70")  # [30, 70) from frame 1
    later = replace(record, videos=tuple(replace(video, first_frame=100) for video in record.videos))
    assert event_rows(later, later.truths)[0][2:4] == ["130", "169"]


def test_an_emotion_that_is_not_analysed_is_empty_and_fractions_are_kept() -> None:
    record = replace(make_record(), truths=EventTable.from_rows([[0, 1, 2.25, 9.5, 1, -1, 1]]))
    assert event_rows(record, record.truths) == [["05", "05_0102calm", "3.25", "9.5", "micro", "", "1", "1"]]


def test_the_evaluator_reads_back_what_was_written(tmp_path: Path) -> None:
    record = make_record(score=0.123456789)
    write_tables(record, tmp_path)
    found = read_events(tmp_path / "proposals.csv", Names()).events
    assert found.to_rows()[:, 2:5].tolist() == record.predictions.to_rows()[:, 2:5].tolist()
    assert found.score == pytest.approx(record.predictions.score, abs=1e-9)
