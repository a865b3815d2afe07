"""Damages to bytes, text and JSON, each drawn from a seeded generator so that a case can be made again."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

Damage = Callable[[bytes, Random], bytes]

HEAD = 64
"""Bytes at the start that some damages leave, so that the file is still taken for what it was."""


def truncate(data: bytes, rng: Random) -> bytes:
    """The start of the file."""
    return data[: rng.randrange(len(data))]


def flip_bits(data: bytes, rng: Random) -> bytes:
    """One to 20 bits turned round."""
    out = bytearray(data)
    for _ in range(rng.randint(1, 20)):
        out[rng.randrange(len(out))] ^= 1 << rng.randrange(8)
    return bytes(out)


def _stretch(data: bytes, rng: Random) -> tuple[int, int]:
    """A stretch of at most a tenth of the file."""
    start = rng.randrange(min(HEAD, len(data) - 1), len(data))
    return start, min(len(data), start + rng.randint(1, max(1, len(data) // 10)))


def zero_stretch(data: bytes, rng: Random) -> bytes:
    """A stretch of zeros, as a disk leaves it that was not written to the end."""
    start, end = _stretch(data, rng)
    return data[:start] + bytes(end - start) + data[end:]


def noise_stretch(data: bytes, rng: Random) -> bytes:
    """A stretch of random bytes."""
    start, end = _stretch(data, rng)
    return data[:start] + rng.randbytes(end - start) + data[end:]


def remove_stretch(data: bytes, rng: Random) -> bytes:
    """A stretch is missing."""
    start, end = _stretch(data, rng)
    return data[:start] + data[end:]


def repeat_stretch(data: bytes, rng: Random) -> bytes:
    """A stretch is there twice."""
    start, end = _stretch(data, rng)
    return data[:end] + data[start:]


def append_noise(data: bytes, rng: Random) -> bytes:
    """Random bytes behind the end."""
    return data + rng.randbytes(rng.randint(1, 4096))


def noise_only(data: bytes, rng: Random) -> bytes:
    """Random bytes alone, as many."""
    return rng.randbytes(min(len(data), 100_000))


def nothing(data: bytes, rng: Random) -> bytes:
    """An empty file."""
    return b""


BYTES: tuple[Damage, ...] = (
    truncate, truncate, flip_bits, flip_bits, zero_stretch, noise_stretch, remove_stretch, repeat_stretch, append_noise,
    noise_only, nothing,
)  # fmt: skip
"""Damages of a file that a disk or a network could do; the commonest stand twice."""

ODD_VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 1e308, 1 << 70, "", "abc", "1", "<script>alert(1)</script>", "../../etc/passwd", "a\0b", [], {},
    [None], {"": None}, [[[]]], "x" * 5000,
)  # fmt: skip
"""What may stand in JSON or YAML where something else is expected."""


def paths_of(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Where the values of nested dictionaries and lists are, the inner ones too."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in items:
        yield (*path, key)
        yield from paths_of(child, (*path, key))


def change_value(value: Any, rng: Random) -> tuple[Any, str]:
    """Nested dictionaries and lists with one value removed or replaced, and what was done."""
    changed = copy.deepcopy(value)
    *parents, last = path = rng.choice(list(paths_of(changed)))
    inner = changed
    for key in parents:
        inner = inner[key]
    where = ".".join(map(str, path))
    if rng.random() < 0.25:
        del inner[last]
        return changed, f"without {where}"
    inner[last] = odd = rng.choice(ODD_VALUES)
    return changed, f"{where} is {str(odd)[:30]!r}"
