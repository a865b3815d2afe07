"""Where the parts of a face lie at rest: landmarks, the outline of the skull, the lines of lids and lips."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

from fedn_synth.face.canvas import Float32Array
from fedn_synth.face.identity import Identity

LANDMARKS: Final[tuple[str, ...]] = (
    *(f"{part}_{side}" for side in ("right", "left") for part in ("eye_outer", "eye_inner", "eye_centre")),
    *(f"{part}_{side}" for side in ("right", "left") for part in ("upper_lid", "lower_lid")),
    *(f"{part}_{side}" for side in ("right", "left") for part in ("brow_outer", "brow_middle", "brow_inner")),
    "nose_tip",
    *(f"{part}_{side}" for side in ("right", "left") for part in ("nose_wing", "mouth_corner", "cheek")),
    "upper_lip",
    "lower_lip",
    "upper_lip_edge",
    "lower_lip_edge",
    "chin",
)
"""Names of the landmarks in order. `left` is the person's own left, on the right of the picture.

`upper_lip` and `lower_lip` lie in the middle of the red of the lips where it borders on the skin, the `_edge` ones
where the lips meet."""

LANDMARK_INDEX: Final[dict[str, int]] = {name: index for index, name in enumerate(LANDMARKS)}

SIDES: Final[tuple[tuple[str, int], ...]] = (("left", 1), ("right", -1))
"""Sides in the order of the action units' last axis, with the sign of `x`."""


@dataclass(frozen=True)
class Anatomy:
    """Positions of one identity's features at rest, in face units (see :class:`~.canvas.Canvas`)."""

    identity: Identity

    @property
    def height(self) -> float:
        """Height of the face from chin to hairline."""
        return self.identity.skull.height

    def level(self, share: float) -> float:
        """The `y` that lies `share` of the face's height above the chin."""
        return self.identity.skull.chin_y - share * self.height

    @cached_property
    def eye_y(self) -> float:
        """Level of the line on which the lids meet."""
        return self.level(self.identity.eyes.level)

    @cached_property
    def mouth_y(self) -> float:
        """Level of the middle of the closed lips."""
        return self.level(self.identity.mouth.level)

    @cached_property
    def nose_y(self) -> float:
        """Level of the base of the nose."""
        return self.level(self.identity.nose.level)

    @cached_property
    def hairline_y(self) -> float:
        """Level of the hairline in the middle."""
        return self.level(1.0)

    def brow_y(self, side: int) -> float:
        """Level of the middle of an eyebrow; `side` is 1 on the right of the picture, -1 on its left."""
        brows = self.identity.brows
        return self.eye_y - brows.height - (brows.uneven if side > 0 else 0)

    @cached_property
    def points(self) -> dict[str, tuple[float, float]]:
        """Landmarks at rest, lids and lips closed; for the open eye see :mod:`~.openings`."""
        mouth = self.identity.mouth
        found: dict[str, tuple[float, float]] = {
            "nose_tip": (self.identity.nose.bend, self.nose_y - 9),
            "upper_lip": (0.0, self.mouth_y - mouth.upper * (1 - 0.2 * mouth.bow)),
            "lower_lip": (0.0, self.mouth_y + mouth.lower),
            "upper_lip_edge": (0.0, self.mouth_y),
            "lower_lip_edge": (0.0, self.mouth_y),
            "chin": (0.0, self.identity.skull.chin_y - 3),
        }
        for name, side in SIDES:
            found |= {f"{part}_{name}": point for part, point in self._side_points(side).items()}
        return found

    def _side_points(self, side: int) -> dict[str, tuple[float, float]]:
        """Landmarks of one side."""
        eyes, brows, nose, mouth = (getattr(self.identity, part) for part in ("eyes", "brows", "nose", "mouth"))
        half = eyes.width / 2
        brow_x = eyes.half_distance + 2
        local = {
            "eye_outer": (eyes.half_distance + half, self.eye_y - eyes.tilt / 2),
            "eye_inner": (eyes.half_distance - half, self.eye_y + eyes.tilt / 2),
            "eye_centre": (eyes.half_distance, self.eye_y),
            "upper_lid": (eyes.half_distance, self.eye_y),
            "lower_lid": (eyes.half_distance, self.eye_y),
            "brow_inner": (brow_x - brows.length / 2, self.brow_y(side) + brows.slope / 2 + 2),
            "brow_middle": (brow_x + brows.length * 0.1, self.brow_y(side) - brows.arch * 0.6),
            "brow_outer": (brow_x + brows.length / 2, self.brow_y(side) - brows.slope / 2 + 2),
            "nose_wing": (nose.width / 2, self.nose_y - 7),
            "mouth_corner": (mouth.width / 2, self.mouth_y + mouth.corners),
            "cheek": (0.215 * self.height, self.level(0.41)),
        }
        return {part: (side * x, y) for part, (x, y) in local.items()}

    def landmarks(self) -> Float32Array:
        """`(K, 2)`, the points in the order of :data:`LANDMARKS`."""
        return np.array([self.points[name] for name in LANDMARKS], np.float32)

    @cached_property
    def outline(self) -> Float32Array:
        """`(N, 2)`, the closed outline of the head from the chin round the crown, ears and hair left out."""
        skull = self.identity.skull
        shares = np.array([0.0, 0.02, 0.085, 0.22, 0.36, 0.55, 0.75, 0.95, 1.06, 1.12, 1.14])
        widths = np.array(
            [0, skull.chin * 0.75, skull.chin * 1.35, skull.jaw, (skull.jaw + skull.cheek) / 2 + 0.012, skull.cheek,
             skull.temple, skull.temple * 0.91, skull.temple * 0.70, skull.temple * 0.40, 0]
        )  # fmt: skip
        # Chord length as parameter keeps the curve round at chin and crown, where y is no function of x.
        chord = np.concatenate([[0], np.cumsum(np.hypot(np.diff(shares), np.diff(widths)))])
        fine = np.linspace(0, chord[-1], 160)
        half = np.stack([_smooth_curve(chord, widths, fine), _smooth_curve(chord, shares, fine)], axis=1)
        x, y = half[:, 0] * self.height, skull.chin_y - half[:, 1] * self.height
        lean = skull.lean * np.exp(-(((half[:, 1] - 0.22) / 0.15) ** 2))
        right = np.stack([x + lean, y], axis=1)
        left = np.stack([lean - x, y], axis=1)[::-1]
        return np.concatenate([right, left]).astype(np.float32)

    def lip_line(self, x: npt.ArrayLike) -> Float32Array:
        """The `y` of the line where closed lips meet, for any `x`; level beyond the corners."""
        mouth = self.identity.mouth
        t = np.clip(np.asarray(x, np.float32) / (mouth.width / 2), -1, 1)
        wave = 0.7 * np.cos(3 * np.pi * t) * (1 - t**2)
        return np.asarray(self.mouth_y + mouth.corners * t**2 + wave, np.float32)

    def lid_line(self, x: npt.ArrayLike, side: int) -> Float32Array:
        """The `y` of the line where the lids of one eye meet, for any `x`: sagging between the corners."""
        eyes = self.identity.eyes
        t = (np.asarray(x, np.float32) * side - eyes.half_distance) / (eyes.width / 2)
        inside = np.clip(t, -1, 1)
        return np.asarray(self.eye_y - eyes.tilt / 2 * np.clip(t, -1.4, 1.4) + 1.5 * (1 - inside**2), np.float32)


def _smooth_curve(knots: npt.NDArray[np.float64], values: npt.ArrayLike, at: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Monotone cubic interpolation, which never overshoots its knots."""
    from scipy.interpolate import PchipInterpolator

    return np.asarray(PchipInterpolator(knots, np.asarray(values))(at), np.float64)
