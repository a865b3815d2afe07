"""Commands on events that people coded or `fedn predict` found.

`fedn summary` counts them for a paper. `fedn evaluate` with files of ELAN or folders of `fedn predict` measures the
agreement of two coders.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from fedn_lightning.cli.options import CommandParser
from fedn_lightning.errors import ConfigError
from fedn_lightning.utils.console import note

if TYPE_CHECKING:
    from fedn_lightning.results.agreement import Agreement
    from fedn_lightning.results.coded import CodedVideo

EPILOG = """\
PREDICTIONS are folders of fedn predict, .eaf files, tables with start_seconds, end_seconds and type, or folders above
them. The covariates are a table with the column video (or person) and any others: person, condition, group, seconds.
docs/summary.md tells what the numbers mean.
"""


def parser() -> CommandParser:
    """The command's options."""
    p = CommandParser(
        "summary",
        "Counts expressions: rates, durations and intensities by person and condition, with intervals.",
        EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument("predictions", nargs="+", metavar="PREDICTIONS", help="what was found, in any form")
    p.add_argument("--by", default="person", metavar="A,B", help="what rows are grouped by (person)")
    p.add_argument("--covariates", metavar="TABLE.csv", help="what is known of each video or person")
    p.add_argument("--coder", default="", metavar="NAME", help="whose events are taken where several people coded")
    p.add_argument("--tiers", metavar="MAP.yaml", help="what tiers of .eaf files hold (elan.yaml beside them)")
    p.add_argument("--json", action="store_true", help="print JSON")
    p.add_argument("--out", metavar="DIR", help="write summary.csv, .md, .tex, .json and .png")
    return p


def main(argv: list[str]) -> int:
    """Runs the command."""
    options = parser().parse_args(argv)
    from fedn_lightning.analysis.event_summary import (
        emotion_rows,
        observe,
        rate_rows,
        read_covariates,
        summarise,
        summary_json,
        write_summary,
    )
    from fedn_lightning.datasets.elan import read_tier_map
    from fedn_lightning.reports.console import lines
    from fedn_lightning.results.coded import find_sources, read_coded

    tier_map = read_tier_map(options.tiers) if options.tiers else None
    sources = find_sources(options.predictions)
    videos = [video for source in sources for video in read_coded(source, tier_map, options.coder)]
    covariates = read_covariates(options.covariates) if options.covariates else None
    by = [word.strip() for word in options.by.split(",") if word.strip()]
    groups = summarise(observe(videos, covariates), by)
    if options.json:
        print(json.dumps(summary_json(groups), indent=2))
    else:
        print("\n".join([*lines("", rate_rows(groups)), "", *lines("", emotion_rows(groups))]))
    if groups[-1].set_aside:
        note(f"{groups[-1].set_aside} events begin in unreliable stretches and do not count")
    if options.out:
        written = write_summary(groups, options.out)
        print(f"wrote {', '.join(path.name for path in written)} into {options.out}", file=sys.stderr)
    return 0


OF_TABLES = ("videos", "threshold", "select", "validation", "per_type", "per_subject", "lenient", "html", "bootstrap")
"""Options of `fedn evaluate` that make sense for tables of frames alone."""


def is_coded(path: str) -> bool:
    """Whether a path is a file of ELAN, or a folder of such files or of outputs of `fedn predict`."""
    return Path(path).suffix.lower() == ".eaf" or Path(path).is_dir()


def print_agreement(options: argparse.Namespace) -> int:
    """Compares `options.truth` and `options.predictions` and prints the result."""
    given = [name for name in OF_TABLES if getattr(options, name)] + (
        ["protocol"] if options.protocol != "megc" else []
    )
    if given:
        msg = f"--{given[0].replace('_', '-')} does not apply to .eaf files, whose events have times and no scores."
        raise ConfigError(msg)
    from fedn_lightning.results.agreement import compare_coders

    coders = options.coders or ("", "")
    truths, predictions = (
        _read(path, options.tiers, coder)
        for path, coder in zip((options.truth, options.predictions), coders, strict=True)
    )
    result = compare_coders(truths, predictions)
    if options.json:
        print(json.dumps(result.to_dict(), indent=2))
    else:
        from fedn_lightning.reports.console import agreement_text

        print(agreement_text(result, truths, predictions))
    _tell_doubts(result)
    return 0


def _read(path: str, tiers: str | None, coder: str) -> list[CodedVideo]:
    from fedn_lightning.datasets.elan import read_tier_map
    from fedn_lightning.results.coded import find_sources, read_coded

    tier_map = read_tier_map(tiers) if tiers else None
    return [video for source in find_sources([path]) for video in read_coded(source, tier_map, coder)]


def _tell_doubts(result: Agreement) -> None:
    if result.left_out:
        names = ", ".join(result.left_out[:3]) + (" ..." if len(result.left_out) > 3 else "")
        note(f"{len(result.left_out)} videos are coded by one of them alone and are left out: {names}")
    if not result.lengths_known:
        note("a video is not where its .eaf file says, so its length is unknown: frames end with the last event")
