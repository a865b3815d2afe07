"""`fedn adapt`: fine-tunes a checkpoint on corrected material, and says whether that helped on held-out people."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fedn_lightning.cli.data import parse_policy
from fedn_lightning.cli.options import CommandParser, at_least
from fedn_lightning.utils.console import note

EPILOG = """\
Every person is held out once. OUT/adapt.json holds scores with intervals and the verdict, OUT/adapted.ckpt the network
for fedn predict. docs/review.md tells more.
"""


def parser() -> CommandParser:
    """The options of `fedn adapt`."""
    p = CommandParser("adapt", "Fine-tunes heads and motion stream of a checkpoint on a corrected corpus.", EPILOG)
    p.add_argument("checkpoint", metavar="CKPT", help="of a detector")
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


def main(argv: Sequence[str]) -> int:
    """Runs `fedn adapt`.

    Args:
        argv: the words after the command.

    Returns:
        0, also where fine-tuning did not help.

    Raises:
        FednError: if the checkpoint or the corpus cannot be used, or there is too little material.
    """
    args = parser().parse_args(argv)
    from fedn_lightning.adaptation import AdaptConfig, adapt, data_of
    from fedn_lightning.datamodules.base import CorpusConfig
    from fedn_lightning.models.checkpoints import read_checkpoint

    corpus = CorpusConfig(args.dataset, args.corpus, dict(parse_policy(text) for text in args.policy))
    metadata = read_checkpoint(args.checkpoint).get("fedn")
    out = Path(args.out)
    make_data = data_of(metadata or {}, corpus, args.store or out / "store", args.jobs)
    result = adapt(args.checkpoint, make_data, out, AdaptConfig(epochs=args.epochs))
    print(result.summary())
    note(f"written: {out / 'adapt.json'}" + (f", {result.checkpoint}" if result.checkpoint else ""))
    return 0
