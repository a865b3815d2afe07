"""Average precision of detections: an expression found in time *and* given its emotion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from fedn_lightning.events import EventTable, FloatArray, IntArray
from fedn_lightning.metrics.functional.matching import UNMATCHED, match_at

# Quotients of integers, so that each is the very number that an IoU of, say, 3/5 gives; arange would be off by one ulp.
WIDE = tuple(k / 10 for k in range(3, 8))
FINE = tuple(k / 100 for k in range(50, 100, 5))
SUMMARIES: dict[str, tuple[float, ...]] = {"map@0.5": (0.5,), "map@0.3:0.7": WIDE, "map@0.5:0.95": FINE}
"""The reported means and the IoU thresholds each runs over; the first is the headline."""


@dataclass(frozen=True)
class DetectionScores:
    """Average precisions."""

    thresholds: tuple[float, ...]  # T IoU thresholds
    classes: IntArray  # `(C,)` int64 emotion indices that occur in the truth, ascending
    ap: FloatArray  # `(T, C)` float64 average precision

    def mean(self, thresholds: Sequence[float]) -> float:
        """Mean over the classes and the given ones of :attr:`thresholds`; NaN without a class."""
        rows = [self.thresholds.index(t) for t in thresholds]
        return float(self.ap[rows].mean()) if len(self.classes) else float("nan")

    def per_class(self, threshold: float = 0.5) -> dict[int, float]:
        """Average precision of each class of the truth at one threshold."""
        row = self.ap[self.thresholds.index(threshold)]
        return {int(c): float(ap) for c, ap in zip(self.classes, row, strict=True)}

    def summary(self) -> dict[str, float]:
        """The means of :data:`SUMMARIES`."""
        return {name: self.mean(thresholds) for name, thresholds in SUMMARIES.items()}


def detection_scores(
    predictions: EventTable, truths: EventTable, thresholds: Sequence[float] | None = None
) -> DetectionScores:
    """ActivityNet-style average precision per class and IoU threshold.

    Per class, the predictions of the whole set come by descending score; each takes the best free truth of its class
    in its video with IoU >= t. Precision is replaced by its envelope (the best at that recall or beyond) and summed
    over all recall steps. Predictions of equal score enter together, as no threshold can part them, so the order of
    the rows carries no weight. The expression type does not matter. Events without an emotion are no detections and
    no truths here; a class that is predicted but absent from the truth disturbs no other. Predictions that all come
    without an emotion, as from a network that only spots, are undefined, not wrong.

    Args:
        predictions: N proposals, whatever their score; they are ranked by `score * emotion_score`.
        truths: M truths.
        thresholds: IoU thresholds in `(0, 1]`; those of :data:`SUMMARIES` by default.

    Returns:
        The average precisions; `classes` is empty if no truth has an emotion, or predictions have none.

    Raises:
        ValueError: as :func:`.matching.match`.
    """
    steps = tuple(sorted({*WIDE, *FINE})) if thresholds is None else tuple(thresholds)
    truths = analysed(predictions, truths)
    classes, n_truths = np.unique(truths.emotion, return_counts=True)
    predictions = predictions[np.isin(predictions.emotion, classes)]
    predictions = replace(predictions, score=predictions.score * predictions.emotion_score)
    hit = match_at(predictions, truths, steps, within=("video", "emotion")) != UNMATCHED
    ap = np.zeros((len(steps), len(classes)))
    for column, (emotion, m) in enumerate(zip(classes, n_truths, strict=True)):
        rows = predictions.emotion == emotion
        ap[:, column] = average_precision(predictions.score[rows], hit[:, rows], int(m))
    return DetectionScores(steps, classes, ap)


def analysed(predictions: EventTable, truths: EventTable) -> EventTable:
    """The truths that predictions can be held to: those with an emotion; none if no prediction names any."""
    if len(predictions) and (predictions.emotion < 0).all():
        return truths[:0]
    return truths[truths.emotion >= 0]


def average_precision(score: FloatArray, hit: npt.NDArray[np.bool_], n_truths: int) -> FloatArray:
    """Area under the precision envelope, all points; predictions of equal score enter together.

    Args:
        score: `(N,)` scores.
        hit: `(T, N)` whether each prediction is a true positive, by IoU threshold.
        n_truths: number of truths, at least 1.

    Returns:
        `(T,)` average precisions; 0 without a prediction.

    >>> average_precision(np.array([0.9, 0.8, 0.7]), np.array([[True, False, True]]), 2)  # 1/2 x 1 + 1/2 x 2/3
    array([0.83333333])
    """
    order = np.argsort(-score, kind="stable")
    score = score[order]
    last = np.flatnonzero(np.append(score[1:] != score[:-1], True)[: len(score)])
    tp = np.cumsum(hit[:, order], axis=1)[:, last]
    envelope = np.maximum.accumulate((tp / (last + 1))[:, ::-1], axis=1)[:, ::-1]
    area: FloatArray = (np.diff(tp, prepend=0, axis=1) * envelope).sum(axis=1) / n_truths
    return area
