"""Face crops to try an exported network on: a generated face that smiles, blinks and turns."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fedn_lightning.corpora.synthesis.action_units import AU_INDEX
from fedn_lightning.corpora.synthesis.anatomy import LANDMARK_INDEX
from fedn_lightning.corpora.synthesis.identity import Identity
from fedn_lightning.corpora.synthesis.performance import Performance
from fedn_lightning.corpora.synthesis.renderer import FaceRenderer
from fedn_lightning.video.alignment import eye_transform


def moving_face(size: int, n_frames: int, seed: int = 5) -> npt.NDArray[np.uint8]:
    """Aligned crops of one smile.

    Args:
        size: side of the crops in pixels.
        n_frames: how many.
        seed: of the person.

    Returns:
        `(n_frames, size, size, 3)` uint8 RGB.
    """
    performance, renderer = Performance.neutral(n_frames), FaceRenderer(Identity.sample(seed))
    rise = np.sin(np.linspace(0, np.pi, n_frames)) ** 2
    for code in ("6", "12"):
        performance.action_units[:, AU_INDEX[code]] = rise[:, None]
    performance.blink[n_frames // 4] = 1
    performance.pose[:, 3] = 4 * np.sin(np.linspace(0, 2 * np.pi, n_frames))
    left, right = renderer.landmarks(performance, 0)[
        [LANDMARK_INDEX[f"eye_centre_{side}"] for side in ("right", "left")]
    ]
    transform = eye_transform(left, right, size)
    return np.stack([renderer.render_crop(performance, t, t, size, transform) for t in range(n_frames)])
