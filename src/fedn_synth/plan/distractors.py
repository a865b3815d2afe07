"""Everything that moves in a face without being an expression, head turns, and the light: never labelled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter1d

from fedn_synth.plan.presets import FPS

FloatArray = npt.NDArray[np.float64]
DistractorKind = Literal["blink", "gaze", "head", "speech", "swallow", "posture"]


@dataclass(frozen=True, slots=True)
class Distractor:
    """One event that is no expression, in the frames `[start, end)` of its video."""

    kind: DistractorKind
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Conditions:
    """How strongly the distractors act."""

    rate: float = 1.0  # factor on how often events happen
    max_shift: float = 10.0  # maximum translation of the head in pixels at 640x480
    max_turn: float = 4.0  # maximum roll, yaw or pitch in degrees
    gain: float = 0.04  # spread of the light's constant gain around 1
    gradient: float = 0.15  # spread of the constant light gradient across the picture
    warmth: float = 0.15  # spread of the constant colour temperature
    drift: float = 0.02  # slow change of the light, standard deviation of the gain
    turn: float = 0.0  # maximum yaw and pitch in degrees of a head that looks about; 0 for one that only sways


ORDINARY: Final = Conditions()
HARD: Final = Conditions(rate=1.6, max_shift=16.0, max_turn=7.0, gain=0.18, gradient=0.45, warmth=0.45, drift=0.05)
"""Stronger than anything in the ordinary corpus, for studies of generalisation."""

Events = list[Distractor]


def smooth_noise(n_frames: int, sigma: float, rng: np.random.Generator) -> FloatArray:
    """Band-limited noise of about unit standard deviation; `sigma` frames wide correlations."""
    pad = int(4 * sigma) + 1  # filtered beyond both ends, so that the ends are as lively as the middle
    white = rng.standard_normal(n_frames + 2 * pad)
    # A Gaussian filter of that width leaves the share 1 / (2 sigma sqrt(pi)) of white noise's variance.
    scale = np.sqrt(2 * sigma * np.sqrt(np.pi))
    return np.asarray(gaussian_filter1d(white, sigma)[pad : pad + n_frames] * scale)


def event_starts(n_frames: int, per_minute: float, apart: int, rng: np.random.Generator) -> list[int]:
    """Frames at which events of a refractory Poisson process begin.

    Returns:
        Ascending frames in `[0, n_frames)`.
    """
    mean = max(60 * FPS / per_minute - apart, 1.0)
    starts, at = [], int(rng.exponential(mean))
    while at < n_frames:
        starts.append(at)
        at += apart + int(rng.exponential(mean)) + 1
    return starts


def bump(length: int) -> FloatArray:
    """A smooth event: raised cosine of `length` frames, 0 outside, 1 in the middle."""
    return np.asarray(0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(length) + 0.5) / length))


def _add(track: FloatArray, start: int, shape: FloatArray) -> None:
    """Adds the part of a shape that lies inside the track."""
    first, last = max(start, 0), min(start + len(shape), len(track))
    if first < last:
        track[first:last] += shape[first - start : last - start]


def blinks(
    n_frames: int, per_minute: float, startled_at: Sequence[int], rng: np.random.Generator
) -> tuple[FloatArray, Events]:
    """Closure of the lids: closing in 2-3 frames, opening in 3-5, some double, some incomplete.

    Returns:
        `(n_frames,)` closure 0 to 1, and the events.
    """
    starts = event_starts(n_frames, per_minute, 8, rng)
    starts += [start + int(rng.integers(7, 11)) for start in starts if rng.random() < 0.08]
    starts += [at + int(rng.integers(-4, 8)) for at in startled_at]
    closure, events = np.zeros(n_frames), []
    for start in sorted(start for start in starts if 0 <= start < n_frames - 3):
        closing, opening = int(rng.integers(2, 4)), int(rng.integers(3, 6))
        down = np.sin(0.5 * np.pi * np.arange(1, closing + 1) / closing)
        up = 0.5 + 0.5 * np.cos(np.pi * np.arange(1, opening + 1) / (opening + 1))
        depth = float(rng.uniform(0.4, 0.7) if rng.random() < 0.12 else rng.uniform(0.9, 1.0))
        shape = depth * np.concatenate([down, np.ones(int(rng.integers(0, 2))), up])
        end = min(start + len(shape), n_frames)
        closure[start:end] = np.maximum(closure[start:end], shape[: end - start])
        events.append(Distractor("blink", start, end))
    return closure, events


def gaze_shifts(n_frames: int, rate: float, rng: np.random.Generator) -> tuple[FloatArray, Events]:
    """Fixations on a screen, joined by saccades of two or three frames, and now and then a look away.

    Returns:
        `(n_frames, 2)` gaze, -1 to 1, and the shifts that a viewer would notice.
    """
    gaze, events = np.zeros((n_frames, 2)), []
    here = rng.normal(0, 0.12, 2)
    at = 0
    while at < n_frames:
        until = at + 4 + int(rng.gamma(2.0, 18.0 / rate))
        gaze[at:until] = here
        looks_away = rng.random() < 0.06
        there = np.clip(rng.normal(0, (0.6, 0.4) if looks_away else (0.2, 0.12), 2), -0.9, 0.9)
        if until < n_frames - 3 and np.abs(there - here).max() > 0.15:
            events.append(Distractor("gaze", until - 1, until + 2))
        at, here = until, there
    tremor = np.stack([smooth_noise(n_frames, 6, rng) for _ in range(2)], axis=1)
    return np.clip(gaussian_filter1d(gaze, 0.6, axis=0) + 0.012 * tremor, -1, 1), events


def speech(n_frames: int, rate: float, rng: np.random.Generator) -> tuple[FloatArray, Events]:
    """Half-voiced words: some syllables of jaw and lips in a burst of half a second to two seconds.

    Returns:
        `(n_frames, 2)` jaw opening and lip rounding, 0 to 1, and the bursts.
    """
    track, events = np.zeros((n_frames, 2)), []
    for start in event_starts(n_frames, 1.2 * rate, 90, rng):
        length = int(rng.integers(15, 61))
        loudness = float(rng.uniform(0.12, 0.5))
        envelope = np.sqrt(bump(length))
        syllables = np.clip(0.55 + 0.45 * smooth_noise(length, 2.2, rng), 0, 1)
        rounding = np.clip(0.4 + 0.5 * smooth_noise(length, 4.0, rng), 0, 1)
        _add(track[:, 0], start, loudness * envelope * syllables)
        _add(track[:, 1], start, loudness * envelope * rounding)
        events.append(Distractor("speech", start, min(start + length, n_frames)))
    return np.clip(track, 0, 1), events


def swallows(n_frames: int, rate: float, rng: np.random.Generator) -> tuple[FloatArray, Events]:
    """`(n_frames,)` rise of chin and larynx, 0 to 1, for about two thirds of a second; and the events."""
    track, events = np.zeros(n_frames), []
    for start in event_starts(n_frames, 1.3 * rate, 120, rng):
        length = int(rng.integers(16, 30))
        _add(track, start, float(rng.uniform(0.4, 1.0)) * bump(length))
        events.append(Distractor("swallow", start, min(start + length, n_frames)))
    return np.clip(track, 0, 1), events


def head(n_frames: int, conditions: Conditions, rng: np.random.Generator) -> tuple[FloatArray, Events]:
    """Sway, nods and tilts, and slow changes of posture.

    Returns:
        `(n_frames, 6)` tx, ty in pixels, roll, yaw, pitch in degrees, scale around 1; and the events.
    """
    limits = np.array([conditions.max_shift] * 2 + [conditions.max_turn] * 3 + [0.03 * conditions.max_shift / 10])
    sway = np.array([0.12, 0.10, 0.10, 0.20, 0.15, 0.10])
    shares = np.stack(
        [s * smooth_noise(n_frames, 40, rng) + 0.2 * s * smooth_noise(n_frames, 9, rng) for s in sway], axis=1
    )
    events: Events = []
    posture = rng.normal(0, 0.3, 6)
    shares += posture
    for start in event_starts(n_frames, 3.0 * conditions.rate, 150, rng):
        length = int(rng.integers(20, 70))
        there = rng.normal(0, 0.35, 6)
        step = 0.5 - 0.5 * np.cos(np.pi * np.clip((np.arange(n_frames) - start) / length, 0, 1))
        shares += step[:, None] * (there - posture)
        posture = there
        events.append(Distractor("posture", start, min(start + length, n_frames)))
    for start in event_starts(n_frames, 2.5 * conditions.rate, 60, rng):
        length = int(rng.integers(14, 45))
        direction = rng.normal(0, 1, 6) * (0.15, 0.25, 0.3, 0.4, 0.5, 0.1)
        for axis, amount in enumerate(direction):
            _add(shares[:, axis], start, amount * bump(length))
        events.append(Distractor("head", start, min(start + length, n_frames)))
    pose = np.tanh(shares) * limits  # tanh keeps every movement within its limit without a corner
    pose[:, 5] += 1
    return pose, events


def light(n_frames: int, conditions: Conditions, rng: np.random.Generator) -> FloatArray:
    """Constant lighting of the recording, slow drift, and the glow of the screen the person looks at.

    Returns:
        `(n_frames, 3)` gain around 1, horizontal gradient and colour temperature, both -1 to 1.
    """
    screen = np.zeros(n_frames)
    for start in event_starts(n_frames, 15.0, 10, rng):
        screen[start:] = rng.normal(0, 1)  # the film on the screen cuts to another scene
    screen = gaussian_filter1d(screen, 1.0)
    gain = 1 + conditions.gain * rng.uniform(-1.7, 1.7) + conditions.drift * smooth_noise(n_frames, 150, rng)
    gradient = conditions.gradient * rng.uniform(-1.7, 1.7) + 0.04 * smooth_noise(n_frames, 150, rng)
    warmth = conditions.warmth * rng.uniform(-1.7, 1.7) + 0.04 * smooth_noise(n_frames, 150, rng)
    columns = [gain + 0.008 * screen, np.clip(gradient, -1, 1), np.clip(warmth + 0.02 * screen, -1, 1)]
    return np.stack(columns, axis=1)


HOLD: Final = (20, 150)
"""Frames between two turns."""
FAST: Final = (8, 20)
SLOW: Final = (45, 150)
"""Frames that a fast and a slow turn take."""
PITCH_SHARE: Final = 0.6
"""Maximum pitch of most turns as a share of the maximum yaw; one in five uses all of it."""
BACK: Final = 0.3
"""Share of the turns that lead back to the front."""


def turns(n_frames: int, limit: float, rng: np.random.Generator) -> tuple[FloatArray, Events]:
    """A head that looks about.

    Returns:
        `(n_frames, 2)` yaw and pitch within the limit, and the turns: `head` for fast ones, `posture` for slow ones.
    """
    track = np.zeros((n_frames, 2))
    events: Events = []
    here, at = np.zeros(2), int(rng.integers(0, HOLD[1] // 2))
    while at < n_frames:
        fast = bool(rng.random() < 0.5)
        length = int(rng.integers(*(FAST if fast else SLOW)))
        share = np.array([1.0, 1.0 if rng.random() < 0.2 else PITCH_SHARE])
        there = np.zeros(2) if rng.random() < BACK else rng.uniform(-1, 1, 2) * share * limit
        end = min(at + length, n_frames)
        way = 0.5 - 0.5 * np.cos(np.pi * (np.arange(at, end) - at + 1) / length)
        track[at:end] = here + way[:, None] * (there - here)
        track[end:] = there
        events.append(Distractor("head" if fast else "posture", at, end))
        here, at = there, at + length + int(rng.integers(*HOLD))
    return track, events
