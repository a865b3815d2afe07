"""`fedn two-step`: names what a spotter found by a recogniser, and scores both together."""

from __future__ import annotations

import argparse
from pathlib import Path


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    p = argparse.ArgumentParser(
        prog="fedn two-step",
        description="Runs the two-step pipeline: every proposal of a spotter gets its emotion from a recogniser. "
        "Writes a run like that of fedn fit, for fedn evaluate, compare, report and errors.",
        epilog="Both are folders of fedn fit with the same held-out subjects, or both are folders of fedn loso "
        "(runs/EXPERIMENT/HASH): then every fold is combined, and the folds are pooled. Folds that are done stay.",
    )
    p.add_argument("spotter", metavar="SPOTTER_RUN", help="run of a DetectionTask, e.g. with recognise: false")
    p.add_argument("recogniser", metavar="RECOGNISER_RUN", help="run of a RecognitionTask")
    p.add_argument("--out", required=True, metavar="RUN", help="folder to write")
    p.add_argument("--bootstrap", type=int, default=1000, metavar="N", help="draws of subjects, for folds (1000)")
    return p


def main(argv: list[str]) -> int:
    """Runs the command.

    Args:
        argv: the words after `fedn two-step`.

    Returns:
        0.

    Raises:
        FednError: if a run cannot be read, or the halves do not belong together.
    """
    options = parser().parse_args(argv)
    from fedn_lightning.errors import ConfigError

    if options.bootstrap < 1:
        msg = f"--bootstrap takes a number of at least 1, got {options.bootstrap}."
        raise ConfigError(msg)
    spotter, recogniser, out = (Path(path) for path in (options.spotter, options.recogniser, options.out))
    # Imported here: torch takes seconds, and --help needs none.
    from fedn_lightning.baselines.two_step import EXPERIMENT

    if (spotter / EXPERIMENT).is_file() or (recogniser / EXPERIMENT).is_file():
        _folds(spotter, recogniser, out, options.bootstrap)
    else:
        _run(spotter, recogniser, out)
    return 0


def _run(spotter: Path, recogniser: Path, out: Path) -> None:
    from fedn_lightning.baselines.two_step import combine
    from fedn_lightning.reports.console import print_card

    result = combine(spotter, recogniser, out)
    print_card(result, str(out), sorted(path.name for path in out.iterdir()))


def _folds(spotter: Path, recogniser: Path, out: Path, draws: int) -> None:
    from rich.console import Console

    from fedn_lightning.baselines.two_step import combine_folds
    from fedn_lightning.loso.summary import print_seeds
    from fedn_lightning.utils.console import note

    print_seeds(combine_folds(spotter, recogniser, out, draws, note), Console())
