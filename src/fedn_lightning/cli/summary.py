"""`fedn summary`: the table for the paper, of what `fedn predict` found or people coded."""

from __future__ import annotations

import argparse
import json
import sys

from fedn_lightning.cli.options import CommandParser
from fedn_lightning.utils.console import note

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
    from fedn_lightning.analysis.event_summary import observe, read_covariates, summarise
    from fedn_lightning.datasets.elan import read_tier_map
    from fedn_lightning.reports.console import lines
    from fedn_lightning.reports.event_summary import emotion_rows, rate_rows, summary_json, write_summary
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
