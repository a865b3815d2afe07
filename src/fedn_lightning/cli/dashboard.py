"""`fedn dashboard`: a W&B workspace that compares experiments, folds and ablations."""

from __future__ import annotations

import argparse
import sys


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    p = argparse.ArgumentParser(
        prog="fedn dashboard",
        description="Creates a W&B workspace: pooled results, ablations against a baseline, folds, training, "
        "timelines, events. It needs network and login, except with --dry-run or --json (docs/tracking.md).",
    )
    p.add_argument("--project", default="fedn-lightning", help="W&B project (default: fedn-lightning)")
    p.add_argument("--entity", default="", help="user or team (default: that of the login)")
    p.add_argument("--group", nargs="+", default=[], metavar="G", help="only runs of these groups (default: all)")
    p.add_argument("--baseline", metavar="G", help="group whose pooled run the others are compared with")
    p.add_argument("--name", default="fedn", help="of the workspace (default: fedn)")
    p.add_argument("--dry-run", action="store_true", help="show what it would hold; create nothing")
    p.add_argument("--json", metavar="FILE", help="write it to a file as W&B stores it; create nothing")
    return p


def main(argv: list[str]) -> int:
    """Runs the command.

    Args:
        argv: the words after `fedn dashboard`.

    Returns:
        0.

    Raises:
        FednError: if wandb-workspaces is missing, W&B is not reached, or nobody is logged in.
    """
    options = parser().parse_args(argv)
    from fedn_lightning.loggers.workspace import View, build, describe, save, specification
    from fedn_lightning.utils.files import write_json

    view = View(options.project, options.entity, options.name, tuple(options.group), options.baseline)
    if options.json:
        write_json(options.json, specification(view))
        print(f"wrote {options.json}", file=sys.stderr)
    if options.dry_run:
        print("\n".join(describe(view, build(view).sections)))
    if not options.json and not options.dry_run:
        print(save(view))
    return 0
