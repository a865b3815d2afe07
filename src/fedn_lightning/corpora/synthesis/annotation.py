"""The annotation rows an expert would hand in for a generated corpus, with the oddities of CAS(ME)^2's own table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from fedn_lightning.corpora.synthesis import seeds
from fedn_lightning.corpora.synthesis.acts import Act
from fedn_lightning.corpora.synthesis.casting import Scene
from fedn_lightning.corpora.synthesis.presets import Preset
from fedn_lightning.corpora.synthesis.seeds import Draw

ZERO_OFFSETS: Final = 44 / 300
"""Share of macro-expressions whose offset the annotation does not know and writes as 0."""
ZERO_APEXES: Final = 1 / 300
"""Share of macro-expressions with apex 0."""
LATE_APEXES: Final = 3 / 357
"""Share of expressions whose apex lies after the offset."""
UNTIDY_LABELS: Final = 4 / 357
"""Share of rows with a label in stray case, and as many with a stray space: our own choice, a reader must bear it."""


@dataclass(frozen=True, slots=True)
class AnnotationRow:
    """One row of the workbook's first sheet, in its column order. Frames count from 1, onset and offset inclusive.

    Attributes:
        subject: subject number from 1, not the number in the folder name.
        material: elicitation video and running number, e.g. `anger1_1`.
        onset: first frame of visible movement.
        apex: frame of greatest intensity.
        offset: last frame of visible movement, or 0 where it is unknown.
        action_units: a number for a single unit, else text such as `4+10+14`.
        expert: the expert's emotion.
        type: `macro-expression` or `micro-expression`.
        self_report: the emotion the person reports.
    """

    subject: int
    material: str
    onset: int
    apex: int
    offset: int
    action_units: int | str
    expert: str
    type: str
    self_report: str


def annotate(
    scenes: Sequence[Scene], acts: Mapping[int, Sequence[Act]], preset: Preset, seed: int
) -> tuple[AnnotationRow, ...]:
    """Writes down the acts of a corpus as its release would.

    Args:
        scenes: all videos.
        acts: the expressions by :attr:`Scene.index`.
        preset: the corpus' preset.
        seed: the corpus' seed.

    Returns:
        A row for every act, by video and onset, some of them with one of the release's oddities. Overlapping
        expressions, themselves an oddity, get no other one.
    """
    rows, overlapping = [], []
    for scene in scenes:
        for number, act in enumerate(acts[scene.index]):
            rows.append(_faithful_row(scene, act, number + 1))
            overlapping.append(bool(scene.overlaps & {number, number + 1}))
    return tuple(_spoil(rows, overlapping, seeds.stream(seeds.CORPUS, seed, Draw.ANNOTATION, preset.key)))


def _faithful_row(scene: Scene, act: Act, number: int) -> AnnotationRow:
    units = act.action_units
    return AnnotationRow(
        subject=scene.subject,
        material=f"{scene.material}_{number}",
        onset=act.start + 1,
        apex=act.apex + 1,
        offset=act.end,
        action_units=int(units) if units.isdigit() else units,
        expert=act.part.expert,
        type=f"{act.part.type}-expression",
        self_report=act.part.self_report,
    )


def _spoil(rows: list[AnnotationRow], overlapping: Sequence[bool], rng: np.random.Generator) -> list[AnnotationRow]:
    """Adds the oddities, every row bearing one at most."""
    macros = sum(row.type.startswith("macro") for row in rows)
    free = [int(i) for i in rng.permutation(len(rows)) if not overlapping[i]]

    def take(number: float, fits: str = "") -> list[int]:
        """The next rows without an oddity: at least one, so that every preset shows each oddity."""
        taken = [i for i in free if f"{rows[i].type} {rows[i].self_report}".find(fits) >= 0][: max(1, round(number))]
        free[:] = [i for i in free if i not in taken]
        return taken

    for i in take(1, "happiness"):
        rows[i] = replace(rows[i], self_report="happyiness")
    for i in take(macros * ZERO_OFFSETS, "macro"):
        rows[i] = replace(rows[i], offset=0)
    for i in take(macros * ZERO_APEXES, "macro"):
        rows[i] = replace(rows[i], apex=0)
    for i in take(len(rows) * LATE_APEXES):
        rows[i] = replace(rows[i], apex=rows[i].offset + int(rng.integers(1, 5)))
    for i in take(len(rows) * UNTIDY_LABELS):
        rows[i] = replace(rows[i], self_report=rows[i].self_report.capitalize(), expert=rows[i].expert.capitalize())
    for i in take(len(rows) * UNTIDY_LABELS):
        rows[i] = replace(rows[i], self_report=f"{rows[i].self_report} ", expert=f" {rows[i].expert}")
    return rows
