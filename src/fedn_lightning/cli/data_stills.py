"""`fedn data stills`: writes generated still images to pre-train the encoder on."""

from __future__ import annotations

import argparse
from pathlib import Path


def main(argv: list[str]) -> int:
    """Runs the command.

    Args:
        argv: the words after `fedn data stills`.

    Returns:
        0; errors are raised as :class:`~fedn_lightning.errors.FednError`.
    """
    parser = argparse.ArgumentParser(
        prog="fedn data stills",
        description="Photographs generated people who occur in no generated corpus, showing the eight classes of "
        "AffectNet and in its layout. Interrupted, the same command goes on where it stopped.",
    )
    parser.add_argument("--out", type=Path, required=True, help="folder to write to: new, empty, or begun before")
    parser.add_argument("--seed", type=int, default=0, help="another seed, other people (default: 0)")
    parser.add_argument("--identities", type=int, default=600, help="number of people (default: 600)")
    parser.add_argument("--per-identity", type=int, default=20, help="stills of each (default: 20)")
    parser.add_argument("--size", type=int, default=160, help="side of the stills in pixels (default: 160)")
    parser.add_argument("--jobs", type=int, default=None, help="number of processes (default: one per core)")
    options = parser.parse_args(argv)
    from fedn_lightning.corpora.synthesis.stills import StillsJob, write_stills

    job = StillsJob(options.seed, options.identities, options.per_identity, options.size)
    stills = write_stills(options.out, job, options.jobs)
    print(
        f"{options.out}: {stills['n_train']} stills to train on, {stills['n_val']} of other people to validate on. "
        f"{stills['licence']}"
    )
    return 0
