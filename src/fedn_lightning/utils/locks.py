"""A lock between processes, so that folds started at once do not prepare one store several times."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock

from fedn_lightning.errors import StoreError


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Waits until no other process holds the lock file, and holds it meanwhile.

    The system releases it when a process dies.

    Raises:
        StoreError: if the file cannot be made.
    """
    lock = FileLock(path)
    try:
        lock.acquire()
    except OSError as error:
        msg = f"{path.parent} cannot be written ({error.strerror}), so the clip store cannot be filled."
        raise StoreError(msg) from None
    try:
        yield
    finally:
        lock.release()
