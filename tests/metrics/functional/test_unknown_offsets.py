"""The second reading of truths whose offset is unknown, beside its definition read out loud."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedn_lightning.events import EventTable
from fedn_lightning.metrics.functional.evaluation import evaluate
from fedn_lightning.metrics.functional.matching import match
from fedn_lightning.metrics.functional.unknown_offsets import without_unknown_offsets

events = st.lists(
    st.tuples(st.integers(0, 1), st.integers(0, 40), st.integers(1, 25), st.integers(0, 1), st.booleans()), max_size=6
)


def table(rows, scores=None):
    return EventTable.from_rows(
        [
            [0, video, start, start + length, kind, -1, 1 if scores is None else scores[i], 1, known]
            for i, (video, start, length, kind, known) in enumerate(rows)
        ]
    )


def fits_some_end(start, end, truth_start, truth_end):
    """Tries every end from the truth's own on."""
    for other in range(int(truth_end), int(max(end, truth_end)) + 1):
        shared = max(min(end, other) - max(start, truth_start), 0)
        if shared / (max(end, other) - min(start, truth_start)) >= 0.5:
            return True
    return False


@given(events, events)
def test_a_prediction_goes_if_some_end_of_an_unknown_truth_would_make_it_a_hit_and_no_known_truth_is_hit(found, truth):
    predictions, truths = table(found, np.linspace(1, 0.1, len(found))), table(truth)
    stay, known = without_unknown_offsets(predictions, truths)
    hit = match(predictions, truths[truths.end_known]) >= 0
    expected = [
        k
        for k, (video, start, length, kind, _) in enumerate(found)
        if hit[k]
        or not any(
            not known and video == v and kind == t and fits_some_end(start, start + length, s, s + n)
            for v, s, n, t, known in truth
        )
    ]
    assert stay.score.tolist() == predictions.score[expected].tolist()
    assert known.end_known.all()


def test_both_readings_stand_side_by_side():
    truths = EventTable.from_rows([[0, 0, 10, 20, 0, 0, 1, 1, 0], [0, 0, 90, 99, 0, 1, 1, 1, 1]])
    found = EventTable.from_rows([[0, 0, 10, 45, 0, 0, 0.9], [0, 0, 90, 99, 0, 1, 0.8]])
    evaluation = evaluate(found, truths)
    spotting, mean_ap = evaluation.without_unknown
    assert evaluation.unknown_offsets == 1
    assert (evaluation.spotting.macro.tp, evaluation.spotting.macro.fp, evaluation.spotting.macro.fn) == (1, 1, 1)
    assert (spotting.macro.tp, spotting.macro.fp, spotting.macro.fn) == (1, 0, 0)
    assert evaluation.detection.mean((0.5,)) == pytest.approx(0.5)
    assert mean_ap == 1


def test_where_every_offset_is_known_the_readings_are_one():
    truths = table([(0, 5, 10, 0, True)])
    evaluation = evaluate(truths, truths)
    assert evaluation.unknown_offsets == 0
    assert evaluation.without_unknown[0] == evaluation.spotting
