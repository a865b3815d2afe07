"""The sizes in which the corpus can be generated, and CAS(ME)^2's own facts that all of them share."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final, get_args

import numpy as np

from fedn_lightning.errors import ConfigError
from fedn_synth import PresetName

FPS: Final = 30
"""Frames per second of CAS(ME)^2 and of every generated video."""
FRAME_HEIGHT: Final = 480
FRAME_WIDTH: Final = 640

MATERIALS: Final[dict[str, str]] = {
    "0101": "disgust1",
    "0102": "disgust2",
    "0401": "anger1",
    "0402": "anger2",
    "0502": "happy1",
    "0503": "happy2",
    "0505": "happy3",
    "0507": "happy4",
    "0508": "happy5",
}
"""Code of an elicitation video and its name in the annotation (the release's naming rule 2)."""

TITLES: Final[dict[str, str]] = {
    "0101": "disgustingteeth",
    "0102": "spoiledfood",
    "0401": "queuejumper",
    "0402": "brokenpromise",
    "0502": "funnyerrors",
    "0503": "funnypets",
    "0505": "babylaughs",
    "0507": "clumsywaiter",
    "0508": "dancinggrandpa",
}
"""Title that follows the code in a file name; invented, except for the two that show the layout's quirks."""

EXPERT_COUNTS: Final[dict[str, int]] = {"negative": 126, "positive": 124, "others": 82, "surprise": 25}
"""Expert emotions in CAS(ME)^2; a preset has them in the same proportions."""
AGREEING: Final = (246, 275)
"""Rows whose self-report agrees in valence with the expert, of those whose expert emotion is not `others`."""

_CASME2_SUBJECTS: Final = (15, 16, *range(19, 28), *range(29, 39), 40)


@dataclass(frozen=True, slots=True)
class Preset:
    """One size of the generated corpus."""

    name: PresetName  # how the user calls it
    key: int  # its place in every random stream's address: no two presets show the same people
    # number in each subject's folder name (`s15`), in the order of the subject numbers 1, 2, ..
    folders: tuple[int, ...]
    n_videos: int  # long videos in all, shared among the subjects as evenly as possible
    macros: int  # macro-expressions in all
    micros: int  # micro-expressions in all
    shortest: int  # frames of the shortest video
    longest: int  # frames of the longest video
    mean_frames: int  # mean length of a video in frames
    evenness: float  # shape of the gamma law of how expressions spread over videos; large is even
    # (folder, code) of videos without expressions and without annotation rows
    unannotated: tuple[tuple[int, str], ...] = ((15, "0508"),)
    # (folder, code) of the video that lies under the subject folder in :attr:`stray_under`
    stray: tuple[int, str] = (23, "0502")
    stray_under: int = 19  # number in that folder's name


_TABLE: Final = (
    # name, key, folders, videos, macros, micros, shortest, longest, mean_frames, evenness
    Preset("tiny", 0, (15, 16, 19, 23), 8, 16, 11, 600, 600, 600, 400.0),
    Preset("standard", 1, _CASME2_SUBJECTS[:10], 40, 240, 80, 1800, 1800, 1800, 30.0),
    Preset("casme2", 2, _CASME2_SUBJECTS, 97, 300, 57, 659, 4374, 2598, 2.0, ((15, "0508"), (23, "0503"))),
    # Many people and short videos: several of these, of both kinds of faces, train the checkpoint in the wheel.
    Preset("weights", 3, _CASME2_SUBJECTS[:10], 20, 54, 26, 600, 600, 600, 100.0),
)

PRESETS: Final[dict[str, Preset]] = {preset.name: preset for preset in _TABLE}
"""All presets by name."""


def find_preset(name: str) -> Preset:
    """The preset of that name.

    Raises:
        ConfigError: if there is none.
    """
    if name not in PRESETS:
        raise ConfigError(f"There is no preset {name!r}; choose one of {', '.join(get_args(PresetName))}.")
    return PRESETS[name]


CORPUS: Final = 1
"""Namespace of the people in the generated corpora; their addresses begin with the preset's key."""
STILLS: Final = 2
"""Namespace of the people on the still images, who occur in no corpus."""
MOMENTS: Final = 5
"""Namespace of the people of `fedn data moments`, who occur in no corpus and on no stills."""
SOLID: Final = 2
"""Added to a namespace for the people with three-dimensional heads, who are others than the flat ones."""


class Draw(IntEnum):
    """Purpose of a random stream; the first part of its address."""

    IDENTITY = 0
    CORPUS_PLAN = 1
    HABITS = 2
    EXPRESSIONS = 3
    DISTRACTORS = 4
    ANNOTATION = 5
    NOISE = 6
    STILLS_PLAN = 7
    TURNS = 8


def stream(namespace: int, seed: int, draw: Draw, *address: int) -> np.random.Generator:
    """The generator of one address, e.g. the distractors of one video.

    Returns:
        A generator that is independent of every other address's.
    """
    return np.random.default_rng(_sequence(namespace, seed, draw, *address))


def identity_seed(namespace: int, seed: int, *address: int) -> int:
    """Seed of one person, a 64-bit number whose top byte is the namespace.

    The top byte makes it impossible, rather than unlikely, that a person of the still images occurs in a corpus.

    >>> identity_seed(STILLS, 0, 4) >> 56
    2
    """
    state = _sequence(namespace, seed, Draw.IDENTITY, *address).generate_state(1, np.uint64)
    return namespace << 56 | int(state[0]) >> 8


def _sequence(namespace: int, seed: int, draw: Draw, *address: int) -> np.random.SeedSequence:
    return np.random.SeedSequence(seed, spawn_key=(namespace, int(draw), *address))
