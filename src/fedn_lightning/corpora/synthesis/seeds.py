"""Random streams of the generated data: every draw has an address, so nothing depends on the order of the work."""

from __future__ import annotations

from typing import Final

import numpy as np

CORPUS: Final = 1
"""Namespace of the people in the generated corpora."""
STILLS: Final = 2
"""Namespace of the people on the still images; they occur in no corpus."""


def stream(namespace: int, seed: int, *address: int) -> np.random.Generator:
    """A generator of its own for one address, e.g. one video's blinks.

    Args:
        namespace: :data:`CORPUS` or :data:`STILLS`.
        seed: the user's seed, not negative.
        address: what the draws are for, as small non-negative numbers.

    Returns:
        A generator that is independent of every other address's.
    """
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(namespace, *address)))


def identity_seed(namespace: int, seed: int, *address: int) -> int:
    """Seed of one person, a 64-bit number whose top byte is the namespace.

    The top byte makes it impossible, rather than unlikely, that a person of the still images occurs in a corpus.

    >>> identity_seed(STILLS, 0, 4) >> 56
    2
    """
    sequence = np.random.SeedSequence(seed, spawn_key=(namespace, *address))
    return namespace << 56 | int(sequence.generate_state(1, np.uint64)[0]) >> 8
