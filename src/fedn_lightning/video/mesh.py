"""Finds faces by mediapipe's face mesh: steadier and faster than the cascades, but an optional extra.

mediapipe 0.10.21 is the last version whose package holds its models. It declares versions of numpy and protobuf that
the rest of this project has left behind; with protobuf 6.33 it works all the same:

    pip install --no-deps mediapipe==0.10.21 absl-py attrs flatbuffers "protobuf>=6.31,<6.34"
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt

from fedn_lightning.errors import ConfigError
from fedn_lightning.video.alignment import Face

EYE_CORNERS = ((33, 133), (362, 263))
"""Mesh points at the two corners of the eye on the left of the picture, and of the one on its right."""

INSTALL = 'pip install --no-deps mediapipe==0.10.21 absl-py attrs flatbuffers "protobuf>=6.31,<6.34"'


def find_face_mesh(grey: npt.NDArray[np.uint8]) -> Face | None:
    """The face of a picture.

    Args:
        grey: `(H, W)` uint8.

    Returns:
        The face in the picture's own pixels, the eyes midway between their corners; None if there is none.

    Raises:
        ConfigError: if mediapipe is not installed or cannot run.
    """
    found = _mesh().process(np.repeat(grey[..., None], 3, axis=2)).multi_face_landmarks
    if not found:
        return None
    height, width = grey.shape
    # Relative coordinates count from the picture's edge, pixels from their centres.
    points = np.array([(p.x * width - 0.5, p.y * height - 0.5) for p in found[0].landmark])
    left, right = (points[list(corners)].mean(axis=0) for corners in EYE_CORNERS)
    low, high = points.min(axis=0), points.max(axis=0)
    return Face((*low, *(high - low)), tuple(left), tuple(right), eyes_seen=True)


def check_installed() -> None:
    """Refuses to start without mediapipe.

    Raises:
        ConfigError: saying how to install it.
    """
    _mesh()


@cache
def _mesh() -> Any:
    """The network, made once in each process."""
    try:
        # By name, so that type checkers need not know an optional package.
        return import_module("mediapipe").solutions.face_mesh.FaceMesh(static_image_mode=True, max_num_faces=1)
    except (ImportError, AttributeError) as error:
        msg = f"finder: mesh needs mediapipe, which cannot run here ({error}). Install it by: {INSTALL}"
        raise ConfigError(msg) from None
