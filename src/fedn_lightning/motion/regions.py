"""Regions of an aligned face and how they move without the head.

The head's own motion is the same all over the head. The published methods subtract the displacement of the nose. Ours
(O) goes one step further: cells all over the head are fitted by a similarity transform, which also removes nods and
tilts, and in which cells that an expression moves are outliers. A head that turns moves its near parts farther than its
far ones; a depth of the face as a third term removes that too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from fedn_lightning.events import FloatArray
from fedn_lightning.video.alignment import EYE_DISTANCE


class Region(NamedTuple):
    """A rectangle of the crop, its edges as parts of the crop's side; left and right as seen in the picture."""

    name: str
    left: float
    top: float
    right: float
    bottom: float


REGIONS = (
    Region("inner brow, left", 5 / 16, 2 / 16, 7 / 16, 4 / 16),
    Region("inner brow, right", 9 / 16, 2 / 16, 11 / 16, 4 / 16),
    Region("outer brow, left", 3 / 16, 2 / 16, 5 / 16, 4 / 16),
    Region("outer brow, right", 11 / 16, 2 / 16, 13 / 16, 4 / 16),
    Region("nose wing, left", 5 / 16, 7 / 16, 7 / 16, 9 / 16),
    Region("nose wing, right", 9 / 16, 7 / 16, 11 / 16, 9 / 16),
    Region("mouth corner, left", 4 / 16, 11 / 16, 6 / 16, 13 / 16),
    Region("mouth corner, right", 10 / 16, 11 / 16, 12 / 16, 13 / 16),
    Region("lips, left", 6 / 16, 11 / 16, 7 / 16, 13 / 16),
    Region("lips, right", 9 / 16, 11 / 16, 10 / 16, 13 / 16),
)
"""Regions that expressions move. The eyes are left out, because they blink and look around."""

CELLS = 16
"""Cells on a side of the grid on which flow is averaged; the edges of all regions lie on it."""

Cells = npt.NDArray[np.float32]
"""`(T, CELLS, CELLS, 2)` float32: mean displacement `(x, y)` of each cell of the crop."""

EYES_APART = EYE_DISTANCE * CELLS
"""Distance of the eye centres in cells."""


def region_means(cells: npt.NDArray[np.floating], regions: Sequence[Region] = REGIONS) -> npt.NDArray[np.float64]:
    """Mean displacement of every region.

    Args:
        cells: `(T, CELLS, CELLS, 2)`.
        regions: R rectangles whose edges lie on the cells.

    Returns:
        `(T, R, 2)` float64, in the unit of `cells`.
    """
    means = []
    for region in regions:
        rows, columns = (slice(round(a * CELLS), round(b * CELLS)) for a, b in (region[2::2], region[1::2]))
        means.append(cells[:, rows, columns].mean(axis=(1, 2), dtype=np.float64))
    return np.stack(means, axis=1)


def region_centres(regions: Sequence[Region] = REGIONS) -> npt.NDArray[np.complex128]:
    """Centres of the R regions, `(R,)` complex `x + iy` in cells, cell centres at whole numbers."""
    middles = [complex(r.left + r.right, r.top + r.bottom) / 2 for r in regions]
    return np.array(middles) * CELLS - (0.5 + 0.5j)


HeadModel = Literal["similarity", "depth", "nose", "none"]

NOSE = (slice(5, 8), slice(7, 9))
"""Rows and columns of the cells on the bridge of the nose."""

ITERATIONS = 6
MIN_REACH = 0.03 / 8
"""Cells within this distance of the head's motion, in cells, keep their full weight: flow is not more exact."""

MIDDLE = (CELLS - 1) / 2 * (1 + 1j)
"""The middle of the crop as `x + iy` in cells."""


class Bowl(NamedTuple):
    """A paraboloid that stands for the depth of a face: its middle and half axes in cells."""

    x: float
    y: float
    half_width: float
    half_height: float


FACE = Bowl(7.5, 7.0, 7.5, 9.0)

SHRINKAGE = 1e-3
"""Share of the mean of their diagonal that is added to the normal equations with depth: few cells suggest no turn."""

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
    """The regions' own motion, without the head's.

    Args:
        cells: `(T, CELLS, CELLS, 2)` displacements in cells.
        model: what is subtracted: `similarity` transform, that and a shift in proportion to `depth`, mean displacement
            of the `nose`, or `none`.

    Returns:
        `(T, R, 2)` float64, in cells.
    """
    moved = region_means(cells)
    if model == "none":
        return moved
    if model == "nose":
        nose: FloatArray = cells[:, *NOSE].mean(axis=(1, 2), dtype=np.float64)
        return moved - nose[:, None]
    return moved - head_motion(cells, region_centres(), depth=model == "depth")


def head_motion(cells: npt.NDArray[np.floating], wanted: ComplexArray, depth: bool = False) -> FloatArray:
    """The displacement that points of the face have with the head alone.

    Args:
        cells: `(T, CELLS, CELLS, 2)` displacements in cells.
        wanted: `(M,)` points as `x + iy` in cells.
        depth: besides a similarity transform, a shift in proportion to the depth of the face, as when a head turns.

    Returns:
        `(T, M, 2)` float64, in cells.
    """
    steady = steady_cells()
    row, column = np.nonzero(steady)
    displaced = cells[:, steady].astype(np.float64)
    head = fit_and_apply(
        terms(column + 1j * row, depth), displaced[..., 0] + 1j * displaced[..., 1], terms(wanted, depth)
    )
    return np.stack([head.real, head.imag], axis=-1)


def terms(points: ComplexArray, depth: bool) -> ComplexArray:
    """What the motion of a head is a sum of, at points `(N,)` given as `x + iy` in cells.

    Returns:
        `(N, 2)`: shift; turn and change of size about the middle of the crop. With `depth` `(N, 3)`: also the depth of
        the face, to which the motion of a head that turns left and right, or up and down, is proportional.
    """
    found: list[ComplexArray] = [np.ones_like(points), np.asarray(points - MIDDLE)]
    if depth:
        x, y = (points.real - FACE.x) / FACE.half_width, (points.imag - FACE.y) / FACE.half_height
        found.append(np.asarray(-(x**2) - y**2, np.complex128))
    return np.stack(found, axis=1)


def fit_and_apply(known: ComplexArray, displaced: ComplexArray, wanted: ComplexArray) -> ComplexArray:
    """Displacements under the motion that most points follow, fitted to each frame separately.

    Iteratively reweighted least squares with Tukey's weights, for all frames at once.

    Args:
        known: `(N, K)` :func:`terms` of the points.
        displaced: `(T, N)` their displacements.
        wanted: `(M, K)` terms of other points.

    Returns:
        `(T, M)` displacements of these.

    >>> places = np.array([0, 1, 1j, 1 + 1j])
    >>> moved = (2 + 0.5 * places)[None]
    >>> fit_and_apply(terms(places, False), moved, terms(np.array([2 + 0j]), False)).round(6)
    array([[3.+0.j]])
    """
    count = known.shape[1]
    products = (known.conj()[:, :, None] * known[:, None, :]).reshape(len(known), -1)
    weight = np.ones(displaced.shape)
    for _ in range(ITERATIONS):
        normal = (weight @ products).reshape(-1, count, count)
        if count > 2:
            normal += SHRINKAGE * np.trace(normal, axis1=1, axis2=2).real[:, None, None] / count * np.eye(count)
        shares = np.linalg.solve(normal, ((weight * displaced) @ known.conj())[..., None])[..., 0]
        off = np.abs(shares @ known.T - displaced)
        reach = np.maximum(3 * 1.4826 * np.median(off, axis=1, keepdims=True), MIN_REACH)
        weight = np.clip(1 - (off / reach) ** 2, 0, None) ** 2 + 1e-9
    return np.asarray(shares @ wanted.T, np.complex128)
