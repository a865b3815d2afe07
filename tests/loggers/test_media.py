from __future__ import annotations

import pytest
from toys import make_record

from fedn_lightning.events import EventTable
from fedn_lightning.loggers.media import OUTCOME_COLUMNS, outcome_rows, outcomes
from fedn_lightning.metrics.functional.threshold import at_threshold


def test_every_event_is_a_true_positive_a_false_positive_or_a_false_negative() -> None:
    record = make_record()
    predicted = at_threshold(record.predictions, record.threshold)
    found = outcomes(predicted, record.truths)
    assert [outcome.kind for outcome in found] == ["true positive", "true positive", "false positive", "false negative"]
    assert sorted(o.prediction for o in found if o.kind != "false negative") == [0, 1, 2]
    assert sorted(o.truth for o in found if o.kind != "false positive") == [0, 1, 2]
    assert found[0].iou == pytest.approx(38 / 40)
    assert found[-1].iou is None


def test_a_row_holds_frames_as_the_release_counts_them() -> None:
    record = make_record("05")
    predicted = at_threshold(record.predictions, record.threshold)
    rows = outcome_rows(predicted, record.truths, record.videos, record.emotions)
    hit, wrong, alarm, miss = (dict(zip(OUTCOME_COLUMNS, row, strict=True)) for row in rows)
    assert (hit["subject"], hit["video"], hit["onset"], hit["offset"]) == ("05", "05_0101disgust", 33.0, 70.0)
    assert (wrong["type"], wrong["emotion"], wrong["true_emotion"]) == ("micro", "surprise", "positive")
    assert (alarm["true_emotion"], alarm["iou"], alarm["score"]) == ("", None, 0.8)
    # The missed truth has no analysed emotion; its frames are those of the truth.
    assert (miss["onset"], miss["offset"], miss["emotion"], miss["true_emotion"]) == (201.0, 240.0, "", "")
    assert miss["score"] is None


def test_nothing_to_find_and_nothing_found() -> None:
    assert outcomes(EventTable(), EventTable()) == []
