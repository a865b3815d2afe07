"""Turns a planned video into tracks of every frame and its ground truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from fedn_synth.face.motion import FaceTracks
from fedn_synth.plan import distractors
from fedn_synth.plan.corpus_plan import Scene
from fedn_synth.plan.distractors import Conditions, Distractor, turns
from fedn_synth.plan.expressions import TimedExpression, draw_expression, draw_length
from fedn_synth.plan.presets import CORPUS, Draw, Preset, stream

GAP: Final = 12
"""Frames at least between two expressions that do not overlap, and before the first and after the last."""

_REACTING: Final = 0.3  # share of expressions with a blink at their onset; of surprises twice that


@dataclass(frozen=True, slots=True)
class Habits:
    """Traits of one person in all their videos."""

    expressiveness: float  # 0 restrained to 1 vivid
    blinks_per_minute: float  # mean rate without those that accompany expressions


@dataclass(frozen=True)
class VideoPlan:
    """What happens in one video."""

    expressions: tuple[TimedExpression, ...]  # the expressions, by onset
    distractors: tuple[Distractor, ...]  # everything else, by start
    tracks: FaceTracks  # the same as tracks, frame by frame


def plan_expressions(scene: Scene, preset: Preset, seed: int) -> tuple[TimedExpression, ...]:
    """The expressions of one video with their frames; cheap, and equal in every call.

    Returns:
        Expressions by onset, at least :data:`GAP` frames apart, but for the scene's overlaps of two to eight frames.
    """
    rng = stream(CORPUS, seed, Draw.EXPRESSIONS, preset.key, scene.index)
    expressiveness = _habits(scene, preset, seed).expressiveness
    lengths = [draw_length(planned, rng) for planned in scene.expressions]
    gaps = [-int(rng.integers(2, 6)) if i in scene.overlaps else GAP for i in range(len(lengths))]
    starts = place(lengths, gaps, scene.n_frames, rng)
    return tuple(
        draw_expression(planned, start, length, expressiveness, rng)
        for planned, start, length in zip(scene.expressions, starts, lengths, strict=True)
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
        raise ValueError(f"{len(lengths)} intervals of {sum(lengths)} frames do not fit into {n_frames} frames.")
    cuts = np.sort(rng.integers(0, spare + 1, len(lengths))).tolist()
    extra = [0 if gap < 0 else cut - before for gap, cut, before in zip(gaps, cuts, [0, *cuts], strict=False)]
    starts, at = [], 0
    for length, gap, more in zip(lengths, gaps, extra, strict=True):
        starts.append(at + gap + more)
        at = starts[-1] + length
    return starts


def plan_video(scene: Scene, preset: Preset, seed: int, conditions: Conditions) -> VideoPlan:
    """Everything that happens in one video: a pure function of its arguments.

    Returns:
        Expressions, distractors and tracks of `scene.n_frames` frames.
    """
    n = scene.n_frames
    expressions = plan_expressions(scene, preset, seed)
    rng = stream(CORPUS, seed, Draw.DISTRACTORS, preset.key, scene.index)
    reacting = [
        expression.start
        for expression in expressions
        if rng.random() < _REACTING * (1 + (expression.planned.emotion == "surprise"))
    ]
    blink_rate = _habits(scene, preset, seed).blinks_per_minute * conditions.rate
    closure, blinks = distractors.blinks(n, blink_rate, reacting, rng)
    gaze, shifts = distractors.gaze_shifts(n, conditions.rate, rng)
    speech, bursts = distractors.speech(n, conditions.rate, rng)
    swallow, swallows = distractors.swallows(n, conditions.rate, rng)
    pose, movements = distractors.head(n, conditions, rng)
    light = distractors.light(n, conditions, rng)
    if conditions.turn:
        looking = stream(CORPUS, seed, Draw.TURNS, preset.key, scene.index)
        turned, more = turns(n, conditions.turn - conditions.max_turn, looking)
        pose[:, 3:5] += turned
        movements = [*movements, *more]
    tracks = [_sum_expressions(expressions, n), closure, gaze, speech, swallow, pose, light]
    events = sorted([*blinks, *shifts, *bursts, *swallows, *movements], key=lambda e: (e.start, e.end, e.kind))
    return VideoPlan(expressions, tuple(events), FaceTracks(*(track.astype(np.float32) for track in tracks)))


def _habits(scene: Scene, preset: Preset, seed: int) -> Habits:
    rng = stream(CORPUS, seed, Draw.HABITS, preset.key, scene.subject)
    return Habits(expressiveness=float(rng.uniform(0.1, 0.9)), blinks_per_minute=float(rng.uniform(10, 22)))


def _sum_expressions(expressions: tuple[TimedExpression, ...], n_frames: int) -> distractors.FloatArray:
    """Sum of the expressions `(n_frames, len(AU_CODES), 2)`; where two use one muscle, the stronger one is seen."""
    track = FaceTracks.neutral(n_frames).action_units.astype(np.float64)
    for expression in expressions:
        # GAP - 1 frames around hold the part of the ramps that is too weak to be called visible.
        first, last = max(expression.start - GAP + 1, 0), min(expression.end + GAP - 1, n_frames)
        part = track[first:last]
        np.maximum(part, expression.intensities(last - first, first - expression.start), out=part)
    return track
