"""Imports what W&B imports at the start of a run, for programs that are going to import torch.

When a run starts, W&B imports its launch package, whose models read their own source for documentation, and each of
these look-ups walks all loaded modules. Torch and Lightning bring thousands: after them the same import takes six times
as long (1.3 s instead of 0.2 s of processor time on a busy machine). Can go when W&B no longer imports it.
"""

import contextlib
import os

if os.environ.get("WANDB_MODE") != "disabled":
    with contextlib.suppress(ImportError):  # a package of W&B's own, which it may move
        import wandb.sdk.launch  # noqa: F401
