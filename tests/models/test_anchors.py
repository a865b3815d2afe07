"""Slot geometry, assignment and the joint loss against plain loops."""

import dataclasses
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fedn_lightning.models.anchors import assign, decode, interval_iou, level_ranges, make_slots
from fedn_lightning.models.head import HeadOutput
from fedn_lightning.models.losses import DetectionLoss, Truths, diou_loss, with_known_ends

STRIDES = [8, 16, 32, 64]
RATIOS = [0.5, 0.75, 1.0, 1.5, 2.0]


def slots_of(window: int = 128):
    return make_slots([window // s for s in STRIDES], STRIDES, RATIOS, level_ranges(STRIDES))


def inverse(slots, start: float, end: float) -> torch.Tensor:
    """Regression that makes every slot predict one interval."""
    anchor = torch.stack([((start + end) / 2 - slots.centre) / slots.length, ((end - start) / slots.length).log()], -1)
    free = torch.stack([((slots.centre - start) / slots.length).log(), ((end - slots.centre) / slots.length).log()], -1)
    return torch.where(slots.anchored.unsqueeze(-1), anchor, free)


def test_slots_lie_in_their_window_and_are_ordered_by_level_step_and_kind():
    slots = slots_of()
    assert len(slots) == 180
    assert slots.centre[:7].tolist() == [4, 4, 4, 4, 4, 4, 12]
    assert slots.length[:6].tolist() == [4, 6, 8, 12, 16, 8]
    assert slots.anchored[:6].tolist() == [True] * 5 + [False]
    assert slots.centre[-1] == 96


@given(st.floats(0, 120), st.floats(1, 100))
@settings(max_examples=50, deadline=None)
def test_decoding_inverts_the_parametrisation(start, length):
    slots = slots_of()
    end = start + length
    reachable = slots.anchored | ((slots.centre - start > 0.2) & (end - slots.centre > 0.2))
    within = inverse(slots, start, end).abs().amax(-1) <= 4
    intervals = decode(slots, inverse(slots, start, end).unsqueeze(0))[0][reachable & within]
    torch.testing.assert_close(intervals, torch.tensor([start, end]).expand_as(intervals), atol=2e-3, rtol=1e-3)


def test_every_decoded_interval_has_a_positive_length_whatever_the_network_says():
    intervals = decode(slots_of(), torch.randn(4, 180, 2) * 1000)
    assert torch.isfinite(intervals).all()
    assert (intervals[..., 1] > intervals[..., 0]).all()


def loop_assignment(slots, truths, whole, positive_iou=0.5, negative_iou=0.4):
    """The rule of the docstring, slot by slot: (positive, ignored, truth)."""
    positive, ignored, chosen = [], [], []
    starts, ends = (edge.tolist() for edge in slots.interval)

    def iou(i, truth):
        inter = max(0.0, min(ends[i], truth[1]) - max(starts[i], truth[0]))
        return inter / ((ends[i] - starts[i]) + (truth[1] - truth[0]) - inter)

    best = [max(iou(i, t) for i in range(len(slots)) if slots.anchored[i]) for t in truths]
    for i in range(len(slots)):
        hits, doubt = [], False
        for m, truth in enumerate(truths):
            if slots.anchored[i]:
                match = iou(i, truth) > positive_iou or (iou(i, truth) == best[m] and best[m] > 0)
                rank = iou(i, truth)
                doubt |= match or iou(i, truth) >= negative_iou
            else:
                centre = slots.centre[i].item()
                side = max(centre - truth[0], truth[1] - centre)
                match = truth[0] <= centre < truth[1] and slots.shortest[i] <= side <= slots.longest[i]
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
    slots = slots_of()
    truths = [(float(start), float(start + length)) for start, length, _ in rows]
    whole = [w for *_, w in rows]
    result = assign(slots, torch.tensor([truths]), torch.ones(1, len(rows), dtype=torch.bool), torch.tensor([whole]))
    positive, ignored, chosen = loop_assignment(slots, truths, whole)
    assert result.positive[0].tolist() == positive
    assert result.ignored[0].tolist() == ignored
    assert result.truth[0].tolist() == chosen


def test_every_whole_truth_of_a_corpus_like_length_gets_a_slot():
    slots = slots_of()
    for length in range(4, 118):
        for start in (0, 3, 10):
            truth = torch.tensor([[[float(start), float(start + length)]]])
            yes = torch.ones(1, 1, dtype=torch.bool)
            assert assign(slots, truth, yes, yes).positive.any(), (start, length)


def test_padding_and_empty_windows_give_only_negatives():
    slots = slots_of()
    padded = assign(slots, torch.tensor([[[10.0, 30.0]]]), torch.zeros(1, 1, dtype=bool), torch.zeros(1, 1, dtype=bool))
    empty = assign(slots, torch.zeros(2, 0, 2), torch.zeros(2, 0, dtype=bool), torch.zeros(2, 0, dtype=bool))
    for result in (padded, empty):
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


def truths_of(*rows, present=None):
    """Truths of one window from (start, end, type, emotion)."""
    table = torch.tensor([rows], dtype=torch.float32)
    yes = torch.ones(1, len(rows), dtype=torch.bool)
    return Truths(
        table[..., :2], table[..., 2].long(), table[..., 3].long(), yes if present is None else present, yes, yes
    )


def test_a_perfect_prediction_costs_nothing():
    slots, truths = slots_of(), truths_of((36.0, 60.0, 0, 2))
    assignment = assign(slots, truths.interval, truths.present, truths.whole)
    confidence = torch.full((1, 180, 2), -30.0)
    confidence[..., 0][assignment.positive] = 30.0
    emotion = torch.tensor([-30.0, -30.0, 30.0]).expand(1, 180, 3)
    regression = inverse(slots, 36.0, 60.0).nan_to_num(0).unsqueeze(0)
    parts = DetectionLoss()(HeadOutput(regression, confidence, emotion), slots, assignment, truths)
    assert parts["loss"].item() < 1e-4


def test_weights_scale_the_parts_and_the_sum_is_their_sum():
    slots, truths = slots_of(), truths_of((40.0, 60.0, 1, 0))
    assignment = assign(slots, truths.interval, truths.present, truths.whole)
    output = HeadOutput(torch.randn(1, 180, 2), torch.randn(1, 180, 2), torch.randn(1, 180, 3))
    one = DetectionLoss()(output, slots, assignment, truths)
    two = DetectionLoss(2, 3, 4)(output, slots, assignment, truths)
    for name, factor in (("interval", 2), ("confidence", 3), ("emotion", 4)):
        torch.testing.assert_close(two[name], factor * one[name])
    torch.testing.assert_close(two["loss"], two["interval"] + two["confidence"] + two["emotion"])


def test_an_unanalysed_emotion_is_left_out_or_taught_as_background():
    slots, truths = slots_of(), truths_of((40.0, 60.0, 1, -1))
    assignment = assign(slots, truths.interval, truths.present, truths.whole)
    output = HeadOutput(torch.zeros(1, 180, 2), torch.zeros(1, 180, 2), torch.zeros(1, 180, 3))
    assert DetectionLoss()(output, slots, assignment, truths)["emotion"].item() == 0
    background = DetectionLoss(unanalysed="background")(output, slots, assignment, truths)["emotion"].item()
    assert math.isclose(background, 3 * math.log(2), rel_tol=1e-5)


def test_a_truth_of_unknown_end_teaches_its_start_and_type_alone():
    slots, truths = slots_of(), dataclasses.replace(truths_of((40.0, 60.0, 0, 1)), end_known=torch.tensor([[False]]))
    assignment = assign(slots, truths.interval, truths.present, truths.whole, end_known=truths.end_known)
    output = HeadOutput(*(torch.zeros(1, 180, n, requires_grad=True) for n in (2, 2, 3)))
    parts = DetectionLoss()(output, slots, assignment, truths)
    ends = torch.tensor([[38.0, 90.0], [41.0, 44.0]], requires_grad=True)
    wanted = truths.interval[0].expand(2, 2)
    diou_loss(with_known_ends(ends, wanted, torch.tensor([False, True])), wanted).sum().backward()
    assert ends.grad[0, 0] != 0
    assert ends.grad[0, 1] == 0
    assert ends.grad[1, 1] != 0
    assert parts["confidence"].item() > 0


def test_slots_near_a_truth_of_unknown_end_are_no_negatives():
    slots, truths = slots_of(), truths_of((40.0, 60.0, 0, 1))
    known = assign(slots, truths.interval, truths.present, truths.whole)
    unknown = assign(slots, truths.interval, truths.present, truths.whole, end_known=torch.tensor([[False]]))
    assert torch.equal(known.positive, unknown.positive)
    start, end = slots.interval
    iou = interval_iou(start, end, torch.tensor(40.0), torch.tensor(60.0))
    assert torch.equal(unknown.ignored, (known.ignored | (iou > 0.1)) & ~known.positive)


def test_with_quality_the_target_of_c_is_the_overlap():
    slots, truths = slots_of(), truths_of((36.0, 60.0, 0, 2))
    assignment = assign(slots, truths.interval, truths.present, truths.whole)
    regression = torch.zeros(1, 180, 2)
    fit = interval_iou(*decode(slots, regression)[0].unbind(-1), torch.tensor(36.0), torch.tensor(60.0))
    confidence = torch.full((1, 180, 2), -30.0)
    confidence[0, :, 0] = torch.where(assignment.positive[0], torch.logit(fit, 1e-6), -30.0)
    here = HeadOutput(regression, confidence.requires_grad_(), torch.zeros(1, 180, 3))
    DetectionLoss(quality=True)(here, slots, assignment, truths)["confidence"].backward()
    torch.testing.assert_close(confidence.grad, torch.zeros_like(confidence), atol=1e-5, rtol=0)


def test_focal_loss_without_gamma_is_cross_entropy_and_weighs_easy_slots_less_with_it():
    slots, truths = slots_of(), truths_of((40.0, 60.0, 1, 0))
    assignment = assign(slots, truths.interval, truths.present, truths.whole)
    output = HeadOutput(torch.zeros(1, 180, 2), torch.full((1, 180, 2), -3.0), torch.zeros(1, 180, 3))
    plain = DetectionLoss()(output, slots, assignment, truths)["confidence"]
    focal = DetectionLoss(focal_gamma=2.0)(output, slots, assignment, truths)["confidence"]
    assert focal < plain


def test_windows_without_truths_have_a_loss_and_a_gradient():
    slots = slots_of()
    nothing = Truths(torch.zeros(1, 0, 2), *(torch.zeros(1, 0, dtype=t) for t in (int, int, bool, bool, bool)))
    assignment = assign(slots, nothing.interval, nothing.present, nothing.whole)
    output = HeadOutput(*(torch.zeros(1, 180, n, requires_grad=True) for n in (2, 2, 3)))
    parts = DetectionLoss()(output, slots, assignment, nothing)
    parts["loss"].backward()
    assert parts["loss"].item() == pytest.approx(parts["confidence"].item())
    assert output.confidence.grad.abs().sum() > 0
