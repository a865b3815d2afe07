"""What a corpus on disk holds and what is wrong with it: counts, repairs, overlaps, and how well its labels agree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from fedn_lightning.datamodules.labels import NEGATIVE, POSITIVE
from fedn_lightning.datasets.base import UNUSABLE
from fedn_lightning.events import EXPRESSION_TYPES, Corpus, Expression, IntArray, Repair, to_inclusive
from fedn_lightning.metrics.functional.rates import cohen_kappa
from fedn_lightning.utils.drawing import TYPE_COLOURS, save_figure

VALENCES = ("negative", "positive", "surprise", "others")
"""Classes in which expert labels and self-reports are compared."""


@dataclass(frozen=True, slots=True)
class Overlap:
    """Two expressions of one video that share frames: legal, but one of them may be unfindable."""

    video: str  # key of the video
    rows: tuple[int, int]  # their rows in the annotation table
    frames: tuple[str, str]  # `onset-offset` of each, inclusive, as the release counts


@dataclass(frozen=True)
class Agreement:
    """Expert labels against self-reports, as valences."""

    # `(4, 4)` int64; rows are the expert's valences in the order of :data:`VALENCES`, columns the subject's own
    confusion: IntArray

    @property
    def agreeing(self) -> int:
        """Expressions on which both agree."""
        return int(np.trace(self.confusion))

    @property
    def kappa(self) -> float:
        """Cohen's kappa over all expressions; nan where chance alone would agree."""
        return cohen_kappa(self.confusion)

    def analysed(self) -> Agreement:
        """The same without the expressions that the expert calls others."""
        return Agreement(self.confusion[: VALENCES.index("others")])


@dataclass(frozen=True)
class DatasetReport:
    """The state of a corpus."""

    corpus: Corpus  # as read with unusable rows dropped
    published: dict[str, int] | None = None  # counts the release should have, None if there are none to compare with
    problems: tuple[str, ...] = ()  # what cannot be right with it, a sentence each

    @property
    def faults(self) -> tuple[Repair, ...]:
        """Rows and files that cannot be used."""
        return tuple(repair for repair in self.corpus.repairs if repair.rule.startswith(UNUSABLE))

    @property
    def repairs(self) -> tuple[Repair, ...]:
        """Rows that a policy changed or dropped."""
        return tuple(repair for repair in self.corpus.repairs if not repair.rule.startswith(UNUSABLE))

    @property
    def ready(self) -> bool:
        """Whether training can start: expressions of two subjects or more, nothing unusable, no problem."""
        return not self.faults and not self.problems and len({e.subject for e in self.corpus.expressions}) > 1

    def counts(self) -> dict[str, int]:
        """What there is of everything."""
        corpus = self.corpus
        kinds = Counter(e.type for e in corpus.expressions)
        return {
            "subjects": len(corpus.subjects),
            "videos": len(corpus.videos),
            "annotated videos": len({e.video_key for e in corpus.expressions}),
            "frames": sum(video.n_frames or 0 for video in corpus.videos),
            **{kind: kinds[kind] for kind in EXPRESSION_TYPES},
        }

    def labels(self) -> dict[str, dict[str, int]]:
        """Expressions by expert label and, where there is one, by self-report, the most frequent first."""
        found = {"expert": Counter(e.emotion for e in self.corpus.expressions if e.emotion)}
        found["self-reported"] = Counter(e.emotion_self for e in self.corpus.expressions if e.emotion_self)
        return {source: dict(counter.most_common()) for source, counter in found.items() if counter}

    def lengths(self) -> dict[str, list[float]]:
        """Frames of every expression, by type."""
        expressions = self.corpus.expressions
        return {kind: sorted(e.end - e.start for e in expressions if e.type == kind) for kind in EXPRESSION_TYPES}

    def rates(self) -> dict[str, int]:
        """Videos by frames per second."""
        return {f"{fps:g}": n for fps, n in sorted(Counter(video.fps for video in self.corpus.videos).items())}

    def overlaps(self) -> tuple[Overlap, ...]:
        """All pairs of expressions that share frames."""
        first = {video.key: video.first_frame for video in self.corpus.videos}
        return tuple(
            Overlap(a.video_key, (a.source_row, b.source_row), (_span(a, first), _span(b, first)))
            for video in self.corpus.videos
            for a, b in combinations(self.corpus.expressions_of(video), 2)
            if min(a.end, b.end) > max(a.start, b.start)
        )

    def agreement(self) -> Agreement | None:
        """Expert labels against self-reports; None where a release has but one of them."""
        return agreement(self.corpus.expressions)

    def as_dict(self) -> dict[str, Any]:
        """Everything as plain values, for `--json`."""
        both = self.agreement()
        return {
            "dataset": self.corpus.name,
            "ready": self.ready,
            "counts": self.counts(),
            "published": self.published,
            "fps": self.rates(),
            "labels": self.labels(),
            "lengths": self.lengths(),
            "problems": list(self.problems),
            "faults": [asdict(repair) for repair in self.faults],
            "repairs": [asdict(repair) for repair in self.repairs],
            "overlaps": [asdict(overlap) for overlap in self.overlaps()],
            "agreement": both and _agreement_dict(both),
        }


def valence(emotion: str) -> str:
    """The valence of an emotion word; `others` for words without one.

    >>> [valence(word) for word in ("fear", "happiness", "surprise", "sympathy")]
    ['negative', 'positive', 'surprise', 'others']
    """
    if emotion in NEGATIVE:
        return "negative"
    if emotion in POSITIVE:
        return "positive"
    return emotion if emotion in VALENCES else "others"


def agreement(expressions: Iterable[Expression]) -> Agreement | None:
    """Counts how expert labels and self-reports fall together; None if no expression has both."""
    confusion = np.zeros((len(VALENCES), len(VALENCES)), np.int64)
    for expression in expressions:
        if expression.emotion and expression.emotion_self:
            row, column = (VALENCES.index(valence(word)) for word in (expression.emotion, expression.emotion_self))
            confusion[row, column] += 1
    return Agreement(confusion) if confusion.any() else None


def _agreement_dict(both: Agreement) -> dict[str, Any]:
    return {
        "valences": list(VALENCES),
        "confusion": both.confusion.tolist(),
        "agreeing": both.agreeing,
        "of": int(both.confusion.sum()),
        "kappa": both.kappa,
        "agreeing_without_others": both.analysed().agreeing,
        "of_without_others": int(both.analysed().confusion.sum()),
        "kappa_without_others": both.analysed().kappa,
    }


def _span(expression: Expression, first: dict[str, int]) -> str:
    """Onset and offset as the release counts them."""
    onset, offset = to_inclusive(expression.start, expression.end, first[expression.video_key])
    return f"{onset:g}-{offset:g}"


LISTED = 12
"""Rows of a long list that are shown; `--all` and `--json` give the rest."""


def print_report(report: DatasetReport, console: Console, *, everything: bool = False) -> None:
    """Prints counts, labels, agreement, and every row that was repaired or cannot be used."""
    console.print(_counts(report))
    for source, labels in report.labels().items():
        console.print(f"{source} labels: " + ", ".join(f"{label} {n}" for label, n in labels.items()))
    for kind, lengths in report.lengths().items():
        if lengths:
            low, middle, high = np.percentile(lengths, [0, 50, 100])
            console.print(f"{kind} lengths: {low:g} to {high:g} frames, median {middle:g}")
    console.print("frame rates: " + ", ".join(f"{fps} fps in {n} videos" for fps, n in report.rates().items()))
    both = report.agreement()
    if both:
        _print_agreement(console, both)
    limit = None if everything else LISTED
    _print_list(console, "this cannot be right", list(report.problems), None)
    _print_repairs(console, "cannot be used", report.faults, limit)
    _print_repairs(console, "repaired or dropped by policy", report.repairs, limit)
    overlaps = report.overlaps()
    lines = [f"{o.video}: rows {o.rows[0]} ({o.frames[0]}) and {o.rows[1]} ({o.frames[1]})" for o in overlaps]
    _print_list(console, f"{len(overlaps)} pairs of expressions overlap", lines, limit)


def _counts(report: DatasetReport) -> Table:
    """Counts on disk, beside the published ones where there are any."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column(report.corpus.name)
    table.add_column("here", justify="right")
    if report.published:
        table.add_column("published", justify="right")
    for name, number in report.counts().items():
        published = (report.published or {}).get(name)
        differs = published is not None and published != number
        row = [name, f"[bold yellow]{number}[/]" if differs else str(number)]
        table.add_row(*row, *([str(published) if published is not None else "-"] if report.published else []))
    return table


def _print_agreement(console: Console, both: Agreement) -> None:
    """Expert valences in rows, self-reported ones in columns."""
    part = both.analysed()
    console.print(
        f"\n[bold]expert (rows) and self-report agree on {both.agreeing} of {both.confusion.sum()}[/], "
        f"kappa {both.kappa:.2f}; without expert others on {part.agreeing} of {part.confusion.sum()}, "
        f"kappa {part.kappa:.2f}",
        highlight=False,
        soft_wrap=True,
    )
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("", *VALENCES):
        table.add_column(name, justify="right" if name else "left")
    for name, row in zip(VALENCES, both.confusion, strict=True):
        table.add_row(name, *(str(n) for n in row))
    console.print(table)


def _print_repairs(console: Console, what: str, repairs: tuple[Repair, ...], limit: int | None) -> None:
    """One line a row: where, by which rule, before and after."""
    lines = [f"{_where(r)}: {r.rule}: {r.before} -> {r.after}" for r in repairs]
    _print_list(console, f"{len(repairs)} rows or files {what}", lines, limit)


def _where(repair: Repair) -> str:
    return f"{Path(repair.file).name}, row {repair.row}" if repair.row else repair.file


def _print_list(console: Console, title: str, lines: list[str], limit: int | None) -> None:
    if not lines:
        return
    console.print(f"\n[bold]{title}[/]")
    for line in lines[:limit]:
        console.print(f"  {line}", markup=False, highlight=False, soft_wrap=True)
    if limit is not None and len(lines) > limit:
        console.print(f"  ... and {len(lines) - limit} more (--all lists them)")


def draw_report(report: DatasetReport) -> Figure:
    """Draws histograms of lengths and labels, and the confusion of expert labels with self-reports."""
    labels, both = report.labels(), report.agreement()
    panels = 1 + len(labels) + (both is not None)
    figure = Figure(figsize=(4.2 * panels, 3.4), dpi=110, facecolor="white", layout="constrained")
    axes: Iterator[Any] = iter(np.atleast_1d(np.asarray(figure.subplots(1, panels), object)))
    _draw_lengths(next(axes), report.lengths())
    for source, counts in labels.items():
        _draw_labels(next(axes), source, counts)
    if both:
        _draw_confusion(next(axes), both)
    return figure


def _draw_lengths(axes: Any, lengths: dict[str, list[float]]) -> None:
    """Lengths of both types on one logarithmic axis: macro-expressions are up to 20 times longer."""
    longest = max((values[-1] for values in lengths.values() if values), default=2.0)
    edges = np.geomspace(1, max(longest, 2) * 1.01, 25)
    for kind in EXPRESSION_TYPES:
        axes.hist(lengths[kind], edges, color=TYPE_COLOURS[kind], alpha=0.75, label=f"{kind} ({len(lengths[kind])})")
    axes.set_xscale("log")
    ticks = [n for n in (1, 3, 10, 30, 100, 300, 1000, 3000) if n <= edges[-1]]
    axes.set_xticks(ticks, [str(n) for n in ticks])
    axes.minorticks_off()
    axes.set(title="length", xlabel="frames", ylabel="expressions")
    axes.legend(frameon=False)


def _draw_labels(axes: Any, source: str, counts: dict[str, int]) -> None:
    names = list(counts)[::-1]
    axes.barh(names, [counts[name] for name in names], color="#3b4a5c")
    axes.bar_label(axes.containers[0], padding=3)
    axes.margins(x=0.15)
    axes.set(title=f"{source} labels", xlabel="expressions")


def _draw_confusion(axes: Any, both: Agreement) -> None:
    axes.imshow(both.confusion, cmap="Blues")
    dark = both.confusion.max() / 2
    for (row, column), number in np.ndenumerate(both.confusion):
        axes.text(column, row, number, ha="center", va="center", color="white" if number > dark else "black")
    axes.set_xticks(range(len(VALENCES)), VALENCES, rotation=30, ha="right")
    axes.set_yticks(range(len(VALENCES)), VALENCES)
    axes.set(title=f"kappa {both.kappa:.2f}", xlabel="self-reported", ylabel="expert")


def save_report(report: DatasetReport, path: str | Path) -> None:
    """Writes the picture."""
    save_figure(draw_report(report), path)
