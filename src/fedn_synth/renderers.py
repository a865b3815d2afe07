"""The two renderers behind one interface: flat painted faces and heads of a three-dimensional mesh."""

from __future__ import annotations

from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from fedn_lightning.errors import ConfigError
from fedn_synth import Faces
from fedn_synth.face.identity import Identity
from fedn_synth.face.motion import FaceTracks
from fedn_synth.plan.distractors import Conditions

STEEPEST: Final = 40.0
"""Maximum turn of a head in degrees; beyond it the far eye is hidden."""


class Renderer(Protocol):
    """Renders one person; an object keeps buffers, so it must not be used by several threads at a time."""

    identity: Identity

    def render(self, tracks: FaceTracks, frame: int, noise_seed: int) -> npt.NDArray[np.uint8]:
        """One frame, `(height, width, 3)` uint8 RGB; the sensor's noise is a function of its seed and the frame."""

    def render_crop(
        self, tracks: FaceTracks, frame: int, noise_seed: int, size: int, transform: npt.ArrayLike
    ) -> npt.NDArray[np.uint8]:
        """What :meth:`render` shows, seen through a `(2, 3)` transform to a square of `size` px."""

    def landmarks(self, tracks: FaceTracks, frame: int) -> npt.NDArray[np.float32]:
        """Where the landmarks of :data:`~.face.anatomy.LANDMARKS` are seen in a frame, `(K, 2)` px."""


def make_renderer(faces: Faces, identity: Identity) -> Renderer:
    """The renderer of one person."""
    if faces == "3d":
        from fedn_synth.head3d.renderer import HeadRenderer

        return HeadRenderer(identity)
    from fedn_synth.face.renderer import FaceRenderer

    return FaceRenderer(identity)


def check_faces(faces: Faces, pose: float, conditions: Conditions) -> None:
    """Checks that faces of that kind can be rendered here.

    Raises:
        ConfigError: if the meshes are not installed, or the heads cannot turn that far.
    """
    if faces == "3d":
        from fedn_synth.head3d.mesh import assets

        assets()
    elif pose:
        raise ConfigError(f"--pose {pose:g} needs --faces 3d: the faces of --faces 2d are flat and cannot turn so far.")
    if pose and not conditions.max_turn <= pose <= STEEPEST:
        msg = f"--pose must be 0 or between {conditions.max_turn:g} and {STEEPEST:g} degrees, got {pose:g}."
        raise ConfigError(msg)
