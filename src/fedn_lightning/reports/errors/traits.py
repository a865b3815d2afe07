"""What truths are like, and how recall depends on it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Final

import numpy as np

from fedn_lightning.events import EXPRESSION_TYPES, FloatArray
from fedn_lightning.metrics.functional.errors import HIT
from fedn_lightning.metrics.functional.sensitivity import Group, recall_by
from fedn_lightning.reports.errors.run import RunErrors

DURATIONS: Final = (0.3, 0.5, 1.0, 2.0)
"""Bounds in seconds; half a second parts micro- from macro-expressions in the field's definition."""
INTENSITIES: Final = (0.15, 0.25, 0.35, 0.5, 0.75)
"""Bounds of the greatest intensity of an action unit, 1 being FACS level E; generated micro-expressions reach 0.35."""

NOT_ANALYSED: Final = "not analysed"
"""An emotion outside the class scheme, e.g. `others`."""

OFFSETS: Final = ("offset known", "offset unknown")
"""Whether a label ends where the movement does, or a policy ends it because the annotation does not know."""


def binned(values: FloatArray, bounds: Sequence[float], unit: str = "") -> tuple[list[str], list[str]]:
    """Names of the bins that values lie in, and of all bins in order; a bin begins at its lower bound.

    >>> binned(np.array([0.2, 0.5]), (0.3, 0.5), " s")
    (['< 0.3 s', '>= 0.5 s'], ['< 0.3 s', '0.3-0.5 s', '>= 0.5 s'])
    """
    between = [f"{low:g}-{high:g}{unit}" for low, high in itertools.pairwise(bounds)]
    names = [f"< {bounds[0]:g}{unit}", *between, f">= {bounds[-1]:g}{unit}"]
    return [names[index] for index in np.searchsorted(bounds, values, side="right")], names


def durations(run: RunErrors) -> FloatArray:
    """`(M,)` seconds that each truth lasts, by its label."""
    seconds: FloatArray = (run.truths.end - run.truths.start) / np.array(run.fps)[run.truths.video]
    return seconds


def sensitivity(run: RunErrors) -> dict[str, list[Group]]:
    """Recall and mean score of a run by type, duration, intensity, extent of the label, emotion and subject.

    Args:
        run: judged by type: a truth is found if spotting finds it.

    Returns:
        By trait its groups in a natural order; intensity and extent only where a generated corpus knows them.
    """
    truths, found = run.truths, run.spotting.truth_kind == HIT
    names: dict[str, tuple[list[str], list[str]]] = {
        "type": ([EXPRESSION_TYPES[kind] for kind in truths.type], list(EXPRESSION_TYPES)),
        "duration": binned(durations(run), DURATIONS, " s"),
    }
    if run.witness is not None:
        unknown = (truths.end != run.witness.end).astype(np.int64)
        names["intensity"] = binned(run.witness.peak, INTENSITIES)
        names["label"] = [OFFSETS[index] for index in unknown], list(OFFSETS)
    emotions = [*run.emotions, NOT_ANALYSED]  # the index of what is not analysed is -1
    names["emotion"] = [emotions[emotion] for emotion in truths.emotion], [*sorted(run.emotions), NOT_ANALYSED]
    names["subject"] = [run.subjects[subject] for subject in truths.subject], sorted(run.subjects)
    groups = {}
    for trait, (each, order) in names.items():
        by_name = {group.name: group for group in recall_by(each, found, run.scores)}
        groups[trait] = [by_name[name] for name in order if name in by_name]
    return groups
