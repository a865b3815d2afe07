"""`fedn data faces`: draws a contact sheet of generated faces."""

from __future__ import annotations

import argparse
from pathlib import Path

from fedn_lightning.errors import ConfigError


def build_parser() -> argparse.ArgumentParser:
    """The command's options."""
    parser = argparse.ArgumentParser(
        prog="fedn data faces",
        description="Draws a contact sheet of generated faces: neutral and the apex of every emotion in columns, "
        "people in rows, and below them micro-expressions beside their onset.",
    )
    parser.add_argument("--out", required=True, help="picture to write; .png or .jpg")
    parser.add_argument("--seed", type=int, default=0, help="which people are drawn (default: 0)")
    parser.add_argument("--identities", type=int, default=6, help="how many people are drawn (default: 6)")
    return parser


def main(argv: list[str]) -> int:
    """Runs the command.

    Args:
        argv: the words after `fedn data faces`.

    Returns:
        Exit code 0.

    Raises:
        ConfigError: if an option has a value that cannot work.
    """
    options = build_parser().parse_args(argv)
    out = Path(options.out)
    if out.suffix.lower() not in (".png", ".jpg"):
        msg = f"--out {options.out} must end in .png or .jpg, so that it is clear which kind of picture is meant."
        raise ConfigError(msg)
    if options.seed < 0 or options.identities < 1:
        msg = f"--seed must be at least 0 and --identities at least 1, got {options.seed} and {options.identities}."
        raise ConfigError(msg)

    import cv2

    from fedn_lightning.corpora.synthesis.contact_sheet import contact_sheet

    sheet = contact_sheet(options.seed, options.identities)
    out.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(out), cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))
    print(f"{options.identities} people, {sheet.shape[1]} x {sheet.shape[0]} px: {out}")
    return 0
