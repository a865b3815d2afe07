"""The agreement of two coders, or of a coder and a detector, on the same videos."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fedn_lightning.datasets.elan import type_of
from fedn_lightning.errors import PredictionFileError
from fedn_lightning.events import EXPRESSION_TYPES, EventTable, IntArray
from fedn_lightning.metrics.functional.rates import (
    Differences,
    cohen_kappa,
    frame_classes,
    frame_confusion,
    matched_rows,
)
from fedn_lightning.metrics.functional.recognition import confusion
from fedn_lightning.metrics.functional.spotting import SpottingScores, spotting_scores
from fedn_lightning.results.coded import CodedVideo
from fedn_lightning.results.names import Names
from fedn_lightning.utils.files import plain

IOUS = (0.3, 0.5, 0.7)
"""Thresholds of the F1s; pairs whose boundaries and emotions are compared have at least the middle one."""

RASTER = 25.0
"""Frames per second at which coders are compared where no video tells its rate."""


@dataclass(frozen=True)
class Agreement:
    """What two coders share. The first one's events count as the truth."""

    videos: tuple[str, ...]  # names of the videos that both coded
    minutes: float  # their length, as far as the files tell it, else up to the last event
    lengths_known: bool  # whether every length was told
    spotting: dict[float, SpottingScores]  # counts by IoU threshold
    kappas: dict[str, float]  # frame by frame, by what is compared: `any`, `macro`, `micro`, `type` and `emotion`
    n_frames: int  # that were compared
    onset: Differences  # differences in milliseconds, second coder minus first
    offset: Differences  # the same of the ends
    same_emotion: tuple[int, int]  # pairs with the same emotion, and pairs of which both have one
    emotion_kappa: float  # over those pairs
    left_out: tuple[str, ...]  # videos that only one of them coded

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain values; what is undefined is None."""
        clean: dict[str, Any] = plain(
            {
                "videos": list(self.videos),
                "videos_of_one_coder": list(self.left_out),
                "minutes": self.minutes,
                "lengths_known": self.lengths_known,
                "spotting": {f"iou_{iou:g}": scores.to_dict() for iou, scores in self.spotting.items()},
                "kappa_per_frame": {**self.kappas, "frames": self.n_frames},
                "onset_ms": self.onset._asdict(),
                "offset_ms": self.offset._asdict(),
                "emotions_of_pairs": {
                    "same": self.same_emotion[0],
                    "of": self.same_emotion[1],
                    "kappa": self.emotion_kappa,
                },
            }
        )
        return clean


def compare_coders(first: Sequence[CodedVideo], second: Sequence[CodedVideo]) -> Agreement:
    """Compares the codings of the videos that both hold.

    Args:
        first: one coder's videos; they count as the truth.
        second: the other's.

    Raises:
        PredictionFileError: if no video is in both, or one coder has a video twice.
    """
    mine, theirs = (_by_name(videos) for videos in (first, second))
    shared = sorted(set(mine) & set(theirs))
    if not shared:
        a, b = (", ".join(sorted(names)[:3]) for names in (mine, theirs))
        raise PredictionFileError(f"No video is in both: {first[0].source} codes {a}, {second[0].source} codes {b}.")
    names = Names(not_analysed=())
    truths = _table([mine[name] for name in shared], names)
    found = _table([theirs[name] for name in shared], names)
    confusions: dict[str, IntArray] = {}
    for video, name in enumerate(shared):
        for what, counts in _frame_confusions(mine[name], theirs[name], truths, found, video, len(names.emotions)):
            confusions[what] = confusions.get(what, 0) + counts
    rows, taken = matched_rows(found, truths, IOUS[1])
    both = confusion(found.emotion[rows], truths.emotion[taken], len(names.emotions))[:, : len(names.emotions)]
    return Agreement(
        videos=tuple(shared),
        minutes=sum(_length(mine[name], theirs[name]) for name in shared) / 60,
        lengths_known=all(math.isfinite(max_known(mine[name], theirs[name])) for name in shared),
        spotting={iou: spotting_scores(found, truths, iou) for iou in IOUS},
        kappas={what: cohen_kappa(counts) for what, counts in confusions.items()},
        n_frames=int(confusions["any"].sum()),
        onset=Differences.of(found.start[rows] - truths.start[taken]),
        offset=Differences.of(found.end[rows] - truths.end[taken]),
        same_emotion=(int(np.trace(both)), int(both.sum())),
        emotion_kappa=cohen_kappa(both),
        left_out=tuple(sorted(set(mine) ^ set(theirs))),
    )


def _by_name(videos: Sequence[CodedVideo]) -> dict[str, CodedVideo]:
    """The videos by name, a video for each person where it shows several."""
    found: dict[str, CodedVideo] = {}
    for video in videos:
        for person in video.persons:
            several = len(video.persons) > 1
            name = f"{video.name}, {person}" if several else video.name
            if name in found:
                who = f"the coder {video.coder!r}" if video.coder else "a coder without a name"
                raise PredictionFileError(
                    f"{found[name].source} and {video.source} both code the video {name}, by {who}. Leave one of them."
                )
            events = tuple(e for e in video.events if e.person == person) if several else video.events
            found[name] = replace(video, events=events)
    return found


def _table(videos: Sequence[CodedVideo], names: Names) -> EventTable:
    """The events in milliseconds; highest confidence first where there is one, as predictions are matched."""
    rows = [
        [
            0,
            index,
            event.start_ms,
            event.end_ms,
            EXPRESSION_TYPES.index(type_of(event)),
            names.emotion(event.emotion),
            _confidence(event.attributes.get("confidence", "")),
        ]
        for index, video in enumerate(videos)
        for event in video.events
    ]
    return EventTable.from_rows(rows)


def _confidence(text: str) -> float:
    """A confidence as written; 1 where a person coded.

    >>> _confidence("0.25"), _confidence(""), _confidence("sure")
    (0.25, 1.0, 1.0)
    """
    try:
        value = float(text)
    except ValueError:
        return 1.0
    return value if math.isfinite(value) else 1.0


def max_known(one: CodedVideo, other: CodedVideo) -> float:
    """Length of a video in seconds, by whichever file tells it; nan if none does."""
    return next((video.seconds for video in (one, other) if math.isfinite(video.seconds)), math.nan)


def _length(one: CodedVideo, other: CodedVideo) -> float:
    known = max_known(one, other)
    last = max((event.end_ms for video in (one, other) for event in video.events), default=0) / 1000
    return max(known, last) if math.isfinite(known) else last


def _frame_confusions(
    one: CodedVideo, other: CodedVideo, truths: EventTable, found: EventTable, video: int, n_emotions: int
) -> Iterator[tuple[str, IntArray]]:
    """Frames of a video by the class of either coder."""
    fps = next((v.fps for v in (one, other) if math.isfinite(v.fps)), RASTER)
    n_frames = max(1, round(_length(one, other) * fps))
    tables = [table[table.video == video] for table in (truths, found)]

    def classes(table: EventTable, label: IntArray) -> IntArray:
        return frame_classes(table.start * fps / 1000, table.end * fps / 1000, label, n_frames)

    def compared(labels: Sequence[IntArray], n_classes: int) -> IntArray:
        a, b = (classes(table, label) for table, label in zip(tables, labels, strict=True))
        return frame_confusion(a, b, n_classes)

    yield "any", compared([np.zeros(len(table), np.int64) for table in tables], 2)
    for index, kind in enumerate(EXPRESSION_TYPES):
        only = [table[table.type == index] for table in tables]
        a, b = (classes(table, np.zeros(len(table), np.int64)) for table in only)
        yield kind, frame_confusion(a, b, 2)
    yield "type", compared([table.type for table in tables], len(EXPRESSION_TYPES) + 1)
    # An event without an emotion is a class of its own, after those that have a name.
    named = [np.where(table.emotion < 0, n_emotions, table.emotion) for table in tables]
    yield "emotion", compared(named, n_emotions + 2)
