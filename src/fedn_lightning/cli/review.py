"""`fedn review` corrects what was found on a local page; `fedn adapt` fine-tunes a checkpoint on the corrections."""

from __future__ import annotations

import argparse
import getpass
from collections.abc import Sequence
from pathlib import Path

from fedn_lightning.cli.data import parse_policy
from fedn_lightning.cli.options import CommandParser, at_least, quieten
from fedn_lightning.errors import ConfigError
from fedn_lightning.utils.console import note

REVIEW_EPILOG = """\
The page is served on this machine alone; its address holds a token. Every change is saved at once to OUT/history.
OUT/annotations.csv and OUT/videos are the corpus of the finished videos (dataset: csv), OUT/elan holds ELAN files.
docs/review.md lists the keys.
"""


def review_parser() -> CommandParser:
    """The options of `fedn review`."""
    p = CommandParser(
        "review",
        "Shows predictions or a corpus on a local page, to accept, correct and add expressions.",
        REVIEW_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument("target", nargs="?", default="predictions", metavar="PREDICTIONS|CORPUS", help="(%(default)s)")
    p.add_argument("--out", metavar="DIR", help="where corrections are written (default: TARGET-review)")
    p.add_argument("--coder", metavar="NAME", help="whose decisions these are (default: the user of this machine)")
    p.add_argument("--dataset", metavar="NAME", help="reader of a corpus (default: csv)")
    p.add_argument("--policy", action="append", default=[], metavar="NAME=VALUE", help="of the reader; may be repeated")
    p.add_argument("--media", metavar="DIR", help="where videos that have moved are looked for by their name")
    p.add_argument("--port", type=int, default=0, help="of the local server (default: any free one)")
    p.add_argument("--no-browser", action="store_true", help="only print the address")
    return p


def review(argv: Sequence[str]) -> int:
    """Runs `fedn review` until it is interrupted."""
    args = review_parser().parse_args(argv)
    try:
        from fedn_lightning.review.server import serve
    except ImportError as error:
        if error.name not in ("starlette", "uvicorn"):
            raise
        raise ConfigError(f"fedn review needs the package {error.name}: pip install 'fedn-lightning[review]'") from None
    from filelock import FileLock, Timeout

    from fedn_lightning.review.events import word
    from fedn_lightning.review.files import read_videos
    from fedn_lightning.review.session import Session

    target = Path(args.target)
    if not target.is_dir():
        raise ConfigError(f"There is no folder {target}; give one that fedn predict wrote, or a corpus.")
    policies = dict(parse_policy(text) for text in args.policy)
    coder = word(args.coder if args.coder is not None else getpass.getuser(), "--coder")
    videos = read_videos(target, args.dataset, policies, args.media)
    out = Path(args.out) if args.out else target.resolve().with_name(f"{target.resolve().name}-review")
    out.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(out / ".lock", timeout=0):
            serve(Session(videos, out, coder), args.port, lambda address: _ready(address, out, args.no_browser))
    except Timeout:
        msg = f"Another fedn review writes to {out}; open its page, which several tabs may share, or choose an --out."
        raise ConfigError(msg) from None
    return 0


def _ready(address: str, out: Path, quiet: bool) -> None:
    """Says where the page is, and opens it."""
    print(address, flush=True)
    note(f"corrections are saved in {out}; end with Ctrl+C")
    if not quiet:
        import webbrowser

        webbrowser.open(address)


ADAPT_EPILOG = """\
Every person is held out once. OUT/adapt.json holds scores with intervals and the verdict, OUT/adapted.ckpt the network
for fedn predict. docs/review.md tells more.
"""


def adapt_parser() -> CommandParser:
    """The options of `fedn adapt`."""
    p = CommandParser(
        "adapt", "Fine-tunes heads and motion stream of a checkpoint on a corrected corpus.", ADAPT_EPILOG
    )
    p.add_argument("checkpoint", nargs="?", metavar="CKPT", help="of a detector (default: the weights in the package)")
    p.add_argument("corpus", metavar="CORPUS", help="a corpus, such as the folder that fedn review wrote")
    p.add_argument("--out", default="runs/adapted", metavar="DIR", help="where it is written (%(default)s)")
    p.add_argument("--dataset", default="csv", metavar="NAME", help="reader of the corpus (%(default)s)")
    p.add_argument("--policy", action="append", default=[], metavar="NAME=VALUE", help="of the reader; may be repeated")
    p.add_argument("--store", metavar="DIR", help="clip store (default: OUT/store)")
    p.add_argument("--epochs", type=at_least(1), default=8, metavar="N", help="passes over the material (%(default)s)")
    p.add_argument(
        "--jobs", type=at_least(1), metavar="N", help="processes that prepare videos (default: one per core)"
    )
    return p


def adapt(argv: Sequence[str]) -> int:
    """Runs `fedn adapt`.

    Returns:
        0, also where fine-tuning did not help.
    """
    args = adapt_parser().parse_args(argv)
    from fedn_lightning import adaptation
    from fedn_lightning.datamodules.base import CorpusConfig
    from fedn_lightning.models.checkpoints import read_checkpoint
    from fedn_lightning.weights import shipped

    quieten()
    checkpoint = args.checkpoint or shipped()
    corpus = CorpusConfig(args.dataset, args.corpus, dict(parse_policy(text) for text in args.policy))
    metadata = read_checkpoint(checkpoint).get("fedn")
    out = Path(args.out)
    make_data = adaptation.data_of(metadata or {}, corpus, args.store or out / "store", args.jobs)
    result = adaptation.adapt(checkpoint, make_data, out, adaptation.AdaptConfig(epochs=args.epochs))
    print(result.summary())
    note(f"written: {out / 'adapt.json'}" + (f", {result.checkpoint}" if result.checkpoint else ""))
    return 0
