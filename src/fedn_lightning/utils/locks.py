"""A lock between processes, so that folds started at once do not prepare one store several times."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

from fedn_lightning.errors import StoreError


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Waits until no other process holds the lock file, and holds it meanwhile.

    The system lets go of it when a process dies, however that happens.

    Raises:
        StoreError: if the file cannot be made.
    """
    try:
        file = path.open("a")
    except OSError as error:
        msg = f"{path.parent} cannot be written ({error.strerror}), so the clip store cannot be filled."
        raise StoreError(msg) from None
    with file:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        yield
