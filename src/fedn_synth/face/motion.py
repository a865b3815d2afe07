"""What a face does over time, and where every point of the picture comes from in one frame."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import partial
from typing import Final, Self

import cv2
import numpy as np
import numpy.typing as npt

from fedn_synth.face.anatomy import Anatomy, Canvas, Float32Array, Uint8Array, ramp
from fedn_synth.face.muscles import AU_CODES, half_fields
from fedn_synth.face.skin import head_relief

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

    Raises:
        ValueError: if a track does not have its shape, or not as many frames as the others.
    """

    # `(T, len(AU_CODES), 2)`, intensity 0 to 1 of a unit in the person's own left (index 0, on the right of the
    # picture) and right half; 1 is FACS level E
    action_units: Float32Array
    blink: Float32Array  # `(T,)`, closure of both lids, 0 open to 1 shut
    # `(T, 2)`, horizontal (positive to the right of the picture) and vertical (positive up), -1 to 1
    gaze: Float32Array
    speech: Float32Array  # `(T, 2)`, jaw opening and lip rounding, 0 to 1, of speech-like movement; never an expression
    swallow: Float32Array  # `(T,)`, 0 to 1, chin and larynx rise
    # `(T, 6)`, translation x and y in pixels (right and down), roll, yaw and pitch in degrees (clockwise, to the right
    # of the picture, and down are positive), and scale around 1
    pose: Float32Array
    # `(T, 3)`, gain around 1, horizontal gradient and colour temperature (positive is warm), both -1 to 1
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


Transform = npt.NDArray[np.float64]
"""`(2, 3)`, an affine map of points `(x, y)`."""

_BACKWARD: Final = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP


def sample(image: Uint8Array, at: Float32Array, out: Uint8Array | None = None) -> Uint8Array:
    """Reads an 8-bit image at places `(rows, columns, 2)`, x and y in its pixels; beyond its border, the border's."""
    # The type stubs do not know that one map of two channels needs no second map.
    return cv2.remap(image, at, None, cv2.INTER_LINEAR, dst=out, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[call-overload, no-any-return]


def sample_layer(layer: Uint8Array, at: Float32Array) -> Uint8Array:
    """As :func:`sample`, of a layer that is transparent (0) beyond its border."""
    return cv2.remap(layer, at, None, cv2.INTER_LINEAR)  # type: ignore[call-overload, no-any-return]


def sample_field(field: Float32Array, at: Float32Array) -> Float32Array:
    """As :func:`sample`, of a field `(rows, columns, 2)`."""
    return cv2.remap(field, at, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[call-overload, no-any-return]


def enlarge(field: Float32Array, rows: int, columns: int, out: Float32Array | None = None) -> Float32Array:
    """A field resized to `(rows, columns, 2)`; samples stand for the middles of their cells."""
    return np.asarray(cv2.resize(field, (columns, rows), dst=out, interpolation=cv2.INTER_LINEAR), np.float32)


def look_back(image: Uint8Array, back: Transform, size: int) -> Uint8Array:
    """An image seen in a `(size, size)` crop; `back` takes px of the crop to px of the image."""
    crop = cv2.warpAffine(image, back, (size, size), flags=_BACKWARD, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(crop, np.uint8)


def look_back_field(field: Float32Array, back: Transform, size: int) -> Float32Array:
    """As :func:`look_back`, of a field that is 0 beyond its border."""
    return np.asarray(cv2.warpAffine(field, back, (size, size), flags=_BACKWARD), np.float32)


def crop_positions(back: Transform, size: int) -> Float32Array:
    """`(size, size, 2)`, px of the picture at every pixel of a crop.

    >>> crop_positions(np.array([[2.0, 0.0, 5.0], [0.0, 2.0, 7.0]]), 3)[1, 2].tolist()
    [9.0, 9.0]
    """
    axis = np.arange(size)
    grid = np.empty((size, size, 2), np.float32)
    for channel, (along_x, along_y, offset) in enumerate(back):
        np.add(axis * along_x + offset, (axis * along_y)[:, None], out=grid[..., channel], casting="same_kind")
    return grid


FIELD_STEP: Final = 4
"""Fields are kept at every fourth pixel: muscles move skin smoothly."""

MOVES_NOTHING: Final = 1e-4
"""Intensities below this leave no trace in 8-bit pixels and are skipped."""

OTHER_MOTIONS: Final = ("jaw", "rounding", "swallow")
"""Motions beside the action units, in the order of the tracks `speech` and `swallow`."""

TURNING_DEPTH: Final = 35.0
"""Relief (face units) of the points that stay where they are when the head turns; nearer ones move with the nose."""


class HeadMotion:
    """The displacement of one face, as coarse fields `(rows, columns, 2)` float32 px over its head rectangle.

    A field gives for each point of the picture the offset of the texture seen there: `source = point + field`.

    Args:
        anatomy: the face.
        head: the rectangle that moves; sides must be multiples of :data:`FIELD_STEP`.
    """

    def __init__(self, anatomy: Anatomy, head: Canvas) -> None:
        self.canvas = head.coarse(FIELD_STEP)
        self.units = [half_fields(anatomy, self.canvas, code) for code in AU_CODES]
        self.others = [left + right for left, right in map(partial(half_fields, anatomy, self.canvas), OTHER_MOTIONS)]
        self._pivot = head.to_pixels((0, anatomy.identity.skull.chin_y + 8))
        y, x = np.mgrid[: self.canvas.shape[0], : self.canvas.shape[1]]
        self._samples: Float32Array = np.stack([x, y], axis=-1).astype(np.float32)
        corner = np.array([head.left, head.top], np.float32)
        self.positions = np.asarray((self._samples + 0.5) * FIELD_STEP - 0.5 + corner, np.float32)
        """`(rows, columns, 2)`, px of the whole picture at the samples."""
        self._pose_basis = _pose_basis(anatomy, self.canvas, self.positions)

    def _weighted(self, tracks: FaceTracks, frame: int) -> Iterator[tuple[Float32Array, float]]:
        """The fields that act in a frame, with their intensities."""
        for halves, intensities in zip(self.units, tracks.action_units[frame], strict=True):
            for field, intensity in zip(halves, intensities, strict=True):
                if intensity > MOVES_NOTHING:
                    yield field, float(intensity)
        others = (*tracks.speech[frame], tracks.swallow[frame])
        for field, intensity in zip(self.others, others, strict=True):
            if intensity > MOVES_NOTHING:
                yield field, float(intensity)

    def skin(self, tracks: FaceTracks, frame: int) -> Float32Array | None:
        """How far the skin has come at every point of the resting head (point minus source); None if nothing acts."""
        total: Float32Array | None = None
        for field, intensity in self._weighted(tracks, frame):
            if total is None:
                total = field * np.float32(intensity)
            else:
                cv2.scaleAdd(field, intensity, total, dst=total)
        return total

    def pose(self, tracks: FaceTracks, frame: int) -> Float32Array:
        """Field of the head's pose alone: where a point of the picture lies on the resting head."""
        coefficients = _pose_coefficients(tracks.pose[frame], self._pivot, self.canvas.scale)
        x, y = (coefficients @ self._pose_basis).reshape(2, *self.canvas.shape)
        return np.asarray(cv2.merge([x, y]), np.float32)

    def total(self, tracks: FaceTracks, frame: int, pose: Float32Array | None = None) -> Float32Array:
        """Field of pose and skin together; `pose` may be given if it is known."""
        pose = self.pose(tracks, frame) if pose is None else pose
        skin = self.skin(tracks, frame)
        if skin is None:
            return pose
        # Muscles move the resting head, so their field is read where the pose leads.
        at = pose * np.float32(1 / FIELD_STEP) + self._samples
        return np.asarray(cv2.subtract(pose, sample_field(skin, at)), np.float32)

    def arrive(self, sources: Float32Array, field: Float32Array) -> Float32Array:
        """Where points of the texture are seen: the inverse of `source = point + field`.

        Args:
            sources: `(K, 2)` px of the whole picture.
            field: a coarse field, as :meth:`total` gives it.

        Returns:
            `(K, 2)` float32 px, exact to about a thousandth.
        """
        points = sources.astype(np.float32)
        corner = np.array([self.canvas.left, self.canvas.top], np.float32)
        for _ in range(12):
            at = np.asarray((points - corner + 0.5) / FIELD_STEP - 0.5, np.float32)
            points = sources - sample_field(field, at[None])[0]
        return points


def _pose_basis(anatomy: Anatomy, canvas: Canvas, positions: Float32Array) -> Float32Array:
    """`(4, rows * columns)`: x, y, 1 and relief, each faded out away from the head."""
    chin = anatomy.identity.skull.chin_y
    fade = (1 - ramp(np.abs(canvas.x), 136, 176)) * (1 - ramp(canvas.y, chin + 18, 476)) * ramp(canvas.y, 10, 50)
    head = canvas.polygon(anatomy.outline)
    relief = canvas.blur(head_relief(anatomy, canvas, head), 6)
    basis = [positions[..., 0] * fade, positions[..., 1] * fade, fade, (relief - TURNING_DEPTH) * fade]
    return np.stack([b.ravel() for b in basis]).astype(np.float32)


def _pose_coefficients(pose: Float32Array, pivot: Float32Array, scale: float) -> Float32Array:
    """`(2, 4)`, how much of each basis map the x and the y of the pose field hold."""
    shift_x, shift_y, roll, yaw, pitch, size = pose.tolist()
    cos, sin = math.cos(math.radians(roll)) / size, math.sin(math.radians(roll)) / size
    x0, y0 = pivot.tolist()
    x1, y1 = x0 + shift_x, y0 + shift_y
    # source = pivot + R(-roll) (point - shift - pivot) / size
    return np.array(
        [
            [cos - 1, sin, x0 - cos * x1 - sin * y1, -scale * math.sin(math.radians(yaw))],
            [-sin, cos - 1, y0 + sin * x1 - cos * y1, -scale * math.sin(math.radians(pitch))],
        ],
        np.float32,
    )
