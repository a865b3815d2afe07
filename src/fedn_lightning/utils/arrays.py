"""Arrays in files, of which any number can be at hand though few files are open."""

from __future__ import annotations

import os
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

MOST_OPEN = 64
"""Arrays that a process keeps mapped for the next read; each holds a file open, and a process may hold 256 or so."""


class StoredArray:
    """An array in a `.npy` file, mapped into memory when it is indexed. A slice is a view of the file.

    Args:
        path: the file.

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


@lru_cache(MOST_OPEN)
def _mapped(path: str, modified: int, size: int) -> npt.NDArray[Any]:
    array: npt.NDArray[Any] = np.load(path, mmap_mode="r")
    return array


def unmap_all() -> None:
    """Lets go of all files until they are read again; mapped pages count as memory of the process."""
    _mapped.cache_clear()
