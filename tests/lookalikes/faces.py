"""Generated faces whose landmarks are known in every frame."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fedn_synth.face.anatomy import LANDMARK_INDEX
from fedn_synth.face.identity import Identity
from fedn_synth.face.renderer import FaceRenderer


def actor(seed: int = 5) -> FaceRenderer:
    """A generated face to film."""
    return FaceRenderer(Identity.sample(seed))


def eyes_of(landmarks: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """`(2, 2)`: the eye centres, the one on the left of the picture first."""
    return landmarks[[LANDMARK_INDEX[f"eye_centre_{side}"] for side in ("right", "left")]]
