"""Interval IoU and the matching of predictions with truths (protocol `megc`).

Predictions are processed by descending score (ties: earlier start, then earlier end, then input order). Each takes the
free truth it overlaps best (ties: likewise), if the IoU reaches the threshold. So each side is used at most once, and a
prediction with a lower score never changes the match of one with a higher score: one matching gives the counts at
*every* score threshold.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fedn_lightning.events import BoolArray, EventTable, FloatArray, IntArray

UNMATCHED = -1
"""The value of :func:`match` for a prediction without a truth."""


class Pairs(NamedTuple):
    """Overlapping pairs: `(P,)` int64 indices of prediction and truth, `(P,)` float64 IoU."""

    prediction: IntArray
    truth: IntArray
    iou: FloatArray


def interval_iou(
    start_a: npt.ArrayLike, end_a: npt.ArrayLike, start_b: npt.ArrayLike, end_b: npt.ArrayLike
) -> FloatArray:
    """Intersection over union of half-open intervals, element by element.

    Lengths are `end - start`, so the value equals the field's IoU on inclusive frames: onset 1, offset 10 and
    onset 6, offset 10 are `[0, 10)` and `[5, 10)` and share 5 of 10 frames. It is one correctly rounded division of
    exact differences for frame numbers, hence exactly 0.5 where the field says "half".

    Args:
        start_a: first frames, any shape that broadcasts with the others.
        end_a: one past the last frames.
        start_b: first frames.
        end_b: one past the last frames.

    Returns:
        float64 of the broadcast shape, in `[0, 1]`; 0 where an interval is empty.

    >>> float(interval_iou(0, 10, 5, 10)), float(interval_iou(0, 5, 5, 9)), float(interval_iou(3, 3, 3, 3))
    (0.5, 0.0, 0.0)
    """
    a, b, c, d = (np.asarray(x, np.float64) for x in (start_a, end_a, start_b, end_b))
    shared = np.minimum(b, d) - np.maximum(a, c)
    # Of two intervals that touch, the union is one interval; of two that do not, it is not needed.
    together = np.maximum(b, d) - np.minimum(a, c)
    iou: FloatArray = np.maximum(shared, 0.0) / np.where(together > 0, together, 1.0)
    return iou


def match(
    predictions: EventTable, truths: EventTable, iou_threshold: float = 0.5, within: Sequence[str] = ("video", "type")
) -> IntArray:
    """Matches predictions and truths one to one (shared protocol `megc`).

    Args:
        predictions: N events.
        truths: M events; their scores do not matter.
        iou_threshold: minimum IoU of a true positive, in `(0, 1]`; an IoU equal to it counts.
        within: columns in which the two must agree: `("video", "type")` for spotting, `("video",)` whatever the type,
            `("video", "emotion")` for detection.

    Returns:
        `(N,)` int64: the row of the truth that each prediction takes, or :data:`UNMATCHED`.

    Raises:
        ValueError: if the threshold is outside `(0, 1]`, a start or end is not finite, or a score is NaN.

    >>> truths = EventTable.from_rows([[0, 0, 0, 10, 0, -1, 1], [0, 0, 8, 18, 0, -1, 1]])
    >>> found = EventTable.from_rows([[0, 0, 5, 10, 0, -1, 0.4], [0, 0, 1, 11, 0, -1, 0.9], [0, 0, 9, 19, 1, -1, 0.9]])
    >>> match(found, truths)  # the second has the higher score and takes truth 0; the third has the other type
    array([-1,  0, -1])
    """
    taken: IntArray = match_at(predictions, truths, (iou_threshold,), within)[0]
    return taken


def match_at(
    predictions: EventTable,
    truths: EventTable,
    iou_thresholds: Sequence[float],
    within: Sequence[str] = ("video", "type"),
) -> IntArray:
    """:func:`match` at several IoU thresholds together.

    Args:
        predictions: N events.
        truths: M events.
        iou_thresholds: T thresholds, each in `(0, 1]`.
        within: columns in which prediction and truth must agree.

    Returns:
        `(T, N)` int64, a row per threshold.

    Raises:
        ValueError: as :func:`match`.
    """
    n, m = len(predictions), len(truths)
    result = np.full((len(iou_thresholds), n), UNMATCHED, np.int64)
    pairs = overlapping_pairs(predictions, truths, min(iou_thresholds), within)
    if not len(pairs.iou):
        return result
    # All thresholds are matched in one pass, each with its own copy of every prediction and truth.
    pairs, rank, by_rank = _in_order_of_choice(predictions, truths, pairs)
    layers = [np.flatnonzero(pairs.iou >= threshold) for threshold in iou_thresholds]
    layer = np.repeat(np.arange(len(layers)), [len(rows) for rows in layers])
    row = np.concatenate(layers)
    taken = _accept(layer * n + rank[row], layer * m + pairs.truth[row], len(layers) * m)
    result[layer[taken], by_rank[rank[row[taken]]]] = pairs.truth[row[taken]]
    return result


def overlapping_pairs(
    predictions: EventTable, truths: EventTable, iou_threshold: float, within: Sequence[str] = ("video", "type")
) -> Pairs:
    """All pairs with an IoU of at least the threshold, found by bisection, without an N x M table.

    An interval of length L that ends at e reaches IoU t only with truths that start in `[e - L/t, e - t L]`.

    Args:
        predictions: N events.
        truths: M events.
        iou_threshold: minimum IoU, in `(0, 1]`.
        within: columns in which the two must agree.

    Returns:
        The pairs, in no particular order.

    Raises:
        ValueError: as :func:`match`.
    """
    _check(predictions, truths, iou_threshold)
    if not len(predictions) or not len(truths):
        return Pairs(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))
    rows, group, truth_group = _groups(predictions, truths, within)
    start, end = predictions.start[rows], predictions.end[rows]
    # One axis for all groups: each group has its own range on it, with empty margins on both sides.
    origin, reach = truths.start.min(), float(np.ptp(truths.start)) + 1.0
    key = truth_group * (4 * reach) + (truths.start - origin)
    by_key = np.argsort(key, kind="stable")
    base, slack = group * (4 * reach), 1e-6 * reach  # slack: the bounds may be rounded, the IoU below decides
    low = np.clip(end - (end - start) / iou_threshold - origin, -reach, 2 * reach)
    high = np.clip(end - (end - start) * iou_threshold - origin, -reach, 2 * reach)
    first = np.searchsorted(key[by_key], base + low - slack, side="left")
    count = np.maximum(np.searchsorted(key[by_key], base + high + slack, side="right") - first, 0)
    prediction = np.repeat(rows, count)
    within_row = np.arange(len(prediction)) - np.repeat(np.cumsum(count) - count, count)
    truth = by_key[np.repeat(first, count) + within_row]
    iou = interval_iou(
        predictions.start[prediction], predictions.end[prediction], truths.start[truth], truths.end[truth]
    )
    near = iou >= iou_threshold
    return Pairs(prediction[near], truth[near], iou[near])


def _check(predictions: EventTable, truths: EventTable, iou_threshold: float) -> None:
    if not 0 < iou_threshold <= 1:
        raise ValueError(f"An IoU threshold must lie in (0, 1], got {iou_threshold}.")
    for name, column in (
        ("prediction start", predictions.start),
        ("prediction end", predictions.end),
        ("prediction score", predictions.score),
        ("truth start", truths.start),
        ("truth end", truths.end),
    ):
        bad = np.isnan(column) if name == "prediction score" else ~np.isfinite(column)
        if bad.any():
            row = int(bad.argmax())
            raise ValueError(f"Events cannot be matched: the {name} of row {row} is {column[row]}.")


def _groups(predictions: EventTable, truths: EventTable, within: Sequence[str]) -> tuple[IntArray, IntArray, IntArray]:
    """Rows of the predictions whose group has a truth, their group number, and the group number of each truth."""
    code = np.zeros(len(predictions), np.int64)
    truth_code = np.zeros(len(truths), np.int64)
    rows = np.ones(len(predictions), np.bool_)
    for name in within:
        known, inverse = np.unique(getattr(truths, name), return_inverse=True)
        column = getattr(predictions, name)
        place = np.minimum(np.searchsorted(known, column), len(known) - 1)
        rows &= known[place] == column
        code = code * len(known) + place
        truth_code = truth_code * len(known) + inverse
    return np.flatnonzero(rows), code[rows], truth_code


def _in_order_of_choice(predictions: EventTable, truths: EventTable, pairs: Pairs) -> tuple[Pairs, IntArray, IntArray]:
    """Sorts pairs by the order in which predictions choose, and each prediction's truths from best to worst.

    Returns:
        the sorted pairs, the rank of the prediction of each pair (0 chooses first), and the prediction of each rank.
    """
    chooser = np.flatnonzero(np.bincount(pairs.prediction, minlength=len(predictions)))
    by_rank = chooser[np.lexsort((predictions.end[chooser], predictions.start[chooser], -predictions.score[chooser]))]
    rank = np.empty(len(predictions), np.int64)
    rank[by_rank] = np.arange(len(by_rank))
    truth_rank = np.empty(len(truths), np.int64)
    truth_rank[np.lexsort((truths.end, truths.start))] = np.arange(len(truths))
    order = np.lexsort((truth_rank[pairs.truth], -pairs.iou, rank[pairs.prediction]))
    pairs = Pairs(pairs.prediction[order], pairs.truth[order], pairs.iou[order])
    return pairs, rank[pairs.prediction], by_rank


def _accept(suitor: IntArray, target: IntArray, n_targets: int) -> IntArray:
    """Matches predictions in order of choice, in a few vectorised rounds.

    Every truth prefers the prediction that chooses earlier, so deferred acceptance (Gale and Shapley 1962) gives the
    same result as choosing one after the other.

    Args:
        suitor: `(P,)` ascending numbers, the lower the earlier; one entry per pair.
        target: `(P,)` what the pair is with; each suitor's pairs stand from best to worst.
        n_targets: number of targets.

    Returns:
        The positions in `suitor` of the accepted pairs, ascending.
    """
    at = np.flatnonzero(np.diff(suitor, prepend=-1))  # the pair each suitor proposes next
    stop = np.append(at[1:], len(suitor))
    nobody = len(at)
    holder = np.full(n_targets, nobody)
    active = np.arange(len(at))
    while len(active):
        wish = target[at[active]]
        before = holder[wish]
        np.minimum.at(holder, wish, active)
        won = holder[wish] == active
        displaced = before[won]
        refused = np.concatenate([active[~won], displaced[displaced < nobody]])
        at[refused] += 1
        active = refused[at[refused] < stop[refused]]
    accepted: IntArray = at[at < stop]
    return accepted


def without_unknown_offsets(
    predictions: EventTable, truths: EventTable, iou_threshold: float = 0.5, within: Sequence[str] = ("video", "type")
) -> tuple[EventTable, EventTable]:
    """Removes the truths without a known offset, and the predictions that could be one of them.

    In the main scores such a truth counts like any other, with the end that a policy gave it (CAS(ME)^2: its apex),
    which hardly any detector hits. Here it is ignored, as crowds in COCO: a prediction that could be it is neither a
    true nor a false positive.

    Args:
        predictions: N events that count, after any threshold.
        truths: M truths.
        iou_threshold: minimum IoU of a true positive.
        within: columns in which a prediction and a truth must agree.

    Returns:
        The predictions that stay, in their order, and the truths whose offset is known. A prediction that hits a truth
        with a known offset stays in any case.

    >>> truths = EventTable.from_rows([[0, 0, 10, 20, 0, -1, 1, 1, 0], [0, 0, 90, 99, 0, -1, 1, 1, 1]])
    >>> found = EventTable.from_rows([[0, 0, 12, 45, 0, -1, 1], [0, 0, 40, 60, 0, -1, 1], [0, 0, 91, 99, 0, -1, 1]])
    >>> [table.start.tolist() for table in without_unknown_offsets(found, truths)]
    [[40.0, 91.0], [90.0]]
    """
    known = truths[truths.end_known]
    if len(known) == len(truths):
        return predictions, truths
    hit = match(predictions, known, iou_threshold, within) != UNMATCHED
    return predictions[hit | ~could_be(predictions, truths[~truths.end_known], iou_threshold, within)], known


def could_be(
    predictions: EventTable, unknown: EventTable, iou_threshold: float = 0.5, within: Sequence[str] = ("video", "type")
) -> BoolArray:
    """Which predictions would hit a truth if it ended at the best possible frame from its given end on.

    Of these ends, that of the prediction gives the greatest IoU.

    Args:
        predictions: N events.
        unknown: truths whose offset is unknown.
        iou_threshold: minimum IoU of a true positive.
        within: columns in which a prediction and a truth must agree.

    Returns:
        `(N,)`.
    """
    found = np.zeros(len(predictions), np.bool_)
    for row in range(len(unknown)):
        start, end = unknown.start[row], np.maximum(predictions.end, unknown.end[row])
        shared = np.minimum(predictions.end, end) - np.maximum(predictions.start, start)
        fits = shared >= iou_threshold * (end - np.minimum(predictions.start, start))
        for name in within:
            fits &= getattr(predictions, name) == getattr(unknown, name)[row]
        found |= fits
    return found
