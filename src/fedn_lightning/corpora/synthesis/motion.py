"""Where every point of the picture comes from in one frame: skin moved by muscles, then the head moved as a whole."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from typing import Final

import cv2
import numpy as np

from fedn_lightning.corpora.synthesis.action_units import AU_CODES
from fedn_lightning.corpora.synthesis.anatomy import Anatomy
from fedn_lightning.corpora.synthesis.canvas import Canvas, Float32Array, ramp
from fedn_lightning.corpora.synthesis.muscles import half_fields
from fedn_lightning.corpora.synthesis.performance import Performance
from fedn_lightning.corpora.synthesis.relief import head_relief
from fedn_lightning.corpora.synthesis.sampling import sample_field

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

    A field tells for a point of the picture how far away the texture lies that is seen there: `source = point + field`.

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

    def _weighted(self, performance: Performance, frame: int) -> Iterator[tuple[Float32Array, float]]:
        """The fields that act in a frame, with their intensities."""
        for halves, intensities in zip(self.units, performance.action_units[frame], strict=True):
            for field, intensity in zip(halves, intensities, strict=True):
                if intensity > MOVES_NOTHING:
                    yield field, float(intensity)
        others = (*performance.speech[frame], performance.swallow[frame])
        for field, intensity in zip(self.others, others, strict=True):
            if intensity > MOVES_NOTHING:
                yield field, float(intensity)

    def skin(self, performance: Performance, frame: int) -> Float32Array | None:
        """How far the skin has come at every point of the resting head (point minus source); None if nothing acts."""
        total: Float32Array | None = None
        for field, intensity in self._weighted(performance, frame):
            if total is None:
                total = field * np.float32(intensity)
            else:
                cv2.scaleAdd(field, intensity, total, dst=total)
        return total

    def pose(self, performance: Performance, frame: int) -> Float32Array:
        """Field of the head's pose alone: where a point of the picture lies on the resting head."""
        coefficients = _pose_coefficients(performance.pose[frame], self._pivot, self.canvas.scale)
        x, y = (coefficients @ self._pose_basis).reshape(2, *self.canvas.shape)
        return np.asarray(cv2.merge([x, y]), np.float32)

    def total(self, performance: Performance, frame: int, pose: Float32Array | None = None) -> Float32Array:
        """Field of pose and skin together; `pose` may be given if it is known."""
        pose = self.pose(performance, frame) if pose is None else pose
        skin = self.skin(performance, frame)
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
