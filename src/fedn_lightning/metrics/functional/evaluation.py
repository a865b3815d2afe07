"""One evaluation: spotting, recognition, STRS and detection under a named protocol, per subject if asked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from fedn_lightning.events import EventTable
from fedn_lightning.metrics.functional.detection import DetectionScores, detection_scores
from fedn_lightning.metrics.functional.matching import without_unknown_offsets
from fedn_lightning.metrics.functional.protocols import PROTOCOLS, Protocol
from fedn_lightning.metrics.functional.recognition import RecognitionScores, confusion, strs
from fedn_lightning.metrics.functional.spotting import Spotted, SpottingScores, spot_groups
from fedn_lightning.metrics.functional.threshold import Threshold, at_threshold

HEADLINE = "micro"
"""The group whose recognition and STRS stand alone, as in the challenge; the others are reported beside."""

RATIOS = ("precision", "recall", "f1")


@dataclass(frozen=True)
class Evaluation:
    """All scores of one set of predictions.

    Attributes:
        protocol: name of the protocol of spotting and recognition.
        spotting: pooled counts.
        recognition: for each group of :meth:`SpottingScores.groups`, the emotions of its true positives.
        strs: for each group, spotting F1 x F1_analysis.
        detection: average precisions of all proposals; no threshold, no protocol.
        unknown_offsets: number of truths whose offset is not known.
        without_unknown: spotting counts and mAP@0.5 without them (see :mod:`.unknown_offsets`); the same as above where
            every offset is known.
    """

    protocol: str
    spotting: SpottingScores
    recognition: dict[str, RecognitionScores]
    strs: dict[str, float]
    detection: DetectionScores
    unknown_offsets: int
    without_unknown: tuple[SpottingScores, float]


def evaluate(
    predictions: EventTable,
    truths: EventTable,
    protocol: Protocol = PROTOCOLS["megc"],
    threshold: Threshold = -np.inf,
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
