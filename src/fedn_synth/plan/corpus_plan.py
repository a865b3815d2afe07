"""The plan of a corpus: who is in which video and which expressions they show, with exact totals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from fedn_lightning.events import ExpressionType
from fedn_synth.plan.presets import AGREEING, CORPUS, EXPERT_COUNTS, MATERIALS, TITLES, Draw, Preset, stream

OVERLAPPING: Final = 18 / 357
"""Share of expressions that begin before the one before has ended (18 pairs in CAS(ME)^2)."""

_ROOM_FOR_MACRO: Final = 120  # frames a macro-expression may take with its surroundings: no video is over-full
_MATCHING_MATERIAL: Final = 6.0  # a funny video draws this many times more positive expressions than others do
_VALENCE: Final = {
    "happiness": "positive",
    "surprise": "surprise",
    "disgust": "negative",
    "anger": "negative",
    "fear": "negative",
    "sadness": "negative",
}
_NEGATIVE_MIX: Final = {
    "disgust": {"disgust": 0.60, "anger": 0.15, "fear": 0.15, "sadness": 0.10},
    "anger": {"disgust": 0.20, "anger": 0.55, "fear": 0.10, "sadness": 0.15},
    "happy": {"disgust": 0.45, "anger": 0.30, "fear": 0.15, "sadness": 0.10},
}
_SELF_REPORT_MIX: Final = {
    "happiness": 0.33,
    "disgust": 0.20,
    "anger": 0.16,
    "surprise": 0.13,
    "fear": 0.06,
    "sadness": 0.02,
    "helpless": 0.03,
    "pain": 0.03,
    "confused": 0.02,
    "sympathy": 0.02,
}


@dataclass(frozen=True, slots=True)
class PlannedExpression:
    """Type and labels of one expression, before it has a place in time."""

    type: ExpressionType  # `macro` or `micro`
    emotion: str  # what the face shows: a key of :data:`.muscles.EMOTION_UNITS`
    expert: str  # the expert's label: negative, positive, surprise or others
    self_report: str  # the emotion that the person reports


@dataclass(frozen=True, slots=True)
class Scene:
    """One video of the plan."""

    index: int  # position in the plan, the video's address in random streams
    subject: int  # subject number, from 1
    folder: int  # number in the subject's folder name
    code: str  # elicitation code, e.g. `0101`.
    stem: str  # file name without suffix, e.g. `15_0101disgustingteeth`.
    parent: str  # folder it lies in, e.g. `s15`; another subject's for the stray video.
    n_frames: int  # length
    expressions: tuple[PlannedExpression, ...]  # expressions in the order of their onsets
    overlaps: frozenset[int]  # positions in :attr:`expressions` whose expression begins before the one before has ended

    @property
    def material(self) -> str:
        """Name of the elicitation video in the annotation, e.g. `disgust1`."""
        return MATERIALS[self.code]


def plan_corpus(preset: Preset, seed: int) -> tuple[Scene, ...]:
    """Plans a corpus: a pure function of preset and seed.

    Returns:
        The videos by subject and code. Their numbers of macro- and micro-expressions sum to the preset's exactly, the
        expert emotions stand in CAS(ME)^2's proportions, and self-reports agree with them as often as in CAS(ME)^2.
    """
    rng = stream(CORPUS, seed, Draw.CORPUS_PLAN, preset.key)
    videos = _choose_videos(preset, rng)
    lengths = _draw_lengths(preset, [code for _, code in videos], rng)
    typo = _choose_typo(preset, videos, rng)
    expressions = _share_expressions(preset, videos, lengths, rng)
    overlaps = _choose_overlaps(expressions, rng)
    return tuple(
        Scene(
            index=index,
            subject=preset.folders.index(folder) + 1,
            folder=folder,
            code=code,
            stem=f"{folder}_{code}{TITLES[code][1:] if index == typo else TITLES[code]}",
            parent=f"s{preset.stray_under if (folder, code) == preset.stray else folder}",
            n_frames=lengths[index],
            expressions=expressions[index],
            overlaps=overlaps[index],
        )
        for index, (folder, code) in enumerate(videos)
    )


def thin(scenes: Sequence[Scene], rate: float) -> tuple[Scene, ...]:
    """The same videos with a share of their expressions: of each video the first ones; people and distractors stay."""
    kept = [round(rate * len(scene.expressions)) for scene in scenes]
    return tuple(
        replace(
            scene, expressions=scene.expressions[:count], overlaps=frozenset(i for i in scene.overlaps if i < count)
        )
        for scene, count in zip(scenes, kept, strict=True)
    )


def apportion(total: int, weights: Sequence[float], at_most: Sequence[int] | None = None) -> list[int]:
    """Shares a whole number in proportion to weights (largest remainders), respecting caps.

    Returns:
        Whole numbers that sum to `total`.

    >>> apportion(10, [1, 1, 2])
    [3, 2, 5]
    >>> apportion(10, [1, 1, 2], at_most=[9, 9, 2])
    [4, 4, 2]
    """
    caps = np.full(len(weights), total) if at_most is None else np.asarray(at_most)
    shares = np.zeros(len(weights), np.int64)
    free = caps > 0
    while free.any():
        open_weights = np.where(free, weights, 0.0)
        exact = open_weights / open_weights.sum() * (total - shares[~free].sum())
        full = free & (exact >= caps)
        if not full.any():
            shares[free] = np.floor(exact[free]).astype(np.int64)
            largest = np.argsort(np.floor(exact) - exact, kind="stable")
            shares[largest[: total - int(shares.sum())]] += 1
            break
        shares[full] = caps[full]
        free &= ~full
    return [int(share) for share in shares]


def _choose_videos(preset: Preset, rng: np.random.Generator) -> list[tuple[int, str]]:
    """(folder, code) of every video, sorted; the ones that carry a quirk are always among them."""
    pinned = {*preset.unannotated, preset.stray}
    counts = np.full(len(preset.folders), preset.n_videos // len(preset.folders))
    counts[rng.permutation(len(counts))[: preset.n_videos - counts.sum()]] += 1
    videos: list[tuple[int, str]] = []
    for folder, count in zip(preset.folders, counts, strict=True):
        fixed = [code for number, code in sorted(pinned) if number == folder]
        free = [code for code in MATERIALS if code not in fixed]
        drawn = rng.permutation(len(free))[: count - len(fixed)]
        videos += sorted((folder, code) for code in [*fixed, *(free[i] for i in drawn)])
    return videos


def _draw_lengths(preset: Preset, codes: Sequence[str], rng: np.random.Generator) -> list[int]:
    """Frames per video: near the length of its elicitation video, with the preset's extremes and mean."""
    span = preset.longest - preset.shortest
    if span == 0:
        return [preset.shortest] * len(codes)
    base = dict(zip(MATERIALS, rng.permutation(np.linspace(0.08, 0.92, len(MATERIALS))), strict=True))
    place = np.array([base[code] for code in codes]) + rng.normal(0, 0.03, len(codes))
    order = np.argsort(place)
    place[order[0]], place[order[-1]] = 0.0, 1.0
    inner = order[1:-1]
    for _ in range(50):  # the shift is clipped at the ends, so the mean is approached in steps
        shift = (preset.mean_frames - preset.shortest) / span - place.mean()
        place[inner] = np.clip(place[inner] + shift, 0.005, 0.995)
    return [int(n) for n in np.rint(preset.shortest + place * span)]


def _choose_typo(preset: Preset, videos: Sequence[tuple[int, str]], rng: np.random.Generator) -> int:
    """The video whose title lost its first letter: an annotated one, which a reader must still find."""
    ordinary = [i for i, video in enumerate(videos) if video not in (*preset.unannotated, preset.stray)]
    return int(rng.choice(ordinary))


def _share_expressions(
    preset: Preset, videos: Sequence[tuple[int, str]], lengths: Sequence[int], rng: np.random.Generator
) -> list[tuple[PlannedExpression, ...]]:
    """The expressions of every video in random order."""
    annotated = [i for i, video in enumerate(videos) if video not in preset.unannotated]
    frames = np.array([lengths[i] for i in annotated], np.float64)
    room = np.maximum(frames // _ROOM_FOR_MACRO, 2).astype(np.int64)
    # Every annotated video has at least one row: one macro-expression is given before the rest is shared.
    weights = frames * rng.gamma(preset.evenness, size=len(frames))
    macros = 1 + np.array(apportion(preset.macros - len(frames), weights.tolist(), (room - 1).tolist()))
    micros = apportion(preset.micros, (frames * rng.gamma(preset.evenness, size=len(frames))).tolist(), room.tolist())
    slots: list[tuple[int, ExpressionType]] = []
    for video, n_macros, n_micros in zip(annotated, macros, micros, strict=True):
        slots.extend((video, "macro") for _ in range(int(n_macros)))
        slots.extend((video, "micro") for _ in range(n_micros))
    emotions = _draw_experts([MATERIALS[videos[video][1]] for video, _ in slots], rng)
    expressions = _label(slots, [MATERIALS[videos[video][1]] for video, _ in slots], emotions, rng)
    shared: list[tuple[PlannedExpression, ...]] = []
    for video in range(len(videos)):
        mine = [planned for planned, slot in zip(expressions, slots, strict=True) if slot[0] == video]
        shared.append(tuple(mine[i] for i in rng.permutation(len(mine))))
    return shared


def _draw_experts(materials: Sequence[str], rng: np.random.Generator) -> list[str]:
    """Expert emotion of every slot: exact proportions over all, matching the material where they can."""
    names = list(EXPERT_COUNTS)
    left = np.array(apportion(len(materials), list(EXPERT_COUNTS.values())), np.float64)
    experts = [""] * len(materials)
    for slot in rng.permutation(len(materials)):
        liked = "positive" if materials[slot].startswith("happy") else "negative"
        weights = left * np.where(np.array(names) == liked, _MATCHING_MATERIAL, 1.0)
        choice = rng.choice(len(names), p=weights / weights.sum())
        left[choice] -= 1
        experts[slot] = names[choice]
    return experts


def _label(
    slots: Sequence[tuple[int, ExpressionType]],
    materials: Sequence[str],
    experts: Sequence[str],
    rng: np.random.Generator,
) -> list[PlannedExpression]:
    """Adds the emotion that the face shows and the one that the person reports."""
    analysed = [i for i, expert in enumerate(experts) if expert != "others"]
    n_agreeing = round(len(analysed) * AGREEING[0] / AGREEING[1])
    agreeing = set(rng.permutation(analysed)[:n_agreeing].tolist())
    expressions = []
    for i, ((_, kind), material, expert) in enumerate(zip(slots, materials, experts, strict=True)):
        emotion = _show(expert, material, rng)
        report = emotion if i in agreeing else _draw(_reports_against(expert), rng)
        expressions.append(PlannedExpression(type=kind, emotion=emotion, expert=expert, self_report=report))
    return expressions


def _show(expert: str, material: str, rng: np.random.Generator) -> str:
    if expert == "negative":
        return _draw(_NEGATIVE_MIX[material.rstrip("12345")], rng)
    return {"positive": "happiness"}.get(expert, expert)


def _reports_against(expert: str) -> dict[str, float]:
    """Self-reports of another valence than the expert's label, with their weights."""
    return {report: weight for report, weight in _SELF_REPORT_MIX.items() if _VALENCE.get(report) != expert}


def _draw(weights: dict[str, float], rng: np.random.Generator) -> str:
    p = np.array(list(weights.values()))
    return list(weights)[int(rng.choice(len(p), p=p / p.sum()))]


def _choose_overlaps(
    expressions: Sequence[tuple[PlannedExpression, ...]], rng: np.random.Generator
) -> list[frozenset[int]]:
    """Which expressions begin early. No expression overlaps both neighbours."""
    total = sum(len(mine) for mine in expressions)
    pairs = [(video, i) for video, mine in enumerate(expressions) for i in range(1, len(mine))]
    chosen: list[set[int]] = [set() for _ in expressions]
    wanted = max(1, round(total * OVERLAPPING))
    for at in rng.permutation(len(pairs)):
        video, i = pairs[at]
        if wanted and not chosen[video] & {i - 1, i + 1}:
            chosen[video].add(i)
            wanted -= 1
    return [frozenset(mine) for mine in chosen]
