"""Named protocols: what counts as a hit in the published families of code.

Scores can only be compared under the same protocol. `megc` is this project's default; the others exist
to reproduce and check numbers computed elsewhere. Each looks at one pool of predictions and truths; macro,
micro and overall are made of it in :func:`.spotting.spot_groups`, for all protocols alike. Detection mAP does not
depend on the protocol.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from fedn_lightning.events import EventTable
from fedn_lightning.metrics.functional.matching import overlapping_pairs
from fedn_lightning.metrics.functional.recognition import Recogniser, recognition_scores, recognition_strs_metric
from fedn_lightning.metrics.functional.spotting import Counts, Rule, Spotted, one_to_one

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
    """A named way to score.

    Attributes:
        name: printed with every number.
        summary: what it follows, for a header.
        rule: makes true positives.
        recognise: scores their emotions.
    """

    name: str
    summary: str
    rule: Rule
    recognise: Recogniser = recognition_scores


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
