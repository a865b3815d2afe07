"""The weights that travel in the package: a detector that needs no training and no `--ckpt`.

`make weights` trains them; `scripts/pack_weights.py` puts them here, with their recipe and a SHA-256. README.md is
their model card.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final

from fedn_lightning.errors import CheckpointError
from fedn_lightning.utils.files import digest_file

FOLDER: Final = Path(__file__).parent

CHECKPOINT: Final = "fedn_plus.ckpt"
"""The detector: weights, thresholds and the settings to run it; read with `weights_only`."""

DIGESTS: Final = "SHA256SUMS"
"""The hash of the checkpoint, as `sha256sum --check` reads it."""

RECIPE: Final = "recipe.yaml"
"""The configuration of the run that trained it."""


@cache
def shipped() -> Path:
    """The checkpoint in the package, whose content is the one that was published.

    Raises:
        CheckpointError: if the file is missing or its SHA-256 is another.
    """
    path = FOLDER / CHECKPOINT
    if not path.is_file():
        msg = f"The package holds no weights ({path} is missing); install it again, or name a checkpoint (--ckpt)."
        raise CheckpointError(msg)
    expected = published_digest()
    found = digest_file(path)
    if found != expected:
        raise CheckpointError(
            f"{path} is not the file that was published: its SHA-256 is {found[:16]}..., not {expected[:16]}.... "
            "Install the package again, or name a checkpoint (--ckpt)."
        )
    return path


def published_digest() -> str:
    """The SHA-256 that :data:`DIGESTS` gives.

    Raises:
        CheckpointError: if it gives none.
    """
    path = FOLDER / DIGESTS
    words = path.read_text(encoding="utf-8").split() if path.is_file() else []
    if len(words) != 2 or words[1] != CHECKPOINT:
        raise CheckpointError(
            f"{path} does not hold the hash of {CHECKPOINT}; install the package again, or name a checkpoint (--ckpt)."
        )
    return words[0]
