"""Turns a planned video into what its face does in every frame, and into the truth about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from fedn_synth.face.tracks import Performance
from fedn_synth.plan import distractors
from fedn_synth.plan import presets as seeds
from fedn_synth.plan.corpus_plan import Scene
from fedn_synth.plan.distractors import Conditions, Distractor
from fedn_synth.plan.expressions import Act, draw_length, perform
from fedn_synth.plan.presets import Draw, Preset
from fedn_synth.plan.turns import turns

GAP: Final = 12
"""Frames at least between two expressions that do not overlap, and before the first and after the last."""

_REACTING: Final = 0.3  # share of expressions with a blink at their onset; of surprises twice that


@dataclass(frozen=True, slots=True)
class Habits:
    """What one person does alike in all their videos.

    Attributes:
        expressiveness: 0 restrained to 1 vivid.
        blinks_per_minute: mean rate, those that accompany expressions left out.
    """

    expressiveness: float
    blinks_per_minute: float


@dataclass(frozen=True)
class Screenplay:
    """What happens in one video.

    Attributes:
        acts: the expressions, by onset.
        distractors: everything else, by start.
        performance: the same as tracks, frame by frame.
    """

    acts: tuple[Act, ...]
    distractors: tuple[Distractor, ...]
    performance: Performance


def plan_acts(scene: Scene, preset: Preset, seed: int) -> tuple[Act, ...]:
    """The expressions of one video in time; cheap, and the same whoever asks.

    Args:
        scene: the planned video.
        preset: the corpus it belongs to.
        seed: the corpus' seed.

    Returns:
        Acts by onset, at least :data:`GAP` frames apart, but for the scene's overlaps of two to eight frames.
    """
    rng = seeds.stream(seeds.CORPUS, seed, Draw.ACTS, preset.key, scene.index)
    expressiveness = _habits(scene, preset, seed).expressiveness
    lengths = [draw_length(part, rng) for part in scene.parts]
    gaps = [-int(rng.integers(2, 6)) if i in scene.overlaps else GAP for i in range(len(lengths))]
    starts = place(lengths, gaps, scene.n_frames, rng)
    return tuple(
        perform(part, start, length, expressiveness, rng)
        for part, start, length in zip(scene.parts, starts, lengths, strict=True)
    )


def place(lengths: list[int], gaps: list[int], n_frames: int, rng: np.random.Generator) -> list[int]:
    """Places intervals in a row at random.

    Args:
        lengths: frames of every interval.
        gaps: frames at least before every interval; negative: exactly that many frames of overlap with the one before.
        n_frames: frames there are; :data:`GAP` are kept free at the end.
        rng: source of randomness.

    Returns:
        The first frame of every interval.

    Raises:
        ValueError: if they do not fit.
    """
    spare = n_frames - sum(lengths) - sum(gaps) - GAP
    if spare < 0:
        msg = f"{len(lengths)} intervals of {sum(lengths)} frames do not fit into {n_frames} frames."
        raise ValueError(msg)
    cuts = np.sort(rng.integers(0, spare + 1, len(lengths))).tolist()
    extra = [0 if gap < 0 else cut - before for gap, cut, before in zip(gaps, cuts, [0, *cuts], strict=False)]
    starts, at = [], 0
    for length, gap, more in zip(lengths, gaps, extra, strict=True):
        starts.append(at + gap + more)
        at = starts[-1] + length
    return starts


def write_screenplay(scene: Scene, preset: Preset, seed: int, conditions: Conditions) -> Screenplay:
    """Everything that happens in one video: a pure function of its arguments.

    Args:
        scene: the planned video.
        preset: the corpus it belongs to.
        seed: the corpus' seed.
        conditions: strength of the distractors; the expressions do not depend on it.

    Returns:
        Acts, distractors and tracks of `scene.n_frames` frames.
    """
    n = scene.n_frames
    acts = plan_acts(scene, preset, seed)
    rng = seeds.stream(seeds.CORPUS, seed, Draw.DISTRACTORS, preset.key, scene.index)
    reacting = [act.start for act in acts if rng.random() < _REACTING * (1 + (act.part.emotion == "surprise"))]
    blink_rate = _habits(scene, preset, seed).blinks_per_minute * conditions.rate
    closure, blinks = distractors.blinks(n, blink_rate, reacting, rng)
    gaze, shifts = distractors.gaze_shifts(n, conditions.rate, rng)
    speech, bursts = distractors.speech(n, conditions.rate, rng)
    swallow, swallows = distractors.swallows(n, conditions.rate, rng)
    pose, movements = distractors.head(n, conditions, rng)
    light = distractors.light(n, conditions, rng)
    if conditions.turn:
        looking = seeds.stream(seeds.CORPUS, seed, Draw.TURNS, preset.key, scene.index)
        turned, more = turns(n, conditions.turn - conditions.max_turn, looking)
        pose[:, 3:5] += turned
        movements = [*movements, *more]
    tracks = [_perform_all(acts, n), closure, gaze, speech, swallow, pose, light]
    events = sorted([*blinks, *shifts, *bursts, *swallows, *movements], key=lambda e: (e.start, e.end, e.kind))
    return Screenplay(acts, tuple(events), Performance(*(track.astype(np.float32) for track in tracks)))


def _habits(scene: Scene, preset: Preset, seed: int) -> Habits:
    rng = seeds.stream(seeds.CORPUS, seed, Draw.HABITS, preset.key, scene.subject)
    return Habits(expressiveness=float(rng.uniform(0.1, 0.9)), blinks_per_minute=float(rng.uniform(10, 22)))


def _perform_all(acts: tuple[Act, ...], n_frames: int) -> distractors.FloatArray:
    """Sum of the acts as `(n_frames, len(AU_CODES), 2)`; where two use one muscle, the stronger contraction is seen."""
    track = Performance.neutral(n_frames).action_units.astype(np.float64)
    for act in acts:
        # GAP - 1 frames around hold the part of the ramps that is too weak to be called visible.
        first, last = max(act.start - GAP + 1, 0), min(act.end + GAP - 1, n_frames)
        part = track[first:last]
        np.maximum(part, act.intensities(last - first, first - act.start), out=part)
    return track
