"""The history of a review: nothing that was confirmed is lost, and every change can be taken back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedn_lightning.errors import AnnotationError
from fedn_lightning.review.events import ConflictError, History, ReviewEvent, ReviewVideo, uncertainty

FOUND = ReviewEvent("found-1", 10, 20, "micro", "surprise", confidence=0.6)
OTHER = ReviewEvent("found-2", 30, 60, "macro", "positive", confidence=0.9)


def video(events=(FOUND, OTHER)) -> ReviewVideo:
    return ReviewVideo("v", Path("v.mp4"), "anna", "v", 30.0, 100, events=events)


def accept(history: History, event: ReviewEvent, **fields: object) -> ReviewEvent:
    after = replace(event, state="accepted", **fields)
    history.change(event.to_dict(), after.to_dict(), "cora")
    return after


def test_a_change_is_there_after_the_process_died(tmp_path):
    history = History(tmp_path / "h.jsonl", video())
    changed = accept(history, FOUND, onset=12, emotion="positive")
    again = History(tmp_path / "h.jsonl", video())
    assert again.events == {"found-1": changed, "found-2": OTHER}
    assert again.lines[-1]["coder"] == "cora"


def test_half_a_line_of_a_killed_process_is_taken_off(tmp_path):
    path = tmp_path / "h.jsonl"
    history = History(path, video())
    accept(history, FOUND)
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"kind": "event", "bef')
    assert History(path, video()).events == history.events
    assert path.read_bytes() == whole


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ('"onset": 12', '"onset": "12"', "whole numbers"),
        ('"onset": 12', '"onset": 99', "must ascend"),
        ("{", "<", "cannot be read"),
    ],
)
def test_a_line_edited_by_hand_is_named_and_stays(tmp_path, old, new, what):
    path = tmp_path / "h.jsonl"
    accept(History(path, video()), FOUND, onset=12)
    lines = path.read_text().splitlines()
    edited = lines[1].replace(old, new, 1) if old != '"onset": 12' else new.join(lines[1].rsplit(old, 1))
    path.write_text("\n".join([lines[0], edited, ""]))
    before = path.read_bytes()
    with pytest.raises(AnnotationError, match=f"line 2.*{what}"):
        History(path, video())
    assert path.read_bytes() == before


def test_new_predictions_do_not_change_what_was_reviewed(tmp_path):
    accept(History(tmp_path / "h.jsonl", video()), FOUND)
    assert set(History(tmp_path / "h.jsonl", video(events=())).events) == {"found-1", "found-2"}


def test_two_pages_may_change_different_events_but_not_the_same_one(tmp_path):
    history = History(tmp_path / "h.jsonl", video())
    accept(history, FOUND)
    accept(history, OTHER)
    with pytest.raises(ConflictError, match="first"):
        accept(history, FOUND, onset=11)
    assert history.events["found-1"].onset == 10


def test_a_video_with_open_events_is_not_finished(tmp_path):
    history = History(tmp_path / "h.jsonl", video())
    accept(history, FOUND)
    with pytest.raises(AnnotationError, match="still open"):
        history.set_done(True, "cora")
    accept(history, OTHER)
    history.set_done(True, "cora")
    assert History(tmp_path / "h.jsonl", video()).done


def test_a_person_must_be_the_name_of_a_folder(tmp_path):
    history = History(tmp_path / "h.jsonl", video())
    for name in ("", "a/b", "..", "\n", 7):
        with pytest.raises(AnnotationError, match="person"):
            history.set_subject(name, "cora")
    history.set_subject(" berta ", "cora")
    assert history.subject == "berta"


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(("new", "shift", "reject", "remove", "subject", "undo")), st.integers(1, 90)),
        max_size=12,
    )
)
def test_undo_leads_back_to_the_beginning(tmp_path_factory, steps):
    path = tmp_path_factory.mktemp("history") / "h.jsonl"
    history = History(path, video())
    for number, (what, frame) in enumerate(steps):
        event = next(iter(history.events.values()), None)
        if what == "new":
            history.change(None, ReviewEvent(f"n{number}", frame, frame + 9, "macro").to_dict(), "cora")
        elif what == "subject":
            history.set_subject(f"p{frame}", "cora")
        elif what == "undo" and history.can_undo:
            history.undo("cora")
        elif event is not None and what in ("shift", "reject"):
            new = replace(event, onset=frame, offset=frame + 5) if what == "shift" else replace(event, state="rejected")
            history.change(event.to_dict(), new.to_dict(), "cora")
        elif event is not None and what == "remove":
            history.change(event.to_dict(), None, "cora")
    assert History(path, video()).events == history.events
    while history.can_undo:
        history.undo("cora")
    assert (history.events, history.subject) == ({"found-1": FOUND, "found-2": OTHER}, "anna")
    with pytest.raises(AnnotationError, match="nothing to undo"):
        history.undo("cora")


def test_uncertainty_is_greatest_at_the_threshold():
    values = [uncertainty(replace(FOUND, confidence=c), {"micro": 0.5}) for c in (0.5, 0.6, 1.0, None)]
    assert values == pytest.approx([1.0, 0.8, 0.0, 0.0])
