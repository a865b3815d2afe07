"""`fedn compare`: paired differences of runs, subject by subject."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

FILES = {"md": "comparison.md", "tex": "comparison.tex", "json": "comparison.json", "png": "comparison.png"}


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    p = argparse.ArgumentParser(
        prog="fedn compare",
        description="Compares runs on the same subjects with the first one: differences, and 95 %% intervals from a "
        "bootstrap that draws the same subjects for all runs.",
        epilog="RUN is the folder of a run, of pooled folds, or of an experiment of fedn loso with one pooled result.",
    )
    p.add_argument("runs", nargs="+", metavar="RUN", help="folder with predictions.csv, proposals.csv, truth.csv, ...")
    p.add_argument("--names", nargs="+", default=[], metavar="NAME", help="what to call the runs")
    p.add_argument("--bootstrap", type=int, default=2000, metavar="N", help="draws of subjects (default: 2000)")
    p.add_argument("--seed", type=int, default=0, help="of the draws (default: 0)")
    p.add_argument("--json", action="store_true", help="print JSON")
    p.add_argument("--out", metavar="DIR", help=f"write {', '.join(FILES.values())}")
    return p


def main(argv: list[str]) -> int:
    """Runs the command.

    Args:
        argv: the words after `fedn compare`.

    Returns:
        0.

    Raises:
        FednError: if a run cannot be read, or the runs are not about the same videos and truths.
    """
    options = parser().parse_args(argv)
    from fedn_lightning.errors import ConfigError

    if options.bootstrap < 1:
        msg = f"--bootstrap takes a number of at least 1, got {options.bootstrap}."
        raise ConfigError(msg)
    from fedn_lightning.analysis import comparison as report
    from fedn_lightning.analysis.comparison import compare
    from fedn_lightning.reports.evaluation import lines
    from fedn_lightning.utils.files import write_json, write_text

    found = compare(options.runs, options.names, options.bootstrap, options.seed)
    if options.json:
        print(json.dumps(report.comparison_json(found), indent=2))
    else:
        print("\n".join([*lines("", report.score_rows(found)), "", *lines("", report.subject_rows(found))]))
    if options.out:
        folder = Path(options.out)
        write_text(folder / FILES["md"], report.comparison_markdown(found))
        write_text(folder / FILES["tex"], report.comparison_latex(found))
        write_json(folder / FILES["json"], report.comparison_json(found))
        report.save_comparison(found, folder / FILES["png"])
        print(f"wrote {', '.join(FILES.values())} into {folder}", file=sys.stderr)
    return 0
