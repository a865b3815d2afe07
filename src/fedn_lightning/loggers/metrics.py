"""Every number and picture that a run logs: its name, its meaning, and which of its values summarises the run.

Tasks, callbacks, the pooled run and the dashboard all go by this one table; a test reads a run back and looks each of
its names up here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Literal

STEP = "trainer/global_step"
"""The key that Lightning's logger uses as the horizontal axis."""

Summary = Literal["max", "min", "last"]

STAGES = {"train": "training", "val": "validation", "test": "held-out"}
SPLITS = {"validation": "validation", "test": "held-out"}
SELECTIONS = {
    "strict": "thresholds chosen on subjects that are not held out",
    "published": "thresholds selected on test data",
}

LOSSES = {
    "loss": "joint loss",
    "interval_loss": "Distance-IoU loss of the intervals",
    "confidence_loss": "cross-entropy of the expression types",
    "emotion_loss": "cross-entropy of the emotions",
    "affect_error": "squared error of valence and arousal",
}
SCORES = {
    "joint": "what checkpoints are chosen by",
    "overall_f1": "spotting F1, macro- and micro-expressions together",
    "macro_f1": "spotting F1 of macro-expressions",
    "micro_f1": "spotting F1 of micro-expressions",
    "map@0.5": "detection mAP at IoU 0.5",
    "uf1": "recognition: mean of the class F1s",
    "uar": "recognition: mean of the class recalls",
    "accuracy": "share of stills recognised",
}
RESULTS = {
    "spotting/*": "counts and ratios, pooled over the videos",
    "recognition/*": "emotions of the spotted expressions",
    "detection/*": "average precisions of all proposals",
    "strs": "spotting F1 x recognition F1",
    "without_unknown_offsets/*": "spotting and mAP without ground truths of unknown offset",
}


@dataclass(frozen=True)
class Metric:
    """A name that may be logged."""

    name: str  # the key; `*` stands for any text
    summary: Summary  # which of a run's values a table of runs shows: the greatest, the least, or the last
    meaning: str  # in words
    # a number logged while training, a score of the whole run, or a table or picture
    kind: Literal["epoch", "result", "media"] = "epoch"


def _epochs() -> Iterator[Metric]:
    yield Metric("epoch", "last", "epochs begun")
    yield Metric(STEP, "last", "optimiser steps")
    yield Metric("lr-*", "last", "learning rate")
    for stage, who in STAGES.items():
        for name, meaning in LOSSES.items():
            yield Metric(f"{stage}/{name}", "min", f"{meaning}, {who} subjects")
    for name, meaning in SCORES.items():
        yield Metric(f"val/{name}", "max", f"{meaning}, validation subjects")
        # A test is run once, by the epoch that validation chose; nothing may be picked from its values.
        yield Metric(f"test/{name}", "last", f"{meaning}, held-out subjects")


def _results() -> Iterator[Metric]:
    for split, who in SPLITS.items():
        yield Metric(f"{split}/n_*", "last", f"number of {who} videos and truths", "result")
        yield Metric(f"{split}/threshold/*", "last", "score from which a proposal counts", "result")
        yield Metric(f"{split}/strs_by_group/*", "last", "spotting F1 x recognition F1 by expression type", "result")
        yield Metric(f"{split}/scores/*", "last", f"what a task without detections has logged, {who}", "result")
        for name, meaning in RESULTS.items():
            yield Metric(f"{split}/{name}", "last", f"{meaning}, {who} subjects", "result")
    for mode, how in SELECTIONS.items():
        for name, meaning in RESULTS.items():
            yield Metric(f"{mode}/{name}", "last", f"{meaning}, all folds pooled, {how}", "result")


def _study() -> Iterator[Metric]:
    yield Metric("strict/false_positives_per_minute", "last", "false positives over the length of the videos", "result")
    yield Metric("interval/*", "last", "bounds of a score of a study's row", "result")
    yield Metric("difference/*", "last", "a score of a study's row less the baseline's, and its bounds", "result")
    yield Metric("parameters", "last", "trained parameters of a study's row", "result")
    yield Metric("seconds_an_epoch", "last", "median over the folds of a study's row", "result")


def _media() -> Iterator[Metric]:
    yield Metric("val/timeline", "last", "one validation video, every few epochs", "media")
    for prefix, who in {"validation/": "validation", "test/": "held-out", "pooled/": "all folds'"}.items():
        yield Metric(f"{prefix}events", "last", f"one row per TP, FN and FP, {who} videos", "media")
        yield Metric(f"{prefix}events_left_out", "last", "events that the table has no room for", "media")
        yield Metric(f"{prefix}confusion", "last", f"true emotions by predicted ones, {who} videos", "media")
        yield Metric(f"{prefix}timeline_*", "last", f"timelines, {who} videos", "media")
        yield Metric(f"{prefix}film_strips", "last", f"onset, apex and offset of some events, {who} videos", "media")
    yield Metric("pooled/subjects", "last", "counts of each subject", "media")


METRICS: tuple[Metric, ...] = (*_epochs(), *_results(), *_study(), *_media())
"""Everything that may be logged."""


def logged_name(path: str) -> str:
    """The key of a score that JSON files keep under a dotted path; the dots of numbers stay.

    >>> logged_name("spotting.overall.f1"), logged_name("detection.map@0.5")
    ('spotting/overall/f1', 'detection/map@0.5')
    """
    return re.sub(r"\.(?!\d)", "/", path)


def find(name: str) -> Metric | None:
    """The entry of a name; None if nothing of that name is logged.

    >>> find("val/micro_f1").summary, find("test/spotting/micro/f1").kind, find("val/f2")
    ('max', 'result', None)
    """
    return next((metric for metric in METRICS if fnmatchcase(name, metric.name)), None)


def define_summaries(run: Any, monitor: str | None, direction: Literal["min", "max"]) -> None:
    """Makes a run's summary show the value that the table names, and the best one of the monitored metric.

    The step axis is repeated in each rule, since a rule without one takes the metric off the training-step axis.
    """
    # The last value is what W&B shows anyway; asked for by a rule, it would stand under `NAME.last`.
    rules: dict[str, str] = {m.name: m.summary for m in METRICS if m.kind == "epoch" and m.summary != "last"}
    if monitor:
        rules[monitor] = direction
    for name, summary in rules.items():
        run.define_metric(name, step_metric=STEP, step_sync=True, summary=summary)
