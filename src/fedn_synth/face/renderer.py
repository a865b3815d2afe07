"""Renders frames of a generated face: one painted identity, parted, furrowed, warped, lit and filmed."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from fedn_synth.face.anatomy import LANDMARK_INDEX, SIDES, Anatomy, Canvas, Float32Array, Uint8Array
from fedn_synth.face.hair import paint_glasses
from fedn_synth.face.identity import Identity
from fedn_synth.face.motion import (
    FIELD_STEP,
    MOVES_NOTHING,
    FaceTracks,
    HeadMotion,
    Transform,
    crop_positions,
    enlarge,
    look_back,
    look_back_field,
    sample,
    sample_layer,
)
from fedn_synth.face.muscles import AU_CODES
from fedn_synth.face.openings import Eyeball, eye_opening, mouth_opening, paint_mouth_cavity
from fedn_synth.face.painting import paint
from fedn_synth.face.skin import furrow

NOISE_TILES: Final = 3
NOISE_MARGIN: Final = 96
"""Tiles of noise are that much wider and higher than the picture, so that a random offset makes a new pattern."""

NOISE_SPREAD: Final = 30.0
"""Standard deviation of the stored noise; scaled down when added, so that it has no steps."""

LIGHT_REACH: Final = 0.22
"""Share by which the light at the picture's edges differs from its middle at a gradient of 1."""

WARM_TINT: Final = np.array([0.07, 0.0, -0.09], np.float32)
"""Change of red, green and blue at a colour temperature of 1."""

LIGHT_ONE: Final = 190
"""8-bit value of the light map that changes nothing; the brightest is 255 / 190."""


@lru_cache(maxsize=4)
def _noise_tiles(height: int, width: int) -> Uint8Array:
    """`(tiles, height + margin, width + margin, 3)`, noise around 128: more grey than coloured, a little blurred."""
    rng = np.random.default_rng(20_250_410)
    tiles = np.empty((NOISE_TILES, height + NOISE_MARGIN, width + NOISE_MARGIN, 3), np.uint8)
    for tile in tiles:
        noise = rng.standard_normal(tile.shape, np.float32)
        noise = 0.62 * noise + 0.78 * rng.standard_normal((*tile.shape[:2], 1), np.float32)
        soft = np.asarray(cv2.GaussianBlur(noise, (0, 0), 0.45), np.float32)
        tile[:] = np.clip(soft * (NOISE_SPREAD / soft.std()) + 128.5, 0, 255)
    return tiles


def noise_pattern(height: int, width: int, seed: int, frame: int) -> Uint8Array:
    """The noise of one frame, a function of seed and frame alone.

    Returns:
        `(height, width, 3)` uint8 around 128, a view that must not be written to.
    """
    mixed = _mix(_mix(seed) ^ frame)
    tile, top, left = mixed % NOISE_TILES, (mixed >> 16) % NOISE_MARGIN, (mixed >> 32) % NOISE_MARGIN
    return _noise_tiles(height, width)[tile, top : top + height, left : left + width]


def _mix(number: int) -> int:
    """A 64-bit integer in which every bit depends on every bit of `number` (the finaliser of SplitMix64)."""
    number = (number + 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF
    number = ((number ^ (number >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
    number = ((number ^ (number >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
    return number ^ (number >> 31)


@lru_cache(maxsize=4)
def _across(width: int) -> Float32Array:
    """`(width, 1)`, -1 at the left edge of the picture to 1 at its right."""
    return np.linspace(-1, 1, width, dtype=np.float32)[:, None]


def light_row(width: int, light: Float32Array) -> Uint8Array | None:
    """The evenness and colour of the light along a row.

    Args:
        width: of the picture in px.
        light: `(3,)`: gain (not applied here), horizontal gradient, colour temperature; beyond -1 to 1 like these.

    Returns:
        `(width, 3)` uint8 with :data:`LIGHT_ONE` for no change, or None if the light is even and white.
    """
    gradient, warmth = (min(max(float(v), -1.0), 1.0) for v in light[1:])
    if not gradient and not warmth:
        return None
    tint = LIGHT_ONE * (1 + warmth * WARM_TINT)
    row = _across(width) * (LIGHT_REACH * gradient * tint)
    row += tint + np.float32(0.5)
    return row.astype(np.uint8)


def expose(picture: Uint8Array, light: Uint8Array | None, gain: float, noise: Uint8Array, spread: float) -> None:
    """Lights a picture and adds noise, in place.

    Args:
        picture: `(rows, columns, 3)` uint8.
        light: map of the same shape around :data:`LIGHT_ONE`, or None.
        gain: brightness of the light, 1 changes nothing.
        noise: pattern of the same shape, from :func:`noise_pattern`.
        spread: standard deviation of the noise in grey levels.
    """
    if light is not None:
        cv2.multiply(picture, light, dst=picture, scale=1 / LIGHT_ONE)
    share = spread / NOISE_SPREAD
    cv2.addWeighted(picture, gain, noise, share, -128 * share, dst=picture)


HEAD_RECTANGLE: Final = (-178.0, 6.0, 178.0, 480.0)
"""Left, top, right, bottom (face units) of the part of the picture that can move."""

EDGE: Final = (slice(FIELD_STEP // 2, -FIELD_STEP // 2), slice(FIELD_STEP // 2, -FIELD_STEP // 2))
"""The part of a rectangle that lies between samples of its coarse fields."""


class FaceRenderer:
    """Paints an identity once and then renders it in any pose, expression and light.

    A renderer keeps buffers between frames, so one object must not be used by several threads at a time.

    Args:
        identity: whose face.
        height: of the picture in px; the face fills somewhat more than half of it.
        width: of the picture in px.
    """

    def __init__(self, identity: Identity, height: int = 480, width: int = 640) -> None:
        self.identity = identity
        self.anatomy = Anatomy(identity)
        self.whole = Canvas.whole(height, width)
        self.head = self.whole.around(*HEAD_RECTANGLE, FIELD_STEP)
        self.motion = HeadMotion(self.anatomy, self.head)
        self._shut = paint(self.anatomy, self.whole, self.head)
        self._texture = self._shut.copy()
        rng = np.random.default_rng([identity.texture_seed, 1])
        self._eyes = [eye_opening(self.anatomy, self.whole, side) for _, side in SIDES]
        self._eyeballs = [Eyeball(self.anatomy, self._eyes[i], side, rng) for i, (_, side) in enumerate(SIDES)]
        self._mouth = mouth_opening(self.anatomy, self.whole)
        self._cavity = paint_mouth_cavity(self.anatomy, self._mouth)
        self._furrows = [[furrow(self.anatomy, self.whole, c, side, rng) for _, side in SIDES] for c in AU_CODES]
        self._glasses = paint_glasses(self.anatomy, self.head, FIELD_STEP)
        self._map = np.empty((self.head.rows, self.head.columns, 2), np.float32)
        self._light = np.empty_like(self._texture)

    def render(self, tracks: FaceTracks, frame: int, noise_seed: int) -> Uint8Array:
        """Renders one frame.

        Args:
            tracks: what the face does.
            frame: 0-based frame of it.
            noise_seed: the sensor's noise is a function of this seed and the frame alone.

        Returns:
            `(height, width, 3)` uint8 RGB.
        """
        texture = self._paint_frame(tracks, frame)
        pose = self.motion.pose(tracks, frame)
        sources = np.add(self.motion.total(tracks, frame, pose), self.motion.positions)
        enlarge(sources, self.head.rows, self.head.columns, out=self._map)
        picture = texture.copy()
        # Between the outermost samples and the rectangle's edge nothing moves, and the resized map is no map.
        sample(texture, self._map[EDGE], out=picture[self.head.slices][EDGE])
        self._wear_glasses(picture, pose)
        light = light_row(self.whole.width, tracks.light[frame])
        if light is not None:
            np.copyto(self._light, light)
        noise = noise_pattern(*self.whole.shape, noise_seed, frame)
        gain = float(tracks.light[frame, 0])
        expose(picture, None if light is None else self._light, gain, noise, self.identity.outfit.noise)
        return picture

    def render_crop(
        self, tracks: FaceTracks, frame: int, noise_seed: int, size: int, transform: npt.ArrayLike
    ) -> Uint8Array:
        """Renders what :meth:`render` shows, seen through a similarity transform, without the detour.

        Args:
            tracks: what the face does.
            frame: 0-based frame of it.
            noise_seed: see :meth:`render`.
            size: side of the square crop in px.
            transform: `(2, 3)`, takes px of the picture to px of the crop.

        Returns:
            `(size, size, 3)` uint8 RGB.
        """
        forward = np.asarray(transform, np.float64)
        back = np.asarray(cv2.invertAffineTransform(forward), np.float64)
        grid = crop_positions(back, size)
        texture = self._paint_frame(tracks, frame)
        pose = self.motion.pose(tracks, frame)
        crop = sample(texture, self._seen(self.motion.total(tracks, frame, pose), back, size) + grid)
        if self._glasses is not None:
            canvas, sprite = self._glasses
            at = self._seen(pose, back, size) + (grid - np.array([canvas.left, canvas.top], np.float32))
            _lay_over(crop, sample_layer(sprite, at))
        row = light_row(self.whole.width, tracks.light[frame])
        # The light is the same in every row, so one row looked at along x is enough.
        light = None if row is None else look_back(row[None], np.stack([back[0], np.zeros(3)]), size)
        noise = look_back(noise_pattern(*self.whole.shape, noise_seed, frame), back, size)
        expose(crop, light, float(tracks.light[frame, 0]), noise, self.identity.outfit.noise)
        return crop

    def landmarks(self, tracks: FaceTracks, frame: int) -> Float32Array:
        """Where the landmarks of :data:`~.anatomy.LANDMARKS` are seen in a frame.

        Returns:
            `(K, 2)` float32, x and y in px of the picture.
        """
        points = self.anatomy.landmarks()
        for index, (name, side) in enumerate(SIDES):
            up, down = self.lid_opening(tracks, frame, index)
            middle = self.anatomy.lid_line(points[LANDMARK_INDEX[f"upper_lid_{name}"], 0], side)
            points[LANDMARK_INDEX[f"upper_lid_{name}"], 1] = middle - up
            points[LANDMARK_INDEX[f"lower_lid_{name}"], 1] = middle + down
        up, down = self.lip_opening(tracks, frame)
        line = self.anatomy.lip_line(0.0)
        for lip, gap, reach in (("upper", -up, self._mouth.reach_up), ("lower", down, self._mouth.reach_down)):
            body, edge = LANDMARK_INDEX[f"{lip}_lip"], LANDMARK_INDEX[f"{lip}_lip_edge"]
            share = 1 - abs(points[body, 1] - line) * self.whole.scale / reach
            points[body, 1] += gap * share
            points[edge, 1] = line + gap
        field = self.motion.total(tracks, frame)
        return self.motion.arrive(self.whole.to_pixels(points), field)

    def lid_opening(self, tracks: FaceTracks, frame: int, half: int) -> tuple[float, float]:
        """How far the lids of one eye stand above and below the line where they meet, in face units.

        Args:
            tracks: what the face does.
            frame: 0-based frame of it.
            half: 0 for the person's left eye, 1 for the right.
        """
        unit = _intensities(tracks, frame, half)
        eyes, shut = self.identity.eyes, float(tracks.blink[frame])
        gaze = float(tracks.gaze[frame, 1])
        up = eyes.upper * (1 + 0.36 * unit["5"] + 0.05 * unit["1"] + 0.16 * gaze)
        up *= max(0.0, 1 - 0.22 * unit["7"] - 0.14 * unit["6"] - 0.20 * unit["9"] - 0.06 * unit["4"])
        down = eyes.lower * max(0.0, 1 - 0.75 * unit["7"] - 0.50 * unit["6"] - 0.35 * unit["9"])
        return up * (1 - shut), down * (1 - shut)

    def lip_opening(self, tracks: FaceTracks, frame: int) -> tuple[float, float]:
        """How far the lips stand above and below the line where they meet, in face units."""
        left, right = (_intensities(tracks, frame, half) for half in (0, 1))
        unit = {code: (left[code] + right[code]) / 2 for code in AU_CODES}
        jaw, rounding = (float(v) for v in tracks.speech[frame])
        pressed = max(0.0, 1 - unit["24"] - 0.7 * unit["23"] - 0.5 * unit["17"])
        up = (2.4 * unit["25"] + 1.2 * unit["26"] + 1.2 * jaw + 0.8 * rounding) * pressed
        down = (5.0 * unit["25"] + 16.0 * unit["26"] + 11.0 * jaw + 1.5 * rounding) * pressed
        return up, down

    def _paint_frame(self, tracks: FaceTracks, frame: int) -> Uint8Array:
        """The resting head's texture with this frame's furrows, eyes and mouth; the buffer is reused."""
        np.copyto(self._texture[self.head.slices], self._shut[self.head.slices])
        for maps, intensities in zip(self._furrows, tracks.action_units[frame], strict=True):
            for drawn, intensity in zip(maps, intensities, strict=True):
                if drawn is not None and intensity > MOVES_NOTHING:
                    drawn.add(self._texture[drawn.canvas.slices], float(intensity))
        scale, gaze = self.whole.scale, tracks.gaze[frame]
        for half, (opening, ball) in enumerate(zip(self._eyes, self._eyeballs, strict=True)):
            up, down = self.lid_opening(tracks, frame, half)
            opening.part(self._texture[opening.canvas.slices], ball.turned(*gaze), up * scale, down * scale)
        up, down = self.lip_opening(tracks, frame)
        if up + down > MOVES_NOTHING:
            opening = self._mouth
            opening.part(self._texture[opening.canvas.slices], self._cavity, up * scale, down * scale)
        return self._texture

    def _seen(self, field: Float32Array, back: Transform, size: int) -> Float32Array:
        """A coarse field at the pixels of a crop, `(size, size, 2)`; 0 outside the head's rectangle."""
        to_coarse = back.copy()
        to_coarse[:, 2] += 0.5 - np.array([self.head.left, self.head.top])
        to_coarse /= FIELD_STEP
        to_coarse[:, 2] -= 0.5
        return look_back_field(field, to_coarse, size)

    def _wear_glasses(self, picture: Uint8Array, pose: Float32Array) -> None:
        """Lays the glasses over the picture, moved by the pose alone."""
        if self._glasses is None:
            return
        canvas, sprite = self._glasses
        # The sprite has a transparent margin, in which the head moves the glasses.
        top, left = (canvas.top - self.head.top) // FIELD_STEP, (canvas.left - self.head.left) // FIELD_STEP
        samples = slice(top, top + canvas.rows // FIELD_STEP), slice(left, left + canvas.columns // FIELD_STEP)
        sources = pose[samples] + (self.motion.positions[samples] - np.array([canvas.left, canvas.top], np.float32))
        at = enlarge(sources, canvas.rows, canvas.columns)
        _lay_over(picture[canvas.slices][EDGE], sample_layer(sprite, at[EDGE]))


def _lay_over(picture: Uint8Array, layer: Uint8Array) -> None:
    """Lays a premultiplied RGBA layer over a picture in place."""
    keep = cv2.merge([255 - layer[..., 3]] * 3)
    cv2.multiply(picture, keep, dst=picture, scale=1 / 255)
    cv2.add(picture, np.ascontiguousarray(layer[..., :3]), dst=picture)


def _intensities(tracks: FaceTracks, frame: int, half: int) -> dict[str, float]:
    """Intensity of every unit in one half of the face."""
    return dict(zip(AU_CODES, tracks.action_units[frame, :, half].tolist(), strict=True))
