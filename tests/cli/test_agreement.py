"""`fedn evaluate` with the files of two coders."""

import json

import pytest

from fedn_lightning.cli.main import main
from fedn_lightning.datasets.eaf import CodedEvent, write_eaf
from lookalikes.movies import numbered, write_movie

ANNA = [
    CodedEvent(0, 400, "macro", "joy", coder="anna"),
    CodedEvent(1000, 1200, "micro", "others", coder="anna"),
    CodedEvent(1400, 1600, "micro", "fear", coder="anna"),
]
BEN = [
    CodedEvent(40, 400, "macro", "joy", coder="ben"),
    CodedEvent(1000, 1240, "micro", "fear", coder="ben"),
    CodedEvent(600, 700, "micro", "fear", coder="ben"),
]


@pytest.fixture
def files(tmp_path):
    write_movie(tmp_path / "v.mp4", map(numbered, range(50)), fps=25.0)
    for name, events in (("anna", ANNA), ("ben", BEN)):
        write_eaf(tmp_path / f"{name}.eaf", tmp_path / "v.mp4", events)
    return tmp_path


def evaluate(truth, predictions, *options):
    return main(["evaluate", "--truth", str(truth), "--predictions", str(predictions), *options])


def test_agreement_of_two_coders(files, capsys):
    assert evaluate(files / "anna.eaf", files / "ben.eaf", "--json") == 0
    got = json.loads(capsys.readouterr().out)
    at_half = got["spotting"]["iou_0.5"]["overall"]
    assert (at_half["tp"], at_half["fp"], at_half["fn"]) == (2, 1, 1)
    assert got["spotting"]["iou_0.5"]["overall"]["f1"] == pytest.approx(2 / 3)
    # 50 frames of 40 ms: Anna 0-9, 25-29 and 35-39, Ben 1-9, 25-30, 15 and 16 (700 ms is the middle of frame 17).
    both, anna, ben = 9 + 5, 1 + 5, 1 + 2
    neither = 50 - both - anna - ben
    observed = (both + neither) / 50
    expected = ((both + anna) * (both + ben) + (neither + anna) * (neither + ben)) / 2500
    assert got["kappa_per_frame"]["any"] == pytest.approx((observed - expected) / (1 - expected))
    assert got["kappa_per_frame"]["frames"] == 50
    assert (got["onset_ms"]["mean"], got["onset_ms"]["absolute"], got["offset_ms"]["mean"]) == (20, 20, 20)
    assert got["emotions_of_pairs"] == {"same": 1, "of": 2, "kappa": pytest.approx(1 / 3)}


def test_the_text_names_files_coders_and_numbers(files, capsys):
    assert evaluate(files / "anna.eaf", files / "ben.eaf") == 0
    said = capsys.readouterr().out
    assert "anna.eaf (anna: 3 events)" in said
    assert "ben.eaf (ben: 3 events)" in said
    assert "onset         2   +20" in said
    assert "the same in 1 of 2" in said


def test_one_file_may_hold_both(files, capsys):
    path = write_eaf(files / "both.eaf", files / "v.mp4", [*ANNA, *BEN])
    assert evaluate(path, path) == 2
    assert "is coded by several people (anna, ben). Choose one by" in capsys.readouterr().err
    assert evaluate(path, path, "--coders", "anna", "ben", "--json") == 0
    assert json.loads(capsys.readouterr().out)["spotting"]["iou_0.5"]["overall"]["tp"] == 2


def test_a_coder_agrees_with_herself_and_a_moved_video_is_told(files, capsys):
    (files / "v.mp4").unlink()
    assert evaluate(files / "anna.eaf", files / "anna.eaf", "--json") == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out)["kappa_per_frame"]["emotion"] == 1
    assert "its length is unknown" in shown.err


def test_folders_are_compared_video_by_video(files, capsys):
    for coder, events in (("a", ANNA), ("b", BEN)):
        write_eaf(files / coder / "v.eaf", files / "v.mp4", events)
    write_eaf(files / "b" / "w.eaf", files / "w.mp4", [])
    assert evaluate(files / "a", files / "b", "--json") == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out)["videos"] == ["v"]
    assert "1 videos are coded by one of them alone and are left out: w" in shown.err
    assert evaluate(files / "b" / "w.eaf", files / "a") == 2
    assert "No video is in both" in capsys.readouterr().err


def test_what_cannot_be_is_a_sentence(files, capsys):
    assert evaluate(files / "anna.eaf", files / "ben.eaf", "--threshold", "0.5") == 2
    assert "--threshold does not apply to .eaf files" in capsys.readouterr().err
    write_eaf(files / "twice" / "1.eaf", files / "v.mp4", ANNA)
    write_eaf(files / "twice" / "2.eaf", files / "v.mp4", ANNA)
    assert evaluate(files / "twice", files / "ben.eaf") == 2
    assert "both code the video v, by the coder 'anna'" in capsys.readouterr().err
    (files / "ben.eaf").write_text("no xml")
    assert evaluate(files / "anna.eaf", files / "ben.eaf") == 2
    assert "ben.eaf cannot be read as an ELAN file" in capsys.readouterr().err
