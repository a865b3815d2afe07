"""The movement of each part of a face in each frame, collected while its crops come."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fedn_lightning.motion.features import FILTERS, MIN_NOISE, N_TRACKS, excursions, reach, tracks
from fedn_lightning.motion.flow import FlowStream, MotionConfig
from fedn_lightning.motion.regions import REGIONS

BLOCK = 8192
"""Frames that are filtered and written together, so that memory does not grow with them."""


@dataclass(frozen=True)
class FrameMeasures:
    """The measures of one face, a row for each crop (at the rate that the network works at)."""

    # `(M, N_TRACKS, 2)` float16, distance of each part from its resting position in eye distances, x to the right and y
    # down as seen in the picture; the last rows are four points of the head itself
    moved: npt.NDArray[np.float16]
    movement: npt.NDArray[np.float32]  # `(M,)` float32, the greatest length among the parts that expressions move


@dataclass(frozen=True)
class Baseline:
    """A neutral stretch of one person, to which measures are relative."""

    face: int  # number of the face, from 1
    start: int  # first frame of the video, 0-based
    end: int  # one past the last
    how: str  # `given`, or `quietest`
    movement: float  # usual size of the movement there, median over the parts that expressions move, eye distances
    reached: tuple[float, float]  # greatest confidence of a macro- and a micro-expression proposed there


def relative(measures: FrameMeasures, rows: npt.NDArray[np.int64]) -> tuple[FrameMeasures, float]:
    """Measures in multiples of the usual size of each part's motion in some rows, about its mean there.

    Args:
        measures: in eye distances.
        rows: of the neutral stretch; a row may stand there more than once.

    Returns:
        The measures, and the median of the usual sizes among the parts that expressions move, in eye distances.
    """
    rest = measures.moved[np.unique(rows)].astype(np.float64)
    middle = rest.mean(axis=0)
    usual = np.maximum(np.sqrt(((rest - middle) ** 2).sum(axis=-1).mean(axis=0)), MIN_NOISE)
    moved = np.empty_like(measures.moved)
    for start in range(0, len(moved), BLOCK):
        block = slice(start, start + BLOCK)
        moved[block] = (measures.moved[block].astype(np.float64) - middle) / usual[:, None]
    return FrameMeasures(moved, _movement(moved)), float(np.median(usual[: len(REGIONS)]))


def _movement(moved: npt.NDArray[np.float16]) -> npt.NDArray[np.float32]:
    """The greatest length among the parts that expressions move."""
    lengths = np.linalg.norm(moved[:, : len(REGIONS)].astype(np.float32), axis=-1)
    return np.asarray(lengths.max(axis=1, initial=0.0), np.float32)


class MovementWatch:
    """Collects the movement of one face while its crops come.

    Args:
        n_frames: how many crops will come.
        fps: their rate.
        config: how motion is measured.
    """

    def __init__(self, n_frames: int, fps: float, config: MotionConfig) -> None:
        self._flow = FlowStream(n_frames, fps, config)
        self.fps = fps
        self._tracks: list[npt.NDArray[np.float32]] = []

    def add(self, crops: npt.NDArray[np.uint8]) -> None:
        """Takes the next crops `(T, S, S, 3)`, where nobody else measures their motion."""
        cells = self._flow.add(crops)
        if len(cells):
            self.take(tracks(cells))

    def take(self, moved: npt.NDArray[np.float32]) -> None:
        """Takes the next displacements `(T, N_TRACKS, 2)` of :func:`fedn_lightning.motion.features.tracks`."""
        self._tracks.append(moved)

    def measures(self) -> FrameMeasures:
        """The measures of all crops, once they have come."""
        whole = np.concatenate(self._tracks) if self._tracks else np.empty((0, N_TRACKS, 2), np.float32)
        blocks = list(_excursions(whole, self.fps))
        moved = np.concatenate(blocks) if blocks else whole.astype(np.float16)
        return FrameMeasures(moved, _movement(moved))


def _excursions(moved: npt.NDArray[np.float32], fps: float) -> Iterator[npt.NDArray[np.float16]]:
    """Distances from the resting position in blocks, equal to those of the whole."""
    margin, grid = reach(fps)
    for start in range(0, len(moved), BLOCK):
        first = max(start - margin, 0) // grid * grid
        part = excursions(moved[first : start + BLOCK + margin], fps, *FILTERS[0])
        yield part[start - first :][:BLOCK].astype(np.float16)
