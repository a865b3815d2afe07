"""Named protocols, which say what counts as a true positive, and one evaluation under one of them.

Scores can only be compared under the same protocol. `megc` is this project's default; the others exist
to reproduce and check numbers computed elsewhere. Each looks at one pool of predictions and truths; macro,
micro and overall are made of it in :func:`.spotting.spot_groups`, for all protocols alike. Detection mAP does not
depend on the protocol.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from fedn_lightning.events import EventTable
from fedn_lightning.metrics.functional.detection import DetectionScores, detection_scores
from fedn_lightning.metrics.functional.matching import overlapping_pairs, without_unknown_offsets
from fedn_lightning.metrics.functional.recognition import (
    Recogniser,
    RecognitionScores,
    confusion,
    recognition_scores,
    recognition_strs_metric,
    strs,
)
from fedn_lightning.metrics.functional.spotting import Counts, Rule, Spotted, SpottingScores, one_to_one, spot_groups
from fedn_lightning.metrics.functional.threshold import Threshold, at_threshold

HALF = 0.5


def megc2020(predictions: EventTable, truths: EventTable) -> Spotted:
    """The organisers' code of 2020: counts truths that are hit, not predictions that hit.

    Differences to `megc`: a truth is hit if *any* prediction has an IoU of at least 0.5, also one that hits another
    truth already; FP is the number of predictions minus the number of hits, so it can be negative and precision above
    1; intervals of a single frame never match. Several predictions on one truth are one hit; the others are false
    positives.

    Args:
        predictions: N events.
        truths: M events.

    Returns:
        The counts; the prediction of a hit is the one with the greatest IoU (ties: score, then input order).
    """
    pairs = overlapping_pairs(predictions, truths, HALF, within=("video",))
    one_frame = np.minimum(
        predictions.end[pairs.prediction] - predictions.start[pairs.prediction],
        truths.end[pairs.truth] - truths.start[pairs.truth],
    )
    order = np.lexsort((pairs.prediction, -predictions.score[pairs.prediction], -pairs.iou, pairs.truth))
    order = order[(one_frame > 1)[order]]
    truth, first = np.unique(pairs.truth[order], return_index=True)
    hits = len(truth)
    counts = Counts(hits, len(predictions) - hits, len(truths) - hits)
    return Spotted(counts, pairs.prediction[order][first], truth)


def strs_metric(predictions: EventTable, truths: EventTable) -> Spotted:
    """The leaderboard script of 2024-25.

    Differences to `megc`: subjects without a prediction are dropped with all their truths; predictions in videos
    without a truth are dropped; predictions come in list order, not by score, and each takes *every* free truth it
    overlaps by at least 0.5, so that one prediction may be two true positives. Its recognition differs as well
    (:func:`.recognition.recognition_strs_metric`).

    Args:
        predictions: N events, in the order of their file.
        truths: M events.
    """
    seen = np.isin(truths.subject, predictions.subject)
    looked_at = np.isin(predictions.video, truths.video)
    pairs = overlapping_pairs(predictions, truths, HALF, within=("video",))
    # A truth goes to the first prediction of the list that reaches it: nothing is ever given up.
    order = np.lexsort((pairs.prediction, pairs.truth))
    truth, first = np.unique(pairs.truth[order], return_index=True)
    prediction = pairs.prediction[order][first]
    hits, hitting = len(truth), len(np.unique(prediction))
    counts = Counts(hits, int(looked_at.sum()) - hitting, int(seen.sum()) - hits)
    return Spotted(counts, prediction, truth)


def exclusive(predictions: EventTable, truths: EventTable) -> Spotted:
    """The AUW-GCN and ABPN lineage.

    Differences to `megc`: the last frame does not belong to an interval (length = offset - onset), and the IoU must be
    *greater* than 0.5. Matching is one-to-one as in `megc`.

    Args:
        predictions: N events, half open as everywhere in this project; shortened here.
        truths: M events.
    """
    found, wanted = (replace(table, end=table.end - 1) for table in (predictions, truths))
    return one_to_one(found, wanted, iou_threshold=float(np.nextafter(HALF, 1)))


@dataclass(frozen=True, slots=True)
class Protocol:
    """A named way to score."""

    name: str  # printed with every number
    summary: str  # what it follows, for a header
    rule: Rule  # makes true positives
    recognise: Recogniser = recognition_scores  # scores their emotions


PROTOCOLS: dict[str, Protocol] = {
    p.name: p
    for p in (
        Protocol("megc", "one-to-one by descending score, inclusive frames, IoU >= 0.5, everything pooled", one_to_one),
        Protocol("megc2020", "the organisers' 2020 code: a truth is hit if any prediction has IoU >= 0.5", megc2020),
        Protocol(
            "strs_metric",
            "the 2024-25 leaderboard script: drops subjects without predictions and videos without truths",
            strs_metric,
            recognition_strs_metric,
        ),
        Protocol("exclusive", "AUW-GCN / ABPN: the last frame left out, IoU > 0.5", exclusive),
    )
}
"""By name; the first is the default."""


HEADLINE = "micro"
"""The group whose recognition and STRS stand alone, as in the challenge; the others are reported beside."""

RATIOS = ("precision", "recall", "f1")


@dataclass(frozen=True)
class Evaluation:
    """All scores of one set of predictions."""

    protocol: str  # name of the protocol of spotting and recognition
    spotting: SpottingScores  # pooled counts
    # for each group of :meth:`SpottingScores.groups`, the emotions of its true positives
    recognition: dict[str, RecognitionScores]
    strs: dict[str, float]  # for each group, spotting F1 x F1_analysis
    detection: DetectionScores  # average precisions of all proposals; no threshold, no protocol
    unknown_offsets: int  # number of truths whose offset is not known
    # spotting counts and mAP@0.5 without them (see :mod:`.unknown_offsets`); the same as above where every offset is
    # known
    without_unknown: tuple[SpottingScores, float]


def evaluate(
    predictions: EventTable, truths: EventTable, protocol: Protocol = PROTOCOLS["megc"], threshold: Threshold = -np.inf
) -> Evaluation:
    """Scores predictions.

    Args:
        predictions: every proposal; detection ranks all of them.
        truths: the truths.
        protocol: what counts as a hit.
        threshold: score from which a proposal counts for spotting, recognition and STRS.

    Raises:
        ValueError: as :func:`.spotting.spot_groups`.
    """
    counted = at_threshold(predictions, threshold)
    groups = spot_groups(counted, truths, protocol.rule)
    recognition = {name: recognise(counted, truths, spotted, protocol) for name, spotted in groups.items()}
    return Evaluation(
        protocol=protocol.name,
        spotting=SpottingScores(**{name: spotted.counts for name, spotted in groups.items()}),
        recognition=recognition,
        strs={name: strs(spotted.counts.f1, recognition[name].f1_analysis) for name, spotted in groups.items()},
        detection=detection_scores(predictions, truths),
        unknown_offsets=int((~truths.end_known).sum()),
        without_unknown=_without_unknown(predictions, truths, counted, protocol),
    )


def _without_unknown(
    predictions: EventTable, truths: EventTable, counted: EventTable, protocol: Protocol
) -> tuple[SpottingScores, float]:
    """Spotting and mAP@0.5 without truths of unknown offset; mAP looks at the emotion instead of the type."""
    groups = spot_groups(*without_unknown_offsets(counted, truths), protocol.rule)
    analysed = without_unknown_offsets(predictions, truths, within=("video", "emotion"))
    spotting = SpottingScores(**{name: spotted.counts for name, spotted in groups.items()})
    return spotting, detection_scores(*analysed, (0.5,)).mean((0.5,))


def recognise(
    predictions: EventTable, truths: EventTable, spotted: Spotted, protocol: Protocol = PROTOCOLS["megc"]
) -> RecognitionScores:
    """Scores the emotions of true positives.

    Args:
        predictions: the table that `spotted.prediction` indexes.
        truths: the table that `spotted.truth` indexes.
        spotted: true positives.
        protocol: whose way of scoring is used.
    """
    n_classes = count_classes(predictions, truths)
    counts = confusion(predictions.emotion[spotted.prediction], truths.emotion[spotted.truth], n_classes)
    return protocol.recognise(counts, np.isin(np.arange(n_classes), truths.emotion))


def count_classes(*tables: EventTable) -> int:
    """Number of emotion classes, one more than the greatest index."""
    return max((int(table.emotion.max(initial=-1)) for table in tables), default=-1) + 1


def by_subject(predictions: EventTable, truths: EventTable) -> Iterator[tuple[int, EventTable, EventTable]]:
    """The rows of each subject that has any, by subject index, in their order."""
    orders = [np.argsort(table.subject, kind="stable") for table in (predictions, truths)]
    keys = [table.subject[order] for table, order in zip((predictions, truths), orders, strict=True)]
    for subject in np.union1d(*keys).tolist():
        rows = [
            order[np.searchsorted(key, subject, "left") : np.searchsorted(key, subject, "right")]
            for order, key in zip(orders, keys, strict=True)
        ]
        yield subject, predictions[rows[0]], truths[rows[1]]


def spotting_by_subject(
    predictions: EventTable, truths: EventTable, protocol: Protocol = PROTOCOLS["megc"]
) -> dict[int, SpottingScores]:
    """Counts of each subject; they sum to the pooled ones. Apply the score threshold first."""
    return {
        subject: SpottingScores(**{n: s.counts for n, s in spot_groups(mine, true, protocol.rule).items()})
        for subject, mine, true in by_subject(predictions, truths)
    }


def flat_scores(evaluation: Evaluation) -> dict[str, float]:
    """The scores that have an uncertainty, by their path in the report, e.g. `spotting.micro.f1`."""
    groups = SpottingScores.groups()
    flat = {f"spotting.{g}.{k}": float(getattr(getattr(evaluation.spotting, g), k)) for g in groups for k in RATIOS}
    flat |= {f"recognition.{key}": value for key, value in evaluation.recognition[HEADLINE].to_dict().items()}
    return flat | {"strs": evaluation.strs[HEADLINE], "detection.map@0.5": evaluation.detection.mean((0.5,))}
