"""The result of leave-one-subject-out: as JSON, as Markdown, and on the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from fedn_lightning.loso.summary import SELECTIONS, headline_rows, over_seeds, title
from fedn_lightning.metrics.functional.spotting import show
from fedn_lightning.results.names import headlines
from fedn_lightning.results.report import subject_table

if TYPE_CHECKING:
    from fedn_lightning.loso.pool import Pooled


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
