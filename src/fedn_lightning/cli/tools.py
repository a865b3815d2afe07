"""Commands beside the runs: `fedn doctor`, `export` and `dashboard`.

Every function takes the words after the command and returns the exit code.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from fedn_lightning.cli.options import CommandParser

# The functions import what they need when they are called: torch takes seconds, and --help does not need it.


def doctor(argv: list[str]) -> int:
    """Runs `fedn doctor`; returns 1 if something that everybody needs is broken."""
    p = CommandParser(
        "doctor",
        "Checks versions, devices, decoders, the face finder, data sets, W&B and the disk. Prints Markdown to paste "
        "into a bug report. Exit code 1 if something that everybody needs is broken.",
    )
    p.add_argument("--json", action="store_true", help="print JSON")
    p.add_argument("--paths", action="store_true", help="print full paths (default: the home folder is written as ~)")
    options = p.parse_args(argv)
    from fedn_lightning.doctor import hide_home, is_broken, run_checks, to_markdown, to_plain

    sections = run_checks(paths=options.paths)
    if not options.paths:
        sections = hide_home(sections)
    print(json.dumps(to_plain(sections), indent=2) if options.json else to_markdown(sections))
    return int(is_broken(sections))


def export(argv: list[str]) -> int:
    """Runs `fedn export`."""
    p = CommandParser(
        "export",
        "Writes a checkpoint as encoder.onnx (face crops to frame features) and detector.onnx (windows of features to "
        "intervals and scores), with a manifest fedn.json, and compares both with PyTorch.",
        "docs/export.md shows how to use the files with onnxruntime alone. Takes about half a minute.",
    )
    p.add_argument("--ckpt", type=Path, metavar="FILE", help="checkpoint (default: the weights in the package)")
    p.add_argument("--align", choices=("video", "track", "none"), help="how faces were aligned, if it does not say")
    p.add_argument("--out", type=Path, metavar="DIR", help="folder to write to (default: onnx, beside --ckpt)")
    options = p.parse_args(argv)
    print("translating and comparing, about half a minute ...", file=sys.stderr)
    from fedn_lightning.export import check_packages, export
    from fedn_lightning.utils.console import note
    from fedn_lightning.weights import shipped

    check_packages()
    beside = options.ckpt.parent if options.ckpt else Path()
    exported = export(options.ckpt or shipped(), options.out or beside / "onnx", options.align)
    for sentence in exported.notes:
        note(sentence)
    for file in exported.files:
        print(f"{file}  {file.stat().st_size / 1e6:.2f} MB")
    print("largest difference from PyTorch, on a generated face and on random input:")
    for found in exported.differences:
        print(f"  {found.graph + '.' + found.output:<20}  {found.largest:.1e}  (values up to {found.scale:.3g})")
    return 0


def dashboard(argv: list[str]) -> int:
    """Runs `fedn dashboard`."""
    p = CommandParser(
        "dashboard",
        "Creates a W&B workspace: pooled results, ablations against a baseline, folds, training, timelines, events. It "
        "needs network and login, except with --dry-run or --json (docs/tracking.md).",
    )
    p.add_argument("--project", default="fedn-lightning", help="W&B project (default: fedn-lightning)")
    p.add_argument("--entity", default="", help="user or team (default: that of the login)")
    p.add_argument("--group", nargs="+", default=[], metavar="G", help="only runs of these groups (default: all)")
    p.add_argument("--baseline", metavar="G", help="group whose pooled run the others are compared with")
    p.add_argument("--name", default="fedn", help="of the workspace (default: fedn)")
    p.add_argument("--dry-run", action="store_true", help="show what it would hold; create nothing")
    p.add_argument("--json", metavar="FILE", help="write it to a file as W&B stores it; create nothing")
    options = p.parse_args(argv)
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
