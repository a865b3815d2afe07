"""One expression over time: its action units, their strength, and the curve from onset over apex to offset."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt

from fedn_synth.face.identity import Identity
from fedn_synth.face.motion import FaceTracks
from fedn_synth.face.muscles import (
    AU_CODES,
    AU_INDEX,
    EMOTION_UNITS,
    LEFT,
    RIGHT,
    STRONG_UNITS,
    UNILATERAL_EMOTIONS,
    action_unit_label,
)
from fedn_synth.face.renderer import FaceRenderer
from fedn_synth.plan.corpus_plan import PlannedExpression

REFERENCE_FACE = 0
"""Seed of the face whose motion is measured; the others are within a tenth of its size."""

_PROBE = 0.3  # intensity at which motion is measured, in the range where it is linear


@cache
def landmark_motion() -> npt.NDArray[np.float64]:
    """Motion of every landmark for every unit and side, at intensity 1.

    Returns:
        `(len(AU_CODES), 2, K, 2)` float64 px at 640x480, extrapolated from small intensities.
    """
    renderer = FaceRenderer(Identity.sample(REFERENCE_FACE))
    rest = renderer.landmarks(FaceTracks.neutral(1), 0)
    motion = np.zeros((len(AU_CODES), 2, *rest.shape))
    for unit in range(len(AU_CODES)):
        for side in range(2):
            tracks = FaceTracks.neutral(1)
            tracks.action_units[0, unit, side] = _PROBE
            motion[unit, side] = (renderer.landmarks(tracks, 0) - rest) / _PROBE
    motion.setflags(write=False)
    return motion


def reach(gains: Mapping[str, tuple[float, float]]) -> float:
    """Maximum motion of any landmark when all units are at their peak.

    Returns:
        Pixels at 640x480.

    >>> 8 < reach({"12": (1.0, 1.0)}) < 17  # the corner of the mouth in a full smile
    True
    """
    motion = landmark_motion()
    total = sum(motion[AU_INDEX[code], side] * gain for code, pair in gains.items() for side, gain in enumerate(pair))
    return float(np.linalg.norm(total, axis=-1).max())


def limited(gains: Mapping[str, tuple[float, float]], pixels: float) -> dict[str, tuple[float, float]]:
    """The same expression, weaker by as much as keeps every landmark's motion within `pixels`."""
    share = min(1.0, pixels / max(reach(gains), 1e-9))
    return {code: (left * share, right * share) for code, (left, right) in gains.items()}


FloatArray = npt.NDArray[np.float64]

VISIBLE: Final = 0.03
"""A unit is seen to move from this share of its own peak: the first such frame is the onset, the last the offset."""

MACRO_FRAMES: Final = (16, 117)
"""Shortest and longest macro-expression, onset and offset included, at 30 fps."""
MICRO_FRAMES: Final = (8, 16)
MACRO_PEAK: Final = (0.4, 1.0)
"""Range of the peak intensity of a macro-expression; 1 is FACS level E."""
MICRO_PEAK: Final = (0.12, 0.35)

MICRO_REACH: Final = 2.8
"""Maximum motion (px at 640x480) of a landmark of the reference face in a micro-expression; others reach 3 px."""

_MEDIAN_MACRO: Final = 35.0  # frames
_MACRO_SPREAD: Final = 0.55  # standard deviation of the logarithm of the length
_STRONG: Final = 0.6  # peak from which the units of STRONG_UNITS join
_UPPER_FACE: Final = frozenset({"1", "2", "4", "5", "6", "7", "9"})
_PARTIAL: Final = 0.35  # share of micro-expressions in which half of the units take part
_ONE_SIDED: Final = 0.30  # share of micro-expressions seen almost only in one half of the face
_DEEPEST_SAG: Final = 0.15  # share of the peak


@dataclass(frozen=True, slots=True)
class Move:
    """One action unit's share in an expression. Frames are 0-based, inclusive, relative to the expression's onset."""

    code: str  # FACS code
    left: float  # peak intensity in the person's left half of the face, 0 to 1
    right: float  # likewise in the right half
    onset: int  # first frame in which it is visible
    full: int  # first frame at its peak
    fading: int  # last frame of the plateau
    offset: int  # last frame in which it is visible
    sag: float = 0.0  # how far the intensity sinks between :attr:`full` and :attr:`fading`, as a share of the peak


@dataclass(frozen=True, slots=True)
class TimedExpression:
    """One expression with its place in time."""

    planned: PlannedExpression  # its type and labels
    start: int  # first frame of visible movement in the video, 0-based
    moves: tuple[Move, ...]  # what every unit does
    peak: float  # maximum intensity of any unit, 0 to 1

    @property
    def end(self) -> int:
        """One past the last frame of visible movement."""
        return self.start + max(move.offset for move in self.moves) + 1

    @property
    def apex(self) -> int:
        """First frame of the largest summed intensity, 0-based in the video."""
        return self.start + int(np.argmax(self.intensities(self.end - self.start).sum(axis=(1, 2))))

    @property
    def action_units(self) -> str:
        """The units as an annotator writes them, e.g. `6+12`."""
        return action_unit_label(tuple(move.code for move in self.moves))

    def intensities(self, n_frames: int, first: int = 0) -> FloatArray:
        """Intensity of every unit from frame `first`, counted from :attr:`start`: `(n_frames, len(AU_CODES), 2)`."""
        track = np.zeros((n_frames, len(AU_CODES), 2))
        t = np.arange(first, first + n_frames)
        for move in self.moves:
            curve = rise_and_fall(t, move.onset, move.full, move.fading, move.offset, move.sag)
            track[:, AU_INDEX[move.code], LEFT] = move.left * curve
            track[:, AU_INDEX[move.code], RIGHT] = move.right * curve
        return track


def rise_and_fall(
    t: npt.NDArray[np.int64], onset: int, full: int, fading: int, offset: int, sag: float = 0.0
) -> FloatArray:
    """The course of one muscle's contraction: unequal raised-cosine ramps around a plateau that sinks a little.

    Returns:
        float64 values between 0 and 1, of the shape of `t`.

    >>> rise_and_fall(np.arange(-2, 9), 0, 3, 4, 6).round(2).tolist()
    [0.0, 0.0, 0.03, 0.36, 0.8, 1.0, 1.0, 0.59, 0.03, 0.0, 0.0]
    """
    sag = sag if fading > full else 0.0
    level = 1 - sag * np.clip((t - full) / max(fading - full, 1), 0, 1)
    start, end = _phase(VISIBLE), _phase(VISIBLE / (1 - sag))
    rising = start + (1 - start) * (t - onset) / max(full - onset, 1)
    falling = end + (1 - end) * (offset - t) / max(offset - fading, 1)
    return np.asarray(level * (0.5 - 0.5 * np.cos(np.pi * np.clip(np.minimum(rising, falling), 0, 1))))


def _phase(value: float) -> float:
    """Where, between 0 and 1, a raised cosine has reached a value."""
    return math.acos(1 - 2 * value) / math.pi


def draw_length(planned: PlannedExpression, rng: np.random.Generator) -> int:
    """Frames from onset to offset, both included: log-normal for macro-, uniform for micro-expressions."""
    if planned.type == "micro":
        return int(rng.integers(MICRO_FRAMES[0], MICRO_FRAMES[1] + 1))
    while True:
        length = round(_MEDIAN_MACRO * float(np.exp(rng.normal(0, _MACRO_SPREAD))))
        if MACRO_FRAMES[0] <= length <= MACRO_FRAMES[1]:
            return length


def draw_expression(
    planned: PlannedExpression, start: int, length: int, expressiveness: float, rng: np.random.Generator
) -> TimedExpression:
    """Draws how one expression moves.

    Returns:
        An expression that is visible in exactly `length` frames from `start`.
    """
    low, high = MACRO_PEAK if planned.type == "macro" else MICRO_PEAK
    peak = low + (high - low) * float(rng.beta(1 + 2 * expressiveness, 3 - 2 * expressiveness))
    gains = draw_gains(planned, peak, rng)
    if planned.type == "micro":
        gains = limited(gains, MICRO_REACH)
        peak = max(max(pair) for pair in gains.values())
    timings = _macro_timings if planned.type == "macro" else _micro_timings
    times = timings(length, len(gains), rng)
    moves = []
    for (code, (left, right)), time in zip(gains.items(), times, strict=True):
        onset, full, fading, offset = (int(frame) for frame in time)
        sag = float(rng.uniform(0, _DEEPEST_SAG)) if fading > full else 0.0
        moves.append(Move(code, left, right, onset, full, fading, offset, sag))
    return TimedExpression(planned, start, tuple(moves), peak)


def draw_gains(planned: PlannedExpression, peak: float, rng: np.random.Generator) -> dict[str, tuple[float, float]]:
    """Peak intensity of every unit in the left and right half of the face; the largest is `peak`."""
    sets = EMOTION_UNITS[planned.emotion]
    units = sets[int(rng.integers(len(sets)))]
    if planned.type == "macro" and peak >= _STRONG:
        units = (*units, *STRONG_UNITS.get(planned.emotion, ()))
    side = int(rng.integers(2))
    other_side = float(rng.uniform(0.82, 1.0))
    if planned.emotion in UNILATERAL_EMOTIONS:
        other_side = 0.0
    elif planned.type == "micro":
        units = _partial(units, rng) if rng.random() < _PARTIAL else units
        other_side = float(rng.uniform(0, 0.35)) if rng.random() < _ONE_SIDED else other_side
    strengths = rng.uniform(0.7, 1.0, len(units))
    strengths *= peak / strengths.max()
    pairs = [(float(s), float(s) * other_side) for s in strengths]
    return {code: pair if side == LEFT else pair[::-1] for code, pair in zip(units, pairs, strict=True)}


def _partial(units: tuple[str, ...], rng: np.random.Generator) -> tuple[str, ...]:
    """The units of the upper or of the lower face, the half with more units being the likelier."""
    upper = tuple(code for code in units if code in _UPPER_FACE)
    lower = tuple(code for code in units if code not in _UPPER_FACE)
    return upper if rng.random() < len(upper) / len(units) else lower


def _macro_timings(length: int, n_units: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """`(n_units, 4)` onset, full, fading, offset: a quick rise, a plateau, a slower fall, each unit at its own time."""
    last = length - 1
    rise = rng.uniform(0.25, 0.48)
    hold = rng.uniform(0.05, 0.35)
    lag = min(4, length // 8)
    onset = _apart(n_units, lag, rng)
    offset = last - _apart(n_units, lag, rng)
    full = np.rint(rise * last).astype(np.int64) + rng.integers(-lag // 2, lag // 2 + 1, n_units)
    full = np.clip(full, onset + 3, last - lag - 5)
    fading = np.rint((rise + hold) * last).astype(np.int64) + rng.integers(-lag // 2, lag // 2 + 1, n_units)
    fading = np.clip(fading, full, offset - 4)
    return np.stack([onset, full, fading, offset], axis=1)


def _micro_timings(length: int, n_units: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Like :func:`_macro_timings`, without a plateau and with hardly any lag."""
    last = length - 1
    lag = 1 if length >= 10 else 0
    onset = _apart(n_units, lag, rng)
    offset = last - _apart(n_units, lag, rng)
    full = np.rint(rng.uniform(0.30, 0.60) * last).astype(np.int64) + np.zeros(n_units, np.int64)
    full = np.clip(full, onset + 2, offset - 2)
    return np.stack([onset, full, full, offset], axis=1)


def _apart(n_units: int, lag: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Delays of 0 to `lag` frames; at least one unit has none."""
    delays = rng.integers(0, lag + 1, n_units)
    delays[rng.integers(n_units)] = 0
    return delays.astype(np.int64)
