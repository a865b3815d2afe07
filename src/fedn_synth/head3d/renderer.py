"""Renders frames of a three-dimensional head: shapes blended, turned, rasterised, lit, and filmed."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from fedn_synth.face.identity import DARK_SKIN, Identity
from fedn_synth.face.motion import FaceTracks
from fedn_synth.face.muscles import AU_CODES
from fedn_synth.face.renderer import expose, light_row, noise_pattern
from fedn_synth.head3d.hair import COLUMNS, ROWS, HairShape
from fedn_synth.head3d.layers import GAZE_DEGREES, KEEPS_LOOKING, EyeLayer, Glasses, MouthLayer, TeethPlace
from fedn_synth.head3d.mesh import (
    PIXELS_PER_DECIMETRE,
    Build,
    Float32Array,
    Uint8Array,
    centred,
    even_jaw,
    eye_centre,
    load_mesh,
    other_shapes,
    response,
    sample_head,
    unit_shapes,
)
from fedn_synth.head3d.raster import Patch, brought_together, lay_over
from fedn_synth.head3d.scene import dress, light_of, paint_wall, reached_by_light
from fedn_synth.head3d.skin import FURROWS_AT, Furrows, paint_skin
from fedn_synth.head3d.topology import load_atlas, load_topology

DISTANCE: Final = 11.0
"""Distance (dm) of the camera from the eyes."""
PIVOT: Final = np.array([0, -0.7, -0.75], np.float32)
"""The point (dm from the middle of the eyes) about which the head turns."""


FURROW_DEPTH: Final = 0.42
"""Depth of the furrows of a young smooth skin at intensity 1, as a share of its light."""
TEETH_DOWN: Final = {"upper": 0.045, "lower": 0.03}
"""How much lower (dm) the rows of teeth are shown than the release has them."""


class View(NamedTuple):
    """A head in one frame: its vertices before the camera in dm, and in px of the picture."""

    points: Float32Array
    pixels: Float32Array


def rotation(roll: float, yaw: float, pitch: float) -> Float32Array:
    """`(3, 3)`, degrees: clockwise on the picture, to the right of the picture and down are positive."""
    r, w, p = (math.radians(v) for v in (roll, yaw, pitch))
    turn_r = [[math.cos(r), math.sin(r), 0], [-math.sin(r), math.cos(r), 0], [0, 0, 1]]
    turn_w = [[math.cos(w), 0, math.sin(w)], [0, 1, 0], [-math.sin(w), 0, math.cos(w)]]
    turn_p = [[1, 0, 0], [0, math.cos(p), -math.sin(p)], [0, math.sin(p), math.cos(p)]]
    return np.asarray(np.array(turn_r) @ turn_w @ turn_p, np.float32)


class HeadRenderer:
    """Builds one person's head once and then renders it in any pose, expression and light.

    A renderer keeps buffers between frames, so one object must not be used by several threads at a time.

    Args:
        identity: whose face; the same that :class:`~.face.renderer.FaceRenderer` draws flat.
        height: of the picture in px.
        width: of the picture in px.
    """

    def __init__(self, identity: Identity, height: int = 480, width: int = 640) -> None:
        self.identity = identity
        self.shape = height, width
        rng = np.random.default_rng([identity.texture_seed, 3])
        male = identity.hair.beard != "none" or bool(rng.random() < 0.35)
        dark = np.clip((DARK_SKIN + 30 - identity.skin.tone[0]) / 90, 0, 1)
        self.skin = np.concatenate([load_topology().triangles, load_topology().chest])
        build = Build.sample(rng, dark=float(dark), male=male)
        self._mesh, self._topology = load_mesh(), load_topology()
        head, pupils = centred(sample_head(build, rng), self._mesh)
        self._head = head
        self.scale = 2 * identity.eyes.half_distance / pupils * height / 480
        self._motion = PIXELS_PER_DECIMETRE * height / 480 / self.scale
        chin = self._topology.landmarks[-1]
        self._middle = np.array(
            [width / 2, identity.skull.chin_y * height / 480 + head[chin, 1] * self.scale], np.float32
        )
        self._sheet = paint_skin(identity, male, build.old, rng)
        dress(self._sheet, identity, rng)
        self._place = load_atlas().place
        self._furrows = Furrows(FURROW_DEPTH * (0.75 + 0.6 * build.old) * identity.skin.wrinkles)
        self._eyes = EyeLayer(identity, not male, rng)
        self._mouth = MouthLayer(identity, rng)
        self._glasses = Glasses(identity, rng)
        self._wall = np.clip(paint_wall(identity, height, width, rng), 0, 255).astype(np.uint8)
        self._hair = None
        if identity.hair.style != "bald":
            self._hair = HairShape(identity.hair, head, self.skin, rng)
        self._shapes = unit_shapes().reshape(2 * len(AU_CODES), -1)
        self._others = {name: shape.ravel() for name, shape in other_shapes().items()}
        self._light = light_of(identity)
        self._occlusion = reached_by_light(head, self.skin, self._topology.normals, self.scale)
        self._draw_chest()

    def view(self, tracks: FaceTracks, frame: int) -> View:
        """Where every vertex is in a frame."""
        points = self._head + self._moved(tracks, frame)
        turned = self._turned(points, tracks, frame)
        points = points + self._topology.turning * (turned - points)
        return View(points, self._project(points))

    def _turned(self, points: Float32Array, tracks: FaceTracks, frame: int) -> Float32Array:
        """Points of the head after its turn and shift in a frame."""
        shift_x, shift_y, roll, yaw, pitch, size = tracks.pose[frame].tolist()
        turned = (points - PIVOT) @ (rotation(roll, yaw, pitch).T * np.float32(size)) + PIVOT
        shift = np.array([shift_x, -shift_y, 0], np.float32) * np.float32(self.shape[0] / 480 / self.scale)
        return np.asarray(turned + shift, np.float32)

    def _hair_view(self, tracks: FaceTracks, frame: int) -> View | None:
        if self._hair is None:
            return None
        points = self._turned(self._hair.vertices, tracks, frame)
        return View(points, self._project(points))

    def landmarks(self, tracks: FaceTracks, frame: int) -> Float32Array:
        """Where the landmarks of :data:`~.anatomy.LANDMARKS` are seen in a frame, `(K, 2)` px."""
        view = self.view(tracks, frame)
        found = view.pixels[self._topology.landmarks]
        centres = [self._eyeball(view, side)[0] for side in (1, 0)]
        found[self._topology.landmarks < 0] = np.stack(centres)
        return found

    def render(self, tracks: FaceTracks, frame: int, noise_seed: int) -> Uint8Array:
        """Renders one frame, `(height, width, 3)` uint8 RGB; see :meth:`.FaceRenderer.render`."""
        view = self.view(tracks, frame)
        picture = self._wall.copy()
        hair = self._hair_view(tracks, frame)
        if hair is not None and self.identity.hair.style == "long":
            self._draw_hair(picture, hair, inside=True)
        self._draw_skin(picture, view, self._furrows.shade(tracks.action_units[frame]))
        self._draw_openings(picture, view, tracks, frame)
        yaw = float(tracks.pose[frame, 3])
        self._glasses.draw(picture, lambda points: self._project(self._turned(points, tracks, frame)), yaw)
        if hair is not None:
            self._draw_hair(picture, hair, inside=False)
        return self._expose(picture, tracks, frame, noise_seed)

    def render_crop(
        self, tracks: FaceTracks, frame: int, noise_seed: int, size: int, transform: npt.ArrayLike
    ) -> Uint8Array:
        """Renders what :meth:`render` shows, seen through a transform; see :meth:`.FaceRenderer.render_crop`."""
        picture = self.render(tracks, frame, noise_seed)
        matrix = np.asarray(transform, np.float64)
        border = cv2.BORDER_REPLICATE
        return np.asarray(
            cv2.warpAffine(picture, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=border), np.uint8
        )

    def _expose(self, exposed: Uint8Array, tracks: FaceTracks, frame: int, noise_seed: int) -> Uint8Array:
        height, width = self.shape
        row = light_row(width, tracks.light[frame])
        light = None if row is None else np.broadcast_to(row, exposed.shape).copy()
        noise = noise_pattern(height, width, noise_seed, frame)
        expose(exposed, light, float(tracks.light[frame, 0]), noise, self.identity.outfit.noise)
        return exposed

    def _moved(self, tracks: FaceTracks, frame: int) -> Float32Array:
        """Displacement of every vertex by muscles, `(V, 3)` dm."""
        # A unit moves the skin of a large and of a small face by the same number of pixels.
        units = response(even_jaw(tracks.action_units[frame])).ravel() * np.float32(self._motion)
        active = np.flatnonzero(units > 1e-4)
        total = units[active] @ self._shapes[active] if len(active) else np.zeros(self._shapes.shape[1], np.float32)
        jaw, rounding = tracks.speech[frame].tolist()
        others = {"blink": float(tracks.blink[frame]), "jaw": jaw, "rounding": rounding,
                  "swallow": float(tracks.swallow[frame])}  # fmt: skip
        for name, amount in others.items():
            if amount > 1e-4:
                total = total + np.float32(amount) * self._others[name]
        return np.asarray(total.reshape(-1, 3), np.float32)

    def _project(self, points: Float32Array) -> Float32Array:
        zoom = self.scale * DISTANCE / (DISTANCE - points[:, 2])
        return np.stack([self._middle[0] + zoom * points[:, 0], self._middle[1] - zoom * points[:, 1]], axis=1)

    def _eyeball(self, view: View, side: int) -> tuple[Float32Array, float]:
        """Centre and radius of an eyeball in px; side 0 is the person's left."""
        members = self._mesh.groups[f"helper-{'lr'[side]}-eye"]
        centre = eye_centre(view.points, members)
        radius = float(np.ptp(self._head[members], axis=0).max()) / 2
        return self._project(centre[None])[0], radius * self.scale

    def _draw_skin(self, picture: Uint8Array, view: View, furrowed: Float32Array | None) -> None:
        """Rasterises, paints and lights the head, and lays it over the picture."""
        topology = self._topology
        values = np.concatenate([self._place, self._lit(view)], axis=1)
        patch = Patch.of(view.pixels, view.points[:, 2], topology.triangles, values, self.shape)
        if patch is None:
            return
        if furrowed is not None:
            patch.darken(furrowed, FURROWS_AT)
        colour = patch.paint(self._sheet)
        mask = self._outline(patch, view)
        lay_over(patch.part(picture), colour, mask)

    def _draw_chest(self) -> None:
        """Draws the shoulders, which never move, over the wall."""
        rest = View(self._head, self._project(self._head))
        values = np.concatenate([self._place, self._lit(rest)], axis=1)
        # A little more than what never moves, so that no gap is left between the two.
        still = self.skin[(self._topology.turning[self.skin, 0] < 0.35).any(axis=1)]
        patch = Patch.of(rest.pixels, rest.points[:, 2], still, values, self.shape)
        if patch is not None:
            lay_over(patch.part(self._wall), patch.paint(self._sheet), patch.soft_cover())

    def _draw_hair(self, picture: Uint8Array, view: View, *, inside: bool) -> None:
        """Draws the hair behind the head (`inside`: its inner side, in shade) or before it."""
        hair = self._hair
        if hair is None:
            return
        triangles = hair.hanging[:, ::-1] if inside else hair.triangles
        grid = view.points.reshape(ROWS, COLUMNS, 3)
        down, along = np.gradient(grid, axis=0), np.gradient(grid, axis=1)
        normals = np.cross(down, along).reshape(-1, 3)
        normals /= np.linalg.norm(normals, axis=1, keepdims=True) + 1e-9
        light = self._light.shine(normals.astype(np.float32), np.ones((len(normals), 1), np.float32))
        light[:, :3] = np.clip(0.25 + 0.8 * light[:, :3], 0.3, None)
        light[:, 3] *= hair.gloss
        if inside:
            light *= np.float32(0.3)
            light[:, 3] = 0
        values = np.concatenate([hair.place, light], axis=1)
        patch = Patch.of(view.pixels, view.points[:, 2], triangles, values, self.shape)
        if patch is None:
            return
        colour, cover = patch.paint_cover(hair.sheet)
        lay_over(patch.part(picture), colour, np.asarray(cv2.min(cover, patch.soft_cover()), np.uint8))

    def _outline(self, patch: Patch, view: View) -> Uint8Array:
        """How much of every pixel the head covers, 0 to 255: smooth along its outline."""
        inner = cv2.erode(patch.cover, np.ones((3, 3), np.uint8))
        mask = np.asarray(cv2.resize(inner, patch.size, interpolation=cv2.INTER_NEAREST), np.uint8)
        rim = np.zeros(len(self._topology.triangles), bool)
        rim[patch.seen.triangle[inner.ravel()[patch.seen.cells] == 0]] = True
        corners = [view.pixels[self._topology.triangles[:, i]] for i in range(3)]
        one, other = corners[1] - corners[0], corners[2] - corners[0]
        front = one[:, 0] * other[:, 1] - one[:, 1] * other[:, 0] > 0
        pairs = self._topology.neighbours
        rim[pairs[front[pairs[:, 0]] != front[pairs[:, 1]]]] = True
        chosen = view.pixels[self._topology.triangles[rim & front]] - np.array(patch.corner, np.float32)
        for triangle in np.rint(chosen * 16).astype(np.int32):
            cv2.fillConvexPoly(mask, triangle, 255, cv2.LINE_AA, shift=4)
        return mask

    def _lit(self, view: View) -> Float32Array:
        """`(V, 4)`: red, green and blue light on every vertex, and its gloss in grey levels."""
        triangles = self.skin
        corners = [view.points[triangles[:, corner]] for corner in range(3)]
        faces = np.cross(corners[2] - corners[0], corners[1] - corners[0])
        normals = self._topology.normals @ faces
        normals /= np.linalg.norm(normals, axis=1, keepdims=True) + 1e-9
        return self._light.shine(np.asarray(normals, np.float32), self._occlusion)

    def _draw_openings(self, picture: Uint8Array, view: View, tracks: FaceTracks, frame: int) -> None:
        topology = self._topology
        _, _, _, yaw, pitch, _ = tracks.pose[frame].tolist()
        gaze = tracks.gaze[frame]
        look = (yaw * (1 - KEEPS_LOOKING) + GAZE_DEGREES[0] * float(gaze[0]),
                -pitch * (1 - KEEPS_LOOKING) + GAZE_DEGREES[1] * float(gaze[1]))  # fmt: skip
        for side in (0, 1):
            centre, radius = self._eyeball(view, side)
            rim, border = view.pixels[topology.rims[side]], view.pixels[topology.lashes[side]]
            half = len(rim) // 2
            rim = np.concatenate(brought_together(rim[:half], rim[half:], 0.0))
            self._eyes.draw(picture, rim, border, centre, radius, look, 0.86)
        rows = {name: self._teeth(view, name) for name in ("upper", "lower")}
        upper, lower = view.pixels[topology.upper_lip], view.pixels[topology.lower_lip]
        pressed = self._pressed(tracks, frame)
        self._mouth.draw(picture, *brought_together(upper, lower, pressed), rows["upper"], rows["lower"], 0.85)

    def _pressed(self, tracks: FaceTracks, frame: int) -> float:
        """How far the lips are held together, 0 to 1: pressed or tightened lips do not part."""
        unit: dict[str, float] = dict(zip(AU_CODES, tracks.action_units[frame].mean(axis=1).tolist(), strict=True))
        parting = unit["25"] + unit["26"] + float(tracks.speech[frame, 0])
        holding = max(unit["23"], unit["24"], 0.6 * unit["17"], 0.4 * unit["10"], 0.4 * unit["9"])
        return min(1.0, 2.5 * holding) * max(0.0, 1 - 2.5 * parting)

    def _teeth(self, view: View, row: str) -> TeethPlace:
        members = self._mesh.groups[f"helper-{row}-teeth"]
        rest, now = self._head[members], view.pixels[members]
        front = rest[:, 2] > np.quantile(rest[:, 2], 0.6)
        edge = (
            rest[:, 1] < np.quantile(rest[:, 1], 0.3) if row == "upper" else rest[:, 1] > np.quantile(rest[:, 1], 0.7)
        )
        chosen = front & edge if (front & edge).any() else front
        left, right = now[rest[:, 0].argmin()], now[rest[:, 0].argmax()]
        along = right - left
        middle = now[chosen].mean(axis=0)
        middle = middle + np.array([0, TEETH_DOWN[row] * self.scale], np.float32)
        return TeethPlace(middle, float(np.hypot(*along)), math.atan2(float(along[1]), float(along[0])))
