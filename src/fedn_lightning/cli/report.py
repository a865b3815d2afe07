"""`fedn report`: a run, or leave-one-subject-out, as one HTML page."""

from __future__ import annotations

import argparse
from pathlib import Path


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    p = argparse.ArgumentParser(
        prog="fedn report",
        description="Writes one self-contained HTML page about a run: scores with intervals, subjects, confusion, "
        "operating curves, timelines to zoom, the worst errors as film strips, and what the network looked at.",
        epilog="RUN is the folder of a run, of a fold, of pooled folds, or of an experiment of fedn loso.",
    )
    p.add_argument("run", metavar="RUN", help="folder of a run or of fedn loso")
    p.add_argument("--out", metavar="FILE", help="the page (default: RUN/report.html)")
    p.add_argument("--open", action="store_true", help="show it in the browser")
    p.add_argument("--strips", type=int, default=8, metavar="N", help="false alarms and misses shown (default: 8 each)")
    p.add_argument("--looks", type=int, default=5, metavar="N", help="events whose attention is shown (default: 5)")
    p.add_argument("--bootstrap", type=int, default=1000, metavar="N", help="draws of subjects for the intervals")
    return p


def main(argv: list[str]) -> int:
    """Runs the command.

    Args:
        argv: the words after `fedn report`.

    Returns:
        0.

    Raises:
        FednError: if there is no run in the folder, or its tables cannot be read.
    """
    options = parser().parse_args(argv)
    from fedn_lightning.errors import ConfigError

    for name, least in (("strips", 0), ("looks", 0), ("bootstrap", 1)):
        if getattr(options, name) < least:
            msg = f"--{name} takes a number of at least {least}, got {getattr(options, name)}."
            raise ConfigError(msg)
    from fedn_lightning.reports.html.report import write_report
    from fedn_lightning.results.run_scores import read_run

    run = read_run(options.run, options.bootstrap)
    page = write_report(options.out or run.folder / "report.html", run, options.strips, options.looks)
    print(f"{page} ({page.stat().st_size / 1e6:.1f} MB)")
    if options.open:
        import webbrowser

        webbrowser.open(Path(page).resolve().as_uri())
    return 0
