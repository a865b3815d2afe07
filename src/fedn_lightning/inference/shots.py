"""People kept apart over cuts: a place within each shot, and from shot to shot the likeness of faces.

Between two cuts a person stays about where they are; after a cut, everybody may sit elsewhere. So the faces of each
shot are grouped by place, and the groups of all shots are joined by a descriptor of the face. The descriptor in the
package is a histogram of oriented gradients (Dalal and Triggs, CVPR 2005) of the aligned face, not trained;
a face recognition network may take its place. Rules and thresholds are this project's own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Protocol, TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from fedn_lightning.errors import ConfigError, FaceNotFoundError
from fedn_lightning.events import FloatArray
from fedn_lightning.video.alignment import Box, Face, crop, eye_transform
from fedn_lightning.video.crops import FACE_PICTURES, MIN_TRACKED
from fedn_lightning.video.faces import Grey, find_faces, median_face
from fedn_lightning.video.pyav import Thinning
from fedn_lightning.video.tracking import TRACKED_FPS, HeadTracker, settled, transforms

SMALL = (32, 24)
"""Columns and rows of the pictures whose change tells a cut."""

CUT = 6.0
"""Least mean change of a cut in grey levels of 256, and how many times the usual change of the last frames it must be.

What is taken for a cut and is none costs nothing: the same faces are found in the same places.
"""

RECENT = 15
"""Frames whose median change is the usual one."""

SHORTEST_TRACK = 1.0
"""Seconds that a shot must last for its heads to be followed; in a shorter one the crop stays."""


@dataclass(frozen=True)
class Likeness:
    """How faces are compared: a descriptor, and the similarity (correlation) from which two are one person."""

    describe: Callable[[Grey, Face], FloatArray]
    same: float
    unsure: tuple[float, float]  # between these two, a note says that it may be otherwise


@dataclass(frozen=True)
class Seen:
    """A face in one picture."""

    frame: int
    face: Face
    feature: FloatArray

    @property
    def box(self) -> Box:
        """Its place in source pixels."""
        return self.face.box


@dataclass(frozen=True)
class Appearance:
    """One person in one shot, frames `[start, end)`."""

    start: int
    end: int
    seen: tuple[Seen, ...]

    @property
    def face(self) -> Face:
        """The median face; pictures in which both eyes were seen count alone if there are at least three."""
        faces = [each.face for each in self.seen]
        sure = [face for face in faces if face.eyes_seen]
        return median_face(sure if len(sure) >= min(3, len(faces)) else faces)


@dataclass
class Person:
    """A person and the shots in which they are seen."""

    appearances: list[Appearance] = field(default_factory=list)

    @property
    def feature(self) -> FloatArray:
        """The mean descriptor of all pictures."""
        return np.asarray(np.mean([each.feature for a in self.appearances for each in a.seen], axis=0), np.float64)


class ShotWatch:
    """Watches a video from its first to its last frame: finds the cuts, and the people of each shot.

    Args:
        finder: see :func:`~fedn_lightning.video.faces.find_face`.
        likeness: how faces are compared.
    """

    def __init__(self, finder: str, likeness: Likeness) -> None:
        self.finder, self.likeness = finder, likeness
        self.shots: list[list[Appearance]] = []
        self.starts: list[int] = []
        self._before: npt.NDArray[np.float32] | None = None
        self._changes: list[float] = []
        self._kept = Thinning(FACE_PICTURES)

    def add(self, number: int, grey: Callable[[], Grey]) -> None:
        """Takes the next frame `(H, W)` uint8."""
        picture = grey()
        small = cv2.resize(picture, SMALL, interpolation=cv2.INTER_AREA).astype(np.float32)
        change = 0.0 if self._before is None else float(np.abs(small - self._before).mean())
        if self._before is None or change > CUT * max(1.0, float(np.median(self._changes[-RECENT:] or [0.0]))):
            self._end(number)
            self.starts.append(number)
            self._changes, self._kept = [], Thinning(FACE_PICTURES)
        else:
            self._changes = [*self._changes[-RECENT:], change]
        self._before = small
        if self._kept.wants(number - self.starts[-1]):
            self._kept.add(number - self.starts[-1], picture)

    def end(self, n_frames: int) -> list[list[Appearance]]:
        """The people of each shot from left to right, once all `n_frames` have come."""
        self._end(n_frames)
        return self.shots

    def _end(self, number: int) -> None:
        if not self.starts:
            return
        start = self.starts[-1]
        pictures = [
            [Seen(start + offset, face, self.likeness.describe(grey, face)) for face in find_faces(grey, self.finder)]
            for offset, grey in zip(self._kept.numbers, self._kept.items, strict=True)
        ]
        groups = [Appearance(start, number, tuple(group)) for group in find_groups(pictures)]
        self.shots.append(sorted(groups, key=lambda each: each.face.box[0]))


def join(
    shots: Sequence[Sequence[Appearance]], likeness: Likeness, clock: Callable[[int], float]
) -> tuple[list[Person], list[str]]:
    """Joins the people of all shots.

    In each shot the faces are given to the people known so far, everybody once, so that the sum of similarities is
    greatest; who is too unlike all of them is new.

    Args:
        shots: the people of each shot.
        likeness: how faces are compared.
        clock: seconds of a frame.

    Returns:
        The people in the order in which they appear, and what is unsure, a sentence each.
    """
    from scipy.optimize import linear_sum_assignment  # half of the decoder's start, and few videos have several shots

    people: list[Person] = []
    notes: list[str] = []
    for shot in shots:
        known = np.array([[similarity(p.feature, Person([a]).feature) for p in people] for a in shot])
        rows, columns = linear_sum_assignment(-known) if known.size else ((), ())
        given = {row: column for row, column in zip(rows, columns, strict=True) if known[row, column] >= likeness.same}
        for row, appearance in enumerate(shot):
            if row not in given:
                given[row] = len(people)
                people.append(Person())
            notes += _unsure(appearance, given[row], known[row] if known.size else np.array([]), likeness, clock)
            people[given[row]].appearances.append(appearance)
    return people, notes


def _unsure(
    appearance: Appearance, person: int, known: FloatArray, likeness: Likeness, clock: Callable[[int], float]
) -> Iterator[str]:
    low, high = likeness.unsure
    when = f"person {person + 1} after the cut at {clock(appearance.start):.1f} s"
    if person < len(known) and known[person] < high:
        yield f"Unsure: {when} may be somebody else than person {person + 1} before, similarity {known[person]:.2f}."
    if person >= len(known) and len(known) and known.max() > low:
        yield f"Unsure: {when} may be person {int(known.argmax()) + 1}, similarity {known.max():.2f}."


def similarity(one: FloatArray, other: FloatArray) -> float:
    """The correlation of two descriptors.

    >>> similarity(np.array([0.0, 1.0, 2.0]), np.array([4.0, 6.0, 8.0])), similarity(np.ones(2), np.ones(2))
    (1.0, 0.0)
    """
    a, b = one - one.mean(), other - other.mean()
    norm = float(np.linalg.norm(a) * np.linalg.norm(b))
    return round(float(a @ b) / norm, 6) if norm else 0.0


def place(
    person: Person, number: int, n_frames: int, size: int, fps: float, trackers: Sequence[HeadTracker] | None
) -> tuple[npt.NDArray[np.float64], tuple[tuple[int, int], ...], list[str]]:
    """The crops of a person.

    Args:
        person: with appearances in time order.
        number: of the person, for the notes.
        n_frames: frames of the video.
        size: side of the crops in pixels.
        fps: frames per second.
        trackers: of each appearance, once they have seen it; None if the crop stays within a shot.

    Returns:
        `(n_frames, 2, 3)` transforms from source to crop pixels; the stretches `[start, end)` in which the person is
        not in the picture, where the crop stays; and notes, a sentence each.
    """
    placed, notes = np.full((n_frames, 2, 3), np.nan), []
    for position, appearance in enumerate(person.appearances):
        here = slice(appearance.start, appearance.end)
        placed[here] = eye_transform(appearance.face.left, appearance.face.right, size)
        if trackers is None:
            continue
        track = trackers[position].track()
        if track is None or len(track.lost) > (1 - MIN_TRACKED) * len(track.numbers):
            notes.append(
                f"The head of person {number} is not followed from {here.start / fps:.1f} s to {here.stop / fps:.1f} s."
            )
            continue
        track = settled(track, [s.frame - here.start for s in appearance.seen], [s.face for s in appearance.seen])
        placed[here] = transforms(track, here.stop - here.start, fps, size)
    missing = np.isnan(placed[:, 0, 0])
    edges = np.flatnonzero(np.diff(np.concatenate([[0], missing.astype(int), [0]]))).reshape(-1, 2).tolist()
    for start, end in edges:
        placed[start:end] = placed[start - 1] if start else placed[end]
    return placed, tuple((start, end) for start, end in edges), notes


class CastTracker:
    """Follows the heads of all people, each in the shots in which they are seen.

    Args:
        people: as :func:`join` gives them.
        finder: see :func:`~fedn_lightning.video.faces.find_face`.
        fps: frames per second.
    """

    def __init__(self, people: Sequence[Person], finder: str, fps: float) -> None:
        self.trackers = [[HeadTracker(finder, a.face.box) for a in person.appearances] for person in people]
        pairs = [
            (a, tracker)
            for person, mine in zip(people, self.trackers, strict=True)
            for a, tracker in zip(person.appearances, mine, strict=True)
        ]
        self._fed = [(a, tracker) for a, tracker in pairs if a.end - a.start >= SHORTEST_TRACK * fps]
        self._stride = max(1, round(fps / TRACKED_FPS))

    def add(self, number: int, grey: Callable[[], Grey]) -> None:
        """Takes the next frame."""
        for appearance, tracker in self._fed:
            offset = number - appearance.start
            if appearance.start <= number < appearance.end and offset % self._stride == 0:
                tracker.add(offset, grey())


def gradients(grey: Grey, face: Face) -> FloatArray:
    """The histogram of oriented gradients of an aligned face."""
    view = crop(grey[..., None], eye_transform(face.left, face.right, 64), 64)
    return np.asarray(_histogram().compute(view).ravel(), np.float64)


@cache
def _histogram() -> Any:
    return cv2.HOGDescriptor((64, 64), (16, 16), (8, 8), (8, 8), 9)


GRADIENTS = Likeness(gradients, same=0.88, unsure=(0.78, 0.95))
"""The descriptor in the package. Of ten rendered and ten painted people, means over a few pictures of one person in two
videos correlated by 0.89 to 0.99, those of two people by 0.93 at most (rendered ones by 0.79)."""

ARCFACE = np.array([[38.2946, 51.6963], [73.5318, 51.5014]])
"""Where networks of the ArcFace family expect the eyes in a picture of 112 pixels."""


def network_likeness(path: str) -> Likeness:
    """A face recognition network of the ArcFace family from an ONNX file: 112 x 112 RGB in -1..1, without colour here.

    Raises:
        ConfigError: if it cannot be used.
    """
    session = _session(path)
    entry = session.get_inputs()[0]
    if list(entry.shape[1:]) != [3, 112, 112]:
        raise ConfigError(f"--face-embedding {path} takes an input of shape {entry.shape}, not (N, 3, 112, 112).")
    left, right = ARCFACE @ [1, 1j]

    def describe(grey: Grey, face: Face) -> FloatArray:
        p, q = complex(*face.left), complex(*face.right)
        a = (right - left) / (q - p)
        b = left - a * p
        view = crop(grey[..., None], np.array([[a.real, -a.imag, b.real], [a.imag, a.real, b.imag]]), 112)
        pixels = np.repeat((view.reshape(1, 1, 112, 112).astype(np.float32) - 127.5) / 127.5, 3, axis=1)
        feature = np.asarray(session.run(None, {entry.name: pixels})[0], np.float64).ravel()
        return np.asarray(feature / max(float(np.linalg.norm(feature)), 1e-9), np.float64)

    return Likeness(describe, same=0.35, unsure=(0.2, 0.5))


@cache
def _session(path: str) -> Any:
    try:
        import onnxruntime
    except ImportError:
        raise ConfigError("--face-embedding needs onnxruntime: pip install 'fedn-lightning[onnx]'.") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own errors share no other class
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise ConfigError(f"--face-embedding {path} cannot be read as an ONNX network: {reason}.") from None


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
