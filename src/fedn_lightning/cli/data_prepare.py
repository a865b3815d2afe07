"""`fedn data prepare`: finds and aligns the faces of a corpus and writes its clip store."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from fedn_lightning.corpora import READERS


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    made = argparse.ArgumentParser(prog="fedn data prepare", description=__doc__)
    made.add_argument("root", help="folder the corpus was unpacked in")
    made.add_argument("--dataset", default="casme2", choices=READERS, help="its reader (default: %(default)s)")
    made.add_argument("--store", required=True, help="folder of the clip store")
    made.add_argument("--crop-size", type=int, default=128, help="side of the face crop in px (default: %(default)s)")
    made.add_argument("--fps", type=float, default=30.0, help="working frame rate (default: %(default)s)")
    made.add_argument("--align", default="video", choices=("video", "none"), help="how the face is followed")
    made.add_argument("--gaps", default="repeat", choices=("repeat", "error"), help="missing frames of a folder")
    made.add_argument("--jobs", type=int, default=2, help="processes (default: %(default)s)")
    return made


def main(argv: Sequence[str]) -> int:
    """Runs the command; returns 1 if a video had to be set aside."""
    args = parser().parse_args(argv)
    from fedn_lightning.corpora import read
    from fedn_lightning.video.prepare import prepare

    corpus = read(args.dataset, args.root, unusable_rows="drop")
    report = prepare(
        corpus,
        args.store,
        crop_size=args.crop_size,
        fps=args.fps,
        jobs=args.jobs,
        align=args.align,
        gaps=args.gaps,
        progress=True,
    )
    for key, why in report.failed.items():
        print(f"set aside: {key}: {why}", file=sys.stderr)
    rate = f", {report.frames / report.seconds:.0f} frames a second" if report.frames else ""
    print(
        f"{args.store}: {len(report.prepared)} videos prepared, {len(report.reused)} were current, "
        f"{len(report.failed)} set aside ({report.frames} frames in {report.seconds:.1f} s{rate})."
    )
    return 1 if report.failed else 0
