"""A neutral stretch of each person, and what is measured relative to it."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from fedn_lightning.errors import ConfigError, VideoError
from fedn_lightning.inference.detections import Detections
from fedn_lightning.inference.measures import Baseline, relative
from fedn_lightning.metrics.functional.threshold import at_threshold
from fedn_lightning.utils.text import timecode

Reference = Literal["auto"] | tuple[float, float]
"""The quietest stretch of each person, or a stretch of the video in seconds."""

AUTO_SECONDS = 10.0
"""Length of the quietest stretch, or of the longest reliable one if that is shorter."""

MIN_AUTO_SECONDS, MIN_SECONDS = 2.0, 1.0
"""Least reliable time in a stretch that is looked for, and in one that is given."""

_TIME = r"((?:\d+:){0,2}\d+(?:\.\d+)?)"


def parse_reference(text: str) -> Reference:
    """Reads `auto` or START-END, times in seconds or as `MM:SS` or `HH:MM:SS`.

    Raises:
        ConfigError: if it is neither.

    >>> parse_reference("12.5-20"), parse_reference("1:05-1:20.5")
    ((12.5, 20.0), (65.0, 80.5))
    """
    if text == "auto":
        return "auto"
    found = re.fullmatch(f"{_TIME}-{_TIME}", text.strip())
    if found is None:
        raise ConfigError(f"--baseline {text} must be auto or START-END, in seconds or as MM:SS, e.g. 12.5-20.")
    start, end = (sum(60**k * float(part) for k, part in enumerate(reversed(t.split(":")))) for t in found.groups())
    if end - start < MIN_SECONDS:
        raise ConfigError(f"--baseline {text} must last {MIN_SECONDS:g} s at least, its end after its start.")
    return start, end


def with_baseline(found: Detections, reference: Reference) -> Detections:
    """The same result relative to a neutral stretch of each person.

    Motion, and with it intensity, is given in multiples of what each part of the face moves in the stretch, about its
    mean there. An expression counts only if its confidence exceeds that of everything proposed in the stretch.

    Args:
        found: with quality and measures of every face.
        reference: which stretch.

    Raises:
        VideoError: if the stretch does not lie in the video, or somebody is not reliably seen in it.
    """
    faces, measures, baselines, notes = [], [], [], []
    for position, face in enumerate(found.faces):
        reliable = _reliable(found, face.number)
        if reference == "auto":
            start, end = _quietest(found, position, reliable)
        else:
            start, end = _given(found, face.number, reliable, reference)
        inside = np.flatnonzero(reliable[start:end]) + start
        changed, usual = relative(found.measures[position], found.crop_of(inside))
        proposals = face.proposals
        middle = (proposals.start + proposals.end) / 2
        there = (middle >= start) & (middle < end)
        reached = [float(proposals.score[there & (proposals.type == kind)].max(initial=0.0)) for kind in (0, 1)]
        kept = proposals.score > np.array(reached)[proposals.type]
        dropped = len(at_threshold(proposals[~kept], found.threshold))
        how = "quietest" if reference == "auto" else "given"
        baselines.append(Baseline(face.number, start, end, how, usual, (reached[0], reached[1])))
        faces.append(replace(face, proposals=proposals[kept]))
        measures.append(changed)
        begin, stop = (timecode(float(found.seconds_at(edge))) for edge in (start, end))
        notes.append(
            f"Baseline of face {face.number}: {begin} to {stop} ({how}). Confidence reaches {reached[0]:.2f} (macro) "
            f"and {reached[1]:.2f} (micro) there; {dropped} expressions that do not exceed it were left out."
        )
    return replace(
        found, faces=tuple(faces), measures=tuple(measures), baselines=tuple(baselines), notes=(*found.notes, *notes)
    )


def _reliable(found: Detections, number: int) -> npt.NDArray[np.bool_]:
    """Which frames of the video lie in no unreliable stretch of a face."""
    reliable = np.ones(found.n_frames, np.bool_)
    for span in (span for span in found.unreliable if span.face == number):
        reliable[max(0, int(span.start)) : int(np.ceil(span.end))] = False
    return reliable


def _given(
    found: Detections, number: int, reliable: npt.NDArray[np.bool_], reference: tuple[float, float]
) -> tuple[int, int]:
    """Frames `[start, end)` of a stretch in seconds."""
    shown = found.seconds_at(np.arange(found.n_frames))
    name = f"--baseline {reference[0]:g}-{reference[1]:g}"
    start, end = np.searchsorted(shown, np.array(reference) - 1e-6).tolist()
    if reference[0] < shown[0] - 1e-6 or reference[1] > found.start + found.duration + 1e-3:
        raise VideoError(
            f"{found.video}: {name} does not lie in the video, which goes from {found.start:.3f} s to "
            f"{found.start + found.duration:.3f} s."
        )
    seconds = reliable[start:end].sum() / found.fps
    if seconds < MIN_SECONDS - 0.5 / found.fps:
        raise VideoError(
            f"{found.video}: face {number} is reliably seen for {seconds:.1f} s of {name}; {MIN_SECONDS:g} s are "
            "needed. Give another stretch, or auto."
        )
    return start, end


def _quietest(found: Detections, position: int, reliable: npt.NDArray[np.bool_]) -> tuple[int, int]:
    """Frames `[start, end)` of the stretch with the least mean movement, without an expression if there is one."""
    free = reliable.copy()
    for e in (e for e in found if e.face == found.faces[position].number):
        free[max(0, int(e.start)) : int(np.ceil(e.end))] = False
    reliable = free if _longest(free) >= MIN_AUTO_SECONDS * found.fps else reliable
    longest = _longest(reliable)
    if longest < MIN_AUTO_SECONDS * found.fps:
        raise VideoError(
            f"{found.video}: face {found.faces[position].number} is reliably seen for {longest / found.fps:.1f} s at a "
            f"time; --baseline auto needs {MIN_AUTO_SECONDS:g} s."
        )
    width = min(longest, round(AUTO_SECONDS * found.fps))
    movement = found.measures[position].movement[found.crop_of(np.arange(found.n_frames))].astype(np.float64)
    total = np.concatenate([[0.0], np.cumsum(movement)])
    bad = np.concatenate([[0], np.cumsum(~reliable)])
    cost = np.where(bad[width:] > bad[:-width], np.inf, total[width:] - total[:-width])
    start = int(np.argmin(cost))
    return start, start + width


def _longest(flag: npt.NDArray[np.bool_]) -> int:
    """The length of the longest run of true values.

    >>> _longest(np.array([True, False, True, True]))
    2
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flag.astype(int), [0]]))).reshape(-1, 2)
    return int((edges[:, 1] - edges[:, 0]).max(initial=0))
