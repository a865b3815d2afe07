"""Random streams of the generated data: every draw has an address, so nothing depends on the order of the work."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

import numpy as np

CORPUS: Final = 1
"""Namespace of the people in the generated corpora; their addresses begin with the preset's key."""
STILLS: Final = 2
"""Namespace of the people on the still images, who occur in no corpus."""


class Draw(IntEnum):
    """What a stream is for; the first part of its address."""

    IDENTITY = 0
    CASTING = 1
    HABITS = 2
    ACTS = 3
    DISTRACTORS = 4
    ANNOTATION = 5
    NOISE = 6
    SITTING = 7


def stream(namespace: int, seed: int, draw: Draw, *address: int) -> np.random.Generator:
    """A generator of its own for one address, e.g. the distractors of one video.

    Args:
        namespace: :data:`CORPUS` or :data:`STILLS`.
        seed: the user's seed, not negative.
        draw: what the numbers are for.
        address: whose they are, as small non-negative numbers.

    Returns:
        A generator that is independent of every other address's.
    """
    return np.random.default_rng(_sequence(namespace, seed, draw, *address))


def identity_seed(namespace: int, seed: int, *address: int) -> int:
    """Seed of one person, a 64-bit number whose top byte is the namespace.

    The top byte makes it impossible, rather than unlikely, that a person of the still images occurs in a corpus.

    >>> identity_seed(STILLS, 0, 4) >> 56
    2
    """
    state = _sequence(namespace, seed, Draw.IDENTITY, *address).generate_state(1, np.uint64)
    return namespace << 56 | int(state[0]) >> 8


def _sequence(namespace: int, seed: int, draw: Draw, *address: int) -> np.random.SeedSequence:
    return np.random.SeedSequence(seed, spawn_key=(namespace, int(draw), *address))
