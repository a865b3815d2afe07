"""Finds the face of a video by OpenCV's cascades, which are part of its package.

A cascade's answer jumps by several pixels from frame to frame, a hundred times a micro-expression's motion. So no
single answer is used: the eyes are looked for in frames spread over the whole video, and their median is taken.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from fedn_lightning.errors import ConfigError, FaceNotFoundError
from fedn_lightning.video.alignment import Box, Face, eye_transform
from fedn_lightning.video.landmarks import LANDMARKER, find_face_mesh, find_faces_landmarker

Grey = npt.NDArray[np.uint8]

SEARCH_HEIGHT = 480
"""Pictures are searched at no more rows than this: cascades are slow and need no more."""

MIN_FACE = 0.2
"""Smallest face looked for, as a part of the picture's shorter side."""

SMALL_FACES = f"Faces narrower than {MIN_FACE:.0%} of the picture's shorter side are not looked for."
"""The rule by which small faces are passed over, for messages."""

BOX_EYES = ((0.31, 0.39), (0.69, 0.39))
"""Where the eyes lie in the face cascade's box (ours, median over generated and photographed faces)."""

EYE_SHIFT = 0.009
"""The eye cascade answers too far up and left by this part of the face box's side, also in mirrored pictures (ours)."""

EYE_TOLERANCE = 0.14
"""Farthest an eye may be found from its usual place in the box, as a part of the box's side."""


def find_face(grey: Grey, finder: str = "cascade", near: Box | None = None) -> Face | None:
    """The largest face of a picture, or the one at a given place.

    Args:
        grey: `(H, W)` uint8.
        finder: `cascade`, `landmarker:FILE` for MediaPipe's face landmarker, or `mesh` for its older face mesh (see
            :mod:`fedn_lightning.video.landmarks`).
        near: box of the person meant, where there are several; a face is theirs if its centre lies in that box.

    Returns:
        The face in the picture's own pixels, or None.
    """
    return meant(find_faces(grey, finder, most=1 if near is None else None), near)


def meant(faces: Sequence[Face], near: Box | None) -> Face | None:
    """The face that :func:`find_face` would give, of those of :func:`find_faces`."""
    return next((face for face in faces if near is None or _is_near(face.box, near)), None)


def find_faces(grey: Grey, finder: str = "cascade", most: int | None = None) -> list[Face]:
    """The faces of a picture, the largest first; `mesh` sees one at most.

    Args:
        grey: `(H, W)` uint8.
        finder: see :func:`find_face`.
        most: how many, None for all.

    Returns:
        Faces in the picture's own pixels.
    """
    kind, _, model = finder.partition(":")
    if kind == LANDMARKER:
        return find_faces_landmarker(grey, model)[:most]
    if finder == "mesh":
        face = find_face_mesh(grey)
        return [] if face is None else [face]
    shrink = min(1.0, SEARCH_HEIGHT / grey.shape[0])
    small = grey
    if shrink < 1:
        small = np.asarray(cv2.resize(grey, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA), np.uint8)
    least = round(min(small.shape) * MIN_FACE)
    boxes = _cascade("haarcascade_frontalface_alt2").detectMultiScale(small, 1.1, 4, minSize=(least, least))
    ordered = sorted(boxes, key=lambda box: -box[2])[:most]
    return [_with_eyes(small, (x, y, side), shrink) for x, y, side, _ in ordered]


def _with_eyes(small: Grey, box: tuple[int, int, int], shrink: float) -> Face:
    """A face cascade's box `x, y, side` with the eyes in it, in pixels of the picture before it was shrunk."""
    x, y, side = box
    eyes = [_find_eye(small, box, place) for place in BOX_EYES]
    placed = [eye or (x + fx * side, y + fy * side) for eye, (fx, fy) in zip(eyes, BOX_EYES, strict=True)]
    left, right = ((ex / shrink, ey / shrink) for ex, ey in placed)
    return Face((x / shrink, y / shrink, side / shrink, side / shrink), left, right, eyes_seen=all(eyes))


def _is_near(box: Box, near: Box) -> bool:
    """Whether the centre of a box lies in another box."""
    return all(0 <= box[k] + box[k + 2] / 2 - near[k] <= near[k + 2] for k in (0, 1))


def find_video_face(found: Sequence[Face | None], pictures: Sequence[Grey], numbers: Sequence[int], path: str) -> Face:
    """The one face of a video: the median over its pictures.

    Args:
        found: the face in each of the pictures, see :func:`find_face`.
        pictures: grey `(H, W)` uint8, spread over the video.
        numbers: their frame numbers, for the message.
        path: the video, for the message.

    Returns:
        Median box and eyes. Pictures in which both eyes were seen count alone if there are at least three.

    Raises:
        FaceNotFoundError: if no picture shows a face, or the face does not stand upright.
    """
    faces = [face for face in found if face]
    check_upright(pictures, len(faces), path)
    if not faces:
        shown = ", ".join(str(number) for number in numbers)
        raise FaceNotFoundError(
            f"{path}: no face was found in the frames looked at ({shown}). {SMALL_FACES} If the release "
            "is already cropped, set align: none; otherwise give the face's box (boxes: a table of video, x, y, width, "
            "height)."
        )
    sure = [face for face in faces if face.eyes_seen]
    return median_face(sure if len(sure) >= min(3, len(faces)) else faces)


TURNS: dict[str, tuple[int, str]] = {
    "stands upside down": (2, "hflip,vflip"),
    "lies on its right side": (1, "transpose=2"),
    "lies on its left side": (3, "transpose=1"),
}
"""How a face may lie in the picture, with the quarter turns anticlockwise that put it right, and FFmpeg's filter."""


def check_upright(pictures: Sequence[Grey], upright: int, path: str) -> None:
    """Refuses a video whose face is seen when its pictures are turned, and otherwise not.

    Args:
        pictures: grey `(H, W)` uint8, spread over the video.
        upright: in how many of them a face was found. If in more than half, nothing is checked.
        path: the video, for the message.

    Raises:
        FaceNotFoundError: if at least half of the pictures show a face when turned, and twice as many as upright.
    """
    if 2 * upright > len(pictures) or not pictures:
        return
    for lies, (quarters, filters) in TURNS.items():
        turned = [np.ascontiguousarray(np.rot90(picture, quarters)) for picture in pictures]
        found = sum(bool(find_faces(picture, most=1)) for picture in turned)
        if found >= max(2 * upright, len(pictures) / 2):
            raise FaceNotFoundError(
                f"{path}: the face {lies} in {found} of the {len(pictures)} frames looked at. Turn the video first, "
                f"e.g. ffmpeg -i IN -vf {filters} OUT."
            )


@dataclass(frozen=True, slots=True)
class Pose:
    """How a face stands in a crop, as OpenCV's cascades for frontal faces and profiles see it.

    On rendered heads the frontal cascade answers up to about 30 degrees and hardly at 45, the profile cascade from 10
    to 45 degrees on the side to which the head turns, and now and then at 0. So this is a coarse estimate: on four
    rendered heads, up to 30 degrees, it was off by 8 degrees on average and by 20 at most.
    """

    yaw: float  # degrees to the right of the picture: 0, 20 or 45 to either side; nan where no cascade answers
    upside_down: bool  # whether only the crop turned by 180 degrees shows a face


POSE_SIDE = 64
"""Crops are judged at this many pixels a side; smaller ones are not judged."""


def judge_pose(grey: Grey) -> Pose:
    """The pose of the face in a crop `(S, S)` uint8, at least :data:`POSE_SIDE` pixels a side."""
    small = cv2.resize(grey, (POSE_SIDE, POSE_SIDE), interpolation=cv2.INTER_AREA)
    margin = POSE_SIDE // 4  # the cascades' boxes are as large as the crop
    framed = cv2.copyMakeBorder(small, margin, margin, margin, margin, cv2.BORDER_REPLICATE)
    left, right = (_answers("haarcascade_profileface", view) for view in (framed, framed[:, ::-1]))
    if _answers("haarcascade_frontalface_alt2", framed):
        return Pose(20.0 * (int(right) - int(left)), upside_down=False)
    if left != right:
        return Pose(45.0 * (int(right) - int(left)), upside_down=False)
    return Pose(math.nan, upside_down=_answers("haarcascade_frontalface_alt2", framed[::-1, ::-1]))


def _answers(cascade: str, grey: npt.NDArray[Any]) -> bool:
    least = round(0.55 * POSE_SIDE)
    return len(_cascade(cascade).detectMultiScale(np.ascontiguousarray(grey), 1.1, 3, minSize=(least, least))) > 0


def median_face(faces: Sequence[Face]) -> Face:
    """The median of each coordinate over several faces."""
    box = np.median([face.box for face in faces], axis=0)
    left, right = (np.median([getattr(face, side) for face in faces], axis=0) for side in ("left", "right"))
    return Face(tuple(box), tuple(left), tuple(right), eyes_seen=all(face.eyes_seen for face in faces))


def _find_eye(grey: Grey, box: tuple[int, int, int], place: tuple[float, float]) -> tuple[float, float] | None:
    """The eye nearest to its usual place in a face's box; None if there is none near."""
    x, y, side = box
    reach = 0.22 * side
    centre = np.array([x + place[0] * side, y + place[1] * side])
    top, left = np.maximum((centre - reach).astype(int)[::-1], 0)
    bottom, right = (centre + reach).astype(int)[::-1]
    window = grey[top:bottom, left:right]
    least = max(4, round(0.12 * side))
    found = _cascade("haarcascade_eye").detectMultiScale(window, 1.05, 3, minSize=(least, least))
    centres = [np.array([left + ex + (w - 1) / 2, top + ey + (h - 1) / 2]) for ex, ey, w, h in found]
    near = [point for point in centres if np.hypot(*(point - centre)) <= EYE_TOLERANCE * side]
    if not near:
        return None
    # The cascade answers several times around an eye; the mean of its answers is steadier than the best one.
    mean = np.mean(near, axis=0) + EYE_SHIFT * side
    return float(mean[0]), float(mean[1])


def check_cascades(finder: str) -> None:
    """Makes sure that OpenCV can find faces, before any video is opened.

    Raises:
        ConfigError: if this OpenCV has no cascades.
    """
    if finder != "cascade":
        return
    try:
        broken = any(_cascade(name).empty() for name in ("haarcascade_frontalface_alt2", "haarcascade_eye"))
    except (ImportError, AttributeError, cv2.error):
        broken = True
    if broken:
        raise ConfigError(
            f"The OpenCV that is installed ({cv2.__version__}) has no face cascades, so no face can be found in any "
            "video. Run: pip install 'opencv-python-headless<5', or set finder: landmarker:FILE."
        )


@cache
def _cascade(name: str) -> Any:
    """A cascade out of OpenCV's own package."""
    from cv2 import data

    return cv2.CascadeClassifier(f"{data.haarcascades}{name}.xml")


EYES = (277.75, 221.25), (360.75, 223.75)
"""Centres of the eyes in the picture, (x, y) in pixels, from left to right."""

MOUTH_LIFT = 0.04
"""How far the lower half of the face is stretched at the height of the movement, as a share of the crop's side."""


def sample_face() -> npt.NDArray[np.uint8]:
    """The picture, `(480, 640, 3)` uint8 RGB."""
    data = resources.files(__package__).joinpath("sample_face.jpg").read_bytes()
    return np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB), np.uint8)


def moving_face(size: int, n_frames: int) -> npt.NDArray[np.uint8]:
    """Aligned crops in which the lower half of the face stretches once and the head sways.

    Args:
        size: side of the crops in pixels.
        n_frames: how many.

    Returns:
        `(n_frames, size, size, 3)` uint8 RGB.
    """
    crop = cv2.warpAffine(sample_face(), eye_transform(*EYES, size), (size, size), borderMode=cv2.BORDER_REPLICATE)
    rows, columns = np.mgrid[:size, :size].astype(np.float32)
    phase = np.linspace(0, np.pi, n_frames)
    frames = []
    for rise, sway in zip(np.sin(phase) ** 2, np.sin(2 * phase), strict=True):
        stretch = np.float32(MOUTH_LIFT * size * rise) * np.clip(2 * rows / size - 1, 0, 1)
        shift = np.float32(size * 0.02 * sway)
        frames.append(
            cv2.remap(crop, columns + shift, rows - stretch, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        )
    return np.stack(frames).astype(np.uint8, copy=False)
