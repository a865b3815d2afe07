"""Recognition on what was spotted, and the spot-then-recognise score."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fedn_lightning.events import FloatArray, IntArray


@dataclass(frozen=True, slots=True)
class RecognitionScores:
    """Recognition of the spotted expressions; NaN where nothing was there to recognise."""

    f1_analysis: float = math.nan  # `2 P R / (P + R)` of the unweighted class means of precision and recall
    uf1: float = math.nan  # mean of the class F1s
    uar: float = math.nan  # mean of the class recalls

    def to_dict(self) -> dict[str, float]:
        """`{f1_analysis, uf1, uar}`."""
        return {"f1_analysis": self.f1_analysis, "uf1": self.uf1, "uar": self.uar}


Recogniser = Callable[[IntArray, npt.NDArray[np.bool_]], RecognitionScores]
"""Scores a confusion matrix, knowing which classes occur in the whole truth."""


def confusion(predicted: IntArray, true: IntArray, n_classes: int) -> IntArray:
    """Counts true positives by true and predicted emotion.

    Args:
        predicted: `(A,)` int64 emotions of the spotted predictions; negative: none given.
        true: `(A,)` int64 emotions of their truths; negative: not analysed ("others" in the 3-class scheme), left out.
        n_classes: C.

    Returns:
        `(C, C + 1)` int64, row true, column predicted; the last column counts predictions without an emotion.

    >>> confusion(np.array([0, 1, -1, 1]), np.array([0, 0, 1, -1]), 2)
    array([[1, 1, 0],
           [0, 0, 1]])
    """
    counts = np.zeros((n_classes, n_classes + 1), np.int64)
    known = true >= 0
    np.add.at(counts, (true[known], np.where(predicted[known] < 0, n_classes, predicted[known])), 1)
    return counts


def recognition_scores(counts: IntArray, in_truth: npt.NDArray[np.bool_] | None = None) -> RecognitionScores:
    """Scores recognition, pooled over everything spotted (protocol `megc`).

    The means run over the classes that occur among the spotted truths: a class without a spotted truth is
    undefined, and one predicted but absent costs the classes it was mistaken for. An occurring class that is never
    predicted has precision 0. Predictions that all come without an emotion are undefined, not wrong.

    Args:
        counts: `(C, C + 1)` from :func:`confusion`.
        in_truth: not used here; see :data:`Recogniser`.

    >>> recognition_scores(np.array([[2, 0, 0], [1, 1, 0]]))
    RecognitionScores(f1_analysis=0.7894736842105263, uf1=0.7333333333333334, uar=0.75)
    """
    if not counts[:, :-1].any():
        return RecognitionScores()
    rows = counts.sum(axis=1) > 0
    precision, recall, f1 = (column[rows] for column in class_scores(counts))
    p, r = float(precision.mean()), float(recall.mean())
    return RecognitionScores(2 * p * r / (p + r) if p + r else 0.0, float(f1.mean()), r)


def class_scores(counts: IntArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """One-vs-rest precision, recall and F1, each `(C,)` float64; a ratio without a denominator is 0 here.

    Args:
        counts: `(C, C + 1)` from :func:`confusion`.
    """
    square = counts[:, :-1]
    tp, true, said = np.diag(square), counts.sum(axis=1), square.sum(axis=0)
    precision = tp / np.maximum(said, 1)
    recall = tp / np.maximum(true, 1)
    f1 = 2 * tp / np.maximum(true + said, 1)
    return precision, recall, f1


def recognition_strs_metric(counts: IntArray, in_truth: npt.NDArray[np.bool_]) -> RecognitionScores:
    """Scores recognition as the 2024-25 leaderboard script does (protocol `strs_metric`).

    It differs from :func:`recognition_scores` in three ways: what it calls UAR is the mean of the class *precisions*;
    the means run over all classes of the truth, so one without a spotted truth counts 0; and a class that all spotted
    truths and all their predictions share counts 0 as well, because a 1 x 1 confusion matrix is taken for an empty one.

    Args:
        counts: `(C, C + 1)` from :func:`confusion`.
        in_truth: `(C,)` whether the class occurs in the whole truth.
    """
    classes = np.flatnonzero(in_truth)
    if not len(classes):
        return RecognitionScores()
    precision, recall, f1 = (column[classes] for column in class_scores(counts))
    alone = np.diag(counts[:, :-1])[classes] == counts.sum()
    precision, recall, f1 = (np.where(alone, 0.0, column) for column in (precision, recall, f1))
    p, r = float(precision.mean()), float(recall.mean())
    return RecognitionScores(2 * p * r / (p + r) if p + r else math.nan, float(f1.mean()), p)


def strs(f1_spotting: float, f1_analysis: float) -> float:
    """Spot-then-recognise score, the product of the two (Liong et al. 2023); 0 where nothing was spotted rightly.

    >>> strs(0.5, 0.5), strs(0.0, float("nan")), strs(0.5, float("nan"))
    (0.25, 0.0, nan)
    """
    return 0.0 if f1_spotting == 0 else f1_spotting * f1_analysis
