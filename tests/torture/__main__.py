"""`python -m torture`: generated bad inputs through the real commands, and a table of what came of them."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

from torture.running import Kind, preload, run, trouble


def kinds() -> dict[str, Callable[[Path], Kind]]:
    """Every kind of input by name; made with a folder for its undamaged inputs."""
    from torture import checkpoints, experiments, runs, tables, videos, workbooks

    every = (
        tables.EventTables, tables.OwnCorpus, workbooks.Workbooks, runs.ElanFiles, experiments.Experiments,
        videos.Videos, checkpoints.Checkpoints, runs.RunFolders, runs.Outputs,
    )  # fmt: skip
    return {kind.name: kind for kind in every}


def parser() -> argparse.ArgumentParser:
    """The options."""
    p = argparse.ArgumentParser(prog="python -m torture", description=__doc__)
    p.add_argument("--short", action="store_true", help="a few cases of each kind")
    p.add_argument("--seed", type=int, default=0, help="another seed, other damages (default: 0)")
    p.add_argument("--only", nargs="+", metavar="KIND", help="these kinds alone")
    p.add_argument("--case", type=int, metavar="N", help="this case alone, with all that it says")
    p.add_argument("--keep", type=Path, metavar="DIR", help="where the inputs of failed cases are kept")
    return p


def main(argv: Sequence[str]) -> int:
    """Runs the cases; returns 1 if one of them failed."""
    options = parser().parse_args(argv)
    preload()
    lines, failures = [], 0
    with tempfile.TemporaryDirectory(prefix="fedn-torture-") as place:
        for name, make in kinds().items():
            if options.only and name not in options.only:
                continue
            began = time.monotonic()
            kind = make(Path(place) / name.replace(" ", "-"))
            numbers = range(kind.short if options.short else kind.count) if options.case is None else [options.case]
            counts = Counter(_try(kind, number, options, Path(place) / "cases") for number in numbers)
            failures += counts["failed"]
            lines.append((name, counts, time.monotonic() - began))
    _print_table(lines)
    return 1 if failures else 0


def _try(kind: Kind, number: int, options: argparse.Namespace, place: Path) -> str:
    """Runs one case; says whether it `failed`, was `refused`, or `answered` (in part or in whole)."""
    home = place / f"{kind.name.replace(' ', '-')}-{number}"
    case = kind.make(number, Random(f"{options.seed}/{kind.name}/{number}"), home)
    ended = run(case.words, case.home)
    wrong = trouble(case, ended)
    if options.case is not None:
        print(f"{case.what}\nfedn {' '.join(case.words)}\nexit code {ended.code}\n{ended.out}{ended.err}")
    if wrong:
        print(f"{kind.name} {number}: {case.what}: {wrong}", flush=True)
        if options.keep:
            shutil.copytree(home, options.keep / home.name, dirs_exist_ok=True, symlinks=True)
    shutil.rmtree(home, ignore_errors=True)
    return "failed" if wrong else {0: "answered", 1: "set aside"}.get(ended.code or 0, "refused")


def _print_table(lines: Sequence[tuple[str, Counter[str], float]]) -> None:
    """Counts per kind, as Markdown."""
    columns = ("refused", "set aside", "answered", "failed")
    print("| input | cases | " + " | ".join(columns) + " | seconds |\n| --- " + "| ---: " * (len(columns) + 2) + "|")
    total: Counter[str] = Counter()
    for name, counts, seconds in lines:
        total += counts
        print(f"| {name} | {counts.total()} | " + " | ".join(str(counts[c]) for c in columns) + f" | {seconds:.0f} |")
    seconds = sum(line[2] for line in lines)
    print(f"| all | {total.total()} | " + " | ".join(str(total[c]) for c in columns) + f" | {seconds:.0f} |")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
