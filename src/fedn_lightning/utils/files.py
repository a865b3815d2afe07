"""Files: atomic writes, digests, locks between processes, and arrays that are mapped when they are read."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import tempfile
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from filelock import FileLock

from fedn_lightning.errors import StoreError


def write_atomically(path: str | Path, write: Callable[[Path], object]) -> Path:
    """Lets `write` fill a temporary file beside `path` and then puts it in place.

    Neither a reader nor a killed run ever sees half a file.

    Args:
        path: the file; its folder is made.
        write: receives the temporary path, which has the same suffix.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}.", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        write(temporary)
        temporary.chmod(0o644)  # mkstemp gives the owner alone access
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def checksum(path: Path) -> str | None:
    """SHA-256 of a file in hexadecimal; None if it cannot be read."""
    try:
        return digest_file(path)
    except OSError:
        return None


def write_text(path: str | Path, text: str) -> Path:
    """Writes a text file atomically."""
    return write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def write_json(path: str | Path, value: Any) -> Path:
    """Writes JSON atomically; a number that is not defined (NaN, infinity) becomes null, as JSON has no such values."""
    return write_text(path, json.dumps(plain(value), indent=2, ensure_ascii=False) + "\n")


def plain(value: Any) -> Any:
    """A value of JSON's types: numbers of numpy and torch become Python's; NaN and infinity become None."""
    if isinstance(value, dict):
        return {str(key): plain(child) for key, child in value.items()}
    if isinstance(value, list | tuple):
        return [plain(child) for child in value]
    if hasattr(value, "item"):  # numbers of numpy and torch
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def digest_file(path: str | Path) -> str:
    """The SHA-256 of a file, in hexadecimal digits.

    Raises:
        OSError: if it cannot be read.
    """
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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


MAX_OPEN = 64
"""Arrays that a process keeps mapped for the next read; each holds a file open, and a process may hold 256 or so."""


class StoredArray:
    """An array in a `.npy` file, mapped into memory when it is indexed. A slice is a view of the file.

    Attributes:
        shape: of the array.
        dtype: of its elements.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        array = self._array()
        self.shape, self.dtype = array.shape, array.dtype

    def __len__(self) -> int:
        return int(self.shape[0])

    def __getitem__(self, index: Any) -> Any:
        return self._array()[index]

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> npt.NDArray[Any]:
        return np.array(self._array(), dtype, copy=copy)

    def _array(self) -> npt.NDArray[Any]:
        state = os.stat(self.path)  # noqa: PTH116 - called for every window
        # A file that was written anew is another file.
        return _mapped(self.path, state.st_mtime_ns, state.st_size)


@lru_cache(MAX_OPEN)
def _mapped(path: str, modified: int, size: int) -> npt.NDArray[Any]:
    array: npt.NDArray[Any] = np.load(path, mmap_mode="r")
    return array


def unmap_all() -> None:
    """Unmaps all files until they are read again; mapped pages count as memory of the process."""
    _mapped.cache_clear()
