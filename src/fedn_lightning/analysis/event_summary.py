"""What a paper tells of coded videos: rates, durations and intensities by person and condition."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from fedn_lightning.datasets.eaf import CodedEvent
from fedn_lightning.datasets.elan import type_of
from fedn_lightning.errors import ConfigError, PredictionFileError
from fedn_lightning.events import EXPRESSION_TYPES
from fedn_lightning.metrics.functional.rates import Estimate, mean_of, rate
from fedn_lightning.results.coded import CodedVideo, read_cells
from fedn_lightning.results.reading import number
from fedn_lightning.utils.text import loose_form

ALL = "all"
"""Name of the row of all types, or of all emotions."""

_FACE = re.compile(r"face \d+")


@dataclass(frozen=True)
class Observation:
    """One person in one video."""

    labels: Mapping[str, str]  # what rows may be grouped by: `person`, `video`, `coder`, and the covariates
    events: tuple[CodedEvent, ...]  # those that begin in the time that was analysed
    seconds: float  # time analysed: the video's length without unreliable stretches
    unreliable: float  # seconds taken off
    set_aside: int  # events that begin in unreliable stretches


@dataclass(frozen=True)
class Cell:
    """Events of one type and emotion in one group."""

    type: str  # `macro`, `micro` or `all`
    emotion: str  # a word, or `all`; `none` for events without one
    events: int  # how many
    per_minute: Estimate  # of the time analysed
    duration: Estimate  # mean in seconds
    duration_sd: float  # standard deviation of the events' durations
    intensity: Estimate  # mean, nan where the events have none
    intensity_sd: float  # its standard deviation


@dataclass(frozen=True)
class Group:
    """The observations that share their labels."""

    labels: Mapping[str, str]  # their values, by what was grouped by
    people: int  # number of people
    videos: int  # number of videos
    minutes: float  # time analysed
    unreliable_minutes: float  # time taken off
    set_aside: int  # events in that time
    cells: tuple[Cell, ...] = field(default=())  # by type and emotion

    def cell(self, kind: str, emotion: str = ALL) -> Cell:
        """The cell of a type and an emotion."""
        return next(cell for cell in self.cells if (cell.type, cell.emotion) == (kind, emotion))


@dataclass(frozen=True)
class Covariates:
    """A table of what is known of videos or people."""

    path: str  # the file
    columns: tuple[str, ...]  # what rows may be grouped by
    rows: tuple[Mapping[str, str], ...]  # the cells by column

    def of(self, video: str, face: str, person: str) -> Mapping[str, str]:
        """What is known of a person in a video."""
        known = {"video": video, "face": face.removeprefix("face "), "person": person}
        places: list[str] = [key for key in ("video", "face") if key in self.columns]
        keys = places or ["person"]
        found = [row for row in self.rows if all(loose_form(row[k]) == loose_form(known[k]) for k in keys if row[k])]
        if len(found) == 1:
            return found[0]
        what = ", ".join(f"{key} {known[key]!r}" for key in keys)
        msg = f"{self.path} has {len(found) or 'no'} rows for {what}; it needs one for each video (or person)."
        raise PredictionFileError(msg)


def read_covariates(path: str | Path) -> Covariates:
    """Reads a table with the column `video` (and `face`, where a video shows several people) or `person`."""
    columns, rows = read_cells(path, ())
    if not {"video", "person"} & set(columns):
        read_cells(path, ("video",))  # refuses the table by its columns
    return Covariates(str(path), columns, tuple(rows))


def observe(videos: Sequence[CodedVideo], covariates: Covariates | None = None) -> list[Observation]:
    """Every person of every video.

    A person's name is that of the covariates, else of the coding, else that of the video (with the face's number).
    """
    found = []
    for video in videos:
        for who in video.persons:
            face = who if _FACE.fullmatch(who) else ""
            named = "" if face else who
            known = covariates.of(video.name, face, named) if covariates else {}
            person = known.get("person") or named or (f"{video.name}, {face}" if face else video.name)
            length = number(known["seconds"], "seconds") if known.get("seconds") else video.seconds
            if not math.isfinite(length):
                raise PredictionFileError(
                    f"Nothing tells how long the video of {video.source} is, so it has no rate. Put the video where "
                    "the file links it, or give the length in a column seconds of --covariates."
                )
            lost = min(video.unreliable_seconds(who), length)
            mine = [event for event in video.events if event.person == who]
            kept = tuple(event for event in mine if not _unreliable(event, video, who))
            labels = {
                **{name: text for name, text in known.items() if name},
                "person": person,
                "video": video.name,
                "coder": video.coder,
            }
            found.append(Observation(labels, kept, length - lost, lost, len(mine) - len(kept)))
    return found


def _unreliable(event: CodedEvent, video: CodedVideo, who: str) -> bool:
    return any(a <= event.start_ms < b for a, b, person in video.unreliable if person in ("", who))


def summarise(observations: Sequence[Observation], by: Sequence[str] = ("person",)) -> list[Group]:
    """Groups observations and estimates each group's rates, durations and intensities; the whole comes last."""
    known = dict.fromkeys(label for seen in observations for label in seen.labels)
    for label in by:
        if label not in known:
            msg = f"--by {label} is not known; it must be one of {', '.join(known)} (columns of --covariates count)."
            raise ConfigError(msg)
    emotions = sorted({event.emotion.lower() or "none" for seen in observations for event in seen.events})
    groups: dict[tuple[str, ...], list[Observation]] = {}
    for seen in observations:
        groups.setdefault(tuple(seen.labels.get(label, "") for label in by), []).append(seen)
    found = [_group(dict(zip(by, values, strict=True)), groups[values], emotions) for values in sorted(groups)]
    if len(found) > 1:
        found.append(_group(dict.fromkeys(by, ALL), list(observations), emotions))
    return found


def _group(labels: Mapping[str, str], members: Sequence[Observation], emotions: Sequence[str]) -> Group:
    people = sorted({seen.labels["person"] for seen in members})
    group = Group(
        labels=labels,
        people=len(people),
        videos=len({seen.labels["video"] for seen in members}),
        minutes=sum(seen.seconds for seen in members) / 60,
        unreliable_minutes=sum(seen.unreliable for seen in members) / 60,
        set_aside=sum(seen.set_aside for seen in members),
    )
    minutes = [sum(s.seconds for s in members if s.labels["person"] == who) / 60 for who in people]
    events = [(people.index(seen.labels["person"]), event) for seen in members for event in seen.events]
    cells = [_cell(kind, emotion, events, minutes) for kind in (ALL, *EXPRESSION_TYPES) for emotion in (ALL, *emotions)]
    return replace(group, cells=tuple(cells))


def _cell(kind: str, emotion: str, events: Sequence[tuple[int, CodedEvent]], minutes: Sequence[float]) -> Cell:
    mine = [
        (who, event)
        for who, event in events
        if kind in (ALL, type_of(event)) and emotion in (ALL, event.emotion.lower() or "none")
    ]
    person = np.array([who for who, _ in mine], np.int64)
    seconds = np.array([(event.end_ms - event.start_ms) / 1000 for _, event in mine])
    strength = np.array([_intensity(event) for _, event in mine])
    known = np.isfinite(strength)
    return Cell(
        type=kind,
        emotion=emotion,
        events=len(mine),
        per_minute=rate(np.bincount(person, minlength=len(minutes)), minutes),
        duration=mean_of(seconds, person),
        duration_sd=_spread(seconds),
        intensity=mean_of(strength[known], person[known]),
        intensity_sd=_spread(strength[known]),
    )


def _intensity(event: CodedEvent) -> float:
    try:
        return number(event.attributes["intensity"], "intensity")
    except (KeyError, ValueError):
        return math.nan


def _spread(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> float:
    return float(values.std(ddof=1)) if len(values) > 1 else math.nan
