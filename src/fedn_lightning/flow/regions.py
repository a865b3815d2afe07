"""Which parts of the canonical face crop are looked at.

The clip store puts the eyes of every face at the same two places (:mod:`fedn_lightning.video.alignment`), so brows,
nose and mouth lie at nearly the same places too: regions are fixed rectangles of the crop, wide enough for the
differences between faces, and no landmark is needed but the eyes. Which regions is the choice of the published family
(brows, nose wings, mouth corners); their extent is ours (O).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

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
"""Where expressions are looked for. The eyes are left out: they blink and look around."""

CELLS = 16
"""Cells on a side of the grid on which flow is averaged; the edges of all regions lie on it."""

Cells = npt.NDArray[np.float32]
"""`(T, CELLS, CELLS, 2)` float32: mean displacement `(x, y)` of each cell of the crop."""

EYES_APART = EYE_DISTANCE * CELLS
"""Distance of the eye centres in cells."""


def region_means(cells: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Mean displacement of every region.

    Args:
        cells: `(T, CELLS, CELLS, 2)`.

    Returns:
        `(T, len(REGIONS), 2)` float64, in the unit of `cells`.
    """
    means = []
    for region in REGIONS:
        rows, columns = (slice(round(a * CELLS), round(b * CELLS)) for a, b in (region[2::2], region[1::2]))
        means.append(cells[:, rows, columns].mean(axis=(1, 2), dtype=np.float64))
    return np.stack(means, axis=1)


def region_centres() -> npt.NDArray[np.complex128]:
    """Centres of the regions, `(len(REGIONS),)` complex `x + iy` in cells, cell centres at whole numbers."""
    middles = [complex(r.left + r.right, r.top + r.bottom) / 2 for r in REGIONS]
    return np.array(middles) * CELLS - (0.5 + 0.5j)
