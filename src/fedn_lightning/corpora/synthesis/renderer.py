"""Renders frames of a generated face: one painted identity, parted, furrowed, warped, lit and filmed."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from fedn_lightning.corpora.synthesis.action_units import AU_CODES, AU_INDEX
from fedn_lightning.corpora.synthesis.anatomy import LANDMARK_INDEX, SIDES, Anatomy
from fedn_lightning.corpora.synthesis.camera import expose, light_row, noise_pattern, to_crop
from fedn_lightning.corpora.synthesis.canvas import Canvas, Float32Array, Uint8Array
from fedn_lightning.corpora.synthesis.furrows import furrow
from fedn_lightning.corpora.synthesis.glasses import paint_glasses
from fedn_lightning.corpora.synthesis.identity import Identity
from fedn_lightning.corpora.synthesis.motion import FIELD_STEP, MOVES_NOTHING, HeadMotion
from fedn_lightning.corpora.synthesis.openings import Eyeball, eye_opening, mouth_opening, paint_mouth_cavity
from fedn_lightning.corpora.synthesis.painting import paint
from fedn_lightning.corpora.synthesis.performance import Performance

Transform = npt.NDArray[np.float64]

HEAD_RECTANGLE: Final = (-192.0, 4.0, 192.0, 480.0)
"""Left, top, right, bottom (face units) of the part of the picture that can move."""


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
        self._grid = _pixel_grid(self.head)
        self._map = np.empty_like(self._grid)

    def render(self, performance: Performance, frame: int, noise_seed: int) -> Uint8Array:
        """Renders one frame.

        Args:
            performance: what the face does.
            frame: 0-based frame of it.
            noise_seed: the sensor's noise is a function of this seed and the frame alone.

        Returns:
            `(height, width, 3)` uint8 RGB.
        """
        texture = self._paint_frame(performance, frame)
        pose = self.motion.pose(performance, frame)
        field = self.motion.total(performance, frame, pose)
        picture = texture.copy()
        columns_rows = (self.head.columns, self.head.rows)
        cv2.resize(field, columns_rows, dst=self._map, interpolation=cv2.INTER_LINEAR)
        cv2.add(self._map, self._grid, dst=self._map)
        inside = picture[self.head.slices]
        cv2.remap(texture, self._map, None, cv2.INTER_LINEAR, dst=inside, borderMode=cv2.BORDER_REPLICATE)
        self._wear_glasses(picture, pose)
        height, width = self.whole.shape
        row = light_row(width, performance.light[frame])
        light = None if row is None else np.ascontiguousarray(np.broadcast_to(row, picture.shape))
        noise = noise_pattern(height, width, noise_seed, frame)
        expose(picture, light, float(performance.light[frame, 0]), noise, self.identity.outfit.noise)
        return picture

    def render_crop(
        self, performance: Performance, frame: int, noise_seed: int, size: int, transform: npt.ArrayLike
    ) -> Uint8Array:
        """Renders what :meth:`render` shows, seen through a similarity transform, without the detour.

        Args:
            performance: what the face does.
            frame: 0-based frame of it.
            noise_seed: see :meth:`render`.
            size: side of the square crop in px.
            transform: `(2, 3)`, takes px of the picture to px of the crop.

        Returns:
            `(size, size, 3)` uint8 RGB.
        """
        forward = np.asarray(transform, np.float64)
        back = cv2.invertAffineTransform(forward)
        texture = self._paint_frame(performance, frame)
        pose = self.motion.pose(performance, frame)
        field = self._seen(self.motion.total(performance, frame, pose), back, size)
        field += _affine_grid(back, size)
        crop = cv2.remap(texture, field, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
        if self._glasses is not None:
            self._glasses_in_crop(crop, self._seen(pose, back, size) + _affine_grid(back, size))
        height, width = self.whole.shape
        row = light_row(width, performance.light[frame])
        light = None
        if row is not None:
            light = to_crop(np.ascontiguousarray(np.broadcast_to(row, (height, width, 3))), forward, size)
        noise = to_crop(noise_pattern(height, width, noise_seed, frame), forward, size)
        expose(crop, light, float(performance.light[frame, 0]), noise, self.identity.outfit.noise)
        return crop

    def landmarks(self, performance: Performance, frame: int) -> Float32Array:
        """Where the landmarks of :data:`~.anatomy.LANDMARKS` are seen in a frame.

        Returns:
            `(K, 2)` float32, x and y in px of the picture.
        """
        points = self.anatomy.landmarks()
        for index, (name, side) in enumerate(SIDES):
            up, down = self.lid_opening(performance, frame, index)
            middle = self.anatomy.lid_line(points[LANDMARK_INDEX[f"upper_lid_{name}"], 0], side)
            points[LANDMARK_INDEX[f"upper_lid_{name}"], 1] = middle - up
            points[LANDMARK_INDEX[f"lower_lid_{name}"], 1] = middle + down
        up, down = self.lip_opening(performance, frame)
        line = self.anatomy.lip_line(0.0)
        for lip, gap, reach in (("upper", -up, self._mouth.reach_up), ("lower", down, self._mouth.reach_down)):
            body, edge = LANDMARK_INDEX[f"{lip}_lip"], LANDMARK_INDEX[f"{lip}_lip_edge"]
            share = 1 - abs(points[body, 1] - line) * self.whole.scale / reach
            points[body, 1] += gap * share
            points[edge, 1] = line + gap
        field = self.motion.total(performance, frame)
        return self.motion.arrive(self.whole.to_pixels(points), field)

    def lid_opening(self, performance: Performance, frame: int, half: int) -> tuple[float, float]:
        """How far the lids of one eye stand above and below the line where they meet, in face units.

        Args:
            performance: what the face does.
            frame: 0-based frame of it.
            half: 0 for the person's left eye, 1 for the right.
        """
        unit = _intensities(performance, frame, half)
        eyes, shut = self.identity.eyes, float(performance.blink[frame])
        gaze = float(performance.gaze[frame, 1])
        up = eyes.upper * (1 + 0.36 * unit["5"] + 0.05 * unit["1"] + 0.16 * gaze)
        up *= max(0.0, 1 - 0.22 * unit["7"] - 0.14 * unit["6"] - 0.20 * unit["9"] - 0.06 * unit["4"])
        down = eyes.lower * max(0.0, 1 - 0.75 * unit["7"] - 0.50 * unit["6"] - 0.35 * unit["9"])
        return up * (1 - shut), down * (1 - shut)

    def lip_opening(self, performance: Performance, frame: int) -> tuple[float, float]:
        """How far the lips stand above and below the line where they meet, in face units."""
        left, right = (_intensities(performance, frame, half) for half in (0, 1))
        unit = {code: (left[code] + right[code]) / 2 for code in AU_CODES}
        jaw, rounding = (float(v) for v in performance.speech[frame])
        pressed = max(0.0, 1 - unit["24"] - 0.7 * unit["23"] - 0.5 * unit["17"])
        up = (2.4 * unit["25"] + 1.2 * unit["26"] + 1.2 * jaw + 0.8 * rounding) * pressed
        down = (5.0 * unit["25"] + 19.0 * unit["26"] + 11.0 * jaw + 1.5 * rounding) * pressed
        return up, down

    def _paint_frame(self, performance: Performance, frame: int) -> Uint8Array:
        """The resting head's texture with this frame's furrows, eyes and mouth; the buffer is reused."""
        np.copyto(self._texture[self.head.slices], self._shut[self.head.slices])
        for maps, intensities in zip(self._furrows, performance.action_units[frame], strict=True):
            for drawn, intensity in zip(maps, intensities, strict=True):
                if drawn is not None and intensity > MOVES_NOTHING:
                    drawn.add(self._texture[drawn.canvas.slices], float(intensity))
        scale, gaze = self.whole.scale, performance.gaze[frame]
        for half, (opening, ball) in enumerate(zip(self._eyes, self._eyeballs, strict=True)):
            up, down = self.lid_opening(performance, frame, half)
            opening.part(self._texture[opening.canvas.slices], ball.turned(*gaze), up * scale, down * scale)
        up, down = self.lip_opening(performance, frame)
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
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return np.asarray(cv2.warpAffine(field, to_coarse, (size, size), flags=flags), np.float32)

    def _wear_glasses(self, picture: Uint8Array, pose: Float32Array) -> None:
        """Lays the glasses over the picture, moved by the pose alone."""
        if self._glasses is None:
            return
        canvas, sprite = self._glasses
        # The sprite leaves a margin of some px on all sides, in which the head moves the glasses.
        top, left = (canvas.top - self.head.top) // FIELD_STEP, (canvas.left - self.head.left) // FIELD_STEP
        rows, columns = canvas.rows // FIELD_STEP, canvas.columns // FIELD_STEP
        local = np.ascontiguousarray(pose[top : top + rows, left : left + columns])
        moved = cv2.resize(local, (canvas.columns, canvas.rows), interpolation=cv2.INTER_LINEAR)
        moved += _pixel_grid(canvas) - np.array([canvas.left, canvas.top], np.float32)
        _lay_over(picture[canvas.slices], cv2.remap(sprite, moved, None, cv2.INTER_LINEAR))

    def _glasses_in_crop(self, crop: Uint8Array, sources: Float32Array) -> None:
        """Lays the glasses over a crop whose pixels see the resting head at `sources`."""
        assert self._glasses is not None
        canvas, sprite = self._glasses
        at = sources - np.array([canvas.left, canvas.top], np.float32)
        _lay_over(crop, cv2.remap(sprite, at, None, cv2.INTER_LINEAR))


def _lay_over(picture: Uint8Array, layer: Uint8Array) -> None:
    """Lays a premultiplied RGBA layer over a picture in place."""
    keep = cv2.merge([255 - layer[..., 3]] * 3)
    cv2.multiply(picture, keep, dst=picture, scale=1 / 255)
    cv2.add(picture, np.ascontiguousarray(layer[..., :3]), dst=picture)


def _intensities(performance: Performance, frame: int, half: int) -> dict[str, float]:
    """Intensity of every unit in one half of the face."""
    values = performance.action_units[frame, :, half].tolist()
    return {code: values[index] for code, index in AU_INDEX.items()}


def _pixel_grid(canvas: Canvas) -> Float32Array:
    """`(rows, columns, 2)`, x and y of every pixel of a rectangle in px of the whole picture."""
    y, x = np.mgrid[canvas.slices].astype(np.float32)
    return np.stack([x, y], axis=-1)


def _affine_grid(back: Transform, size: int) -> Float32Array:
    """`(size, size, 2)`, px of the picture at every pixel of a crop."""
    axis = np.arange(size, dtype=np.float32)
    matrix = back.astype(np.float32)
    return axis[None, :, None] * matrix[:, 0] + axis[:, None, None] * matrix[:, 1] + matrix[:, 2]
