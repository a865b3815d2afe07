"""Large turns of the head, slow and fast: only where they are asked for, and never labelled."""

from __future__ import annotations

from typing import Final

import numpy as np

from fedn_synth.plan.distractors import Distractor, Events, FloatArray

HOLD: Final = (20, 150)
"""Frames between two turns."""
FAST: Final = (8, 20)
SLOW: Final = (45, 150)
"""Frames that a fast and a slow turn take."""
PITCH_SHARE: Final = 0.6
"""Greatest pitch of most turns as a share of the greatest yaw; one in five uses all of it."""
BACK: Final = 0.3
"""Share of the turns that lead back to the front."""


def turns(n_frames: int, limit: float, rng: np.random.Generator) -> tuple[FloatArray, Events]:
    """A head that looks about.

    Args:
        n_frames: length of the video.
        limit: greatest yaw and pitch in degrees.
        rng: source of randomness.

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
