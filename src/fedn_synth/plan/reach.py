"""How far action units move the face: what keeps a micro-expression micro."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import numpy as np
import numpy.typing as npt

from fedn_synth.face.identity import Identity
from fedn_synth.face.muscles import AU_CODES, AU_INDEX
from fedn_synth.face.renderer import FaceRenderer
from fedn_synth.face.tracks import FaceTracks

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
    """Greatest motion of any landmark when all units are at their peak.

    Args:
        gains: peak intensity of each unit in the left and right half of the face.

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
