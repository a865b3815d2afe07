"""The numbers of a run's errors: kinds, what they cost, what mending them would gain, and what was there instead."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from fedn_lightning.analysis.emotion_errors import Named, Place, WorthOfNames, naming, worth_of_names
from fedn_lightning.analysis.errors import BACKGROUND, FOREGROUND, KINDS
from fedn_lightning.analysis.oracles import ORACLES, f1_lost, mended_counts, mended_map
from fedn_lightning.analysis.run import RunErrors, sensitivity
from fedn_lightning.analysis.sensitivity import Group
from fedn_lightning.analysis.synthetic_truth import DISTRACTORS, NONE
from fedn_lightning.events import EXPRESSION_TYPES
from fedn_lightning.metrics.functional.spotting import Counts
from fedn_lightning.utils.files import plain


@dataclass(frozen=True)
class Beside:
    """How often a distractor was there in false alarms on background, and how often it would be by chance.

    Attributes:
        name: of the distractor, or `none`.
        seen: false alarms in which it was there; one may hold several distractors.
        expected: the number that intervals of the same lengths elsewhere in the same videos would have.
        spread: standard deviation of that number.
    """

    name: str
    seen: int
    expected: float
    spread: float


@dataclass(frozen=True)
class Summary:
    """Everything that tables and pictures show of one run.

    Attributes:
        run: the events with their kinds.
        counts: spotting counts by oracle and group; `nothing` are the run's own.
        mean_ap: detection mAP@0.5 by oracle.
        lost: F1 that each kind costs; they add up to 1 - F1.
        names: the claims that name an emotion, by what they lie on.
        worth: what the scores of the emotions do for detection mAP@0.5.
        beside: distractors in false alarms on background; None where no corpus knows them.
        sensitivity: recall by trait.
    """

    run: RunErrors
    counts: dict[str, dict[str, Counts]]
    mean_ap: dict[str, float]
    lost: dict[str, float]
    names: dict[Place, Named]
    worth: WorthOfNames
    beside: tuple[Beside, ...] | None
    sensitivity: dict[str, list[Group]]

    def f1_gain(self, oracle: str, group: str = "overall") -> float:
        """What mending adds to spotting F1."""
        return self.counts[oracle][group].f1 - self.counts["nothing"][group].f1

    def map_gain(self, oracle: str) -> float:
        """What mending adds to detection mAP@0.5."""
        return self.mean_ap[oracle] - self.mean_ap["nothing"]


def summarise(run: RunErrors) -> Summary:
    """Computes the numbers of a run's errors."""
    return Summary(
        run=run,
        counts={o: mended_counts(run.spotting, run.predictions, run.truths, o) for o in ("nothing", *ORACLES)},
        mean_ap={o: mended_map(run.ranking, run.proposals, run.truths, o) for o in ("nothing", *ORACLES)},
        lost={str(kind): value for kind, value in f1_lost(run.spotting).items()},
        names=naming(run.detection, run.predictions, run.truths),
        worth=worth_of_names(run.ranking, run.proposals, run.truths),
        beside=_beside(run),
        sensitivity=sensitivity(run),
    )


def _beside(run: RunErrors) -> tuple[Beside, ...] | None:
    """Distractors in false alarms on background; false alarms without another place in their video are left out."""
    if run.witness is None:
        return None
    rows = run.spotting.kind == KINDS.index("background")
    rows = rows & ~np.isnan(run.witness.chance).any(axis=1)
    there, chance = run.witness.there[rows], run.witness.chance[rows]
    found = [
        Beside(name, int(there[:, k].sum()), float(chance[:, k].sum()), _spread(chance[:, k]))
        for k, name in enumerate(DISTRACTORS)
    ]
    alone = run.witness.nothing[rows]
    return (*found, Beside(NONE, int((~there.any(axis=1)).sum()), float(alone.sum()), _spread(alone)))


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
                        "false_alarms": errors.false_alarms()[kind],
                        "misses": errors.misses()[kind],
                        "by_type": {
                            name: {
                                "false_alarms": errors.false_alarms(run.predictions.type == index)[kind],
                                "misses": errors.misses(run.truths.type == index)[kind],
                            }
                            for index, name in enumerate(EXPRESSION_TYPES)
                        },
                    }
                    for kind in KINDS
                }
                for view, errors in views.items()
            },
            "f1_lost": summary.lost,
            "mended_f1": {o: {g: c.f1 for g, c in counts.items()} for o, counts in summary.counts.items()},
            "mended_map@0.5": summary.mean_ap,
            "names": {place: asdict(named) for place, named in summary.names.items()},
            "worth_of_names": asdict(summary.worth),
            "distractors": None
            if summary.beside is None
            else {b.name: {"seen": b.seen, "expected": b.expected, "spread": b.spread} for b in summary.beside},
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
