"""`fedn evaluate` with files of ELAN or folders of `fedn predict`: the agreement of two coders."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from fedn_lightning.errors import ConfigError
from fedn_lightning.utils.console import note

if TYPE_CHECKING:
    from fedn_lightning.results.agreement import Agreement
    from fedn_lightning.results.coded import CodedVideo

OF_TABLES = ("videos", "threshold", "select", "validation", "per_type", "per_subject", "lenient", "html", "bootstrap")
"""Options of `fedn evaluate` that make sense for tables of frames alone."""


def is_coded(path: str) -> bool:
    """Whether a path is a file of ELAN, or a folder of such files or of outputs of `fedn predict`."""
    return Path(path).suffix.lower() == ".eaf" or Path(path).is_dir()


def print_agreement(options: argparse.Namespace) -> int:
    """Compares `options.truth` and `options.predictions` and prints the result.

    Raises:
        FednError: if a file cannot be used, or an option does not apply.
    """
    given = [name for name in OF_TABLES if getattr(options, name)] + (
        ["protocol"] if options.protocol != "megc" else []
    )
    if given:
        msg = f"--{given[0].replace('_', '-')} does not apply to .eaf files, whose events have times and no scores."
        raise ConfigError(msg)
    from fedn_lightning.results.agreement import compare_coders

    coders = options.coders or ("", "")
    truths, predictions = (
        _read(path, options.tiers, coder)
        for path, coder in zip((options.truth, options.predictions), coders, strict=True)
    )
    result = compare_coders(truths, predictions)
    if options.json:
        print(json.dumps(result.to_dict(), indent=2))
    else:
        from fedn_lightning.reports.agreement import agreement_text

        print(agreement_text(result, truths, predictions))
    _tell_doubts(result)
    return 0


def _read(path: str, tiers: str | None, coder: str) -> list[CodedVideo]:
    from fedn_lightning.datasets.elan import read_tier_map
    from fedn_lightning.results.coded import find_sources, read_coded

    tier_map = read_tier_map(tiers) if tiers else None
    return [video for source in find_sources([path]) for video in read_coded(source, tier_map, coder)]


def _tell_doubts(result: Agreement) -> None:
    if result.left_out:
        names = ", ".join(result.left_out[:3]) + (" ..." if len(result.left_out) > 3 else "")
        note(f"{len(result.left_out)} videos are coded by one of them alone and are left out: {names}")
    if not result.lengths_known:
        note("a video is not where its .eaf file says, so its length is unknown: frames end with the last event")
