"""`fedn errors`: every miss and false alarm of a run, sorted by what went wrong."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fedn_lightning.analysis.summary import Summary


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    p = argparse.ArgumentParser(
        prog="fedn errors",
        description="Sorts a run's misses and false alarms into kinds, after TIDE and DETAD; says what each kind "
        "costs, what distracted, and on what recall depends. Several runs are shown beside each other.",
        epilog="RUN is the folder of a run, of pooled folds, or of an experiment of fedn loso with one pooled result.",
    )
    p.add_argument("runs", nargs="+", metavar="RUN", help="folder with predictions.csv, proposals.csv, truth.csv, ...")
    p.add_argument("--names", nargs="+", default=[], metavar="NAME", help="what to call the runs")
    p.add_argument("--truth", metavar="CORPUS", help="root of the generated corpus; by default as in the run's config")
    p.add_argument("--json", action="store_true", help="print JSON")
    p.add_argument("--out", metavar="DIR", help="write errors.csv, errors.md, errors.json and pictures")
    return p


def main(argv: list[str]) -> int:
    """Runs the command.

    Args:
        argv: the words after `fedn errors`.

    Returns:
        0.

    Raises:
        FednError: if a run cannot be read, or the named corpus is not that of the run.
    """
    options = parser().parse_args(argv)
    from fedn_lightning.analysis import summary
    from fedn_lightning.analysis import tables as side_by_side
    from fedn_lightning.analysis.comparison import shortest_names
    from fedn_lightning.analysis.run import read_run_errors
    from fedn_lightning.errors import ConfigError
    from fedn_lightning.results import find_run

    if options.names and len(options.names) != len(options.runs):
        msg = f"Every run gets a name, or none does; got {len(options.runs)} runs and {len(options.names)} names."
        raise ConfigError(msg)
    folders = [find_run(Path(run)) for run in options.runs]
    names = tuple(options.names) or shortest_names(folders)
    if len(set(names)) < len(names):
        msg = f"Runs need different names, got {', '.join(names)}; give them with --names."
        raise ConfigError(msg)
    found = [
        summary.summarise(read_run_errors(folder, name, options.truth))
        for folder, name in zip(folders, names, strict=True)
    ]
    if options.json:
        alone = summary.summary_json(found[0])
        print(json.dumps(alone if len(found) == 1 else side_by_side.side_by_side_json(found), indent=2))
    else:
        print(as_text(found))
    if options.out:
        write(Path(options.out), found)
    return 0


def as_text(found: Sequence[Summary]) -> str:
    """The tables of one run, or those of several beside each other."""
    from fedn_lightning.analysis import tables
    from fedn_lightning.analysis import tables as side_by_side
    from fedn_lightning.reports.evaluation import lines

    shown = tables.all_tables(found[0]) if len(found) == 1 else side_by_side.tables(found)
    parts = [tables.headline(summary.run) for summary in found]
    notes = [] if len(found) > 1 or found[0].beside is not None else [tables.NO_WITNESS]
    return "\n\n".join(["\n".join(parts), *("\n".join(lines("", rows)) for rows in shown), *notes])


def write(folder: Path, found: Sequence[Summary]) -> None:
    """Writes tables and pictures; those of several runs into a folder each, beside their comparison."""
    from fedn_lightning.analysis import pictures, tables
    from fedn_lightning.analysis import tables as side_by_side
    from fedn_lightning.analysis.run import write_errors
    from fedn_lightning.analysis.summary import summary_json
    from fedn_lightning.utils.files import write_json, write_text

    for one in found:
        home = folder if len(found) == 1 else folder / one.run.name.replace("/", "_")
        write_errors(home / "errors.csv", one.run)
        write_text(home / "errors.md", tables.summary_markdown(one))
        write_json(home / "errors.json", summary_json(one))
        pictures.save_pictures(one, home)
    if len(found) > 1:
        write_text(folder / "errors.md", side_by_side.side_by_side_markdown(found))
        write_json(folder / "errors.json", side_by_side.side_by_side_json(found))
        pictures.save_losses(found, folder / "losses.png")
    print(f"wrote tables and pictures into {folder}", file=sys.stderr)
