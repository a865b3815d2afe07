"""`fedn data prepare`: finds and aligns the faces of a corpus and writes its clip store."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from fedn_lightning.cli.corpus_target import add_target, target_of
from fedn_lightning.errors import ConfigError

KEYS = ("store", "size", "fps", "jobs", "align", "gaps", "boxes", "finder", "frames")
DEFAULTS = {
    "size": 128,
    "fps": 30.0,
    "jobs": 2,
    "align": "video",
    "gaps": "repeat",
    "boxes": "",
    "finder": "cascade",
    "frames": "store",
}
"""Settings where neither arguments nor an experiment file give one."""


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    made = argparse.ArgumentParser(
        prog="fedn data prepare",
        description="Finds and aligns the faces of a corpus and writes its clip store. May be stopped and run again.",
        epilog="An experiment file gives these settings under data.init_args.crops; arguments win over it.",
    )
    add_target(made)
    made.add_argument("--store", help="folder of the clip store")
    made.add_argument("--size", type=int, help="side of the face crop in px (default: 128)")
    made.add_argument("--fps", type=float, help="working frame rate (default: 30)")
    made.add_argument("--jobs", type=int, help="processes (default: 2)")
    made.add_argument("--align", choices=("video", "track", "none"), help="how the face is followed (default: video)")
    made.add_argument("--gaps", choices=("repeat", "split", "error"), help="missing frames (default: repeat)")
    made.add_argument("--boxes", metavar="CSV", help="face boxes by hand: columns video, x, y, width, height (px)")
    made.add_argument("--finder", help="what finds the face: cascade, mesh (mediapipe) or openface:FOLDER")
    made.add_argument("--frames", choices=("store", "video"), help="write crops, or decode them later (default: store)")
    return made


def main(argv: Sequence[str]) -> int:
    """Runs the command; returns 1 if a video or a row had to be set aside."""
    args = parser().parse_args(argv)
    target = target_of(args)
    from fedn_lightning.corpora import read
    from fedn_lightning.corpora.annotations import UNUSABLE
    from fedn_lightning.video.boxes import read_boxes
    from fedn_lightning.video.prepare import prepare

    settings = {**DEFAULTS, **target.crops}
    settings.update({key: value for key in KEYS if (value := getattr(args, key)) is not None})
    if "store" not in settings:
        msg = "--store is missing: say in which folder the clip store is to be written."
        raise ConfigError(msg)
    corpus = read(target.dataset, target.root, **{**target.policies, "unusable_rows": "drop"})
    boxes = settings["boxes"]
    report = prepare(
        corpus,
        settings["store"],
        crop_size=settings["size"],
        fps=settings["fps"],
        jobs=settings["jobs"],
        align=settings["align"],
        gaps=settings["gaps"],
        boxes=read_boxes(boxes, [video.key for video in corpus.videos]) if boxes else None,
        finder=settings["finder"],
        frames=settings["frames"],
        progress=True,
    )
    faults = [r for r in corpus.repairs if r.rule.startswith(UNUSABLE)]
    for repair in faults:
        row = f", row {repair.row}" if repair.row else ""
        print(f"set aside: {repair.file}{row}: {repair.rule}: {repair.before}", file=sys.stderr)
    for key, why in report.failed.items():
        print(f"set aside: {key}: {why}", file=sys.stderr)
    rate = f", {report.frames / report.seconds:.0f} frames a second" if report.frames else ""
    print(
        f"{settings['store']}: {len(report.prepared)} videos prepared, {len(report.reused)} were current, "
        f"{len(report.failed)} set aside ({report.frames} frames in {report.seconds:.1f} s{rate})."
    )
    return 1 if report.failed or faults else 0
