from __future__ import annotations

import numpy as np
import pytest
from report_runs import invent_record
from toys import make_record

from fedn_lightning.analysis.errors import false_negatives, false_positives, nearest
from fedn_lightning.events import Corpus, EventTable, Expression, Video
from fedn_lightning.metrics.functional.matching import UNMATCHED
from fedn_lightning.metrics.functional.spotting import spotting_scores
from fedn_lightning.metrics.functional.threshold import at_threshold


def test_false_positives_and_false_negatives_are_no_hits() -> None:
    record = make_record()
    predicted = at_threshold(record.predictions, record.threshold)
    (alarm,) = false_positives(predicted, record.truths)
    assert (predicted.start[alarm.event], alarm.kind, alarm.other, alarm.iou) == (150, "background", UNMATCHED, 0)
    (miss,) = false_negatives(predicted, record.truths, record.predictions)
    assert (record.truths.start[miss.event], miss.kind) == (200, "missed")
    assert record.predictions.score[miss.other] == 0.1  # the faint proposal that would have found it
    assert miss.iou == 1


def test_errors_are_sorted_by_confidence() -> None:
    truths = EventTable.from_rows([[0, 0, 0, 20, 0, -1, 1], [0, 0, 100, 110, 1, -1, 1], [0, 0, 200, 260, 0, -1, 1]])
    proposals = EventTable.from_rows(
        [[0, 0, 0, 20, 0, -1, 0.3], [0, 0, 300, 310, 0, -1, 0.6], [0, 0, 400, 410, 0, -1, 0.9]]
    )
    predicted = at_threshold(proposals, 0.5)
    assert [mistake.event for mistake in false_positives(predicted, truths)] == [1, 0]
    # Nothing is known of two; of these the longer one is worse. Of the third there is a faint proposal.
    assert [mistake.event for mistake in false_negatives(predicted, truths, proposals)] == [2, 1, 0]


def test_the_nearest_event_lies_in_the_same_video() -> None:
    event = EventTable.from_rows([[0, 1, 10, 20, 0, -1, 1]])
    others = EventTable.from_rows([[0, 0, 10, 20, 0, -1, 1], [0, 1, 15, 25, 0, -1, 0.2], [0, 1, 15, 25, 1, -1, 0.4]])
    assert nearest(event, others) == (2, pytest.approx(1 / 3))  # the surer of equals
    assert nearest(event, others[:1]) == (UNMATCHED, 0.0)


def test_mistakes_add_up_to_the_counts_of_the_protocol() -> None:
    rng = np.random.default_rng(4)
    video = Video("toy", "a", "v", "", 30.0, n_frames=3000)
    starts = np.sort(rng.choice(np.arange(0, 2900, 40), 30, replace=False)).tolist()
    expressions = tuple(
        Expression("toy", "a", "v", s, s + int(rng.integers(9, 40)), None, ("macro", "micro")[k % 2], "negative")
        for k, s in enumerate(starts)
    )
    record = invent_record(Corpus("toy", (video,), expressions), ("a",))
    predicted = at_threshold(record.predictions, record.threshold)
    counts = spotting_scores(predicted, record.truths).overall
    assert len(false_positives(predicted, record.truths)) == counts.fp > 0
    assert len(false_negatives(predicted, record.truths, record.predictions)) == counts.fn > 0


def test_no_predictions_are_no_false_positives() -> None:
    truths = make_record().truths
    assert false_positives(EventTable(), truths) == []
    assert [mistake.other for mistake in false_negatives(EventTable(), truths, EventTable())] == [UNMATCHED] * len(
        truths
    )
