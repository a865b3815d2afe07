"""The errors of several runs beside each other: where one loses what another finds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fedn_lightning.metrics.functional.errors import KINDS
from fedn_lightning.metrics.functional.naming import PLACES
from fedn_lightning.metrics.functional.spotting import show
from fedn_lightning.reports.errors.summary import Summary, summary_json
from fedn_lightning.reports.errors.tables import WORTH, Rows, headline
from fedn_lightning.reports.errors.witness import DISTRACTORS, NONE
from fedn_lightning.reports.loso import markdown_table


def count_rows(summaries: Sequence[Summary]) -> Rows:
    """False alarms a minute and share of the truths missed, by kind; corpora may differ in size. The head is first."""
    names = [summary.run.name for summary in summaries]
    heads = [cell for name in names for cell in (f"{name}: false alarms/min", "misses of truths")]
    rows: Rows = [("spotting", *heads)]
    for kind in KINDS:
        cells: list[str] = []
        for summary in summaries:
            run = summary.run
            alarms, misses = run.spotting.false_alarms()[kind], run.spotting.misses()[kind]
            share = f"{misses} ({misses / len(run.truths):.1%})" if len(run.truths) else "-"
            cells += [f"{alarms} ({alarms / run.minutes:.2f})", share]
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
    """What mending each kind alone adds to F1 and to mAP of each run."""
    heads = [cell for summary in summaries for cell in (f"{summary.run.name}: F1", "mAP@0.5")]
    rows: Rows = [("gain if mended", *heads)]
    for kind in KINDS:
        gains = [_signed(gain) for s in summaries for gain in (s.f1_gain(kind), s.map_gain(kind))]
        rows.append((kind, *gains))
    return rows


def name_rows(summaries: Sequence[Summary]) -> Rows:
    """What each run's named claims lie on and how sure their emotions are; empty if nothing is named."""
    if not any(named.n for summary in summaries for named in summary.names.values()):
        return []
    names = [summary.run.name for summary in summaries]
    rows: Rows = [("named, lying on", *(cell for name in names for cell in (f"{name}: claims", "mean e")))]
    for place in PLACES:
        each = [summary.names[place] for summary in summaries]
        rows.append((place, *(cell for named in each for cell in (str(named.n), show(named.e, 2)))))
    return rows


def worth_rows(summaries: Sequence[Summary]) -> Rows:
    """What the scores of the emotions do for each run's mAP; empty if nothing is named."""
    if all(np.isnan(summary.worth.both) for summary in summaries):
        return []
    rows: Rows = [("mAP@0.5", *(summary.run.name for summary in summaries))]
    return [*rows, *((title, *(show(of(summary)) for summary in summaries)) for title, of in WORTH.items())]


def distractor_rows(summaries: Sequence[Summary]) -> Rows:
    """What was there in each run's false alarms on background, beside what chance would give; empty if unknown."""
    known = [(summary.run.name, summary.beside) for summary in summaries if summary.beside is not None]
    if len(known) < len(summaries):
        return []
    rows: Rows = [("on background", *(cell for name, _ in known for cell in (f"{name}: false alarms", "by chance")))]
    for place, name in enumerate((*DISTRACTORS, NONE)):
        each = [beside[place] for _, beside in known]
        rows.append((name, *(cell for b in each for cell in (str(b.seen), f"{b.expected:.1f} +- {b.spread:.1f}"))))
    return rows


def _f1(summary: Summary) -> float:
    return summary.counts["nothing"]["overall"].f1


def _mean_ap(summary: Summary) -> float:
    return summary.mean_ap["nothing"]


def _signed(value: float) -> str:
    return "-" if value != value else f"{value:+.4f}"


def tables(summaries: Sequence[Summary]) -> list[Rows]:
    """All tables of a comparison."""
    made = [make(summaries) for make in (count_rows, loss_rows, gain_rows, name_rows, worth_rows, distractor_rows)]
    return [rows for rows in made if rows]


def side_by_side_markdown(summaries: Sequence[Summary]) -> str:
    """A page of Markdown."""
    parts = [*(headline(summary.run) for summary in summaries), *map(markdown_table, tables(summaries))]
    return "\n\n".join(["# Errors side by side", *parts]) + "\n"


def side_by_side_json(summaries: Sequence[Summary]) -> dict[str, Any]:
    """The numbers of every run, by its name."""
    return {summary.run.name: summary_json(summary) for summary in summaries}
