"""`fedn data check`: lists what a corpus holds, what was repaired, and what is wrong with it."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from fedn_lightning.cli.corpus_target import CorpusTarget, add_target, target_of

if TYPE_CHECKING:
    from fedn_lightning.events import Corpus
    from fedn_lightning.video.verify import Verification


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    made = argparse.ArgumentParser(
        prog="fedn data check",
        description="Lists what a corpus holds, what was repaired, and what is wrong with it.",
        epilog="Exit code: 0 training can start, 1 something cannot be used, 2 the corpus cannot be read.",
    )
    add_target(made)
    made.add_argument("--json", action="store_true", help="print everything as JSON instead of tables")
    made.add_argument("--all", action="store_true", help="list every row, however many")
    made.add_argument("--picture", metavar="PNG", help="draw lengths, labels and agreement to this file")
    made.add_argument("--decode", action="store_true", help="decode every video and find which reader is right for it")
    made.add_argument("--cache", metavar="JSON", help="file that remembers which videos --decode found right")
    made.add_argument("--jobs", type=int, default=2, help="processes for --decode (default: %(default)s)")
    return made


def main(argv: Sequence[str]) -> int:
    """Runs the command; returns 0 if training can start, 1 if something cannot be used."""
    args = parser().parse_args(argv)
    target = target_of(args)
    from rich.console import Console

    from fedn_lightning.corpora.published import published_counts
    from fedn_lightning.files import plain
    from fedn_lightning.reports.checkup import Checkup
    from fedn_lightning.reports.checkup_view import print_checkup, save_checkup

    checkup = Checkup(_read(target), published_counts(target.dataset, target.root))
    decoded = _decode(checkup.corpus, args.cache, args.jobs) if args.decode else {}
    broken = {key: result for key, result in decoded.items() if result.reader == "none"}
    ready = checkup.ready and not broken
    if args.json:
        print(json.dumps(plain({**checkup.as_dict(), "ready": ready, "decoding": _plain(decoded)}), indent=2))
    else:
        console = Console()
        print_checkup(checkup, console, everything=args.all)
        for line in _decoding_lines(decoded):
            console.print(line, markup=False, highlight=False, soft_wrap=True)
        console.print("\nTraining can start." if ready else "\nTraining cannot start before this is mended.")
    if args.picture:
        save_checkup(checkup, args.picture)
        print(f"{args.picture}: lengths, labels, agreement", file=sys.stderr)
    return 0 if ready else 1


def _read(target: CorpusTarget) -> Corpus:
    """Reads the corpus; what cannot be used is listed instead of stopping the check."""
    from fedn_lightning.corpora import read

    return read(target.dataset, target.root, **{**target.policies, "unusable_rows": "drop"})


def _decode(corpus: Corpus, cache: str | None, jobs: int) -> dict[str, Verification]:
    """Verifies every video, with a bar on stderr."""
    from rich.console import Console
    from rich.progress import Progress

    from fedn_lightning.video.verify import verify

    with Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task("decoding", total=sum(video.n_frames or 0 for video in corpus.videos) or None)
        return verify(corpus.videos, cache, jobs, tick=lambda index, frames: bar.update(task, advance=frames))


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
