"""Puts the best checkpoint of a run into the package: without the optimiser's state, with hash and recipe.

python scripts/pack_weights.py runs/weights
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import torch

from fedn_lightning.models.checkpoints import read_checkpoint
from fedn_lightning.results.names import BEST, CONFIG
from fedn_lightning.utils.files import digest_file, write_atomically
from fedn_lightning.weights import CHECKPOINT, DIGESTS, FOLDER, RECIPE


def pack(run: Path, folder: Path) -> Path:
    """Writes checkpoint, hash and recipe of a run.

    Args:
        run: of `fedn fit`, finished.
        folder: where they go.

    Returns:
        The checkpoint.
    """
    content = read_checkpoint(run / BEST)
    # A plain dict and tensors of their own: no optimiser, and no view of a larger storage.
    weights = {name: value.clone() for name, value in content["state_dict"].items()}
    path = write_atomically(folder / CHECKPOINT, partial(torch.save, {"fedn": content["fedn"], "state_dict": weights}))
    write_atomically(folder / DIGESTS, lambda file: file.write_text(f"{digest_file(path)}  {CHECKPOINT}\n"))
    recipe = (run / CONFIG).read_text(encoding="utf-8")
    write_atomically(folder / RECIPE, lambda file: file.write_text(recipe, encoding="utf-8"))
    return path


if __name__ == "__main__":
    packed = pack(Path(sys.argv[1]), FOLDER)
    print(f"{packed}: {packed.stat().st_size / 1e6:.2f} MB, SHA-256 {digest_file(packed)}")
