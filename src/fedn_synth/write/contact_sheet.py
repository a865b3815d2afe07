"""A sheet of generated faces to look at: every emotion at its apex, and micro-expressions beside their onset."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from fedn_synth import Faces
from fedn_synth.face.anatomy import Uint8Array
from fedn_synth.face.identity import Identity
from fedn_synth.face.motion import FaceTracks
from fedn_synth.face.muscles import AU_INDEX, EMOTION_UNITS, LEFT, STRONG_UNITS, UNILATERAL_EMOTIONS, action_unit_label
from fedn_synth.renderers import Renderer, make_renderer

CELL: Final = (300, 260)
"""Height and width of one face on the sheet in px."""

BANNER: Final = 26
"""Height of a line of text in px."""

MACRO_INTENSITY: Final = 0.85
MICRO_INTENSITY: Final = 0.3
DIFFERENCE_GAIN: Final = 8
"""By which the difference of apex and onset is multiplied, so that a micro-expression can be seen."""

YAWS: Final = (0, 15, 30)
"""Degrees by which heads are shown turned."""

SHOWN_EMOTIONS: Final = tuple(emotion for emotion in EMOTION_UNITS if emotion != "others")
MICRO_EMOTIONS: Final = ("happiness", "disgust", "surprise", "anger")


def show_emotion(emotion: str, intensity: float) -> tuple[FaceTracks, str]:
    """Two frames of a face, neutral and at the apex of an emotion, without any other motion.

    Args:
        emotion: a key of :data:`~.muscles.EMOTION_UNITS`; its first alternative is shown.
        intensity: of every unit, 0 to 1; from 0.6 the lips part where the emotion asks for it.

    Returns:
        The tracks of length 2, and its action units as a release would write them.
    """
    units = EMOTION_UNITS[emotion][0]
    if intensity >= 0.6:
        units += STRONG_UNITS.get(emotion, ())
    tracks = FaceTracks.neutral(2)
    halves = slice(LEFT, LEFT + 1) if emotion in UNILATERAL_EMOTIONS else slice(None)
    for code in units:
        tracks.action_units[1, AU_INDEX[code], halves] = intensity
    return tracks, action_unit_label(units)


def contact_sheet(seed: int, n_identities: int = 6, faces: Faces = "2d") -> Uint8Array:
    """Draws the sheet.

    Args:
        seed: the people on it are functions of it alone.
        n_identities: rows of the first block; the second shows the first four of them.
        faces: kind of the faces; for `3d` a third block shows heads that turn.

    Returns:
        `(height, width, 3)` uint8 RGB: a block with neutral and the apex of every emotion in columns, then a block
        with onset, apex and eightfold difference of micro-expressions.
    """
    people = [make_renderer(faces, Identity.sample(np.random.SeedSequence([seed, row]))) for row in range(n_identities)]
    macro = _stack([_emotion_heading(), *(_emotion_row(person) for person in people)])
    shown = list(zip(MICRO_EMOTIONS, people, strict=False))
    micro = _stack([_micro_row(person, emotion) for emotion, person in shown])
    title = f"Micro-expressions at intensity {MICRO_INTENSITY}: onset, apex, difference x {DIFFERENCE_GAIN}"
    blocks = [macro, _banner(title, macro.shape[1]), micro]
    if faces == "3d":
        turned = [_turned_row(person, emotion) for person, emotion in zip(people, MICRO_EMOTIONS, strict=False)]
        names = [f"neutral, yaw {yaw}" for yaw in YAWS] + [f"emotion, yaw {yaw}" for yaw in (*YAWS, -30)]
        blocks += [np.concatenate([_banner(name, CELL[1]) for name in names], axis=1), *turned]
    return _stack(blocks)


def _cell(picture: Uint8Array) -> Uint8Array:
    """A frame cut down to head and shoulders, at the size of a cell."""
    height, width = CELL
    middle = picture.shape[1] // 2
    half = round((picture.shape[0] - 40) * width / height / 2)
    return np.asarray(
        cv2.resize(picture[40:, middle - half : middle + half], (width, height), interpolation=cv2.INTER_AREA), np.uint8
    )


def _banner(text: str, width: int) -> Uint8Array:
    """A white strip with a line of text."""
    strip = np.full((BANNER, width, 3), 255, np.uint8)
    cv2.putText(strip, text, (6, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.48, (20, 20, 20), 1, cv2.LINE_AA)
    return strip


def _stack(blocks: list[Uint8Array]) -> Uint8Array:
    """Blocks below each other, narrower ones filled up with white on the right."""
    width = max(block.shape[1] for block in blocks)
    filled = [np.pad(b, ((0, 0), (0, width - b.shape[1]), (0, 0)), constant_values=255) for b in blocks]
    return np.concatenate(filled)


def _emotion_heading() -> Uint8Array:
    """The names of the columns."""
    names = ["neutral"]
    for emotion in SHOWN_EMOTIONS:
        names.append(f"{emotion} {show_emotion(emotion, MACRO_INTENSITY)[1]}")
    return np.concatenate([_banner(name, CELL[1]) for name in names], axis=1)


def _emotion_row(person: Renderer) -> Uint8Array:
    """Neutral and the apex of every emotion."""
    cells = [_cell(person.render(FaceTracks.neutral(1), 0, 0))]
    for emotion in SHOWN_EMOTIONS:
        tracks, _ = show_emotion(emotion, MACRO_INTENSITY)
        cells.append(_cell(person.render(tracks, 1, 0)))
    return np.concatenate(cells, axis=1)


def _micro_row(person: Renderer, emotion: str) -> Uint8Array:
    """Onset, apex and their difference, with noise as in a video."""
    tracks, units = show_emotion(emotion, MICRO_INTENSITY)
    onset, apex = (person.render(tracks, frame, 0) for frame in (0, 1))
    difference = (apex.astype(np.int16) - onset) * DIFFERENCE_GAIN + 128
    motion = np.linalg.norm(person.landmarks(tracks, 1) - person.landmarks(tracks, 0), axis=1).max()
    cells = np.concatenate([_cell(onset), _cell(apex), _cell(np.clip(difference, 0, 255).astype(np.uint8))], axis=1)
    caption = f"{emotion} {units}, largest motion of a landmark {motion:.1f} px"
    return np.concatenate([_banner(caption, cells.shape[1]), cells])


def _turned_row(person: Renderer, emotion: str) -> Uint8Array:
    """Neutral and the apex of an emotion, turned by :data:`YAWS`; the last looks the other way, and down."""
    tracks, _ = show_emotion(emotion, MACRO_INTENSITY)
    cells = []
    for frame in (0, 1):
        for yaw in YAWS:
            tracks.pose[frame, 3] = yaw
            cells.append(_cell(person.render(tracks, frame, 0)))
    tracks.pose[1, 3:5] = (-YAWS[-1], 10)
    return np.concatenate([*cells, _cell(person.render(tracks, 1, 0))], axis=1)
