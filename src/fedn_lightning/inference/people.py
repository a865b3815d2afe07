"""The people in a video: the faces of its pictures, grouped by person."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

import numpy as np

from fedn_lightning.errors import ConfigError, FaceNotFoundError
from fedn_lightning.video.alignment import Box, Face
from fedn_lightning.video.faces import median_face

MIN_SEEN = 0.25
"""Share of the pictures with a face in which a person must be seen; less is an error of the cascade."""


def find_people(pictures: Sequence[Sequence[Face]]) -> list[Box]:
    """The people of a video by the faces in some of its pictures.

    There are several only if several are seen in one picture: one person who moves about is one person.

    Args:
        pictures: the faces of each picture, the largest first.

    Returns:
        Median face boxes from left to right, source pixels; empty if no picture shows a face.

    >>> face = lambda x, side: Face((x, 50, side, side), (x, 60), (x + 10, 60), True)
    >>> [box[0] for box in find_people([[face(300, 90), face(20, 80)], [face(22, 80), face(304, 90)]])]
    [21.0, 302.0]
    >>> [box[0] for box in find_people([[face(300, 90)], [face(20, 80)], [face(304, 90)]])]
    [300.0]
    """
    return sorted((_box(group) for group in find_groups(pictures)), key=lambda box: box[0])


class Placed(Protocol):
    """What has a place in the picture."""

    @property
    def box(self) -> Box:
        """Its x, y, width and height in source pixels."""


P = TypeVar("P", bound=Placed)


def find_groups(pictures: Sequence[Sequence[P]]) -> list[list[P]]:
    """The faces of some pictures by person, see :func:`find_people`."""
    seen = [faces for faces in pictures if faces]
    least = MIN_SEEN * len(seen)
    groups = [group for group in _grouped(seen) if len(group) >= least]
    if len(groups) < 2 or sum(len(faces) > 1 for faces in seen) < least:
        # The same choice as in training: the largest face of every picture.
        groups = [[faces[0] for faces in seen]] if seen else []
    return groups


def _box(faces: Sequence[Face]) -> Box:
    x, y, width, height = map(float, median_face(faces).box)
    return x, y, width, height


def _grouped(pictures: Sequence[Sequence[P]]) -> list[list[P]]:
    """Faces that lie in one place, half a face's width at most from the one before."""
    groups: list[list[P]] = []
    for face in (face for faces in pictures for face in faces):
        near = [group for group in groups if _distance(group[-1].box, face.box) < 0.5]
        if near:
            min(near, key=lambda group: _distance(group[-1].box, face.box)).append(face)
        else:
            groups.append([face])
    return groups


def _distance(one: Box, other: Box) -> float:
    """Distance of two centres in widths of the larger box."""
    x, y = (one[k] + one[k + 2] / 2 - other[k] - other[k + 2] / 2 for k in (0, 1))
    return float(np.hypot(x, y) / max(one[2], other[2]))


def choose(boxes: Sequence[Box], face: str | int, path: str) -> tuple[int, ...]:
    """Positions of the people who are wanted.

    Args:
        boxes: the people, at least one.
        face: `largest`, `all`, or the N-th from the left, counted from 1.
        path: the video, for the message.

    Raises:
        ConfigError: if `face` is none of these.
        FaceNotFoundError: if there are fewer people.

    >>> choose([(0, 0, 50, 50), (200, 0, 90, 90)], "largest", "v.mp4")
    (1,)
    """
    if face == "all":
        return tuple(range(len(boxes)))
    if face == "largest":
        return (int(np.argmax([box[2] for box in boxes])),)
    if not isinstance(face, int) or face < 1:
        msg = f"face is {face!r}; it must be largest, all, or the number of a face from the left, from 1 on."
        raise ConfigError(msg)
    if face > len(boxes):
        raise FaceNotFoundError(f"{path}: face {face} from the left was asked for, and {len(boxes)} can be seen.")
    return (face - 1,)
