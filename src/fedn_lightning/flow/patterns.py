"""Names the emotion of an excursion by the directions in which the regions move: the simplest rule that is not blind.

Each class has one pattern, the mean of the unit vectors of its training expressions at their peak; a candidate gets the
class whose pattern it resembles most. The published methods only spot (this is ours, O): without it there would be no
detection mAP to stand beside a network's, with it the mAP says what directions of motion alone can name.
"""

from __future__ import annotations

import numpy as np

from fedn_lightning.events import FloatArray, IntArray


def directions(excursion: FloatArray, frames: IntArray) -> FloatArray:
    """The excursions in some frames as unit vectors.

    Args:
        excursion: `(T, R, 2)`.
        frames: `(N,)` int64.

    Returns:
        `(N, 2 R)` float64; zero where nothing moves.
    """
    _, regions, axes = excursion.shape
    vectors = excursion[frames].reshape(len(frames), regions * axes)  # also of a video without an expression
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(length > 0, length, 1.0), np.float64)


def mean_patterns(vectors: FloatArray, emotion: IntArray, n_classes: int) -> FloatArray:
    """The pattern of every class.

    Args:
        vectors: `(N, D)` of :func:`directions`.
        emotion: `(N,)` int64 classes; below 0 are left out.
        n_classes: number of classes.

    Returns:
        `(n_classes, D)` unit vectors, zero for a class that does not occur.
    """
    sums = np.zeros((n_classes, vectors.shape[1]))
    np.add.at(sums, emotion[emotion >= 0], vectors[emotion >= 0])
    return directions(sums[..., None], np.arange(n_classes))


def nearest(vectors: FloatArray, patterns: FloatArray) -> tuple[IntArray, FloatArray]:
    """The class of every vector.

    Args:
        vectors: `(N, D)`.
        patterns: `(C, D)`.

    Returns:
        `(N,)` int64 classes and `(N,)` float64 scores, the cosine `c` as `(1 + c) / 2`.

    >>> nearest(np.array([[0.0, 1.0]]), np.array([[1.0, 0.0], [0.0, 1.0]]))
    (array([1]), array([1.]))
    """
    cosine = vectors @ patterns.T
    return cosine.argmax(axis=1), (1 + cosine.max(axis=1)) / 2
