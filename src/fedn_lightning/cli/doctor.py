"""`fedn doctor`: looks for what is missing or broken, as text for a bug report."""

from __future__ import annotations

import argparse
import json


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    made = argparse.ArgumentParser(
        prog="fedn doctor",
        description="Looks at versions, devices, decoders, the face finder, data sets, W&B and the disk, in Markdown "
        "to paste into a bug report. Exit code 1 if something that everybody needs is broken.",
    )
    made.add_argument("--json", action="store_true", help="print JSON")
    made.add_argument(
        "--paths", action="store_true", help="tell full paths; by default the home folder is written as ~"
    )
    return made


def main(argv: list[str]) -> int:
    """Runs the command.

    Args:
        argv: the words after `fedn doctor`.

    Returns:
        1 if something that everybody needs is broken, else 0.
    """
    args = parser().parse_args(argv)
    from fedn_lightning.doctor import impersonal, is_broken, run_checks, to_markdown, to_plain

    sections = run_checks(paths=args.paths)
    if not args.paths:
        sections = impersonal(sections)
    print(json.dumps(to_plain(sections), indent=2) if args.json else to_markdown(sections))
    return 1 if is_broken(sections) else 0
