"""What a score would be if one kind of error were corrected and all others stayed: TIDE's oracles.

Bolya et al. (ECCV 2020, section 2.3) correct the false positives of each kind. One of `classification` gets the class
of its truth, one of `localisation` its interval; then it is a true positive. If several belong to one truth, the one
with the highest score becomes the true positive, and the others are removed. They are also removed if the truth is
found already. False positives of the kinds `duplicate`, `both` and `background` are removed. Truths of the kind
`missed` are no longer counted. The gain in score is the importance of a kind. Gains do not add up, because one error
can hide another. The losses of :func:`f1_lost` do add up.

Emotions have numbers of their own. Detection ranks by the product of the score of the interval (c) and that of its
emotion (e). So mAP needs more than right emotions: an e that is as high on background, or on an expression whose
emotion is none of the classes, as on a right emotion does not improve the ranking.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from fedn_lightning.analysis.errors import (
    COVERING,
    FOREGROUND,
    HIT,
    KINDS,
    NOT_JUDGED,
    Kind,
    SortedErrors,
    highest_scoring_last,
    ranked,
)
from fedn_lightning.events import EXPRESSION_TYPES, EventTable, IntArray
from fedn_lightning.metrics.functional.detection import average_precision, detection_scores
from fedn_lightning.metrics.functional.spotting import Counts, ratio

BoolArray = npt.NDArray[np.bool_]
Oracle = Literal[
    "nothing",
    "duplicate",
    "classification",
    "localisation",
    "both",
    "background",
    "missed",
    "all false positives",
    "all false negatives",
]

ORACLES: Final[tuple[Oracle, ...]] = (*KINDS, "all false positives", "all false negatives")
"""What can be corrected: each kind alone; all false positives removed; all truths that were not found removed."""


@dataclass(frozen=True)
class Corrected:
    """What counts after the correction."""

    kept: BoolArray  # `(N,)` bool, whether a prediction is still there
    hit: BoolArray  # `(N,)` bool, whether it is a true positive
    label: IntArray  # `(N,)` int64, its class
    wanted: BoolArray  # `(M,)` bool, whether a truth is still counted


def correct(errors: SortedErrors, predictions: EventTable, truths: EventTable, oracle: Oracle) -> Corrected:
    """Corrects one kind of error."""
    hit, kept = errors.kind == HIT, errors.kind != NOT_JUDGED
    wanted = errors.truth_kind != NOT_JUDGED
    label: IntArray = getattr(predictions, errors.label).copy()
    if oracle == "all false positives":
        kept = hit
    elif oracle == "all false negatives":
        wanted = errors.truth_kind == HIT
    elif oracle == "missed":
        wanted = wanted & (errors.truth_kind != KINDS.index("missed"))
    elif oracle != "nothing":
        code = KINDS.index(oracle)
        kept = kept & (errors.kind != code)
        right = _corrected_rows(errors, predictions, code)
        kept[right] = hit[right] = True
        label[right] = getattr(truths, errors.label)[errors.truth[right]]
    return Corrected(kept, hit, label, wanted)


def _corrected_rows(errors: SortedErrors, predictions: EventTable, code: int) -> IntArray:
    """Rows of the false positives of a kind that become true positives: the best of each truth that was not found."""
    if code not in COVERING:
        return np.empty(0, np.int64)
    rows = highest_scoring_last(ranked(predictions, errors.label), np.flatnonzero(errors.kind == code))
    rows = rows[errors.truth_kind[errors.truth[rows]] >= 0][::-1]
    return rows[np.unique(errors.truth[rows], return_index=True)[1]]


def oracle_counts(
    errors: SortedErrors, predictions: EventTable, truths: EventTable, oracle: Oracle = "nothing"
) -> dict[str, Counts]:
    """Spotting counts of macro, micro and overall after the correction; with `nothing` those of the evaluator."""
    if errors.label != "type":
        raise ValueError(f"Spotting counts need errors sorted by type, got errors sorted by {errors.label}.")
    after = correct(errors, predictions, truths, oracle)
    counts: dict[str, Counts] = {}
    for kind, name in enumerate(EXPRESSION_TYPES):
        mine = after.kept & (after.label == kind)
        tp = int((mine & after.hit).sum())
        counts[name] = Counts(tp, int(mine.sum()) - tp, int((after.wanted & (truths.type == kind)).sum()) - tp)
    return {**counts, "overall": counts["macro"] + counts["micro"]}


def oracle_map(errors: SortedErrors, proposals: EventTable, truths: EventTable, oracle: Oracle = "nothing") -> float:
    """Detection mAP at the foreground IoU after the correction; with `nothing` that of :mod:`.detection`.

    Returns:
        Mean over the classes that have truths; NaN if there is none. A class all of whose truths were missed has none
        after `missed` is corrected.
    """
    if errors.label != "emotion":
        raise ValueError(f"Detection needs errors sorted by emotion, got errors sorted by {errors.label}.")
    after = correct(errors, proposals, truths, oracle)
    score = ranked(proposals, "emotion").score
    values = []
    for emotion in np.unique(truths.emotion[after.wanted]):
        mine = after.kept & (after.label == emotion)
        m = int((after.wanted & (truths.emotion == emotion)).sum())
        values.append(average_precision(score[mine], after.hit[None, mine], m)[0])
    return float(np.mean(values)) if values else float("nan")


def f1_lost(errors: SortedErrors) -> dict[Kind, float]:
    """How much of F1 each kind costs: its false positives and false negatives over predictions plus truths.

    As `1 - F1 = (FP + FN) / (2 TP + FP + FN)`, these parts add up to what F1 lacks of 1, and the parts of two runs
    differ by what their F1s differ by. NaN where F1 is not defined.
    """
    whole = int((errors.kind != NOT_JUDGED).sum()) + int((errors.truth_kind != NOT_JUDGED).sum())
    fp, fn = errors.false_positives(), errors.false_negatives()
    return {kind: ratio(fp[kind] + fn[kind], whole) for kind in KINDS}


Place = Literal["right name", "wrong name", "no class", "elsewhere"]

PLACES: Final[tuple[Place, ...]] = ("right name", "wrong name", "no class", "elsewhere")
"""What an interval with a predicted emotion overlaps with an IoU of at least 0.5: an expression of that class, one of
another class, one whose emotion is not analysed, or none."""


@dataclass(frozen=True)
class EmotionScores:
    """Predictions with an emotion that lie in one place."""

    n: int  # how many there are
    e: float  # mean score of their emotions, NaN if there is none


@dataclass(frozen=True)
class EmotionScoreEffect:
    """How the scores of emotions change detection mAP@0.5."""

    both: float  # ranked by c times e, as reported
    c_alone: float  # ranked by c, whatever e
    less_no_class: float  # ranked by c times e, without the intervals on expressions whose emotion is not analysed


def emotion_errors(errors: SortedErrors, predictions: EventTable, truths: EventTable) -> dict[Place, EmotionScores]:
    """Sorts predictions with an emotion by what they overlap.

    Args:
        errors: these very predictions judged by emotion.
        predictions: N events; those without an emotion are left out.
        truths: M events.

    >>> from fedn_lightning.analysis.errors import sort_errors
    >>> truths = EventTable.from_rows([[0, 0, 0, 20, 0, 1, 1], [0, 0, 50, 60, 1, -1, 1]])
    >>> found = EventTable.from_rows([[0, 0, 0, 19, 0, 1, 0.9], [0, 0, 50, 60, 1, 0, 0.8]])
    >>> found_on = emotion_errors(sort_errors(found, truths, "emotion"), found, truths)
    >>> {place: scores.n for place, scores in found_on.items()}
    {'right name': 1, 'wrong name': 0, 'no class': 1, 'elsewhere': 0}
    """
    _check_judged_by_emotion(errors)
    no_class = _on_no_class(errors, truths)
    lies: dict[Place, npt.NDArray[np.bool_]] = {
        "right name": np.isin(errors.kind, (HIT, KINDS.index("duplicate"))),
        "wrong name": (errors.kind == KINDS.index("classification")) & ~no_class,
        "no class": no_class,
        "elsewhere": np.isin(errors.kind, [KINDS.index(kind) for kind in ("localisation", "both", "background")]),
    }
    score = predictions.emotion_score
    return {
        place: EmotionScores(int(rows.sum()), float(score[rows].mean()) if rows.any() else float("nan"))
        for place, rows in lies.items()
    }


def emotion_score_effect(errors: SortedErrors, proposals: EventTable, truths: EventTable) -> EmotionScoreEffect:
    """Computes how the scores of emotions change detection mAP."""
    _check_judged_by_emotion(errors)
    tables = (
        proposals,
        replace(proposals, emotion_score=np.ones(len(proposals))),
        proposals[~_on_no_class(errors, truths)],
    )
    return EmotionScoreEffect(*(detection_scores(table, truths, (FOREGROUND,)).mean((FOREGROUND,)) for table in tables))


def _on_no_class(errors: SortedErrors, truths: EventTable) -> npt.NDArray[np.bool_]:
    """Which intervals lie on an expression whose emotion is not analysed."""
    rows = np.flatnonzero(errors.kind == KINDS.index("classification"))
    found = np.zeros(len(errors.kind), np.bool_)
    found[rows] = truths.emotion[errors.truth[rows]] < 0
    return found


def _check_judged_by_emotion(errors: SortedErrors) -> None:
    if errors.label != "emotion":
        raise ValueError(f"Emotion scores need errors sorted by emotion, got errors sorted by {errors.label}.")
