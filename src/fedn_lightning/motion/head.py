"""The head's own motion, which is the same all over the head, taken off the motion of its regions.

The published methods take off the displacement of the nose. One more step is ours (O): cells all over the head vote for
a similarity transform, so that nodding nearer and tilting are taken off too, and cells that an expression moves are
outvoted.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from fedn_lightning.events import FloatArray
from fedn_lightning.motion.flow import CELLS, region_centres, region_means

HeadModel = Literal["similarity", "nose", "none"]

NOSE = (slice(5, 8), slice(7, 9))
"""Rows and columns of the cells on the bridge of the nose."""

ITERATIONS = 6
LEAST_REACH = 0.03 / 8
"""Cells that follow the head's motion this closely, in cells, have their full say: flow is no more exact than that."""

ComplexArray = npt.NDArray[np.complex128]


def steady_cells() -> npt.NDArray[np.bool_]:
    """Cells `(CELLS, CELLS)` that mostly move with the head: forehead, bridge of the nose, sides of the cheeks.

    >>> int(steady_cells().sum())
    48
    """
    steady = np.zeros((CELLS, CELLS), np.bool_)
    for rows, columns in (((0, 2), (4, 12)), ((3, 9), (7, 9))):
        steady[slice(*rows), slice(*columns)] = True
    for column, first, last in ((3, 5, 11), (4, 6, 10)):
        steady[first:last, [column, CELLS - 1 - column]] = True
    return steady


def without_head(cells: npt.NDArray[np.floating], model: HeadModel = "similarity") -> FloatArray:
    """What the regions move by themselves.

    Args:
        cells: `(T, CELLS, CELLS, 2)` displacements in cells.
        model: `similarity`, `nose` (its mean displacement) or `none` (nothing is taken off).

    Returns:
        `(T, R, 2)` float64, in cells.
    """
    moved = region_means(cells)
    if model == "none":
        return moved
    if model == "nose":
        nose: FloatArray = cells[:, *NOSE].mean(axis=(1, 2), dtype=np.float64)
        return moved - nose[:, None]
    return moved - head_motion(cells, region_centres())


def head_motion(cells: npt.NDArray[np.floating], wanted: ComplexArray) -> FloatArray:
    """How far points of the face would have moved with the head alone.

    Args:
        cells: `(T, CELLS, CELLS, 2)` displacements in cells.
        wanted: `(M,)` points as `x + iy` in cells.

    Returns:
        `(T, M, 2)` float64, in cells.
    """
    steady = steady_cells()
    row, column = np.nonzero(steady)
    displaced = cells[:, steady].astype(np.float64)
    head = fit_and_apply(column + 1j * row, displaced[..., 0] + 1j * displaced[..., 1], wanted)
    return np.stack([head.real, head.imag], axis=-1)


def fit_and_apply(places: ComplexArray, displaced: ComplexArray, wanted: ComplexArray) -> ComplexArray:
    """Displacements under the similarity transform that most points follow, fitted to every frame by itself.

    Iteratively reweighted least squares with Tukey's weights, for all frames at once.

    Args:
        places: `(N,)` points as `x + iy`.
        displaced: `(T, N)` what each moved.
        wanted: `(M,)` other points.

    Returns:
        `(T, M)` what these would have moved.

    >>> fit_and_apply(np.array([0, 1, 1j]), np.array([[2, 2.5, 2 + 0.5j]]), np.array([2 + 0j])).round(6)
    array([[3.+0.j]])
    """
    weight = np.ones(displaced.shape)
    for _ in range(ITERATIONS):
        total = weight.sum(axis=1, keepdims=True)
        place = (weight @ places)[:, None] / total
        shift = (weight * displaced).sum(axis=1, keepdims=True) / total
        away = places - place
        turn = (weight * (displaced - shift) * away.conj()).sum(axis=1, keepdims=True)
        turn /= (weight * np.abs(away) ** 2).sum(axis=1, keepdims=True)
        off = np.abs(shift + turn * away - displaced)
        reach = np.maximum(3 * 1.4826 * np.median(off, axis=1, keepdims=True), LEAST_REACH)
        weight = np.clip(1 - (off / reach) ** 2, 0, None) ** 2 + 1e-9
    return np.asarray(shift + turn * (wanted - place), np.complex128)
