"""`fedn data check`: lists the content of a corpus, its repairs, and its errors."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fedn_lightning.cli.config import layers
from fedn_lightning.cli.options import CommandParser
from fedn_lightning.datasets import READERS
from fedn_lightning.errors import ConfigError

if TYPE_CHECKING:
    from fedn_lightning.datamodules.labels import EmotionScheme, LabelSource
    from fedn_lightning.events import Corpus
    from fedn_lightning.utils.workers import Cluster
    from fedn_lightning.video.verify import Verification

POLICY_FORM = "NAME=VALUE"


@dataclass(frozen=True)
class CorpusTarget:
    """A corpus and how it is to be read."""

    dataset: str  # name of the reader
    root: str | list[str]  # folder of the release, or those of several
    policies: dict[str, str] = field(default_factory=dict)  # the reader's policies
    # the experiment's crop settings (`store`, `size`, ...); empty for a folder
    crops: dict[str, Any] = field(default_factory=dict)
    emotion_scheme: EmotionScheme = "3"  # the experiment's classes
    label_source: LabelSource = "expert"  # the experiment's labels
    motion: dict[str, Any] = field(default_factory=dict)  # how the experiment measures optical flow


def add_target(parser: CommandParser) -> None:
    """Adds the arguments that :func:`target_of` reads."""
    parser.add_argument("target", help="an experiment file, or the folder a corpus was unpacked in")
    parser.add_argument("--dataset", choices=READERS, help="reader of a folder (default: casme2)")
    parser.add_argument(
        "--policy",
        action="append",
        default=[],
        metavar=POLICY_FORM,
        help="how a quirk of the release is handled, e.g. offset_policy=mirror; may be repeated",
    )


def target_of(args: argparse.Namespace) -> CorpusTarget:
    """The corpus that the arguments name; policies given as arguments win over the file's."""
    policies = dict(parse_policy(text) for text in args.policy)
    if Path(args.target).suffix.lower() not in (".yaml", ".yml"):
        return CorpusTarget(args.dataset or "casme2", args.target, policies)
    settings = _data_settings(args.target)
    corpus = settings.get("corpus")
    if not isinstance(corpus, dict) or not {"dataset", "root"} <= set(corpus):
        raise ConfigError(f"{args.target} names no corpus: data.init_args.corpus needs the keys dataset and root.")
    return CorpusTarget(
        args.dataset or str(corpus["dataset"]),
        corpus["root"] if isinstance(corpus["root"], list) else str(corpus["root"]),
        {**{name: str(value) for name, value in (corpus.get("policies") or {}).items()}, **policies},
        dict(settings.get("crops") or {}),
        corpus.get("emotion_scheme", "3"),
        corpus.get("label_source", "expert"),
        dict(settings.get("motion") or {}),
    )


def parse_policy(text: str) -> tuple[str, str]:
    """Name and value of a `--policy`."""
    name, equals, value = text.partition("=")
    if not equals:
        raise ConfigError(f"--policy {text!r} must have the form {POLICY_FORM}, e.g. offset_policy=mirror.")
    return name, value


def _data_settings(path: str) -> dict[str, Any]:
    """The arguments of an experiment's data module, those of its bases included, references resolved."""
    from omegaconf import DictConfig, OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError  # type: ignore[import-untyped]

    try:
        first, *changes = layers(Path(path))
        loaded = OmegaConf.merge(
            OmegaConf.load(first) if Path(first).suffix in (".yaml", ".yml") else OmegaConf.create(first),
            *map(OmegaConf.create, changes),
        )
        found = OmegaConf.select(loaded, "data.init_args") if isinstance(loaded, DictConfig) else None
        settings = OmegaConf.to_container(found, resolve=True) if found is not None else {}
    except (OSError, YAMLError, OmegaConfBaseException) as error:
        raise ConfigError(f"{path} cannot be read as an experiment: {error}.") from None
    return {str(key): value for key, value in settings.items()} if isinstance(settings, dict) else {}


def check_parser() -> CommandParser:
    """The command's arguments."""
    made = CommandParser(
        "data check",
        "Lists the content of a corpus, its repairs, and its errors.",
        "Exit code: 0 training can start, 1 something cannot be used, 2 the corpus cannot be read.",
    )
    add_target(made)
    made.add_argument("--json", action="store_true", help="print everything as JSON instead of tables")
    made.add_argument("--all", action="store_true", help="list every row, however many")
    made.add_argument("--picture", metavar="PNG", help="draw lengths, labels and agreement to this file")
    made.add_argument("--decode", action="store_true", help="decode every video and find which reader is right for it")
    made.add_argument("--cache", metavar="JSON", help="file that remembers which videos --decode found right")
    made.add_argument("--jobs", type=int, help="processes for --decode (default: one per core)")
    return made


def check(argv: Sequence[str]) -> int:
    """Runs the command; returns 0 if training can start, 1 if something cannot be used."""
    args = check_parser().parse_args(argv)
    target = target_of(args)
    from rich.console import Console

    from fedn_lightning.analysis.dataset_report import DatasetReport, print_report, save_report
    from fedn_lightning.datamodules.labels import find_problems
    from fedn_lightning.datasets.base import published_counts
    from fedn_lightning.utils.files import plain

    corpus = _read(target)
    problems = find_problems(corpus, target.emotion_scheme, target.label_source)
    published = published_counts(target.dataset, target.root) if isinstance(target.root, str) else None
    report = DatasetReport(corpus, published, tuple(problems))
    decoded = _decode(report.corpus, args.cache, args.jobs) if args.decode else {}
    broken = {key: result for key, result in decoded.items() if result.reader == "none"}
    ready = report.ready and not broken
    if args.json:
        print(json.dumps(plain({**report.as_dict(), "ready": ready, "decoding": _plain(decoded)}), indent=2))
    else:
        console = Console()
        print_report(report, console, everything=args.all)
        for line in _decoding_lines(decoded):
            console.print(line, markup=False, highlight=False, soft_wrap=True)
        console.print("\nTraining can start." if ready else "\nTraining cannot start before this is fixed.")
    if args.picture:
        save_report(report, args.picture)
        print(f"{args.picture}: lengths, labels, agreement", file=sys.stderr)
    return 0 if ready else 1


def _read(target: CorpusTarget) -> Corpus:
    """Reads the corpus; what cannot be used is listed instead of stopping the command."""
    from fedn_lightning.datasets import read_all

    return read_all(target.dataset, target.root, {**target.policies, "unusable_rows": "drop"})


def _decode(corpus: Corpus, cache: str | None, jobs: int | None) -> dict[str, Verification]:
    """Verifies every video, with a bar on stderr."""
    from fedn_lightning.utils.console import ProgressBar
    from fedn_lightning.video.verify import verify

    with ProgressBar("decoding", sum(video.n_frames or 0 for video in corpus.videos) or None) as bar:
        return verify(corpus.videos, cache, jobs, tick=lambda index, frames: bar.advance(frames))


def _decoding_lines(decoded: dict[str, Verification]) -> list[str]:
    """How many videos each reader is right for, and why not decord."""
    if not decoded:
        return []
    readers = [result.reader for result in decoded.values()]
    lines = ["\nreaders: " + ", ".join(f"{readers.count(r)} {r}" for r in sorted(set(readers)))]
    lines += [f"  {key}: {r.why}" for key, r in decoded.items() if r.reader in ("pyav", "none") or r.missing]
    lines += [
        f"  {key}: its header promises {r.declared} frames, {r.n_frames} can be decoded"
        for key, r in decoded.items()
        if r.declared not in (None, r.n_frames) and r.reader != "none"
    ]
    return lines


def _plain(decoded: dict[str, Verification]) -> dict[str, dict[str, object]]:
    from dataclasses import asdict

    return {key: asdict(result) for key, result in decoded.items()}


KEYS = ("store", "size", "fps", "jobs", "align", "gaps", "boxes", "finder", "frames")
DEFAULTS = {
    "size": 128,
    "fps": 30.0,
    "jobs": None,
    "align": "video",
    "gaps": "repeat",
    "boxes": "",
    "finder": "cascade",
    "frames": "store",
}
"""Settings where neither arguments nor an experiment file give one."""


def prepare_parser() -> CommandParser:
    """The command's arguments."""
    made = CommandParser(
        "data prepare",
        "Finds and aligns the faces of a corpus and writes its clip store. May be stopped and run again.",
        "An experiment file gives these settings under data.init_args.crops; arguments win over it.",
    )
    add_target(made)
    made.add_argument("--store", help="folder of the clip store")
    made.add_argument("--size", type=int, help="side of the face crop in px (default: 128)")
    made.add_argument("--fps", type=float, help="working frame rate (default: 30)")
    made.add_argument("--jobs", type=int, help="processes (default: one per core)")
    made.add_launcher()
    made.add_argument("--align", choices=("video", "track", "none"), help="how the face is followed (default: video)")
    made.add_argument("--gaps", choices=("repeat", "split", "error"), help="missing frames (default: repeat)")
    made.add_argument("--boxes", metavar="CSV", help="face boxes by hand: columns video, x, y, width, height (px)")
    made.add_argument("--finder", help="cascade, landmarker:FILE, mesh or openface:FOLDER (default: cascade)")
    made.add_argument("--motion", action="store_true", help="also measure the optical flow that FEDN+ reads")
    made.add_argument("--frames", choices=("store", "video"), help="write crops, or decode them later (default: store)")
    return made


def prepare(argv: Sequence[str]) -> int:
    """Runs the command; returns 1 if a video or a row was skipped."""
    args = prepare_parser().parse_args(argv)
    target = target_of(args)
    from fedn_lightning.datasets.base import UNUSABLE
    from fedn_lightning.utils.workers import Cluster
    from fedn_lightning.video.landmarks import read_boxes
    from fedn_lightning.video.prepare import prepare

    settings = {**DEFAULTS, **target.crops}
    settings.update({key: value for key in KEYS if (value := getattr(args, key)) is not None})
    if "store" not in settings:
        raise ConfigError("--store is missing: say in which folder the clip store is to be written.")
    corpus, cluster = _read(target), Cluster(args.address) if args.launcher == "ray" else None
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
        cluster=cluster,
    )
    if args.motion:
        _measure_motion(target, Path(settings["store"]), settings["jobs"], cluster)
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


def _measure_motion(target: CorpusTarget, store: Path, jobs: int | None, cluster: Cluster | None) -> None:
    """Measures what is missing of the motion of all videos in a store, where a training looks for it."""
    from fedn_lightning.motion.features import MotionCache
    from fedn_lightning.motion.flow import MotionConfig
    from fedn_lightning.video.store import ClipStore

    MotionCache(store / "motion", MotionConfig(**target.motion)).build(list(ClipStore(store)), jobs, cluster)
