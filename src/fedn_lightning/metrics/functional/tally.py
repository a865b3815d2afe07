"""What each subject contributes to the scores, matched once, so that any weighting of subjects is scored in no time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from fedn_lightning.events import EventTable, FloatArray, IntArray
from fedn_lightning.metrics.functional.detection import analysed
from fedn_lightning.metrics.functional.evaluation import HEADLINE, by_subject, count_classes
from fedn_lightning.metrics.functional.matching import UNMATCHED, match
from fedn_lightning.metrics.functional.protocols import PROTOCOLS, Protocol
from fedn_lightning.metrics.functional.recognition import confusion, strs
from fedn_lightning.metrics.functional.spotting import Counts, SpottingScores, spot_groups
from fedn_lightning.metrics.functional.threshold import Threshold, at_threshold


@dataclass(frozen=True)
class SubjectCounts:
    """What `S` subjects contribute to the sums of spotting and recognition.

    Attributes:
        index: `(S,)` int64, the subjects with a truth, a prediction or a proposal.
        counts: `(S, 4, 3)` int64, TP, FP and FN of each of :meth:`SpottingScores.groups`.
        confusion: `(S, C, C + 1)` int64, emotions of the headline group's true positives.
        in_truth: `(S, C)` int64, whether the subject shows the emotion.
    """

    index: IntArray
    counts: IntArray
    confusion: IntArray
    in_truth: IntArray


@dataclass(frozen=True)
class RankedDetections:
    """Detections at IoU 0.5, a list element per class of the truth, by descending score.

    Attributes:
        classes: emotion index of each class.
        score: `(N,)` float64; only the order and equality of scores matter.
        hit: `(N,)` float64, 1 where a truth is matched.
        subject: `(N,)` int64, subject index of each detection.
        truth_subject: `(M,)` int64, subject index of each truth.
    """

    classes: IntArray
    score: list[FloatArray]
    hit: list[FloatArray]
    subject: list[IntArray]
    truth_subject: list[IntArray]


@dataclass(frozen=True)
class Tally:
    """All that :func:`weighted_scores` needs."""

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
    own = {subject: (claimed, true) for subject, claimed, true in by_subject(predictions, truths)}
    nothing = (predictions[:0], truths[:0])
    # Who has proposals alone counts too: under mAP these are false detections.
    for subject in sorted({*own, *map(int, np.unique(detections.subject))}):
        claimed, true = own.get(subject, nothing)
        mine = at_threshold(claimed, threshold)
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
