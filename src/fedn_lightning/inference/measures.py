"""What is measured of a face in each frame while its crops come: its movement, and whether the crop can be relied on.

A crop without a face, at a cut or blurred cannot be relied on, nor a face that is upside down, turned away or small.
Absence, cuts and blur are judged against the same video, so that no threshold depends on the camera or the person. The
rules are this project's own and find coarse faults alone. Another person in the same place shows as a cut. A mirrored
face cannot be told from the picture, and the detector's training mirrors faces at random.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any, Self

import cv2
import numpy as np
import numpy.typing as npt

from fedn_lightning.events import EventTable
from fedn_lightning.motion.features import FILTERS, MIN_NOISE, N_TRACKS, baseline, excursions, reach, tracks
from fedn_lightning.motion.flow import FlowStream, MotionConfig
from fedn_lightning.motion.regions import REGIONS
from fedn_lightning.video.alignment import canonical_eyes
from fedn_lightning.video.faces import POSE_SIDE, Pose, judge_pose
from fedn_lightning.video.timing import Timing

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

    def add(self, crops: npt.NDArray[np.uint8]) -> npt.NDArray[np.float16]:
        """Takes the next crops `(T, S, S, 3)` where nobody else measures them; returns `(T, 0)`, no features."""
        cells = self._flow.add(crops)
        if len(cells):
            self.take(tracks(cells))
        return np.empty((len(crops), 0), np.float16)

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


SIDE = 12
"""Crops are compared at this many pixels a side, which keeps 15 MB of an hour."""

LIKENESS = 0.3
"""Least correlation of a crop with the video's median crop; a face that turns or speaks stays above 0.6."""

JUMP = 40.0
"""Mean change from one crop to the next, in grey levels of 256, that only a cut makes."""

BLUR = 0.05
"""Sharpness (variance of the Laplacian) below this part of the video's median."""

SMALL = 20.0
"""Least distance of the eyes in source pixels: a face about 53 px wide, in which a micro-expression of 3 px at 87 px
between the eyes moves 0.7 px."""

TURNED = 40.0
"""Yaw in degrees from which a face is turned away; see :class:`~fedn_lightning.video.faces.Pose`."""

POSE_SECONDS = 0.5
"""The pose is judged this often; a face is turned away if two judgements in a row say so, or if three in a row see no
frontal face in a video in which :data:`USUALLY_FRONTAL` of them do."""

USUALLY_FRONTAL = 0.8
"""Share of the judgements; in other videos the cascade misses too often to mean anything."""

EYE_REACH = (0.12, 0.08)
"""Half the width and height of the window around each eye, as parts of the crop's side."""

EYES_OPEN_SECONDS = 2.0
"""Window of the running median that is the usual contrast of the eyes: a blink is shorter than half of it."""

BLINK = 0.07
"""Least loss of contrast in a blink (ours, chosen on eight generated videos)."""

AROUND_SECONDS = 0.2
"""Spans are widened by this on both sides: a window sees what comes just before and after."""

REASONS = ("no face", "cut", "blurred", "upside down", "turned away", "small face")

ABSENT = "not in the picture"
"""Reason of a stretch, from cut to cut, in which one of several people is not seen."""


@dataclass(frozen=True)
class UnreliableSpan:
    """A stretch of a video in which no expression may begin."""

    face: int  # number of the face from the left, from 1
    start: float  # first frame, 0-based; may be fractional
    end: float  # one past the last frame
    reason: str  # one of :data:`REASONS`


@dataclass(frozen=True)
class FaceQuality:
    """How well a face is seen, `(N,)` each, for every crop or every frame of a video."""

    likeness: npt.NDArray[np.float64]  # correlation with the video's median crop
    change: npt.NDArray[np.float64]  # mean change to the crop before, grey levels of 256
    sharpness: npt.NDArray[np.float64]  # variance of the Laplacian as a share of the video's median
    # degrees to the right of the picture, in steps (see :class:`~fedn_lightning.video.faces.Pose`), from the judgement
    # nearest in time; nan where there is none
    yaw: npt.NDArray[np.float64]
    upside_down: npt.NDArray[np.bool_]  # whether that judgement sees the face upside down
    eye_distance: npt.NDArray[np.float64]  # source pixels between the eyes; nan where whole pictures are taken
    # share of their usual contrast that both eyes have lost, up to 1; from :data:`BLINK` on it is a blink
    blink: npt.NDArray[np.float64]

    def per_source_frame(self, timing: Timing) -> Self:
        """The same for each frame of the video, from that of each crop."""
        columns: dict[str, Any] = {f.name: timing.per_source_frame(getattr(self, f.name)) for f in fields(self)}
        return type(self)(**columns)

    def flags(self, fps: float) -> npt.NDArray[np.bool_]:
        """`(N, 6)`: whether each of :data:`REASONS` holds."""
        jump = self.change > JUMP
        cut = jump.copy()
        cut[:-1] |= jump[1:]
        held = max(1, round(1.5 * POSE_SECONDS * fps))
        turned = _lasting(np.abs(self.yaw) > TURNED, held)
        frontal = np.abs(self.yaw) <= TURNED  # false where nothing is known
        if frontal.mean() >= USUALLY_FRONTAL:
            turned |= _lasting(~frontal, max(1, round(2.5 * POSE_SECONDS * fps)))
        return np.stack(
            [
                self.likeness < LIKENESS,
                cut,
                self.sharpness < BLUR,
                _lasting(self.upside_down, held),
                turned,
                self.eye_distance < SMALL,
            ],
            axis=1,
        )

    def counts(self, fps: float) -> dict[str, int]:
        """The number of frames, and of those in which each of :data:`REASONS` holds."""
        totals = self.flags(fps).sum(axis=0).tolist()
        return {"frames": len(self.likeness), **dict(zip(REASONS, totals, strict=True))}

    @property
    def median_eye_distance(self) -> float | None:
        """Median of the known distances between the eyes, source pixels; None if none is known."""
        known = self.eye_distance[~np.isnan(self.eye_distance)]
        return round(float(np.median(known)), 1) if len(known) else None


def _lasting(flag: npt.NDArray[np.bool_], least: int) -> npt.NDArray[np.bool_]:
    """The flag without its runs of fewer than `least` frames.

    >>> _lasting(np.array([True, False, True, True, True]), 2).tolist()
    [False, False, True, True, True]
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flag.astype(int), [0]]))).reshape(-1, 2)
    kept = np.zeros_like(flag)
    for start, end in edges.tolist():
        kept[start:end] = end - start >= least
    return kept


class CropWatch:
    """Collects what must be known of the crops of one face.

    Args:
        fps: crops per second.
    """

    def __init__(self, fps: float) -> None:
        self._fps = fps
        self._stride = max(1, round(POSE_SECONDS * fps))
        self._small: list[npt.NDArray[np.uint8]] = []
        self._sharp: list[float] = []
        self._eyes: list[list[float]] = []
        self._poses: list[Pose] = []

    def add(self, crops: npt.NDArray[np.uint8]) -> None:
        """Takes the next crops `(T, S, S, 3)`."""
        for picture in crops:
            grey = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8)
            if len(grey) >= POSE_SIDE and len(self._small) % self._stride == 0:
                self._poses.append(judge_pose(grey))
            self._small.append(np.asarray(cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8))
            self._sharp.append(_mean_and_deviation(cv2.Laplacian(grey, cv2.CV_16S))[1] ** 2)
            eyes = [_mean_and_deviation(window) for window in _eye_windows(grey)]
            self._eyes.append([deviation / max(mean, 1.0) for mean, deviation in eyes])

    def quality(self, eye_distance: npt.NDArray[np.float64]) -> FaceQuality:
        """What is known of every crop.

        Args:
            eye_distance: `(N,)` source pixels between the eyes.
        """
        small = np.stack(self._small).reshape(len(self._small), -1).astype(np.float32)
        usual = np.median(small[:: max(1, len(small) // 2000)], axis=0)
        sharp = np.array(self._sharp)
        poses = self._poses or [Pose(math.nan, upside_down=False)]
        nearest = np.minimum((np.arange(len(small)) + self._stride // 2) // self._stride, len(poses) - 1)
        return FaceQuality(
            likeness=likeness(small, usual),
            change=np.concatenate([[0.0], np.abs(np.diff(small, axis=0)).mean(axis=1)]),
            sharpness=sharp / median if (median := float(np.median(sharp))) else np.ones(len(sharp)),
            yaw=np.array([pose.yaw for pose in poses])[nearest],
            upside_down=np.array([pose.upside_down for pose in poses])[nearest],
            eye_distance=eye_distance,
            blink=lost_contrast(np.array(self._eyes), self._fps),
        )


def _mean_and_deviation(picture: npt.NDArray[Any]) -> tuple[float, float]:
    """By OpenCV, in a quarter of numpy's time and without holding other threads."""
    mean, deviation = cv2.meanStdDev(picture)
    return float(mean[0, 0]), float(deviation[0, 0])


def _eye_windows(grey: npt.NDArray[np.uint8]) -> Iterator[npt.NDArray[np.uint8]]:
    """The windows around both eyes of a crop `(S, S)`."""
    across, down = (round(reach * len(grey)) for reach in EYE_REACH)
    for x, y in np.rint(canonical_eyes(len(grey))).astype(int).tolist():
        yield grey[y - down : y + down + 1, x - across : x + across + 1]


def lost_contrast(contrast: npt.NDArray[np.float64], fps: float) -> npt.NDArray[np.float64]:
    """Share of their usual contrast that both eyes have lost, `(N,)`, 0 to 1.

    Lids that close hide the dark iris and the white of the eye. Looking aside changes little, and a head that turns
    hides one eye more than the other, so the eye that lost less counts.

    Args:
        contrast: `(N, 2)` standard deviation of grey levels, as a share of their mean, in the windows of both eyes.
        fps: frames per second.

    >>> eyes = np.full((60, 2), 0.4); eyes[20:26] = [0.2, 0.1]; eyes[40:46, 0] = 0.2
    >>> lost_contrast(eyes, 30.0)[[0, 22, 42]].tolist()
    [0.0, 0.5, 0.0]
    """
    usual = np.maximum(baseline(contrast, EYES_OPEN_SECONDS, fps), 1e-6)
    return np.asarray(np.clip(1 - (contrast / usual).max(axis=1), 0, 1), np.float64)


def likeness(pictures: npt.NDArray[np.float32], usual: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Correlation of pictures `(N, P)` with one `(P,)`; 0 for an even picture.

    >>> likeness(np.array([[1, 2, 3], [3, 2, 1], [5, 5, 5]], np.float32), np.array([0, 1, 2], np.float32)).tolist()
    [1.0, -1.0, 0.0]
    """
    one = pictures - pictures.mean(axis=1, keepdims=True)
    other = usual - usual.mean()
    norm = np.linalg.norm(one, axis=1).astype(np.float64) * float(np.linalg.norm(other))
    return np.asarray(np.round((one @ other) / np.where(norm == 0, 1, norm), 6), np.float64)


def find_spans(flags: npt.NDArray[np.bool_], fps: float) -> Iterator[tuple[int, int, str]]:
    """Stretches of crops, `(start, end, reason)`, widened; of several reasons the first in :data:`REASONS` is given.

    >>> flags = np.zeros((20, 6), bool)
    >>> flags[8:10, 1] = True
    >>> list(find_spans(flags, fps=10.0))
    [(6, 12, 'cut')]
    """
    around = round(AROUND_SECONDS * fps)
    bad = np.convolve(flags.any(axis=1), np.ones(2 * around + 1), mode="full")[around:][: len(flags)] > 0
    edges = np.flatnonzero(np.diff(np.concatenate([[0], bad.astype(int), [0]])))
    for start, end in edges.reshape(-1, 2).tolist():
        yield start, end, REASONS[int(np.argmax(flags[start:end].any(axis=0)))]


def without_unreliable(events: EventTable, spans: list[UnreliableSpan]) -> npt.NDArray[np.bool_]:
    """Which events `(N,)` begin outside of all spans, both in the same frames."""
    inside = [(events.start >= span.start) & (events.start < span.end) for span in spans]
    return ~np.any(inside, axis=0) if inside else np.ones(len(events), bool)
