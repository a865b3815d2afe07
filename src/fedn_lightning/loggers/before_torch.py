"""What a training does before it imports torch: it asks for large pages, and imports what W&B imports later.

Torch asks the system for pages of 2 MiB if this variable is set when it first takes memory. The activations of a batch
come and go with every step, and each time the system makes their pages anew: large ones take less of its time.

When a run starts, W&B imports its launch package, whose models read their own source for documentation, and each of
these look-ups walks all loaded modules. Torch and Lightning bring thousands: after them the same import takes six times
as long (1.3 s instead of 0.2 s of processor time on a busy machine). Can go when W&B no longer imports it.
"""

import contextlib
import os

os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")

if os.environ.get("WANDB_MODE") != "disabled":
    with contextlib.suppress(ImportError):  # a package of W&B's own, which it may move
        import wandb.sdk.launch  # noqa: F401
