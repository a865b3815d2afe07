"""Uncertainty: percentile bootstrap over subjects.

Subjects are drawn, not videos or events: a person's expressions resemble each other, and a user asks how the method
does on *other people*. A drawn subject brings all its videos, twice if drawn twice; nothing is matched anew, because
matching never leaves a video. Thresholds stay as they were chosen.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from fedn_lightning.events import EventTable, FloatArray, IntArray
from fedn_lightning.metrics.functional.detection import analysed
from fedn_lightning.metrics.functional.evaluation import HEADLINE, by_subject, count_classes
from fedn_lightning.metrics.functional.matching import UNMATCHED, match
from fedn_lightning.metrics.functional.protocols import PROTOCOLS, Protocol
from fedn_lightning.metrics.functional.recognition import confusion, strs
from fedn_lightning.metrics.functional.spotting import Counts, SpottingScores, spot_groups
from fedn_lightning.metrics.functional.threshold import Threshold, at_threshold


class Interval(NamedTuple):
    """An interval of a score, and the share of draws in which the score was defined."""

    low: float
    high: float
    defined: float


@dataclass(frozen=True)
class _Subjects:
    """What each subject contributes to the sums: `(S, 4, 3)` counts and `(S, C, C + 1)` confusions of the headline."""

    index: IntArray
    counts: IntArray
    confusion: IntArray
    in_truth: IntArray


def bootstrap_intervals(
    predictions: EventTable,
    truths: EventTable,
    protocol: Protocol = PROTOCOLS["megc"],
    threshold: Threshold = -np.inf,
    *,
    draws: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, Interval]:
    """Intervals of the scores of :func:`.evaluation.flat_scores`.

    Args:
        predictions: every proposal.
        truths: the truths.
        protocol: what counts as a hit.
        threshold: score from which a proposal counts for spotting and recognition.
        draws: number of resamples, at least 1.
        level: coverage of the interval.
        seed: of the random draws.

    Returns:
        By score the percentile interval over the draws in which it is defined; NaN bounds if there is none.

    Raises:
        ValueError: if `draws` or `level` are out of range.
    """
    if draws < 1 or not 0 < level < 1:
        msg = f"A bootstrap needs at least one draw and a level between 0 and 1, got {draws} and {level}."
        raise ValueError(msg)
    subjects = _tally(predictions, truths, protocol, threshold)
    ranked = _ranked(predictions, truths)
    rng = np.random.default_rng(seed)
    n = max(len(subjects.index), 1)
    values = [
        dict(_scores(subjects, ranked, protocol, weight[: len(subjects.index)]))
        for weight in rng.multinomial(n, [1 / n] * n, size=draws)
    ]
    return {name: _percentiles(np.array([draw[name] for draw in values]), level) for name in values[0]}


def resampled_scores(
    predictions: EventTable,
    truths: EventTable,
    weights: IntArray,
    protocol: Protocol = PROTOCOLS["megc"],
    threshold: Threshold = -np.inf,
) -> dict[str, FloatArray]:
    """The scores of :func:`.evaluation.flat_scores` with each subject counted so many times.

    Two sets of predictions scored with the same weights are compared on the same people: what makes a subject hard
    cancels out of the difference.

    Args:
        predictions: every proposal.
        truths: the truths.
        weights: `(D, S)` int64, how often each subject index is drawn; a row of ones gives the plain scores.
        protocol: what counts as a hit.
        threshold: score from which a proposal counts for spotting and recognition.

    Returns:
        By score `(D,)` float64, NaN where a draw does not define it.
    """
    subjects, ranked = _tally(predictions, truths, protocol, threshold), _ranked(predictions, truths)
    rows = [dict(_scores(subjects, ranked, protocol, weight[subjects.index])) for weight in weights]
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def _tally(predictions: EventTable, truths: EventTable, protocol: Protocol, threshold: Threshold) -> _Subjects:
    n_classes = count_classes(predictions, truths)
    index, counts, tables, in_truth = [], [], [], []
    for subject, proposals, true in by_subject(predictions, truths):
        mine = at_threshold(proposals, threshold)
        groups = spot_groups(mine, true, protocol.rule)
        hit = groups[HEADLINE]
        index.append(subject)
        counts.append([[g.counts.tp, g.counts.fp, g.counts.fn] for g in groups.values()])
        tables.append(confusion(mine.emotion[hit.prediction], true.emotion[hit.truth], n_classes))
        in_truth.append(np.isin(np.arange(n_classes), true.emotion))
    shapes = ((-1,), (-1, 4, 3), (-1, n_classes, n_classes + 1), (-1, n_classes))
    columns = (index, counts, tables, in_truth)
    if not index:
        return _Subjects(*(np.empty((0, *shape[1:]), np.int64) for shape in shapes))
    return _Subjects(*(np.asarray(column, np.int64) for column in columns))


@dataclass(frozen=True)
class _Ranked:
    """Detections at IoU 0.5 by class and descending score, so that a draw only needs weights."""

    classes: IntArray
    score: list[FloatArray]
    hit: list[FloatArray]
    subject: list[IntArray]
    truth_subject: list[IntArray]


def _ranked(predictions: EventTable, truths: EventTable) -> _Ranked:
    predictions = replace(predictions, score=predictions.score * predictions.emotion_score)
    truths = analysed(predictions, truths)
    classes = np.unique(truths.emotion)
    ranked = _Ranked(classes, [], [], [], [])
    for emotion in classes:
        mine, true = predictions[predictions.emotion == emotion], truths[truths.emotion == emotion]
        mine = mine[np.argsort(-mine.score, kind="stable")]
        ranked.score.append(mine.score)
        ranked.hit.append((match(mine, true, 0.5, within=("video",)) != UNMATCHED).astype(np.float64))
        ranked.subject.append(mine.subject)
        ranked.truth_subject.append(true.subject)
    return ranked


def _scores(subjects: _Subjects, ranked: _Ranked, protocol: Protocol, weight: IntArray) -> Iterator[tuple[str, float]]:
    total = np.tensordot(weight, subjects.counts, axes=1)
    counts = {g: Counts(*map(int, row)) for g, row in zip(SpottingScores.groups(), total, strict=True)}
    for group, each in counts.items():
        yield f"spotting.{group}.precision", each.precision
        yield f"spotting.{group}.recall", each.recall
        yield f"spotting.{group}.f1", each.f1
    table = np.tensordot(weight, subjects.confusion, axes=1)
    recognition = protocol.recognise(table, (weight @ subjects.in_truth) > 0)
    for key, value in recognition.to_dict().items():
        yield f"recognition.{key}", value
    yield "strs", strs(counts[HEADLINE].f1, recognition.f1_analysis)
    yield "detection.map@0.5", _mean_ap(ranked, subjects.index, weight)


def _mean_ap(ranked: _Ranked, index: IntArray, weight: IntArray) -> float:
    """mAP@0.5 with each subject counted `weight` times; see :func:`.detection.average_precision`."""
    dense = np.zeros(int(index.max(initial=-1)) + 1)
    dense[index] = weight
    aps = []
    for score, hit, subject, truth_subject in zip(
        ranked.score, ranked.hit, ranked.subject, ranked.truth_subject, strict=True
    ):
        m = dense[truth_subject].sum()
        if m:
            aps.append(_weighted_ap(score, hit, dense[subject], m))
    return float(np.mean(aps)) if aps else float("nan")


def _weighted_ap(score: FloatArray, hit: FloatArray, weight: FloatArray, m: float) -> float:
    here = weight > 0
    score, hit, weight = score[here], hit[here], weight[here]
    if not len(score):
        return 0.0
    last = np.append(score[1:] != score[:-1], True)
    tp, n = np.cumsum(hit * weight)[last], np.cumsum(weight)[last]
    envelope = np.maximum.accumulate((tp / n)[::-1])[::-1]
    return float(np.diff(tp, prepend=0.0) @ envelope / m)


def _percentiles(values: FloatArray, level: float) -> Interval:
    known = values[~np.isnan(values)]
    if not len(known):
        return Interval(float("nan"), float("nan"), 0.0)
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high), len(known) / len(values))
