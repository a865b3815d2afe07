"""Anchor geometry, assignment and the joint loss against plain loops."""

import dataclasses
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fedn_lightning.models.anchors import Truths, assign, decode, interval_iou, make_anchors
from fedn_lightning.models.head import HeadOutput
from fedn_lightning.models.losses import DetectionLoss, diou_loss, with_known_ends

STRIDES = [8, 16, 32, 64]
RATIOS = [0.5, 0.75, 1.0, 1.5, 2.0]


def anchors_of(window: int = 128):
    return make_anchors([window // s for s in STRIDES], STRIDES, RATIOS)


def truths_from(interval: torch.Tensor, **fields: torch.Tensor) -> Truths:
    """Truths of type 0 and emotion 0 whose intervals `(B, M, 2)` are wholly there, unless `fields` say otherwise."""
    shape = interval.shape[:2]
    zero, yes = torch.zeros(shape, dtype=torch.long), torch.ones(shape, dtype=torch.bool)
    return Truths(
        **{"interval": interval, "type": zero, "emotion": zero, "present": yes, "whole": yes, "end_known": yes} | fields
    )


def truths_of(*rows: tuple[float, float, int, int]) -> Truths:
    """Truths of one window from (start, end, type, emotion)."""
    table = torch.tensor([rows], dtype=torch.float32)
    return truths_from(table[..., :2], type=table[..., 2].long(), emotion=table[..., 3].long())


def inverse(anchors, start: float, end: float) -> torch.Tensor:
    """Regression that makes every anchor predict one interval."""
    moved = torch.stack(
        [((start + end) / 2 - anchors.centre) / anchors.length, ((end - start) / anchors.length).log()], -1
    )
    free = torch.stack(
        [((anchors.centre - start) / anchors.length).log(), ((end - anchors.centre) / anchors.length).log()], -1
    )
    return torch.where(anchors.has_length.unsqueeze(-1), moved, free)


def test_slots_lie_in_their_window_and_are_ordered_by_level_step_and_kind():
    anchors = anchors_of()
    assert len(anchors) == 180
    assert anchors.centre[:7].tolist() == [4, 4, 4, 4, 4, 4, 12]
    assert anchors.length[:6].tolist() == [4, 6, 8, 12, 16, 8]
    assert anchors.has_length[:6].tolist() == [True] * 5 + [False]
    assert anchors.centre[-1] == 96


@given(st.floats(0, 120), st.floats(1, 100))
@settings(max_examples=50, deadline=None)
def test_decoding_inverts_the_parametrisation(start, length):
    anchors = anchors_of()
    end = start + length
    reachable = anchors.has_length | ((anchors.centre - start > 0.2) & (end - anchors.centre > 0.2))
    within = inverse(anchors, start, end).abs().amax(-1) <= 4
    intervals = decode(anchors, inverse(anchors, start, end).unsqueeze(0))[0][reachable & within]
    torch.testing.assert_close(intervals, torch.tensor([start, end]).expand_as(intervals), atol=2e-3, rtol=1e-3)


def test_every_decoded_interval_has_a_positive_length_whatever_the_network_says():
    intervals = decode(anchors_of(), torch.randn(4, 180, 2) * 1000)
    assert torch.isfinite(intervals).all()
    assert (intervals[..., 1] > intervals[..., 0]).all()


def loop_assignment(anchors, truths, whole, positive_iou=0.5, negative_iou=0.4):
    """The rule of the docstring, anchor by anchor: (positive, ignored, truth)."""
    positive, ignored, chosen = [], [], []
    starts, ends = (edge.tolist() for edge in anchors.interval)

    def iou(i, truth):
        inter = max(0.0, min(ends[i], truth[1]) - max(starts[i], truth[0]))
        return inter / ((ends[i] - starts[i]) + (truth[1] - truth[0]) - inter)

    best = [max(iou(i, t) for i in range(len(anchors)) if anchors.has_length[i]) for t in truths]
    for i in range(len(anchors)):
        hits, doubt = [], False
        for m, truth in enumerate(truths):
            if anchors.has_length[i]:
                match = iou(i, truth) > positive_iou or (iou(i, truth) == best[m] and best[m] > 0)
                rank = iou(i, truth)
                doubt |= match or iou(i, truth) >= negative_iou
            else:
                centre = anchors.centre[i].item()
                side = max(centre - truth[0], truth[1] - centre)
                match = truth[0] <= centre < truth[1] and anchors.shortest[i] <= side <= anchors.longest[i]
                rank = -(truth[1] - truth[0])
                doubt |= match
            if match and whole[m]:
                hits.append((rank, -m))
        positive.append(bool(hits))
        ignored.append(doubt and not hits)
        chosen.append(-max(hits)[1] if hits else 0)
    return positive, ignored, chosen


@given(st.lists(st.tuples(st.integers(-20, 120), st.integers(4, 110), st.booleans()), min_size=1, max_size=4))
@settings(max_examples=60, deadline=None)
def test_assignment_equals_the_rule_applied_slot_by_slot(rows):
    anchors = anchors_of()
    truths = [(float(start), float(start + length)) for start, length, _ in rows]
    whole = [w for *_, w in rows]
    result = assign(anchors, truths_from(torch.tensor([truths]), whole=torch.tensor([whole])))
    positive, ignored, chosen = loop_assignment(anchors, truths, whole)
    assert result.positive[0].tolist() == positive
    assert result.ignored[0].tolist() == ignored
    assert result.truth[0].tolist() == chosen


def test_every_whole_truth_of_a_corpus_like_length_gets_a_slot():
    anchors = anchors_of()
    for length in range(4, 118):
        for start in (0, 3, 10):
            truth = truths_of((float(start), float(start + length), 0, 0))
            assert assign(anchors, truth).positive.any(), (start, length)


def test_padding_and_empty_windows_give_only_negatives():
    anchors = anchors_of()
    no = torch.zeros(1, 1, dtype=torch.bool)
    padded = dataclasses.replace(truths_of((10.0, 30.0, 0, 0)), present=no, whole=no)
    empty = truths_from(torch.zeros(2, 0, 2))
    for result in (assign(anchors, padded), assign(anchors, empty)):
        assert not result.positive.any()
        assert not result.ignored.any()


@given(st.floats(0, 50), st.floats(1, 50), st.floats(0, 50), st.floats(1, 50))
@settings(max_examples=100, deadline=None)
def test_diou_equals_its_formula(start, length, other, other_length):
    end, other_end = start + length, other + other_length
    inter = max(0.0, min(end, other_end) - max(start, other))
    iou = inter / (length + other_length - inter)
    rho = abs((start + end) - (other + other_end)) / 2
    expected = 1 - iou + (rho / (max(end, other_end) - min(start, other))) ** 2
    given_loss = diou_loss(torch.tensor([start, end]), torch.tensor([other, other_end])).item()
    assert math.isclose(given_loss, expected, rel_tol=1e-3, abs_tol=1e-4)


def test_diou_has_a_gradient_where_iou_has_none():
    predicted = torch.tensor([0.0, 2.0], requires_grad=True)
    diou_loss(predicted, torch.tensor([10.0, 12.0])).backward()
    assert predicted.grad.sum() < 0  # the centre moves towards the truth when the loss falls


def test_a_perfect_prediction_costs_nothing():
    anchors, truths = anchors_of(), truths_of((36.0, 60.0, 0, 2))
    assignment = assign(anchors, truths)
    confidence = torch.full((1, 180, 2), -30.0)
    confidence[..., 0][assignment.positive] = 30.0
    emotion = torch.tensor([-30.0, -30.0, 30.0]).expand(1, 180, 3)
    regression = inverse(anchors, 36.0, 60.0).nan_to_num(0).unsqueeze(0)
    parts = DetectionLoss()(HeadOutput(regression, confidence, emotion), anchors, assignment, truths)
    assert parts["loss"].item() < 1e-4


def test_weights_scale_the_parts_and_the_sum_is_their_sum():
    anchors, truths = anchors_of(), truths_of((40.0, 60.0, 1, 0))
    assignment = assign(anchors, truths)
    output = HeadOutput(torch.randn(1, 180, 2), torch.randn(1, 180, 2), torch.randn(1, 180, 3))
    one = DetectionLoss()(output, anchors, assignment, truths)
    two = DetectionLoss(2, 3, 4)(output, anchors, assignment, truths)
    for name, factor in (("interval", 2), ("confidence", 3), ("emotion", 4)):
        torch.testing.assert_close(two[name], factor * one[name])
    torch.testing.assert_close(two["loss"], two["interval"] + two["confidence"] + two["emotion"])


def test_an_unanalysed_emotion_is_left_out_or_taught_as_background():
    anchors, truths = anchors_of(), truths_of((40.0, 60.0, 1, -1))
    assignment = assign(anchors, truths)
    output = HeadOutput(torch.zeros(1, 180, 2), torch.zeros(1, 180, 2), torch.zeros(1, 180, 3))
    assert DetectionLoss()(output, anchors, assignment, truths)["emotion"].item() == 0
    background = DetectionLoss(unanalysed="background")(output, anchors, assignment, truths)["emotion"].item()
    assert math.isclose(background, 3 * math.log(2), rel_tol=1e-5)


def test_a_truth_of_unknown_end_teaches_its_start_and_type_alone():
    anchors, truths = (
        anchors_of(),
        dataclasses.replace(truths_of((40.0, 60.0, 0, 1)), end_known=torch.tensor([[False]])),
    )
    assignment = assign(anchors, truths)
    output = HeadOutput(*(torch.zeros(1, 180, n, requires_grad=True) for n in (2, 2, 3)))
    parts = DetectionLoss()(output, anchors, assignment, truths)
    ends = torch.tensor([[38.0, 90.0], [41.0, 44.0]], requires_grad=True)
    wanted = truths.interval[0].expand(2, 2)
    diou_loss(with_known_ends(ends, wanted, torch.tensor([False, True])), wanted).sum().backward()
    assert ends.grad[0, 0] != 0
    assert ends.grad[0, 1] == 0
    assert ends.grad[1, 1] != 0
    assert parts["confidence"].item() > 0


def test_slots_near_a_truth_of_unknown_end_are_no_negatives():
    anchors, truths = anchors_of(), truths_of((40.0, 60.0, 0, 1))
    known = assign(anchors, truths)
    unknown = assign(anchors, dataclasses.replace(truths, end_known=torch.tensor([[False]])))
    assert torch.equal(known.positive, unknown.positive)
    start, end = anchors.interval
    iou = interval_iou(start, end, torch.tensor(40.0), torch.tensor(60.0))
    assert torch.equal(unknown.ignored, (known.ignored | (iou > 0.1)) & ~known.positive)


def test_with_quality_the_target_of_c_is_the_overlap():
    anchors, truths = anchors_of(), truths_of((36.0, 60.0, 0, 2))
    assignment = assign(anchors, truths)
    regression = torch.zeros(1, 180, 2)
    fit = interval_iou(*decode(anchors, regression)[0].unbind(-1), torch.tensor(36.0), torch.tensor(60.0))
    confidence = torch.full((1, 180, 2), -30.0)
    confidence[0, :, 0] = torch.where(assignment.positive[0], torch.logit(fit, 1e-6), -30.0)
    here = HeadOutput(regression, confidence.requires_grad_(), torch.zeros(1, 180, 3))
    DetectionLoss(quality=True)(here, anchors, assignment, truths)["confidence"].backward()
    torch.testing.assert_close(confidence.grad, torch.zeros_like(confidence), atol=1e-5, rtol=0)


def test_focal_loss_without_gamma_is_cross_entropy_and_weighs_easy_slots_less_with_it():
    anchors, truths = anchors_of(), truths_of((40.0, 60.0, 1, 0))
    assignment = assign(anchors, truths)
    output = HeadOutput(torch.zeros(1, 180, 2), torch.full((1, 180, 2), -3.0), torch.zeros(1, 180, 3))
    plain = DetectionLoss()(output, anchors, assignment, truths)["confidence"]
    focal = DetectionLoss(focal_gamma=2.0)(output, anchors, assignment, truths)["confidence"]
    assert focal < plain


def test_windows_without_truths_have_a_loss_and_a_gradient():
    anchors = anchors_of()
    nothing = truths_from(torch.zeros(1, 0, 2))
    assignment = assign(anchors, nothing)
    output = HeadOutput(*(torch.zeros(1, 180, n, requires_grad=True) for n in (2, 2, 3)))
    parts = DetectionLoss()(output, anchors, assignment, nothing)
    parts["loss"].backward()
    assert parts["loss"].item() == pytest.approx(parts["confidence"].item())
    assert output.confidence.grad.abs().sum() > 0
