""""""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from report_runs import invent_record
from toys import make_record

from fedn_lightning.analysis.errors import (
    HIT,
    KINDS,
    NOT_JUDGED,
    false_negatives,
    false_positives,
    nearest,
    sort_errors,
)
from fedn_lightning.events import Corpus, EventTable, Expression, Video
from fedn_lightning.metrics.functional.matching import UNMATCHED, match
from fedn_lightning.metrics.functional.spotting import spotting_scores
from fedn_lightning.metrics.functional.threshold import at_threshold
from metrics import reference
from metrics.random_events import events, table

LABELS = st.sampled_from(["type", "emotion"])


def reference_kinds(predictions, truths, label):
    """The definitions, read off one by one with exact fractions; by loops, with no look at the package."""

    def agree(p, t):
        return p.video == t.video and getattr(p, label) == getattr(t, label)

    judged = [i for i, p in enumerate(predictions) if getattr(p, label) >= 0]
    held = judged or not predictions  # who names no emotion at all is not held to them
    wanted = [j for j, t in enumerate(truths) if held and getattr(t, label) >= 0]
    found = reference.match([predictions[i] for i in judged], [truths[j] for j in wanted], 0.5, agree)
    taken = {judged[i]: wanted[j] for i, j in found}
    kinds = []
    for i, p in enumerate(predictions):
        # Python compares tuples: the greatest IoU, then one of the own class.
        best = max([(reference.iou(p, t), agree(p, t)) for t in truths if t.video == p.video], default=(0, False))
        if i in taken or i not in judged:
            kinds.append("hit" if i in taken else "not judged")
        elif best[0] * 10 < 1:
            kinds.append("background")
        else:
            names = ("duplicate", "classification") if best[0] * 2 >= 1 else ("localisation", "both")
            kinds.append(names[0] if best[1] else names[1])
    return kinds


def name(code):
    return {HIT: "hit", NOT_JUDGED: "not judged"}.get(int(code)) or KINDS[code]


@settings(max_examples=200, deadline=None)
@given(events(), events(truth=True), LABELS)
def test_false_positives_equal_the_definitions_read_off_one_by_one(predictions, truths, label):
    found = sort_errors(table(predictions), table(truths), label)
    assert [name(code) for code in found.kind] == reference_kinds(predictions, truths, label)


@settings(max_examples=200, deadline=None)
@given(events(), events(truth=True), LABELS)
def test_each_event_has_one_kind_and_the_counts_are_those_of_the_matching(predictions, truths, label):
    found, true = table(predictions), table(truths)
    errors = sort_errors(found, true, label)
    assert errors.kind.shape == found.start.shape
    assert errors.truth_kind.shape == true.start.shape
    mine, theirs = found[getattr(found, label) >= 0], true[getattr(true, label) >= 0]
    theirs = theirs if len(mine) or not len(found) else theirs[:0]
    hits = int((match(mine, theirs, within=("video", label)) != UNMATCHED).sum())
    assert sum(errors.false_positives().values()) == len(mine) - hits
    assert sum(errors.false_negatives().values()) == len(theirs) - hits
    assert errors.false_positives()["missed"] == 0
    assert {k for k, n in errors.false_negatives().items() if n} <= {"classification", "localisation", "missed"}


@settings(max_examples=80, deadline=None)
@given(events(), events(truth=True))
def test_spotting_kinds_add_up_to_the_evaluators_counts_in_each_type(predictions, truths):
    found, true = table(predictions), table(truths)
    errors, scores = sort_errors(found, true), spotting_scores(found, true)
    for kind, counts in enumerate((scores.macro, scores.micro)):
        assert sum(errors.false_positives(found.type == kind).values()) == counts.fp
        assert sum(errors.false_negatives(true.type == kind).values()) == counts.fn
    assert sum(errors.false_negatives().values()) == scores.overall.fn


@settings(max_examples=80, deadline=None)
@given(events(), events(truth=True), LABELS)
def test_every_covered_truth_has_a_false_positive_that_points_to_it(predictions, truths, label):
    errors = sort_errors(table(predictions), table(truths), label)
    for j, (code, i) in enumerate(zip(errors.truth_kind, errors.prediction, strict=True)):
        if name(code) in ("missed", "not judged"):
            assert i == UNMATCHED
        else:
            assert errors.kind[i] == code
            assert errors.truth[i] == j
    for kind in ("classification", "localisation"):  # and no false positive points to a truth that counts as missed
        pointed = errors.truth[errors.kind == KINDS.index(kind)]
        assert KINDS.index("missed") not in errors.truth_kind[pointed]


@settings(max_examples=80, deadline=None)
@given(events(), events(truth=True), LABELS, st.randoms())
def test_the_order_of_the_rows_does_not_matter(predictions, truths, label, shuffler):
    # Among equal rows the first takes the truth, so kinds are compared as what happens to each distinct row.
    order = list(range(len(predictions)))
    shuffler.shuffle(order)
    moved = [predictions[i] for i in order]
    kinds = sort_errors(table(predictions), table(truths), label).kind
    again = sort_errors(table(moved), table(truths), label).kind
    assert sorted(zip(predictions, kinds.tolist(), strict=True)) == sorted(zip(moved, again.tolist(), strict=True))


def rows(*spans):
    """Spans `(start, end, type)` of one video, the first the surest."""
    return EventTable.from_rows(
        [[0, 0, start, end, kind, -1, 0.9 - k / 10] for k, (start, end, kind) in enumerate(spans)]
    )


@pytest.mark.parametrize(
    ("span", "kind", "iou"),
    [
        ((100, 150, 0), "hit", 4 / 6),
        ((80, 140, 0), "localisation", 3 / 8),
        ((110, 135, 0), "hit", 0.5),  # exactly half counts
        ((110, 115, 0), "localisation", 0.1),  # and so does a tenth
        ((110, 114, 0), "background", 0.0),
        ((100, 150, 1), "classification", 4 / 6),
        ((80, 140, 1), "both", 3 / 8),
        ((300, 340, 0), "background", 0.0),
    ],
)
def test_kinds_of_one_prediction_of_one_truth(span, kind, iou):
    errors = sort_errors(rows(span), rows((110, 160, 0)))
    assert name(errors.kind[0]) == kind
    assert errors.iou[0] == pytest.approx(iou)
    assert (errors.truth[0] == UNMATCHED) == (kind == "background")


def test_the_best_overlapped_truth_explains_and_the_highest_scoring_false_positive_covers():
    truths = rows((0, 40, 0), (38, 58, 1), (100, 140, 0))
    found = rows((0, 40, 0), (36, 58, 0), (110, 220, 0), (90, 170, 1), (105, 200, 0), (1, 40, 0))
    errors = sort_errors(found, truths)
    expected = ["hit", "classification", "localisation", "classification", "localisation", "duplicate"]
    assert [name(code) for code in errors.kind] == expected
    assert errors.truth.tolist() == [0, 1, 2, 2, 2, 0]
    # The third truth is near two false positives of its class, but one of the other class overlaps it by half.
    assert [name(code) for code in errors.truth_kind] == ["hit", "classification", "classification"]
    assert errors.prediction.tolist() == [0, 1, 3]
    covered = sort_errors(found[np.array([2, 4])], truths)
    assert name(covered.truth_kind[2]) == "localisation"
    assert covered.prediction[2] == 0


def test_an_expression_without_an_analysed_class_explains_but_is_not_missed():
    truths = EventTable.from_rows([[0, 0, 10, 50, 0, -1, 1]])
    found = EventTable.from_rows([[0, 0, 10, 50, 0, 2, 0.9], [0, 0, 10, 50, 0, -1, 0.8]])
    errors = sort_errors(found, truths, "emotion")
    assert [name(code) for code in errors.kind] == ["classification", "not judged"]
    assert name(errors.truth_kind[0]) == "not judged"
    assert sum(errors.false_negatives().values()) == 0


def test_emotions_are_ranked_by_both_scores():
    truths = EventTable.from_rows([[0, 0, 10, 50, 0, 1, 1]])
    found = EventTable.from_rows([[0, 0, 10, 50, 0, 1, 0.9, 0.2], [0, 0, 12, 50, 0, 1, 0.8, 0.9]])
    assert [name(code) for code in sort_errors(found, truths, "emotion").kind] == ["duplicate", "hit"]
    assert [name(code) for code in sort_errors(found, truths, "type").kind] == ["hit", "duplicate"]


@pytest.mark.parametrize(("foreground", "background"), [(0.5, 0.5), (0.5, 0.0), (1.2, 0.1)])
def test_refuses_thresholds_in_the_wrong_order(foreground, background):
    with pytest.raises(ValueError, match="0 < background < foreground <= 1"):
        sort_errors(EventTable(), EventTable(), "type", foreground, background)


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
