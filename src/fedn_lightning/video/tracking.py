"""Follows a head through a video, so that its sway and turns leave the crop and only the face's own motion stays.

Each frame is compared with one reference picture of the same head, not with the frame before, so that errors do not
add up. Many points all over the head vote for one similarity transform; those that an expression, a blink or speech
moves are outvoted. What is left of their pull, and the estimate's own noise, is smoothed away over time: heads sway
below about 1 Hz, a micro-expression lasts half a second at most.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from fedn_lightning.video.alignment import Box, Face, crop, eye_transform
from fedn_lightning.video.faces import find_face, median_face

Grey = npt.NDArray[np.uint8]
Points = npt.NDArray[np.float64]

PATCH = 160
"""Side in pixels of the pictures that are compared."""

SMOOTH_SECONDS = 0.1
"""Standard deviation of the smoothing over time: less leaves noise of the estimate, more leaves sway."""

TRACKED_FPS = 15.0
"""Frames are tracked at about this rate and interpolated between: heads are slow."""

ITERATIONS = 20
SETTLED = 1e-9
"""Pixels by which the last iteration may still move the patch."""

MIN_POINTS = 12
FARTHEST_VOTE = 3.0
"""Points that end farther off than this in the patch, in pixels, have lost their place or belong to an expression."""

MAX_MISMATCH = 24.0
"""Mean grey difference, on the evenly lit patch, above which a point was not found again."""

MAX_STEP = (0.25, PATCH / 6)
"""Maximum plausible change between tracked frames: of scale and angle, and in pixels of the patch."""

LOST_SHARE = 0.35
"""Share of points that must follow one motion; below it the head counts as lost and its face is looked for."""

SEARCH_EVERY = 8
"""A lost face is looked for in every so many tracked frames: looking takes ten times as long as following."""

# What moves by itself, brows and eyes and the lower face, as parts of the patch's side: left, top, right, bottom.
OWN_MOTION = ((0.12, 0.16, 0.88, 0.40), (0.14, 0.52, 0.86, 1.0))
HEAD = (0.5, 0.52, 0.47, 0.58)
"""Centre and half axes of the ellipse around the head, as parts of the patch's side."""


_MIDDLE = complex(PATCH / 2, PATCH / 2)


@dataclass(frozen=True)
class Track:
    """Where a head is in every tracked frame, relative to its reference."""

    numbers: npt.NDArray[np.int64]  # `(K,)` int64, frame numbers that were tracked, ascending
    # `(K, 4)` float64, similarity `z -> a z + b` from a frame to the reference in source pixels, as `(log |a|, angle of
    # a, x of b, y of b)` about `centre`; nan where the head was lost
    motions: npt.NDArray[np.float64]
    centre: complex  # the point about which the head turns, source pixels of the reference
    reference: Face  # face found in the reference frame

    @property
    def lost(self) -> npt.NDArray[np.int64]:
        """Tracked frames in which the head was not found."""
        return self.numbers[np.isnan(self.motions[:, 0])]


class HeadTracker:
    """Tracks the head of one video, frame by frame.

    Args:
        finder: see :func:`~fedn_lightning.video.faces.find_face`.
        near: box of the person to follow, where there are several.

    >>> tracker = HeadTracker()
    >>> tracker.add(0, np.zeros((64, 64), np.uint8))
    >>> tracker.track() is None
    True
    """

    def __init__(self, finder: str = "cascade", near: Box | None = None) -> None:
        self.finder, self.near = finder, near
        self._face: Face | None = None
        self._numbers: list[int] = []
        self._motions: list[tuple[float, float, float, float]] = []
        self._motion = 1 + 0j, 0j
        self._lost = 0

    def add(self, number: int, grey: Grey) -> None:
        """Tracks one frame; the first that shows a face becomes the reference.

        Args:
            number: of the frame; ascending.
            grey: `(H, W)` uint8.
        """
        if self._face is None:
            self._lost += 1
            face = find_face(grey, self.finder, self.near) if self._lost % SEARCH_EVERY == 1 else None
            if face is None:
                return
            self._start(face, grey)
        found = self._follow(grey) or self._find_again(grey)
        self._lost = 0 if found else self._lost + 1
        self._numbers.append(number)
        self._motions.append(self._parameters() if found else (np.nan,) * 4)

    def track(self) -> Track | None:
        """The track; None if no frame showed a face."""
        if self._face is None:
            return None
        numbers, motions = np.array(self._numbers), np.array(self._motions, np.float64)
        return Track(numbers, motions, self._centre, self._face)

    def _start(self, face: Face, grey: Grey) -> None:
        self._face = face
        self._home = eye_transform(face.left, face.right, PATCH)
        left, right = complex(*face.left), complex(*face.right)
        self._centre = (left + right) / 2 + 0.5j * abs(right - left)  # about the nose
        self._refer(grey)

    def _find_again(self, grey: Grey) -> bool:
        """Finds a lost head again by its eyes; later frames are compared with this one."""
        face = find_face(grey, self.finder, self.near) if self._lost % SEARCH_EVERY == 0 else None
        if face is None or self._face is None:
            return False
        here, there = (np.array([f.left, f.right]) @ [1, 1j] for f in (face, self._face))
        a = (there[1] - there[0]) / (here[1] - here[0])
        self._motion = complex(a), complex(there[0] - a * here[0])
        self._refer(grey)
        return len(self._points) >= MIN_POINTS

    def _refer(self, grey: Grey) -> None:
        """Takes the frame as the picture to compare with."""
        self._reference = self._patch(grey)
        self._points = _trackable(self._reference)

    def _patch(self, grey: Grey) -> Grey:
        """The head as it would stand in the reference, evenly lit."""
        a, b = self._motion
        motion = np.array([[a.real, -a.imag, b.real], [a.imag, a.real, b.imag], [0, 0, 1]])
        return _evenly_lit(crop(grey, self._home @ motion, PATCH))

    def _follow(self, grey: Grey) -> bool:
        """Updates the motion by what the patch still moves against the reference; whether the head was found."""
        before = self._motion
        if len(self._points) < MIN_POINTS:
            return False
        for _ in range(2):
            here = self._patch(grey)
            ends, seen, mismatch = cv2.calcOpticalFlowPyrLK(
                self._reference, here, self._points, self._points.copy(), winSize=(15, 15), maxLevel=2
            )
            ok = (seen.ravel() == 1) & (mismatch.ravel() < MAX_MISMATCH)
            if ok.sum() < MIN_POINTS:
                break
            rest, share = similarity(ends[ok, 0].astype(np.float64), self._points[ok, 0].astype(np.float64))
            step = abs(rest[0] * _MIDDLE + rest[1] - _MIDDLE)
            if share * ok.mean() < LOST_SHARE or abs(rest[0] - 1) > MAX_STEP[0] or step > MAX_STEP[1]:
                break
            self._compose(rest)
            if step < 0.25:
                return True
        else:
            return True
        self._motion = before
        return False

    def _compose(self, rest: tuple[complex, complex]) -> None:
        """Adds a motion within the patch to the motion of the frame."""
        (c, d), (a, b) = rest, self._motion
        h, t = complex(self._home[0, 0], self._home[1, 0]), complex(self._home[0, 2], self._home[1, 2])
        # In the patch w = h z + t; there w -> c w + d, so outside z -> c z + (c t + d - t) / h.
        self._motion = c * a, c * b + (c * t + d - t) / h

    def _parameters(self) -> tuple[float, float, float, float]:
        a, b = self._motion
        # About the head's centre turning and shifting are independent, so that each can be smoothed by itself.
        shift = a * self._centre + b - self._centre
        return float(np.log(abs(a))), float(np.angle(a)), shift.real, shift.imag


def similarity(sources: Points, targets: Points) -> tuple[tuple[complex, complex], float]:
    """The similarity transform that most points agree on.

    Iteratively reweighted least squares with Tukey's weights: points farther off than a few times the typical
    distance, or than :data:`FARTHEST_VOTE`, have no weight.

    Args:
        sources: `(N, 2)` float64.
        targets: `(N, 2)` float64.

    Returns:
        `(a, b)` of `z -> a z + b` on `x + iy`, and the share of points that follow it.
    """
    z, w = sources @ [1, 1j], targets @ [1, 1j]
    weights = np.ones(len(z))
    a, b = 1 + 0j, complex(_median((w - z).real), _median((w - z).imag))
    for _ in range(ITERATIONS):
        before = a, b
        off = np.abs(a * z + b - w)
        reach = min(3 * max(1.4826 * _median(off), 0.02), FARTHEST_VOTE)
        weights = np.maximum(1 - (off / reach) ** 2, 0) ** 2
        total = max(weights.sum(), 1e-9)
        mz, mw = (weights @ z) / total, (weights @ w) / total
        a = complex((weights * (w - mw)) @ np.conj(z - mz) / max(weights @ np.abs(z - mz) ** 2, 1e-9))
        b = complex(mw - a * mz)
        if abs(a - before[0]) * PATCH + abs(b - before[1]) < SETTLED:
            break
    return (a, b), float(np.count_nonzero(weights) / len(z))


def _median(values: npt.NDArray[np.float64]) -> float:
    """The median `(N,)`; numpy's own takes ten times as long for a hundred numbers."""
    half = len(values) // 2
    ordered = np.partition(values, (half - 1, half))
    return float(ordered[half] if len(values) % 2 else (ordered[half - 1] + ordered[half]) / 2)


def settled(track: Track, numbers: Sequence[int], faces: Sequence[Face | None]) -> Track:
    """The track with its reference eyes put right by faces found in other frames.

    One answer of a cascade is several pixels off; carried into the reference by the motion, their median is not.

    Args:
        track: as tracked.
        numbers: frame numbers, ascending.
        faces: what was found in each; None where nothing was.
    """
    known = ~np.isnan(track.motions[:, 0])
    moved = []
    for number, face in zip(numbers, faces, strict=True):
        row = int(np.argmin(np.where(known, np.abs(track.numbers - number), np.inf)))
        if face is not None and known[row]:
            moved.append(_carried(face, track, row))
    sure = [face for face in moved if face.eyes_seen] or moved
    return replace(track, reference=median_face([*sure, track.reference]))


def _carried(face: Face, track: Track, row: int) -> Face:
    """A face as it would stand in the reference frame."""
    scale, angle, x, y = track.motions[row]
    a = np.exp(scale + 1j * angle)
    eyes = [a * (complex(*eye) - track.centre) + track.centre + x + 1j * y for eye in (face.left, face.right)]
    left, right = ((float(eye.real), float(eye.imag)) for eye in eyes)
    return Face(face.box, left, right, face.eyes_seen)


def transforms(
    track: Track, n_frames: int, fps: float, size: int, seconds: float = SMOOTH_SECONDS
) -> npt.NDArray[np.float64]:
    """The crop's transform in every frame.

    Args:
        track: where the head is; frames between tracked ones are interpolated.
        n_frames: frames of the video.
        fps: frames per second.
        size: side of the crop in pixels.
        seconds: standard deviation of the smoothing.

    Returns:
        `(n_frames, 2, 3)` float64, source to crop.
    """
    found = ~np.isnan(track.motions[:, 0])
    columns = (np.interp(np.arange(n_frames), track.numbers[found], c[found]) for c in track.motions.T)
    scale, angle, x, y = (smooth(values, seconds * fps) for values in columns)
    a = np.exp(scale + 1j * angle)
    b = x + 1j * y + track.centre - a * track.centre
    home = eye_transform(track.reference.left, track.reference.right, size)
    h, t = complex(home[0, 0], home[1, 0]), complex(home[0, 2], home[1, 2])
    a, b = h * a, h * b + t
    return np.stack([np.stack([a.real, -a.imag, b.real], -1), np.stack([a.imag, a.real, b.imag], -1)], axis=1)


def smooth(values: npt.NDArray[np.float64], sigma: float) -> npt.NDArray[np.float64]:
    """Gaussian smoothing over time that keeps a steady drift at both ends.

    >>> smooth(np.arange(5.0), 2.0).round(6).tolist()
    [0.0, 1.0, 2.0, 3.0, 4.0]
    """
    reach = min(int(np.ceil(3 * sigma)), len(values) - 1)
    if reach < 1:
        return values
    # Mirrored about its ends both ways, a straight line goes straight on.
    padded = np.pad(values, reach, mode="reflect", reflect_type="odd")
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    return np.convolve(padded, kernel / kernel.sum(), mode="valid")


def _trackable(patch: Grey) -> npt.NDArray[np.float32]:
    """Points on the rigid part of the head that can be found again: `(N, 1, 2)`."""
    mask = np.zeros((PATCH, PATCH), np.uint8)
    x, y, rx, ry = (round(part * PATCH) for part in HEAD)
    cv2.ellipse(mask, (x, y), (rx, ry), 0, 0, 360, 255, -1)
    for box in OWN_MOTION:
        left, top, right, bottom = (round(part * PATCH) for part in box)
        mask[top:bottom, left:right] = 0
    points = cv2.goodFeaturesToTrack(patch, 120, 0.01, PATCH / 24, mask=mask, blockSize=7)
    return np.empty((0, 1, 2), np.float32) if points is None else np.asarray(points, np.float32)


def _evenly_lit(patch: Grey) -> Grey:
    """The patch without slow brightness, so that changing light does not look like motion."""
    values = patch.astype(np.float32)
    mean = cv2.blur(values, (31, 31))
    contrast = np.sqrt(np.maximum(cv2.blur((values - mean) ** 2, (31, 31)), 4.0))
    return np.asarray(np.clip(128 + 40 * (values - mean) / contrast, 0, 255), np.uint8)
