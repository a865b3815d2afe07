"""From the head's output on many windows to the events of whole videos; `fedn test` and `fedn predict` share it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from fedn_lightning.errors import CheckpointError
from fedn_lightning.events import EXPRESSION_TYPES, EventTable, FloatArray, IntArray
from fedn_lightning.models.anchors import Anchors, decode
from fedn_lightning.models.head import HeadOutput
from fedn_lightning.models.precision import Precision
from fedn_lightning.video.timing import Timing


def nms(
    start: npt.ArrayLike, end: npt.ArrayLike, score: npt.ArrayLike, iou_threshold: float = 0.2, keep: int = 200
) -> IntArray:
    """Non-maximum suppression: keeps the highest-scoring proposals and removes those that overlap them too much.

    Call it once per video and expression type. Proposals come by descending score (ties: input order); one is removed
    if its IoU with a kept one is greater than the threshold.

    Args:
        start: `(N,)` first frames, half open, any unit; an array or a CPU tensor without gradient.
        end: `(N,)` one past the last frames.
        score: `(N,)`.
        iou_threshold: maximum IoU of two kept proposals, in `[0, 1]`.
        keep: maximum number of proposals kept.

    Returns:
        `(K,)` int64 positions of the kept proposals by descending score.

    Raises:
        ValueError: if the lengths differ or a value is NaN.

    >>> nms([0, 1, 20], [10, 11, 30], [0.5, 0.9, 0.4])
    array([1, 2])
    """
    s, e, c = _columns(start, end, score)
    by_start = np.argsort(s, kind="stable")
    by_score = np.argsort(-c, kind="stable")
    rank_of_start = np.empty(len(s), np.int64)  # position by score of the proposal at a position by start
    rank_of_start[by_score] = np.arange(len(s))
    rank_of_start = rank_of_start[by_start]
    sorted_start, sorted_end = s[by_start], e[by_start]
    alive = np.ones(len(s), np.bool_)  # by score
    kept: list[int] = []
    at = 0
    while len(kept) < keep and at < len(s):
        at += int(alive[at:].argmax())  # bool argmax stops at the first True
        if not alive[at]:
            break
        pick = int(by_score[at])
        kept.append(pick)
        near = _near(sorted_start, s[pick], e[pick], iou_threshold)
        overlap = _iou(sorted_start[near], sorted_end[near], s[pick], e[pick])
        alive[rank_of_start[near][overlap > iou_threshold]] = False
        at += 1
    return np.asarray(kept, np.int64)


def _columns(start: npt.ArrayLike, end: npt.ArrayLike, score: npt.ArrayLike) -> tuple[FloatArray, ...]:
    columns = tuple(np.asarray(x, np.float64).reshape(-1) for x in (start, end, score))
    if len({len(x) for x in columns}) > 1:
        raise ValueError(f"Starts, ends and scores must have one length, got {[len(x) for x in columns]}.")
    if any(np.isnan(x).any() for x in columns):
        msg = "Proposals with a NaN start, end or score cannot be suppressed: the network's outputs have diverged."
        raise ValueError(msg)
    return columns


def _near(sorted_start: FloatArray, start: float, end: float, iou: float) -> slice:
    """The range of the sorted starts outside which no interval has an IoU above `iou` with `[start, end)`.

    With L = end - start such an interval starts in `[end - L / iou, end - iou L]`; the slack covers rounding.
    """
    length = end - start
    low = end - length / iou if iou > 0 else -np.inf
    slack = 1e-6 * (1 + abs(end) + length)
    return slice(*sorted_start.searchsorted((low - slack, end - length * iou + slack)))


def _iou(start: FloatArray, end: FloatArray, a: float, b: float) -> FloatArray:
    """IoU of `(N,)` intervals with `[a, b)`; 0 where they do not overlap. (`models` must not import `metrics`.)"""
    shared = np.minimum(end, b) - np.maximum(start, a)
    together = np.maximum(end, b) - np.minimum(start, a)
    iou: FloatArray = np.maximum(shared, 0.0) / np.where(together > 0, together, 1.0)
    return iou


PROPOSAL_COLUMNS = ("video", "start", "end", "macro", "micro", "emotion", "emotion_score", "window")
"""Columns of a proposal: start and end in frames of the clip store, confidence in each type, the emotion, and the first
frame of the window that it comes from."""

SAME = 0.5
"""Least IoU of proposals of two windows that mean the same expression."""

HELD = 0.9
"""Share of an expression that must lie in a window for the window to have a say in its score."""


@dataclass(frozen=True)
class InferenceConfig:
    """How proposals of overlapping windows become the events of a video.

    Attributes:
        per_window: number of highest-scoring proposals taken from a window; of a longer test window in proportion (O).
        iou: maximum IoU of two events of a type that are both kept (0.2, mark A).
        keep: maximum number of events of a type in a video (200, mark A).
        agreement: weight, in a score, of the mean over all windows that hold the expression, against the highest score
            of one of them; 0 takes the highest alone, as the precursor does (O).
        vote: the emotion of an expression is the one for which most overlapping proposals stand, each by its confidence
            times its score for that emotion, instead of the one of the highest-scoring proposal (O).
        false_positives_per_minute: limit for each type on the validation videos when thresholds are chosen (O).
        precision: in which the detector computes outside training, `fp32` or `bf16`, which is faster where the CPU or
            GPU has it and moves scores by some thousandths; see `docs/speed.md` (O).
    """

    per_window: int = 50
    iou: float = 0.2
    keep: int = 200
    agreement: float = 0.0
    vote: bool = False
    false_positives_per_minute: float = 3.0
    precision: Precision = "fp32"


def propose(
    output: HeadOutput, anchors: Anchors, video: Tensor, start: Tensor, speed: Tensor, per_window: int
) -> Tensor:
    """The highest-scoring proposals of each window, in frames of their video.

    Args:
        output: of the head, for `B` windows.
        anchors: `N` anchors of a window.
        video: `(B,)` index of the video of each window.
        start: `(B,)` first frame of each window, in the clip store.
        speed: `(B,)` frames of video per frame of window.
        per_window: how many.

    Returns:
        `(B * min(per_window, N), 8)` float64 rows of :data:`PROPOSAL_COLUMNS`. The emotion is the class with the
        highest score, or -1 from a network without emotions.

    Raises:
        CheckpointError: if an output is no finite number. Comparisons with thresholds would drop it without a word.
    """
    confidence = output.confidence.float().sigmoid()
    count = min(per_window, len(anchors))
    chosen = confidence.amax(-1).topk(count, dim=1).indices
    pairs = chosen.unsqueeze(-1).expand(-1, -1, 2)
    intervals = decode(anchors, output.regression.float()).gather(1, pairs).double()
    if not (output.confidence.isfinite().all() and output.regression.isfinite().all()):
        raise CheckpointError(
            "The network gives NaN or infinite values: its weights are damaged, or its training has diverged. Use an "
            "earlier checkpoint, or train with a smaller learning rate."
        )
    intervals = intervals * speed.view(-1, 1, 1) + start.view(-1, 1, 1)
    types = confidence.gather(1, pairs).double()
    if output.emotion.shape[-1]:
        emotion_score, emotion = output.emotion.float().sigmoid().max(-1)
        named = torch.stack([emotion.gather(1, chosen).double(), emotion_score.gather(1, chosen).double()], -1)
    else:
        named = torch.tensor([-1.0, 1.0], dtype=torch.float64, device=chosen.device).expand(*chosen.shape, 2)
    index, window = (column.double().view(-1, 1, 1).expand(-1, count, 1) for column in (video, start))
    return torch.cat([index, intervals, types, named, window], dim=-1).flatten(0, 1)


def postprocess(
    proposals: FloatArray, timing: Timing, config: InferenceConfig, window: int
) -> tuple[EventTable, FloatArray]:
    """The events of one video and its confidence curves, from the proposals of all its windows.

    Args:
        proposals: `(P, 8)` rows of :data:`PROPOSAL_COLUMNS` of one video.
        timing: its frames in the source and in the clip store.
        config: suppression and agreement of windows.
        window: frames in a window.

    Returns:
        Events in source frames by type and descending score, with subject 0; and the confidence in a macro- and a
        micro-expression in each source frame, `(n_frames, 2)`.
    """
    events = events_of_video(proposals, timing.n_stored, config, window)
    return in_source_frames(events, timing), timing.per_source_frame(confidence_curves(proposals, timing.n_stored))


def in_source_frames(events: EventTable, timing: Timing) -> EventTable:
    """Events of one video, given in frames of the clip store, in source frames."""
    return replace(events, start=timing.to_source(events.start), end=timing.to_source(events.end))


def events_of_video(proposals: FloatArray, n_frames: int, config: InferenceConfig, window: int) -> EventTable:
    """Merges the proposals of one video's windows into its events.

    Every proposal counts as a macro- and as a micro-expression, with its confidence in each; within a type,
    overlapping ones are suppressed.

    Args:
        proposals: `(P, 8)` rows of :data:`PROPOSAL_COLUMNS` of one video.
        n_frames: length of the video; events are cut off at its ends.
        config: suppression and agreement of windows.
        window: frames in a window.

    Returns:
        Events by type and descending score, with subject 0.
    """
    proposals = proposals.copy()
    proposals[:, 1:3] = proposals[:, 1:3].clip(0, n_frames)
    proposals = proposals[proposals[:, 2] > proposals[:, 1]]
    video, start, end, *confidence = proposals[:, :5].T
    tables = []
    for kind in range(len(EXPRESSION_TYPES)):
        kept = nms(start, end, confidence[kind], config.iou, config.keep)
        score, named = merge_windows(proposals, kind, kept, config, window)
        tables.append(
            EventTable(
                subject=np.zeros(len(kept), np.int64),
                video=video[kept].astype(np.int64),
                start=start[kept],
                end=end[kept],
                type=np.full(len(kept), kind),
                emotion=named[:, 0].astype(np.int64),
                score=score,
                emotion_score=named[:, 1],
            )[np.argsort(-score, kind="stable")]
        )
    return EventTable.concatenate(tables)


def merge_windows(
    proposals: FloatArray, kind: int, kept: IntArray, config: InferenceConfig, window: int
) -> tuple[FloatArray, FloatArray]:
    """What all windows together say of the expressions that suppression has kept.

    Args:
        proposals: `(P, 8)` rows of :data:`PROPOSAL_COLUMNS` of one video.
        kind: index of the expression type.
        kept: `(K,)` positions of the proposals that were kept.
        config: `agreement` and `vote`.
        window: frames in a window.

    Returns:
        Scores `(K,)`, and emotions with their scores `(K, 2)`. A score's share `agreement` is the mean, over the
        windows in which at least :data:`HELD` of the proposal lies, of the highest confidence of a proposal that means
        the same; 0 for a window without one.
    """
    start, end, confidence = proposals[:, 1], proposals[:, 2], proposals[:, 3 + kind]
    score, named = confidence[kept], proposals[kept, 5:7]
    if not config.agreement and not config.vote:
        return score, named
    first, of_window = np.unique(proposals[:, -1], return_inverse=True)
    by_start = np.argsort(start, kind="stable")
    sorted_start = start[by_start]
    for row, index in enumerate(kept):
        begin, stop = start[index], end[index]
        same = by_start[_near(sorted_start, begin, stop, SAME)]
        same = same[_iou(start[same], end[same], begin, stop) >= SAME]
        seen = np.zeros(len(first))
        np.maximum.at(seen, of_window[same], confidence[same])
        inside = np.minimum(stop, first + window) - np.maximum(begin, first)
        agreed = seen[(inside >= HELD * (stop - begin)) | (seen > 0)].mean()
        score[row] += config.agreement * (agreed - score[row])
        if config.vote:
            named[row] = _voted(proposals[same, 5], proposals[same, 6], confidence[same])
    return score, named


def _voted(emotion: FloatArray, emotion_score: FloatArray, confidence: FloatArray) -> tuple[float, float]:
    """The emotion for which most proposals stand, and the mean of their scores for it, weighted by confidence."""
    classes, of_class = np.unique(emotion, return_inverse=True)
    weight = confidence / max(confidence.sum(), 1e-12)
    votes = np.bincount(of_class, weight * emotion_score)
    return classes[votes.argmax()], votes.max()


MOVEMENT = 0.5
"""Two events of different types are one movement if this part of the shorter one lies in the other (ours)."""


def find_same_movements(events: EventTable, threshold: tuple[float, float]) -> IntArray:
    """Decides between a macro- and a micro-expression that were found in one movement.

    The event that lies farther above the threshold of its type keeps the movement, as a share of what was possible:
    `(score - threshold) / (1 - threshold)`. Events of one type are left alone, :func:`nms` has decided between them.

    Args:
        events: of one face, with scores from the thresholds on.
        threshold: score from which a macro- and a micro-expression counts.

    Returns:
        `(N,)` int64: for each event the position of the event that keeps its movement; -1 where it keeps its own.
    """
    least = np.array(threshold)[events.type]
    margin = (events.score - least) / np.maximum(1 - least, 1e-9)
    order = np.argsort(-margin, kind="stable")
    kept_by = np.full(len(events), -1)
    length = events.end - events.start
    for place, one in enumerate(order.tolist()):
        if kept_by[one] >= 0:
            continue
        others = order[place + 1 :]
        others = others[(events.type[others] != events.type[one]) & (kept_by[others] < 0)]
        shared = np.minimum(events.end[others], events.end[one]) - np.maximum(events.start[others], events.start[one])
        kept_by[others[shared >= MOVEMENT * np.minimum(length[others], length[one])]] = one
    return kept_by


def confidence_curves(proposals: FloatArray, n_frames: int) -> FloatArray:
    """The maximum confidence of any proposal that covers a frame, for each type, as drawn in timelines.

    Args:
        proposals: `(P, 8)` rows of :data:`PROPOSAL_COLUMNS` of one video.
        n_frames: length of the video.

    Returns:
        `(n_frames, 2)` float64.
    """
    curves = np.zeros((n_frames, len(EXPRESSION_TYPES)))
    bounds = np.clip(np.rint(proposals[:, 1:3]), 0, n_frames).astype(np.int64)
    for (first, last), confidence in zip(bounds, proposals[:, 3:5], strict=True):
        np.maximum(curves[first:last], confidence, out=curves[first:last])
    return curves
