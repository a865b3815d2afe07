"""Whether predicted emotions are right, and whether their scores separate right ones from wrong ones.

Detection ranks by the product of the score of the interval (c) and that of its emotion (e). So mAP needs more than
right emotions: an e that is as high on background, or on an expression whose emotion is none of the classes, as on a
right emotion does not improve the ranking.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from fedn_lightning.analysis.errors import FOREGROUND, HIT, KINDS, SortedErrors
from fedn_lightning.events import EventTable
from fedn_lightning.metrics.functional.detection import detection_scores

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
