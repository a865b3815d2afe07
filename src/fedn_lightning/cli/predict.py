"""`fedn predict`: finds the expressions in any video, by a checkpoint alone."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

from fedn_lightning.cli.options import CommandParser
from fedn_lightning.errors import CheckpointError, ConfigError
from fedn_lightning.utils.console import ProgressBar, note
from fedn_lightning.weights import shipped

if TYPE_CHECKING:
    from fedn_lightning.inference.batch import DetectorChoice, Outcome
    from fedn_lightning.inference.decoding import FaceChoice

EPILOG = """\
Writes to OUT/<name of the video>/ the events, timeline.png, with --annotate annotated.mp4, and prediction.json with
settings and assumptions. A video whose files exist already is skipped. See docs/own_video.md.
"""


def parser() -> CommandParser:
    """The options of `fedn predict`."""
    what = "Finds facial expressions in any video, with the weights in the package or with a checkpoint."
    p = CommandParser("predict", what, EPILOG)
    p.add_argument("video", nargs="*", metavar="VIDEO|DIR|GLOB", help="video files, folders of them, or patterns")
    p.add_argument(
        "--ckpt", help="checkpoint of fedn fit (default: the weights in the package, which know generated faces)"
    )
    p.add_argument("--out", default="predictions", help="parent of the output folders (%(default)s)")
    p.add_argument("--annotate", action="store_true", help="also write the video with face, label and timeline")
    p.add_argument("--format", choices=("csv", "json", "elan", "megc"), default="csv", help="of the events (csv)")
    p.add_argument("--face", default="largest", metavar="largest|all|N", help="which faces; N counts from the left")
    p.add_argument("--face-embedding", metavar="FILE", help="with all: ONNX network that knows people after a cut")
    p.add_argument(
        "--baseline", metavar="START-END|auto", help="neutral stretch in seconds that measures are relative to"
    )
    p.add_argument("--threshold", nargs=2, type=float, metavar=("MACRO", "MICRO"), help="instead of the checkpoint's")
    p.add_argument("--align", choices=("video", "track", "none"), help="instead of how the checkpoint was trained")
    p.add_argument("--landmarker", metavar="FILE", help="MediaPipe's face_landmarker.task, to place the faces by")
    p.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="where the network runs (auto)")
    p.add_argument("--manifest", metavar="FILE", help="also the videos that this file names, one a line or as a table")
    p.add_argument(
        "--jobs", type=int, default=1, metavar="N", help="videos at a time, a process for each (%(default)s)"
    )
    p.add_launcher()
    p.add_argument("--overwrite", action="store_true", help="do finished videos again")
    return p


def main(argv: Sequence[str]) -> int:
    """Runs `fedn predict`.

    Returns:
        0, or 1 if a video could not be used; the others are written all the same.
    """
    args = parser().parse_args(argv)
    face = _face(args.face)
    if args.face_embedding and face != "all":
        raise ConfigError("--face-embedding tells several people apart; it needs --face all.")
    if args.face_embedding and not Path(args.face_embedding).is_file():
        raise ConfigError(f"There is no network {args.face_embedding} (--face-embedding).")
    if args.jobs < 1:
        raise ConfigError(f"--jobs is {args.jobs}; it must be the number of videos at a time, at least 1.")
    if Path(args.out).exists() and not Path(args.out).is_dir():
        raise ConfigError(f"--out {args.out} is a file; name a folder, which is made if need be.")
    videos, ignored = _videos(args)
    args.ckpt = args.ckpt or str(shipped())
    if not Path(args.ckpt).is_file():
        msg = f"There is no checkpoint {args.ckpt} (--ckpt); fedn fit writes one to its run's checkpoints/best.ckpt."
        raise CheckpointError(msg)
    from fedn_lightning.inference.baseline import parse_reference
    from fedn_lightning.inference.batch import DetectorChoice, write_inputs, write_tables
    from fedn_lightning.inference.writers import Settings
    from fedn_lightning.utils.files import digest_file

    if args.baseline is not None:
        parse_reference(args.baseline)
    threshold = None if args.threshold is None else (args.threshold[0], args.threshold[1])
    settings = Settings(
        digest_file(args.ckpt)[:16],
        args.format,
        args.annotate,
        face,
        args.align,
        threshold,
        args.face_embedding,
        args.baseline,
        args.landmarker,
    )
    outcomes = list(_outcomes(args, DetectorChoice(args.ckpt, args.device, settings), videos))
    place = {video: number for number, video in enumerate(videos)}
    outcomes.sort(key=lambda outcome: place[outcome.video])  # several at a time end in any order
    if len(outcomes) > 1:
        write_tables(args.out, outcomes)
    write_inputs(args.out, outcomes, ignored)
    return _conclude(outcomes)


def _videos(args: argparse.Namespace) -> tuple[list[Path], dict[str, list[Path]]]:
    """The videos that the arguments name, each once, and the files that are skipped, by reason."""
    from fedn_lightning.inference.batch import find_videos, overlooked, read_manifest

    if not args.video and args.manifest is None:
        raise ConfigError("No video is named; give files, folders or patterns, or a list of videos by --manifest.")
    videos = find_videos(args.video, args.out)
    ignored = overlooked(args.video, args.out)
    for reason, paths in ignored.items():
        names = ", ".join(str(path) for path in paths[:3]) + (" ..." if len(paths) > 3 else "")
        note(f"{len(paths)} files are skipped, {reason}: {names}")
    listed = [] if args.manifest is None else read_manifest(args.manifest)
    return list({path.resolve(): path for path in [*videos, *listed]}.values()), ignored


def _outcomes(args: argparse.Namespace, choice: DetectorChoice, videos: list[Path]) -> Iterator[Outcome]:
    """What becomes of each video, printed as it ends."""
    from fedn_lightning.inference.batch import build, predict_all, predict_parallel
    from fedn_lightning.utils import available_cores

    several = args.jobs > 1 or args.launcher == "ray"
    with _Progress("", transient=True, unit="videos" if several else "frames") as bar:
        if several:
            bar.restart(f"{len(videos)} videos, {args.jobs} at a time", len(videos))
            ended = predict_parallel(choice, videos, args.out, args.jobs, args.launcher, args.address, args.overwrite)
        else:  # a core is left to the process that decodes
            threads = max(1, available_cores() - 1)
            ended = predict_all(lambda: build(choice, threads), videos, args.out, choice.settings, bar, args.overwrite)
        for outcome in ended:
            bar.log(outcome)
            if several:
                bar.advance(1)
            yield outcome


def _face(word: str) -> FaceChoice:
    if word in ("largest", "all"):
        return cast("FaceChoice", word)
    if not word.isdecimal() or int(word) < 1:
        raise ConfigError(f"--face {word} must be largest, all, or the number of a face from the left, from 1 on.")
    return int(word)


def _conclude(outcomes: Sequence[Outcome]) -> int:
    """Says at the end what failed."""
    failed = [outcome for outcome in outcomes if outcome.error]
    if len(outcomes) > 1:
        reused = sum(outcome.reused for outcome in outcomes)
        done = len(outcomes) - len(failed) - reused
        note(f"{done} of {len(outcomes)} videos done, {reused} finished before, {len(failed)} failed")
    for outcome in failed:
        print(f"fedn: error: {outcome.error}", file=sys.stderr)
    return 1 if failed else 0


class _Progress(ProgressBar):
    """A progress bar on stderr, and what was found on stdout."""

    def start(self, video: Path) -> None:
        """A video begins."""
        self._name, self._doing = video.name, ""
        self.restart(f"{video.name}: looking for the face")

    def tick(self, doing: str, frames: int, total: int) -> None:
        """So many frames more of a total are done."""
        if doing != self._doing:
            self._doing = doing
            self.restart(f"{self._name}: {doing}", total)
        self.advance(frames)

    def log(self, outcome: Outcome) -> None:
        """Prints what was found in a video."""
        if outcome.error:
            return
        with self.hidden():
            print(outcome.text)
            print(f"  {'finished before' if outcome.reused else 'written'}: {outcome.folder}", flush=True)
