"""The numbers of a run's errors, and the same as rows of text for the terminal and Markdown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from fedn_lightning.analysis.errors import BACKGROUND, FOREGROUND, KINDS
from fedn_lightning.analysis.oracles import (
    ORACLES,
    PLACES,
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
from fedn_lightning.metrics.functional.spotting import Counts, show
from fedn_lightning.results.writing import markdown_table
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
                    g.name: {key: getattr(g, key) for key in ("n", "hits", "recall", "low", "high", "score")}
                    for g in groups
                }
                for trait, groups in summary.sensitivity.items()
            },
        }
    )
    return result


Rows = list[tuple[str, ...]]


def kind_rows(summary: Summary) -> Rows:
    """Spotting: counts by kind and type, the F1 each kind costs, and F1 if it were corrected; the head first."""
    run = summary.run
    wrong = [run.spotting.false_positives(run.predictions.type == kind) for kind in range(len(EXPRESSION_TYPES))]
    missed = [run.spotting.false_negatives(run.truths.type == kind) for kind in range(len(EXPRESSION_TYPES))]
    heads = [f"{what} {name}" for what in ("FP", "FN") for name in EXPRESSION_TYPES]
    rows: Rows = [("spotting", *heads, "F1 lost", "F1 if corrected", "gain")]
    for kind in KINDS:
        counts = [str(each[kind]) for each in (*wrong, *missed)]
        corrected = summary.counts[kind]["overall"].f1
        rows.append((kind, *counts, show(summary.lost[kind]), show(corrected), _signed(summary.f1_gain(kind))))
    sums = [str(sum(each.values())) for each in (*wrong, *missed)]
    now = summary.counts["nothing"]["overall"].f1
    return [*rows, ("all", *sums, show(sum(summary.lost.values())), f"now {show(now)}", "")]


def detection_rows(summary: Summary) -> Rows:
    """Detection: counts by kind among the predictions, and mAP of all proposals if a kind were corrected."""
    errors = summary.run.detection
    wrong, missed = errors.false_positives(), errors.false_negatives()
    rows: Rows = [("detection", "false positives", "false negatives", "mAP if corrected", "gain")]
    for kind in KINDS:
        cells = str(wrong[kind]), str(missed[kind]), show(summary.mean_ap[kind]), _signed(summary.map_gain(kind))
        rows.append((kind, *cells))
    sums = str(sum(wrong.values())), str(sum(missed.values()))
    return [*rows, ("all", *sums, f"now {show(summary.mean_ap['nothing'])}", "")]


def oracle_rows(summary: Summary) -> Rows:
    """The scores after each correction, by group."""
    rows: Rows = [("if corrected", "F1 macro", "F1 micro", "F1 overall", "mAP@0.5")]
    for oracle in ("nothing", *ORACLES):
        f1 = [show(summary.counts[oracle][group].f1) for group in (*EXPRESSION_TYPES, "overall")]
        rows.append((oracle, *f1, show(summary.mean_ap[oracle])))
    return rows


def emotion_rows(summaries: Sequence[Summary]) -> Rows:
    """What each run's predictions with an emotion overlap, and the mean score of their emotions; empty without any."""
    if not any(named.n for summary in summaries for named in summary.emotions.values()):
        return []
    heads = (cell for name in _prefixes(summaries) for cell in (f"{name}predictions", "mean e"))
    rows: Rows = [("named, overlapping", *heads)]
    for place in PLACES:
        each = [summary.emotions[place] for summary in summaries]
        rows.append((place, *(cell for named in each for cell in (str(named.n), show(named.e, 2)))))
    return rows


def emotion_effect_rows(summaries: Sequence[Summary]) -> Rows:
    """What the scores of the emotions do for each run's mAP; empty without emotions."""
    if all(np.isnan(summary.emotion_effect.both) for summary in summaries):
        return []
    rows: Rows = [("mAP@0.5", *(name.removesuffix(": ") for name in _prefixes(summaries)))]
    return [*rows, *((title, *(show(of(summary)) for summary in summaries)) for title, of in RANKINGS.items())]


def _prefixes(summaries: Sequence[Summary]) -> list[str]:
    """What stands before the heads of each run's columns: nothing for one run alone."""
    return [""] if len(summaries) == 1 else [f"{summary.run.name}: " for summary in summaries]


def distractor_rows(summary: Summary) -> Rows:
    """Distractors in false positives on background, and their number by chance."""
    if summary.distractors is None:
        return []
    rows: Rows = [("on background", "false positives", "by chance", "ratio")]
    for distractor in summary.distractors:
        chance = f"{distractor.expected:.1f} +- {distractor.spread:.1f}"
        ratio = f"{distractor.seen / distractor.expected:.2f}" if distractor.expected else "-"
        rows.append((distractor.name, str(distractor.seen), chance, ratio))
    return rows


def sensitivity_rows(summary: Summary) -> Rows:
    """Recall by what truths are like."""
    rows: Rows = [("truths", "", "n", "found", "recall", "95 % interval", "mean score")]
    for trait, groups in summary.sensitivity.items():
        for place, group in enumerate(groups):
            cells = str(group.n), str(group.hits), f"{group.recall:.2f}", f"[{group.low:.2f}, {group.high:.2f}]"
            rows.append((trait if place == 0 else "", group.name, *cells, f"{group.score:.2f}"))
    return rows


RANKINGS: Final[dict[str, Callable[[Summary], float]]] = {
    "ranked by c x e": lambda summary: summary.emotion_effect.both,
    "ranked by c alone": lambda summary: summary.emotion_effect.c_alone,
    "without those of no class": lambda summary: summary.emotion_effect.less_no_class,
}
"""Three mAPs, and what a reader calls them."""


def headline(run: RunErrors) -> str:
    """What the tables are about."""
    return (
        f"{run.folder}: {len(run.predictions)} predictions and {len(run.truths)} truths in {len(run.videos)} videos of "
        f"{len(run.subjects)} subjects ({run.minutes:.1f} minutes); protocol megc, IoU >= 0.5, near from 0.1"
    )


NO_SYNTHETIC_TRUTH: Final = (
    "Distractors and intensities are unknown: the corpus is not a generated one, or is not where the run's config.yaml "
    "says (--truth CORPUS names it)."
)


def count_rows(summaries: Sequence[Summary]) -> Rows:
    """False positives per minute and share of truths not found, by kind. The head is first."""
    names = [summary.run.name for summary in summaries]
    heads = [cell for name in names for cell in (f"{name}: false positives/min", "false negatives")]
    rows: Rows = [("spotting", *heads)]
    for kind in KINDS:
        cells: list[str] = []
        for summary in summaries:
            run = summary.run
            wrong, missed = run.spotting.false_positives()[kind], run.spotting.false_negatives()[kind]
            share = f"{missed} ({missed / len(run.truths):.1%})" if len(run.truths) else "-"
            cells += [f"{wrong} ({wrong / run.minutes:.2f})", share]
        rows.append((kind, *cells))
    return rows


def loss_rows(summaries: Sequence[Summary]) -> Rows:
    """The F1 that each kind costs each run, and how much more than the first; the differences add up to that of F1."""
    first, *others = summaries
    rows: Rows = [("F1 lost to", first.run.name, *(cell for s in others for cell in (s.run.name, "difference")))]
    for kind in KINDS:
        cells = [show(first.lost[kind])]
        for summary in others:
            cells += [show(summary.lost[kind]), _signed(summary.lost[kind] - first.lost[kind])]
        rows.append((kind, *cells))
    for title, of in (("F1 overall", _f1), ("mAP@0.5", _mean_ap)):
        cells = [show(of(first))]
        for summary in others:
            cells += [show(of(summary)), _signed(of(summary) - of(first))]
        rows.append((title, *cells))
    return rows


def gain_rows(summaries: Sequence[Summary]) -> Rows:
    """What correcting each kind alone adds to F1 and to mAP of each run."""
    heads = [cell for summary in summaries for cell in (f"{summary.run.name}: F1", "mAP@0.5")]
    rows: Rows = [("gain if corrected", *heads)]
    for kind in KINDS:
        gains = [_signed(gain) for s in summaries for gain in (s.f1_gain(kind), s.map_gain(kind))]
        rows.append((kind, *gains))
    return rows


def compared_distractor_rows(summaries: Sequence[Summary]) -> Rows:
    """Distractors in each run's false positives on background, and their number by chance; empty if unknown."""
    known = [(summary.run.name, summary.distractors) for summary in summaries if summary.distractors is not None]
    if len(known) < len(summaries):
        return []
    rows: Rows = [("on background", *(cell for name, _ in known for cell in (f"{name}: false positives", "by chance")))]
    for place, name in enumerate((*DISTRACTORS, NONE)):
        each = [found[place] for _, found in known]
        rows.append((name, *(cell for b in each for cell in (str(b.seen), f"{b.expected:.1f} +- {b.spread:.1f}"))))
    return rows


def _f1(summary: Summary) -> float:
    return summary.counts["nothing"]["overall"].f1


def _mean_ap(summary: Summary) -> float:
    return summary.mean_ap["nothing"]


def _signed(value: float) -> str:
    return "-" if value != value else f"{value:+.4f}"


def all_tables(summaries: Sequence[Summary]) -> list[Rows]:
    """The tables of one run, or of several side by side; none of distractors where they are unknown."""
    if len(summaries) == 1:
        (one,) = summaries
        found = [kind_rows(one), detection_rows(one), oracle_rows(one), emotion_rows(summaries)]
        found += [emotion_effect_rows(summaries), distractor_rows(one), sensitivity_rows(one)]
    else:
        found = [count_rows(summaries), loss_rows(summaries), gain_rows(summaries), emotion_rows(summaries)]
        found += [emotion_effect_rows(summaries), compared_distractor_rows(summaries)]
    return [rows for rows in found if rows]


def notes(summaries: Sequence[Summary]) -> list[str]:
    """What the tables of one run leave out."""
    return [NO_SYNTHETIC_TRUTH] if len(summaries) == 1 and summaries[0].distractors is None else []


def errors_markdown(summaries: Sequence[Summary]) -> str:
    """A page of Markdown about one run, or about several side by side."""
    title = f"of {summaries[0].run.name}" if len(summaries) == 1 else "side by side"
    heads = [headline(summary.run) for summary in summaries]
    return (
        "\n\n".join([f"# Errors {title}", *heads, *map(markdown_table, all_tables(summaries)), *notes(summaries)])
        + "\n"
    )


def errors_json(summaries: Sequence[Summary]) -> dict[str, Any]:
    """The numbers of one run; those of several by their names."""
    if len(summaries) == 1:
        return summary_json(summaries[0])
    return {summary.run.name: summary_json(summary) for summary in summaries}
