"""Sorts every false negative and every false positive into one kind of error; lists the worst.

The kinds and the two thresholds are those of TIDE (Bolya, Foley, Hays and Hoffman, "TIDE: A General Toolbox for
Identifying Object Detection Errors", ECCV 2020, section 2), on the time axis. As in DETAD (Alwassel, Caba Heilbron,
Escorcia and Ghanem, "Diagnosing Error in Temporal Action Detectors", ECCV 2018), the truth that a false positive
overlaps best explains it. What is a hit is decided by this project's own matching (:mod:`.matching`, protocol
`megc`), so the kinds add up to its false positives and false negatives. An event is judged by its type (spotting) or by
its emotion (detection):

| kind | false positive: the truth that it overlaps best ... | false negative |
| --- | --- | --- |
| `duplicate` | is of its class with an IoU of at least 0.5, and a prediction with a higher score matches it | - |
| `classification` | is of another class with an IoU of at least 0.5 | such a false positive covers it |
| `localisation` | is of its class with an IoU from 0.1 to below 0.5 | such a false positive covers it |
| `both` | is of another class with an IoU from 0.1 to below 0.5 | - |
| `background` | has an IoU below 0.1, or there is none | - |
| `missed` | - | none of these covers it |

TIDE's code asks for a truth of the own class with an IoU from 0.1 to 0.5 before anything else; that differs where a
false positive lies on two truths. Its false negatives that a false positive covers are not listed again; here they
have that kind, so that false negatives add up as well.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from fedn_lightning.events import EventTable, FloatArray, IntArray
from fedn_lightning.metrics.functional.matching import UNMATCHED, Pairs, interval_iou, match, overlapping_pairs

Label = Literal["type", "emotion"]
"""What must be right beside the time: macro or micro (spotting), or the emotion class (detection)."""

Kind = Literal["duplicate", "classification", "localisation", "both", "background", "missed"]

KINDS: Final[tuple[Kind, ...]] = ("duplicate", "classification", "localisation", "both", "background", "missed")
"""All kinds of error."""

FOREGROUND: Final = 0.5
"""IoU from which an interval finds a truth: that of the protocol, and TIDE's `t_f`."""
BACKGROUND: Final = 0.1
"""IoU from which an interval is near a truth: TIDE's `t_b`, DETAD's as well."""

HIT: Final = -1
"""In the place of a kind: no error."""
NOT_JUDGED: Final = -2
"""In the place of a kind: the event has no class (an emotion that is not analysed), so it counts neither way."""

COVERING: Final = (KINDS.index("classification"), KINDS.index("localisation"))
"""Kinds of false positives that would be hits if they were right; the truths they are about count as theirs."""


@dataclass(frozen=True)
class SortedErrors:
    """One kind for each of N predictions and each of M truths."""

    label: Label  # what was judged beside the time
    kind: IntArray  # `(N,)` int64, index into :data:`KINDS`, or :data:`HIT` or :data:`NOT_JUDGED`
    # `(N,)` int64, row of the truth that explains it: the one taken, overlapped or near; `UNMATCHED` if none
    truth: IntArray
    iou: FloatArray  # `(N,)` float64, IoU with that truth, 0 if none
    truth_kind: IntArray  # `(M,)` int64, as `kind`
    prediction: IntArray  # `(M,)` int64, row of the prediction that took or covers the truth; `UNMATCHED` if none

    def false_positives(self, rows: npt.NDArray[np.bool_] | slice = slice(None)) -> dict[Kind, int]:
        """Number of false positives by kind, of some predictions or of all."""
        return {kind: int((self.kind[rows] == code).sum()) for code, kind in enumerate(KINDS)}

    def false_negatives(self, rows: npt.NDArray[np.bool_] | slice = slice(None)) -> dict[Kind, int]:
        """Number of false negatives by kind, of some truths or of all."""
        return {kind: int((self.truth_kind[rows] == code).sum()) for code, kind in enumerate(KINDS)}


def sort_errors(
    predictions: EventTable,
    truths: EventTable,
    label: Label = "type",
    foreground: float = FOREGROUND,
    background: float = BACKGROUND,
) -> SortedErrors:
    """Gives each prediction and each truth one kind.

    Every prediction given counts: apply the score threshold first (:func:`.threshold.at_threshold`), or give all
    proposals to see the errors that lower mean average precision.

    Args:
        predictions: N events; ranked by `score`, or by `score * emotion_score` if judged by emotion.
        truths: M events.
        label: what must be right beside the time. By emotion, events with a negative emotion are not judged; a false
            positive that overlaps such a truth is still explained by it.
        foreground: IoU from which an interval finds a truth.
        background: IoU from which it is near one.

    Returns:
        The kinds. They add up to the false positives and false negatives of :func:`.matching.match` within video and
        label.

    Raises:
        ValueError: if not `0 < background < foreground <= 1`, or as :func:`.matching.match`.

    >>> truths = EventTable.from_rows([[0, 0, 0, 20, 0, -1, 1], [0, 0, 50, 60, 1, -1, 1]])
    >>> found = EventTable.from_rows([[0, 0, 0, 19, 0, -1, 0.9], [0, 0, 2, 20, 0, -1, 0.8], [0, 0, 50, 60, 0, -1, 0.7]])
    >>> errors = sort_errors(found, truths)
    >>> {kind: n for kind, n in errors.false_positives().items() if n}, errors.false_negatives()["classification"]
    ({'duplicate': 1, 'classification': 1}, 1)
    """
    if not 0 < background < foreground <= 1:
        raise ValueError(f"Thresholds must be 0 < background < foreground <= 1, got {background} and {foreground}.")
    predictions = ranked(predictions, label)
    judged, wanted = _has_class(predictions, label), _has_class(truths, label)
    if len(judged) and not judged.any():  # a network that only spots is not held to emotions (see :mod:`.detection`)
        wanted[:] = False
    taken = _match_judged(predictions, truths, judged, wanted, label, foreground)
    kind = np.full(len(predictions), KINDS.index("background"), np.int64)
    truth = taken.copy()
    pairs = _explanations(predictions, truths, judged & (taken == UNMATCHED), label, background)
    kind[pairs.prediction] = _kinds_of_pairs(predictions, truths, pairs, label, foreground)
    truth[pairs.prediction] = pairs.truth
    kind[taken != UNMATCHED], kind[~judged] = HIT, NOT_JUDGED
    truth_kind, prediction = _sort_truths(kind, truth, predictions, wanted)
    return SortedErrors(label, kind, truth, _iou_of(predictions, truths, truth), truth_kind, prediction)


def ranked(predictions: EventTable, label: Label) -> EventTable:
    """The predictions with the score they are ranked by: detection also uses the score of the emotion."""
    if label == "type":
        return predictions
    return replace(predictions, score=predictions.score * predictions.emotion_score)


def highest_scoring_last(predictions: EventTable, rows: IntArray) -> IntArray:
    """Rows of a table in the reverse of the order in which they are matched."""
    table = predictions[rows]
    return rows[np.lexsort((-rows, -table.end, -table.start, table.score))]


def _has_class(table: EventTable, label: Label) -> npt.NDArray[np.bool_]:
    column: IntArray = getattr(table, label)
    return column >= 0


def _match_judged(
    predictions: EventTable,
    truths: EventTable,
    judged: npt.NDArray[np.bool_],
    wanted: npt.NDArray[np.bool_],
    label: Label,
    foreground: float,
) -> IntArray:
    """The evaluator's matching of what has a class; rows are those of the whole tables."""
    mine, true = np.flatnonzero(judged), np.flatnonzero(wanted)
    found = match(predictions[mine], truths[true], foreground, within=("video", label))
    taken = np.full(len(predictions), UNMATCHED, np.int64)
    hits = found != UNMATCHED
    taken[mine[hits]] = true[found[hits]]
    return taken


def _explanations(
    predictions: EventTable, truths: EventTable, wrong: npt.NDArray[np.bool_], label: Label, background: float
) -> Pairs:
    """Each false positive near a truth, with the one it overlaps best; of equals one of its class, the earlier."""
    prediction, truth, iou = overlapping_pairs(predictions, truths, background, within=("video",))
    other = getattr(predictions, label)[prediction] != getattr(truths, label)[truth]
    order = np.lexsort((truth, truths.end[truth], truths.start[truth], other, -iou, prediction))
    order = order[wrong[prediction[order]]]
    best = order[np.diff(prediction[order], prepend=-1) != 0]
    return Pairs(prediction[best], truth[best], iou[best])


def _kinds_of_pairs(
    predictions: EventTable, truths: EventTable, pairs: Pairs, label: Label, foreground: float
) -> IntArray:
    """What the truth that explains a false positive makes of it."""
    same = getattr(predictions, label)[pairs.prediction] == getattr(truths, label)[pairs.truth]
    duplicate, classification, localisation, both = range(4)
    overlaps = np.where(same, duplicate, classification)
    kinds: IntArray = np.where(pairs.iou >= foreground, overlaps, np.where(same, localisation, both))
    return kinds


def _sort_truths(
    kind: IntArray, truth: IntArray, predictions: EventTable, wanted: npt.NDArray[np.bool_]
) -> tuple[IntArray, IntArray]:
    """Kind of each truth, and the prediction that took or covers it."""
    truth_kind = np.where(wanted, KINDS.index("missed"), NOT_JUDGED)
    prediction = np.full(len(wanted), UNMATCHED, np.int64)
    # The last to write wins: hits over classification over localisation, and in each the highest score.
    for code in (*reversed(COVERING), HIT):
        rows = highest_scoring_last(predictions, np.flatnonzero(kind == code))
        rows = rows[wanted[truth[rows]]]
        free = truth_kind[truth[rows]] != HIT
        truth_kind[truth[rows[free]]], prediction[truth[rows[free]]] = code, rows[free]
    return truth_kind, prediction


def _iou_of(predictions: EventTable, truths: EventTable, truth: IntArray) -> FloatArray:
    iou = np.zeros(len(predictions))
    rows = np.flatnonzero(truth != UNMATCHED)
    of = truth[rows]
    iou[rows] = interval_iou(predictions.start[rows], predictions.end[rows], truths.start[of], truths.end[of])
    return iou


@dataclass(frozen=True)
class ErrorEvent:
    """A prediction that found nothing, or a truth that nothing found."""

    kind: Kind  # of error (see :data:`KINDS`; judged by expression type)
    event: int  # its row, of the predictions or of the truths
    # row on the other side, `UNMATCHED` if there is none: for a false positive the truth that explains it, for a false
    # negative the nearest proposal
    other: int
    iou: float  # of the two, 0 without one


def false_positives(predicted: EventTable, truths: EventTable) -> list[ErrorEvent]:
    """Predictions that found no truth (protocol `megc`), by descending score.

    Args:
        predicted: N predictions at or above the thresholds.
        truths: M truths.
    """
    errors = sort_errors(predicted, truths)
    rows = np.flatnonzero(errors.kind >= 0)
    rows = rows[np.argsort(-predicted.score[rows], kind="stable")]
    return [ErrorEvent(KINDS[errors.kind[r]], int(r), int(errors.truth[r]), float(errors.iou[r])) for r in rows]


def false_negatives(predicted: EventTable, truths: EventTable, proposals: EventTable) -> list[ErrorEvent]:
    """Truths that no prediction found, the least confident first.

    They are ordered by the confidence of their nearest proposal times its IoU, and among equals by length, the longest
    first.

    Args:
        predicted: N predictions at or above the thresholds.
        truths: M truths.
        proposals: every proposal; the nearest one stands beside a false negative.
    """
    errors = sort_errors(predicted, truths)
    rows = np.flatnonzero(errors.truth_kind >= 0)
    found = [ErrorEvent(KINDS[errors.truth_kind[r]], int(r), *nearest(truths[r : r + 1], proposals)) for r in rows]

    def known(error: ErrorEvent) -> tuple[float, float]:
        sure = float(proposals.score[error.other]) if error.other != UNMATCHED else 0.0
        return sure * error.iou, float(truths.start[error.event] - truths.end[error.event])

    return sorted(found, key=known)


def nearest(event: EventTable, others: EventTable) -> tuple[int, float]:
    """The row of `others` whose confidence times its IoU with an event of the same video is greatest, and that IoU.

    Returns:
        `(UNMATCHED, 0.0)` if none overlaps.

    >>> truth = EventTable.from_rows([[0, 0, 0, 10, 1, -1, 1]])
    >>> nearest(truth, EventTable.from_rows([[0, 0, 0, 10, 1, -1, 0.3], [0, 0, 0, 5, 0, -1, 0.9]]))
    (1, 0.5)
    """
    rows = np.flatnonzero(others.video == event.video[0])
    iou: FloatArray = interval_iou(event.start, event.end, others.start[rows], others.end[rows])
    if not (iou > 0).any():
        return UNMATCHED, 0.0
    best = int(np.lexsort((-iou, -iou * others.score[rows]))[0])
    return int(rows[best]), float(iou[best])
