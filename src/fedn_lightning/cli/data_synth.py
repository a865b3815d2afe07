"""`fedn data synth`: writes the generated corpus."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import get_args


def main(argv: list[str]) -> int:
    """Runs the command.

    Args:
        argv: the words after `fedn data synth`.

    Returns:
        0; errors are raised as :class:`~fedn_lightning.errors.FednError`.
    """
    from fedn_lightning.corpora.synthesis.encode import Form
    from fedn_lightning.corpora.synthesis.presets import PRESETS

    parser = argparse.ArgumentParser(
        prog="fedn data synth",
        description="Films generated faces and writes the videos, their annotation workbook and the truth about them "
        "as CAS(ME)^2 lies on disk. Interrupted, the same command goes on where it stopped.",
    )
    parser.add_argument("--preset", choices=PRESETS, default="standard", help="size of the corpus (default: standard)")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to: new, empty, or begun before")
    parser.add_argument("--seed", type=int, default=0, help="another seed, other people and expressions (default: 0)")
    parser.add_argument("--as", dest="form", choices=get_args(Form), default="video", help="form of the videos")
    parser.add_argument("--jobs", type=int, default=None, help="number of processes (default: one per core)")
    parser.add_argument("--hard", action="store_true", help="stronger distractors, other light, stronger compression")
    options = parser.parse_args(argv)
    from fedn_lightning.corpora.synthesis.write import Job, write_corpus

    corpus = write_corpus(options.out, Job(options.preset, options.seed, options.form, options.hard), options.jobs)
    print(
        f"{options.out}: {corpus['n_subjects']} subjects, {corpus['n_videos']} videos, {corpus['n_frames']} frames, "
        f"{corpus['n_macro']} macro- and {corpus['n_micro']} micro-expressions. {corpus['licence']}"
    )
    return 0
