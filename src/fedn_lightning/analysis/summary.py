"""The numbers of a run's errors: kinds, F1 lost to each, gain from correcting each, distractors and recall."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from fedn_lightning.analysis.errors import BACKGROUND, FOREGROUND, KINDS
from fedn_lightning.analysis.oracles import (
    ORACLES,
    EmotionScoreEffect,
    EmotionScores,
    Place,
    emotion_errors,
    emotion_score_effect,
    f1_lost,
    oracle_counts,
    oracle_map,
)
from fedn_lightning.analysis.run import Group, RunErrors, sensitivity
from fedn_lightning.analysis.synthetic_truth import DISTRACTORS, NONE
from fedn_lightning.events import EXPRESSION_TYPES
from fedn_lightning.metrics.functional.spotting import Counts
from fedn_lightning.utils.files import plain


@dataclass(frozen=True)
class DistractorCount:
    """How often a distractor was present in false positives on background, and how often it would be by chance."""

    name: str  # of the distractor, or `none`
    seen: int  # false positives in which it was there; one may hold several distractors
    expected: float  # the number that intervals of the same lengths elsewhere in the same videos would have
    spread: float  # standard deviation of that number


@dataclass(frozen=True)
class Summary:
    """Everything that tables and pictures show of one run."""

    run: RunErrors  # the events with their kinds
    counts: dict[str, dict[str, Counts]]  # spotting counts by oracle and group; `nothing` are the run's own
    mean_ap: dict[str, float]  # detection mAP@0.5 by oracle
    lost: dict[str, float]  # F1 that each kind costs; they add up to 1 - F1
    emotions: dict[Place, EmotionScores]  # the predictions with an emotion, by what they overlap
    emotion_effect: EmotionScoreEffect  # how the scores of the emotions change detection mAP@0.5
    # distractors in false positives on background; None unless the corpus is a generated one
    distractors: tuple[DistractorCount, ...] | None
    sensitivity: dict[str, list[Group]]  # recall by trait

    def f1_gain(self, oracle: str, group: str = "overall") -> float:
        """What the correction adds to spotting F1."""
        return self.counts[oracle][group].f1 - self.counts["nothing"][group].f1

    def map_gain(self, oracle: str) -> float:
        """What the correction adds to detection mAP@0.5."""
        return self.mean_ap[oracle] - self.mean_ap["nothing"]


def summarise(run: RunErrors) -> Summary:
    """Computes the numbers of a run's errors."""
    return Summary(
        run=run,
        counts={o: oracle_counts(run.spotting, run.predictions, run.truths, o) for o in ("nothing", *ORACLES)},
        mean_ap={o: oracle_map(run.ranking, run.proposals, run.truths, o) for o in ("nothing", *ORACLES)},
        lost={str(kind): value for kind, value in f1_lost(run.spotting).items()},
        emotions=emotion_errors(run.detection, run.predictions, run.truths),
        emotion_effect=emotion_score_effect(run.ranking, run.proposals, run.truths),
        distractors=_distractor_counts(run),
        sensitivity=sensitivity(run),
    )


def _distractor_counts(run: RunErrors) -> tuple[DistractorCount, ...] | None:
    """Distractors in false positives on background, of those that could lie elsewhere in their video."""
    if run.synthetic_truth is None:
        return None
    rows = run.spotting.kind == KINDS.index("background")
    rows = rows & ~np.isnan(run.synthetic_truth.chance).any(axis=1)
    there, chance = run.synthetic_truth.there[rows], run.synthetic_truth.chance[rows]
    found = [
        DistractorCount(name, int(there[:, k].sum()), float(chance[:, k].sum()), _spread(chance[:, k]))
        for k, name in enumerate(DISTRACTORS)
    ]
    alone = run.synthetic_truth.nothing[rows]
    return (*found, DistractorCount(NONE, int((~there.any(axis=1)).sum()), float(alone.sum()), _spread(alone)))


def _spread(share: np.ndarray[Any, np.dtype[np.float64]]) -> float:
    """Standard deviation of the number of successes of independent trials."""
    return float(np.sqrt((share * (1 - share)).sum()))


def summary_json(summary: Summary) -> dict[str, Any]:
    """The numbers as plain values."""
    run = summary.run
    views = {"spotting": run.spotting, "detection": run.detection}
    result: dict[str, Any] = plain(
        {
            "run": run.folder,
            "protocol": "megc",
            "foreground": FOREGROUND,
            "background": BACKGROUND,
            "n_truths": len(run.truths),
            "n_predictions": len(run.predictions),
            "n_proposals": len(run.proposals),
            "minutes": run.minutes,
            "kinds": {
                view: {
                    kind: {
                        "false_positives": errors.false_positives()[kind],
                        "false_negatives": errors.false_negatives()[kind],
                        "by_type": {
                            name: {
                                "false_positives": errors.false_positives(run.predictions.type == index)[kind],
                                "false_negatives": errors.false_negatives(run.truths.type == index)[kind],
                            }
                            for index, name in enumerate(EXPRESSION_TYPES)
                        },
                    }
                    for kind in KINDS
                }
                for view, errors in views.items()
            },
            "f1_lost": summary.lost,
            "oracle_f1": {o: {g: c.f1 for g, c in counts.items()} for o, counts in summary.counts.items()},
            "oracle_map@0.5": summary.mean_ap,
            "emotions": {place: asdict(named) for place, named in summary.emotions.items()},
            "emotion_effect": asdict(summary.emotion_effect),
            "distractors": None
            if summary.distractors is None
            else {b.name: {"seen": b.seen, "expected": b.expected, "spread": b.spread} for b in summary.distractors},
            "sensitivity": {
                trait: {
                    g.name: {
                        "n": g.n,
                        "hits": g.hits,
                        "recall": g.recall,
                        "low": g.low,
                        "high": g.high,
                        "score": g.score,
                    }
                    for g in groups
                }
                for trait, groups in summary.sensitivity.items()
            },
        }
    )
    return result
