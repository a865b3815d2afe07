"""`fedn summary`: rates, durations and intensities of coded videos, as tables (CSV, Markdown, TeX, JSON), a drawing."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from fedn_lightning.datasets.eaf import CodedEvent
from fedn_lightning.datasets.elan import type_of
from fedn_lightning.errors import ConfigError, PredictionFileError
from fedn_lightning.events import EXPRESSION_TYPES
from fedn_lightning.metrics.functional.rates import Estimate, mean_of, rate
from fedn_lightning.results.coded import CodedVideo, read_cells
from fedn_lightning.results.reading import number
from fedn_lightning.results.writing import latex_table, markdown_table, write_csv
from fedn_lightning.utils.drawing import INK, TYPE_COLOURS, save_figure
from fedn_lightning.utils.files import plain, write_json, write_text
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
    found: list[Observation] = []
    sources: dict[tuple[str, ...], Path] = {}
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
            key = video.name, person, video.coder
            if key in sources:
                coder = f"the coder {video.coder!r}" if video.coder else "a coder without a name"
                raise PredictionFileError(
                    f"{sources[key]} and {video.source} both hold the video {video.name} of {person}, by {coder}; it "
                    "would count twice. Leave one of them, or name the people or coders in the tiers."
                )
            sources[key] = video.source
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
        duration_sd=_deviation(seconds),
        intensity=mean_of(strength[known], person[known]),
        intensity_sd=_deviation(strength[known]),
    )


def _intensity(event: CodedEvent) -> float:
    try:
        return number(event.attributes["intensity"], "intensity")
    except (KeyError, ValueError):
        return math.nan


def _deviation(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> float:
    return float(values.std(ddof=1)) if len(values) > 1 else math.nan


FILES = {"csv": "summary.csv", "md": "summary.md", "tex": "summary.tex", "json": "summary.json", "png": "summary.png"}

Rows = list[tuple[str, ...]]

NOTE = (
    "Events a minute of the time analysed: without unreliable stretches, and without events that begin there. "
    "In brackets 95 % intervals: over people; of one person by Poisson's distribution for counts, and over its "
    "events for means. SD is over events."
)


def rate_rows(groups: Sequence[Group]) -> Rows:
    """People, time, and the rate and duration of each type; the head first. Intensity where it is known."""
    intense = any(math.isfinite(cell.intensity.value) for group in groups for cell in group.cells)
    head = [*groups[0].labels, "people", "minutes", "unreliable"]
    for kind in EXPRESSION_TYPES:
        head += [f"{kind}", f"{kind}/min", f"{kind} seconds (SD)"] + ([f"{kind} intensity (SD)"] if intense else [])
    rows: Rows = [tuple(head)]
    for group in groups:
        row = [*group.labels.values(), str(group.people), f"{group.minutes:.2f}", f"{group.unreliable_minutes:.2f}"]
        for kind in EXPRESSION_TYPES:
            cell = group.cell(kind)
            row += [str(cell.events), _interval(cell.per_minute), _spread(cell.duration, cell.duration_sd)]
            row += [_spread(cell.intensity, cell.intensity_sd)] if intense else []
        rows.append(tuple(row))
    return rows


def emotion_rows(groups: Sequence[Group]) -> Rows:
    """Events a minute by emotion, whatever the type; the head first."""
    emotions = list(dict.fromkeys(cell.emotion for cell in groups[0].cells if cell.emotion != ALL))
    rows: Rows = [(*groups[0].labels, *(f"{emotion}/min" for emotion in emotions))]
    for group in groups:
        cells = (_interval(group.cell(ALL, emotion).per_minute) for emotion in emotions)
        rows.append((*group.labels.values(), *cells))
    return rows


def _interval(estimate: Estimate) -> str:
    """A value and its interval.

    >>> _interval(Estimate(1.5, 1.25, 2.0)), _interval(Estimate(float("nan")))
    ('1.50 [1.25, 2.00]', '-')
    """
    if not math.isfinite(estimate.value):
        return "-"
    bounds = f" [{estimate.low:.2f}, {estimate.high:.2f}]" if math.isfinite(estimate.low) else ""
    return f"{estimate.value:.2f}{bounds}"


def _spread(estimate: Estimate, deviation: float) -> str:
    if not math.isfinite(estimate.value):
        return "-"
    return f"{_interval(estimate)}" + (f" ({deviation:.2f})" if math.isfinite(deviation) else "")


def long_rows(groups: Sequence[Group]) -> tuple[tuple[str, ...], list[list[str]]]:
    """Columns and rows of the CSV: a row for each group, type and emotion; what is undefined is empty."""
    columns = (
        *groups[0].labels, "people", "videos", "minutes", "unreliable_minutes", "events_in_unreliable", "type",
        "emotion", "events", "per_minute", "per_minute_low", "per_minute_high", "duration_mean", "duration_low",
        "duration_high", "duration_sd", "intensity_mean", "intensity_low", "intensity_high", "intensity_sd",
    )  # fmt: skip
    return columns, [[*group.labels.values(), *_long(group, cell)] for group in groups for cell in group.cells]


def _long(group: Group, cell: Cell) -> Iterator[str]:
    yield from (str(group.people), str(group.videos), f"{group.minutes:.6g}", f"{group.unreliable_minutes:.6g}")
    yield from (str(group.set_aside), cell.type, cell.emotion, str(cell.events))
    values = [*cell.per_minute, *cell.duration, cell.duration_sd, *cell.intensity, cell.intensity_sd]
    yield from ("" if math.isnan(value) else f"{value:.6g}" for value in values)


def summary_json(groups: Sequence[Group]) -> list[dict[str, Any]]:
    """The rows of the CSV as plain values; what is undefined is None."""
    words = {"type", "emotion", *groups[0].labels}
    columns, rows = long_rows(groups)
    clean: list[dict[str, Any]] = plain(
        [
            {
                name: text if name in words else (float(text) if text else None)
                for name, text in zip(columns, row, strict=True)
            }
            for row in rows
        ]
    )
    return clean


def summary_markdown(groups: Sequence[Group]) -> str:
    """The page: both tables and what their numbers mean."""
    tables = [markdown_table(rows) for rows in (rate_rows(groups), emotion_rows(groups))]
    return f"# Expressions\n\n{tables[0]}\n\n## By emotion\n\n{tables[1]}\n\n{NOTE}\n"


def write_summary(groups: Sequence[Group], folder: str | Path) -> list[Path]:
    """Writes :data:`FILES` into a folder."""
    folder = Path(folder)
    columns, rows = long_rows(groups)
    tex = f"% {NOTE}\n" + "\n".join(latex_table(rows) for rows in (rate_rows(groups), emotion_rows(groups)))
    return [
        write_csv(folder / FILES["csv"], columns, rows),
        write_text(folder / FILES["md"], summary_markdown(groups)),
        write_text(folder / FILES["tex"], tex),
        write_json(folder / FILES["json"], summary_json(groups)),
        save_picture(groups, folder / FILES["png"]),
    ]


def save_picture(groups: Sequence[Group], path: str | Path) -> Path:
    """Draws the rate of each type in each group, with its interval."""
    from matplotlib.figure import Figure

    names = [", ".join(value or "-" for value in group.labels.values()) for group in groups]
    figure = Figure(figsize=(8, max(2.2, 0.36 * len(groups) + 1.2)), layout="constrained")
    axes = figure.subplots()
    for shift, kind in zip((-0.14, 0.14), EXPRESSION_TYPES, strict=True):
        for place, group in enumerate(groups):
            value, low, high = group.cell(kind).per_minute
            label = kind if place == 0 else None
            axes.plot(value, place + shift, "o", color=TYPE_COLOURS[kind], label=label)
            axes.plot([low, high], [place + shift] * 2, color=TYPE_COLOURS[kind], linewidth=2)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlim(left=0)
    axes.set_xlabel("expressions a minute of the time analysed, with 95 % intervals", color=INK)
    axes.legend(frameon=False, loc="best")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="x", alpha=0.25)
    return save_figure(figure, path, 150)
