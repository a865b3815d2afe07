"""How much an encoder's features change with an expression, and whether they change alike on different people.

No detector is needed: features of quiet frames, of onsets and of apexes are enough.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class FeatureMotion:
    """The features of `N` expressions."""

    jump: FloatArray  # `(N, D)`, feature of the apex minus that of the onset
    quiet: FloatArray  # `(N, D)`, the change over as many frames without an expression
    emotion: npt.NDArray[np.str_]  # `(N,)` class of each expression
    person: npt.NDArray[np.int64]  # `(N,)` who shows it

    def directions(self) -> dict[tuple[str, int], FloatArray]:
        """Unit vector of the mean jump of each class on each person."""
        found = {}
        for emotion, person in dict.fromkeys(zip(self.emotion.tolist(), self.person.tolist(), strict=True)):
            chosen = (self.emotion == emotion) & (self.person == person)
            found[emotion, person] = _unit(self.jump[chosen].mean(axis=0))
        return found


def jump_over_quiet(motion: FeatureMotion) -> float:
    """Mean length of the jump from onset to apex over the mean length of the quiet change; NaN if nothing is quiet.

    >>> one = np.ones((2, 3))
    >>> round(jump_over_quiet(FeatureMotion(3 * one, one, np.array(["fear", "fear"]), np.array([0, 1]))), 6)
    3.0
    """
    quiet = np.linalg.norm(motion.quiet, axis=1).mean()
    return float(np.linalg.norm(motion.jump, axis=1).mean() / quiet) if quiet else float("nan")


def jump_along_class(motion: FeatureMotion, reference: FeatureMotion) -> float:
    """Mean jump along the direction that a class has on other people, over the mean quiet change along it.

    Args:
        motion: the expressions that are measured.
        reference: the people whose mean directions are used; where it is `motion`, an expression's own person is
            left out.

    Returns:
        0 if these people's features do not move along the reference directions; NaN if nothing is quiet.
    """
    directions = reference.directions()
    jumps, quiets = [], []
    for row, (emotion, person) in enumerate(zip(motion.emotion.tolist(), motion.person.tolist(), strict=True)):
        others = [
            direction
            for (known, who), direction in directions.items()
            if known == emotion and not (reference is motion and who == person)
        ]
        if others:
            direction = _unit(np.mean(others, axis=0))
            jumps.append(motion.jump[row] @ direction)
            quiets.append(abs(motion.quiet[row] @ direction))
    return float(np.mean(jumps) / np.mean(quiets)) if quiets and np.mean(quiets) else float("nan")


def direction_cosine(first: FeatureMotion, second: FeatureMotion) -> float:
    """Mean cosine between the directions of one class on two people, over all classes and pairs of people.

    Args:
        first: expressions of some people.
        second: of others; where it is `first`, a person is not compared with themselves.

    Returns:
        1 if every class moves the features of everyone alike, 0 if not at all; NaN without a pair.
    """
    cosines = [
        float(ours @ theirs)
        for (emotion, person), ours in first.directions().items()
        for (other, who), theirs in second.directions().items()
        if emotion == other and not (first is second and person == who)
    ]
    return float(np.mean(cosines)) if cosines else float("nan")


def _unit(vector: FloatArray) -> FloatArray:
    return vector / max(float(np.linalg.norm(vector)), 1e-12)
