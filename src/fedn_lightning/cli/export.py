"""`fedn export`: a checkpoint as ONNX files, checked against PyTorch."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    made = argparse.ArgumentParser(
        prog="fedn export",
        description="Writes a checkpoint as encoder.onnx (face crops to frame features) and detector.onnx (windows of "
        "features to intervals and scores), with a page of facts fedn.json, and compares both with PyTorch.",
        epilog="docs/export.md shows how to use the files by onnxruntime alone. Takes about half a minute.",
    )
    made.add_argument(
        "--ckpt", required=True, metavar="FILE", help="checkpoint, e.g. runs/synthetic/checkpoints/best.ckpt"
    )
    made.add_argument("--onnx", action="store_true", help="as ONNX: the one format there is, and so the default")
    made.add_argument("--align", choices=("video", "track", "none"), help="how faces were aligned, if it does not say")
    made.add_argument("--out", metavar="DIR", help="folder to write to (default: onnx, beside the checkpoint)")
    return made


def main(argv: list[str]) -> int:
    """Runs the command.

    Args:
        argv: the words after `fedn export`.

    Returns:
        0.

    Raises:
        FednError: if the checkpoint cannot be read, packages are missing, or ONNX and PyTorch differ.
    """
    args = parser().parse_args(argv)
    print("translating and comparing, about half a minute ...", file=sys.stderr)
    from fedn_lightning.export.onnx_files import check_packages, export

    check_packages()
    folder = Path(args.out) if args.out else Path(args.ckpt).parent / "onnx"
    exported = export(args.ckpt, folder, args.align)
    for note in exported.notes:
        print(f"fedn: {note}", file=sys.stderr)
    for file in exported.files:
        print(f"{file}  {file.stat().st_size / 1e6:.2f} MB")
    print("largest difference from PyTorch, on a generated face and on random input:")
    for found in exported.differences:
        print(f"  {found.graph + '.' + found.output:<20}  {found.largest:.1e}  (values up to {found.scale:.3g})")
    return 0
