"""What a score would be if one kind of error were corrected and all others stayed: TIDE's oracles.

Bolya et al. (ECCV 2020, section 2.3) correct the false positives of each kind. One of `classification` gets the class
of its truth, one of `localisation` its interval; then it is a true positive. If several belong to one truth, the one
with the highest score becomes the true positive, and the others are removed. They are also removed if the truth is
found already. False positives of the kinds `duplicate`, `both` and `background` are removed. Truths of the kind
`missed` are no longer counted. The gain in score is the importance of a kind. Gains do not add up, because one error
can hide another. The losses of :func:`f1_lost` do add up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from fedn_lightning.analysis.errors import (
    COVERING,
    HIT,
    KINDS,
    NOT_JUDGED,
    Kind,
    SortedErrors,
    highest_scoring_last,
    ranked,
)
from fedn_lightning.events import EXPRESSION_TYPES, EventTable, IntArray
from fedn_lightning.metrics.functional.detection import average_precision
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
    "all false alarms",
    "all misses",
]

ORACLES: Final[tuple[Oracle, ...]] = (*KINDS, "all false alarms", "all misses")
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
    if oracle == "all false alarms":
        kept = hit
    elif oracle == "all misses":
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
