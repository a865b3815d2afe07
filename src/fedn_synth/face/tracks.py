"""What one generated face does over time: action units, and everything else that moves without being an expression."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from fedn_synth.face.muscles import AU_CODES

Float32Array = npt.NDArray[np.float32]

FRAME_SHAPES: Final[dict[str, tuple[int, ...]]] = {
    "action_units": (len(AU_CODES), 2),
    "blink": (),
    "gaze": (2,),
    "speech": (2,),
    "swallow": (),
    "pose": (6,),
    "light": (3,),
}
"""Shape of one frame of every track."""


@dataclass(frozen=True)
class FaceTracks:
    """The behaviour of one face over `T` frames; every track is float32 with time first.

    Attributes:
        action_units: `(T, len(AU_CODES), 2)`, intensity 0 to 1 of a unit in the person's own left (index 0, on the
            right of the picture) and right half; 1 is FACS level E.
        blink: `(T,)`, closure of both lids, 0 open to 1 shut.
        gaze: `(T, 2)`, horizontal (positive to the right of the picture) and vertical (positive up), -1 to 1.
        speech: `(T, 2)`, jaw opening and lip rounding, 0 to 1, of speech-like movement; never an expression.
        swallow: `(T,)`, 0 to 1, chin and larynx rise.
        pose: `(T, 6)`, translation x and y in pixels (right and down), roll, yaw and pitch in degrees (clockwise,
            to the right of the picture, and down are positive), and scale around 1.
        light: `(T, 3)`, gain around 1, horizontal gradient and colour temperature (positive is warm), both -1 to 1.

    Raises:
        ValueError: if a track does not have its shape, or not as many frames as the others.
    """

    action_units: Float32Array
    blink: Float32Array
    gaze: Float32Array
    speech: Float32Array
    swallow: Float32Array
    pose: Float32Array
    light: Float32Array

    def __post_init__(self) -> None:
        for field in fields(self):
            expected = (len(self.blink), *FRAME_SHAPES[field.name])
            if getattr(self, field.name).shape != expected:
                msg = f"Track {field.name!r} must have shape {expected}, got {getattr(self, field.name).shape}."
                raise ValueError(msg)

    def __len__(self) -> int:
        return len(self.blink)

    def __getitem__(self, frames: slice) -> Self:
        """The tracks of a range of frames; arrays are views."""
        return type(self)(**{field.name: getattr(self, field.name)[frames] for field in fields(self)})

    @classmethod
    def neutral(cls, n_frames: int) -> Self:
        """A motionless neutral face looking into the camera under even light; the arrays are the caller's to fill.

        >>> FaceTracks.neutral(3).pose[0].tolist()
        [0.0, 0.0, 0.0, 0.0, 0.0, 1.0]
        """
        still = cls(**{name: np.zeros((n_frames, *shape), np.float32) for name, shape in FRAME_SHAPES.items()})
        still.pose[:, 5] = 1
        still.light[:, 0] = 1
        return still
