"""Bootstrap over subjects: what each subject contributes to the scores, and intervals from resampled subjects.

Subjects are drawn, not videos or events, because a person's expressions resemble each other, and the question is how
well the method works for *other people*. A subject drawn twice counts twice with all its videos. Matching never leaves
a video, so nothing is matched again. Thresholds stay as they were chosen.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from fedn_lightning.events import EventTable, FloatArray, IntArray
from fedn_lightning.metrics.functional.detection import analysed
from fedn_lightning.metrics.functional.evaluation import HEADLINE, PROTOCOLS, Protocol, by_subject, count_classes
from fedn_lightning.metrics.functional.matching import UNMATCHED, match
from fedn_lightning.metrics.functional.recognition import confusion, strs
from fedn_lightning.metrics.functional.spotting import Counts, SpottingScores, spot_groups
from fedn_lightning.metrics.functional.threshold import Threshold, at_threshold


class Interval(NamedTuple):
    """An interval of a score, and the share of draws in which the score was defined."""

    low: float
    high: float
    defined: float


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
        raise ValueError(f"A bootstrap needs at least one draw and a level between 0 and 1, got {draws} and {level}.")
    found = tally(predictions, truths, protocol, threshold)
    index = found.subjects.index
    rng = np.random.default_rng(seed)
    n = max(len(index), 1)
    values = [
        weighted_scores(found, weight[: len(index)], protocol) for weight in rng.multinomial(n, [1 / n] * n, size=draws)
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

    Score two sets of predictions with the same weights to compare them on the same people: then the difficulty of a
    subject cancels out of the difference.

    Args:
        predictions: every proposal.
        truths: the truths.
        weights: `(D, S)` int64, how often each subject index is drawn; a row of ones gives the plain scores.
        protocol: what counts as a hit.
        threshold: score from which a proposal counts for spotting and recognition.

    Returns:
        By score `(D,)` float64, NaN where a draw does not define it.
    """
    found = tally(predictions, truths, protocol, threshold)
    rows = [weighted_scores(found, weight[found.subjects.index], protocol) for weight in weights]
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def _percentiles(values: FloatArray, level: float) -> Interval:
    known = values[~np.isnan(values)]
    if not len(known):
        return Interval(float("nan"), float("nan"), 0.0)
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high), len(known) / len(values))


@dataclass(frozen=True)
class SubjectCounts:
    """The counts of `S` subjects for spotting and recognition."""

    index: IntArray  # `(S,)` int64, the subjects with a truth, a prediction or a proposal
    counts: IntArray  # `(S, 4, 3)` int64, TP, FP and FN of each of :meth:`SpottingScores.groups`
    confusion: IntArray  # `(S, C, C + 1)` int64, emotions of the headline group's true positives
    in_truth: IntArray  # `(S, C)` int64, whether the subject shows the emotion


@dataclass(frozen=True)
class RankedDetections:
    """Detections at IoU 0.5, a list element per class of the truth, by descending score."""

    classes: IntArray  # emotion index of each class
    score: list[FloatArray]  # `(N,)` float64; only the order and equality of scores matter
    hit: list[FloatArray]  # `(N,)` float64, 1 where a truth is matched
    subject: list[IntArray]  # `(N,)` int64, subject index of each detection
    truth_subject: list[IntArray]  # `(M,)` int64, subject index of each truth


@dataclass(frozen=True)
class Tally:
    """The input of :func:`weighted_scores`."""

    subjects: SubjectCounts
    ranked: RankedDetections


def tally(
    predictions: EventTable,
    truths: EventTable,
    protocol: Protocol = PROTOCOLS["megc"],
    threshold: Threshold = -np.inf,
    proposals: EventTable | None = None,
) -> Tally:
    """Matches predictions and truths, subject by subject.

    Args:
        predictions: what counts for spotting and recognition, from `threshold` on.
        truths: the truths.
        protocol: what counts as a hit.
        threshold: score from which a prediction counts for spotting and recognition.
        proposals: what detection ranks, whatever its score; the predictions by default.
    """
    detections = predictions if proposals is None else proposals
    return Tally(_count(predictions, truths, detections, protocol, threshold), _rank(detections, truths))


def weighted_scores(found: Tally, weight: IntArray, protocol: Protocol = PROTOCOLS["megc"]) -> dict[str, float]:
    """The scores of :func:`.evaluation.flat_scores` with each subject counted so many times.

    Args:
        found: of :func:`tally`.
        weight: `(S,)` int64, for each of `found.subjects.index` how often it counts; ones give the plain scores.
        protocol: that of the tally.

    Returns:
        By score its value, NaN where the weighting does not define it.
    """
    return dict(_scores(found.subjects, found.ranked, protocol, weight))


def _count(
    predictions: EventTable, truths: EventTable, detections: EventTable, protocol: Protocol, threshold: Threshold
) -> SubjectCounts:
    n_classes = count_classes(predictions, truths)
    index, counts, tables, in_truth = [], [], [], []
    own = {subject: (proposed, true) for subject, proposed, true in by_subject(predictions, truths)}
    nothing = (predictions[:0], truths[:0])
    # Subjects with proposals only count too: for mAP these are false positives.
    for subject in sorted({*own, *map(int, np.unique(detections.subject))}):
        proposed, true = own.get(subject, nothing)
        mine = at_threshold(proposed, threshold)
        groups = spot_groups(mine, true, protocol.rule)
        hit = groups[HEADLINE]
        index.append(subject)
        counts.append([[g.counts.tp, g.counts.fp, g.counts.fn] for g in groups.values()])
        tables.append(confusion(mine.emotion[hit.prediction], true.emotion[hit.truth], n_classes))
        in_truth.append(np.isin(np.arange(n_classes), true.emotion))
    shapes = ((-1,), (-1, 4, 3), (-1, n_classes, n_classes + 1), (-1, n_classes))
    columns = (index, counts, tables, in_truth)
    if not index:
        return SubjectCounts(*(np.empty((0, *shape[1:]), np.int64) for shape in shapes))
    return SubjectCounts(*(np.asarray(column, np.int64) for column in columns))


def _rank(predictions: EventTable, truths: EventTable) -> RankedDetections:
    predictions = replace(predictions, score=predictions.score * predictions.emotion_score)
    truths = analysed(predictions, truths)
    classes = np.unique(truths.emotion)
    ranked = RankedDetections(classes, [], [], [], [])
    for emotion in classes:
        mine, true = predictions[predictions.emotion == emotion], truths[truths.emotion == emotion]
        mine = mine[np.argsort(-mine.score, kind="stable")]
        ranked.score.append(mine.score)
        ranked.hit.append((match(mine, true, 0.5, within=("video",)) != UNMATCHED).astype(np.float64))
        ranked.subject.append(mine.subject)
        ranked.truth_subject.append(true.subject)
    return ranked


def _scores(
    subjects: SubjectCounts, ranked: RankedDetections, protocol: Protocol, weight: IntArray
) -> Iterator[tuple[str, float]]:
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


def _mean_ap(ranked: RankedDetections, index: IntArray, weight: IntArray) -> float:
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
