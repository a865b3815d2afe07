"""Pooled scores of leave-one-subject-out as JSON, as Markdown and on the terminal."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from fedn_lightning.metrics.functional.evaluation import flat_scores
from fedn_lightning.metrics.functional.spotting import show
from fedn_lightning.results.names import SELECTIONS, headlines
from fedn_lightning.results.report import GIVEN, subject_table, to_json
from fedn_lightning.results.writing import markdown_table
from fedn_lightning.utils.files import plain

if TYPE_CHECKING:
    from fedn_lightning.loso.pool import Pooled


def pooled_json(pooled: Pooled) -> dict[str, Any]:
    """One seed's result as plain values."""
    result = {
        "seed": pooled.seed,
        "complete": not pooled.missing,
        "missing": list(pooled.missing),
        "folds": list(pooled.folds),
        "thresholds": {name: list(values) for name, values in pooled.thresholds.items()},
        "strict": to_json(pooled.strict),
        "published": to_json(pooled.published),
        "confusion": {"classes": list(pooled.strict.emotions), "counts": pooled.confusion.tolist()},
    }
    result |= {"chosen_on": pooled.chosen_on} if pooled.chosen_on != "validation" else {}
    result |= {"intervals": "truth"} if pooled.given else {}
    clean: dict[str, Any] = plain(result)
    return clean


def headline_rows(pooled: Pooled) -> Iterator[tuple[str, ...]]:
    """Score, strict value and interval, published value and interval."""
    reports = (pooled.strict, pooled.published)
    scores = [flat_scores(report.evaluation) for report in reports]
    for path, name in headlines(pooled.given).items():
        cells = [name]
        for report, values in zip(reports, scores, strict=True):
            interval = (report.intervals or {}).get(path)
            spread = f"[{show(interval.low)}, {show(interval.high)}]" if interval else ""
            cells += [show(values[path]), spread]
        yield tuple(cells)


def over_seeds(seeds: Sequence[Pooled]) -> dict[str, dict[str, dict[str, float]]]:
    """Mean and standard deviation of each headline over seeds, by selection; the deviation of one seed is NaN."""
    result: dict[str, dict[str, dict[str, float]]] = {}
    for mode in SELECTIONS:
        values = [flat_scores(getattr(pooled, mode).evaluation) for pooled in seeds]
        result[mode] = {}
        for path in headlines(seeds[0].given):
            found = [value[path] for value in values]
            deviation = statistics.stdev(found) if len(found) > 1 and not any(map(math.isnan, found)) else math.nan
            result[mode][path] = {"mean": sum(found) / len(found), "standard_deviation": deviation}
    return result


def seeds_json(seeds: Sequence[Pooled]) -> dict[str, Any]:
    """All seeds together; counts are never pooled over seeds, which look at the same videos."""
    result: dict[str, Any] = plain(
        {"seeds": [pooled.seed for pooled in seeds], "over_seeds": over_seeds(seeds)}
        | {"by_seed": {str(pooled.seed): pooled_json(pooled) for pooled in seeds}}
    )
    return result


def title(pooled: Pooled) -> str:
    """What was pooled, in a line."""
    subjects = len(pooled.strict.per_subject or {})
    truths = len(pooled.strict.truths.events)
    partial = f" PARTIAL: {len(pooled.missing)} subjects are missing." if pooled.missing else ""
    given = f" This is {GIVEN}." if pooled.given else ""
    return (
        f"seed {pooled.seed}: {len(pooled.folds)} folds, {subjects} subjects, {pooled.strict.n_videos} videos, "
        f"{truths} expressions; protocol {pooled.strict.evaluation.protocol}.{partial}{given}"
    )


def markdown(pooled: Pooled) -> str:
    """One seed's result as a page of Markdown."""
    rows = [("score", SELECTIONS["strict"], "95 %", SELECTIONS["published"], "95 %"), *headline_rows(pooled)]
    notes = [
        f"- {pooled_report.selection.mode}: {pooled_report.selection.label}"
        for pooled_report in (pooled.strict, pooled.published)
    ]
    parts = [f"# Leave-one-subject-out\n\n{title(pooled)}\n", markdown_table(rows), "\n".join(notes)]
    if not pooled.given:
        parts += ["\n## Subjects (strict)\n", markdown_table(subject_table(pooled.strict.per_subject or {}))]
    return "\n".join(parts) + "\n"


def print_seeds(seeds: Sequence[Pooled], console: Console) -> None:
    """Prints headlines and subjects of each seed, then the spread over seeds."""
    for pooled in seeds:
        console.print(f"\n[bold]{title(pooled)}[/bold]")
        console.print(_rich([("", "strict", "95 %", "published", "95 %"), *headline_rows(pooled)]))
        for mode in SELECTIONS:
            console.print(f"[dim]{mode}: {getattr(pooled, mode).selection.label}[/dim]")
        if not pooled.given:
            console.print(_rich(subject_table(pooled.strict.per_subject or {})))
        console.print(f"files in {pooled.folder}")
    if len(seeds) > 1:
        rows = [("over seeds", *SELECTIONS)]
        spread = over_seeds(seeds)
        for path, name in headlines(seeds[0].given).items():
            cells = [spread[mode][path] for mode in SELECTIONS]
            rows.append((name, *(f"{show(c['mean'])} +/- {show(c['standard_deviation'])}" for c in cells)))
        console.print(_rich(rows))


def _rich(rows: Sequence[Sequence[str]]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for index, name in enumerate(rows[0]):
        table.add_column(name, justify="left" if index == 0 else "right", no_wrap=True)
    for row in rows[1:]:
        table.add_row(*row)
    return table
