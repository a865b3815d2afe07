from __future__ import annotations

import io
import math
from dataclasses import replace

from rich.console import Console
from toys import make_record

from fedn_lightning.events import EventTable
from fedn_lightning.reports.console import explain_choice, print_card
from fedn_lightning.results.report import VALIDATION, flatten, result_of


def card(result: dict, files: list[str] = []) -> str:  # noqa: B006
    console = Console(file=io.StringIO(), width=100)
    print_card(result, "runs/x", files, "fedn next", console)
    return console.file.getvalue()


def test_counts_and_scores_stand_in_their_row() -> None:
    said = card(result_of(make_record()), ["result.json"])
    row = next(line for line in said.splitlines() if "overall" in line)
    assert row.split()[1:-1] == ["overall", "2", "1", "1", "0.6667", "0.6667", "0.6667"]
    assert "AP negative" in said
    assert "result.json" in said
    assert "checkpoints" not in said  # names what lies there only
    assert "fedn next" in said


def test_undefined_is_a_dash() -> None:
    nothing = replace(make_record(), truths=EventTable(), predictions=EventTable())
    row = next(line for line in card(result_of(nothing)).splitlines() if "overall" in line)
    assert row.split()[1:-1] == ["overall", "0", "0", "0", "-", "-", "-"]


def test_the_card_says_how_the_threshold_was_chosen() -> None:
    record = replace(make_record(), threshold=(0.25, math.inf))
    assert "macro 0.250, micro none, chosen on validation subjects" in explain_choice(result_of(record))
    assert "selected on test data" in explain_choice(result_of(record, selection="published"))
    assert "not a result to report" in explain_choice(result_of(record, split=VALIDATION))


def test_whose_subjects_they_are() -> None:
    assert "result on held-out subjects" in card(result_of(make_record()))
    assert "result on validation subjects" in card(result_of(make_record(), split=VALIDATION))


def test_a_task_without_detections() -> None:
    said = card({"split": VALIDATION, "scores": {"val/accuracy": 0.75}})
    assert "val/accuracy  0.7500" in said


def test_recognition_alone_claims_no_spotting() -> None:
    record = make_record()
    said = card(result_of(replace(record, predictions=record.truths, intervals="truth")))
    assert "recognition on labelled intervals" in said
    assert "overall_uar" in said
    assert "precision" not in said


def test_flat_numbers_leave_out_the_undefined() -> None:
    assert flatten({"a": {"b": 1, "c": math.nan}, "d": "x", "e": [1]}) == {"a/b": 1}
