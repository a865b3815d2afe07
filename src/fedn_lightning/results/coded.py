"""Coded videos, whoever coded them: outputs of `fedn predict`, files of ELAN and tables with times, as one schema."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fedn_lightning.datasets.eaf import CodedEvent, read_eaf
from fedn_lightning.datasets.elan import (
    TierMap,
    coded_events,
    coders_of,
    find_tier_map,
    of_coder,
    read_timeline,
    unmapped,
)
from fedn_lightning.errors import AnnotationError, PredictionFileError, VideoError
from fedn_lightning.results.names import PREDICTION, TYPES
from fedn_lightning.results.reading import Table, number, require
from fedn_lightning.utils.text import check_cells, normal_form

Stretch = tuple[int, int, str]
"""Start and end in milliseconds, and the person; an empty name means everyone."""

_HANDLED = {"video", "face", "person", "coder", "type", "emotion", "start_seconds", "end_seconds", "warning"}
_DERIVED = {"onset", "offset", "start", "end", "start_timecode", "end_timecode", "also"}


@dataclass(frozen=True)
class CodedVideo:
    """One video and the expressions that a person or a program found in it."""

    source: Path  # the file or folder that this was read from
    name: str  # of the video, without its ending
    events: tuple[CodedEvent, ...]  # by time
    seconds: float = math.nan  # length of the video; nan where nothing tells it
    fps: float = math.nan  # frames per second; nan where nothing tells it
    unreliable: tuple[Stretch, ...] = ()  # stretches in which no expression may begin
    # who was looked at, also those without an event; `("",)` where a video shows one person
    persons: tuple[str, ...] = ("",)
    coder: str = ""  # who coded it; empty if unknown

    def unreliable_seconds(self, person: str) -> float:
        """Length of all unreliable stretches of a person; what overlaps counts once.

        >>> spans = ((0, 2000, ""), (1000, 3000, "P"), (0, 9000, "Q"))
        >>> CodedVideo(Path(), "v", (), unreliable=spans).unreliable_seconds("P")
        3.0
        """
        total, last = 0, 0
        for start, end, who in sorted(self.unreliable):
            if who in ("", person) and end > last:
                total += end - max(start, last)
                last = end
        return total / 1000


def find_sources(words: Sequence[str | Path]) -> list[Path]:
    """The folders of `fedn predict`, `.eaf` files and tables that are meant, each once.

    Args:
        words: files, folders of one video, or folders above them.

    Raises:
        PredictionFileError: if a word names nothing, or a folder holds none of them.
    """
    found: dict[Path, Path] = {}
    for path in map(Path, words):
        if not path.exists():
            raise PredictionFileError(f"There is no file or folder {path}.")
        sources = [path] if path.is_file() else _below(path)
        if not sources:
            raise PredictionFileError(f"{path} holds neither outputs of fedn predict ({PREDICTION}) nor .eaf files.")
        found.update((source.resolve(), source) for source in sources)
    return list(found.values())


def _below(folder: Path) -> list[Path]:
    """Folders with the record of `fedn predict`; `.eaf` files elsewhere."""
    records = sorted(record.parent for record in folder.rglob(PREDICTION))
    loose = sorted(file for file in folder.rglob("*.eaf") if file.parent not in records)
    return [*records, *(file for file in loose if not file.name.startswith("."))]


def read_coded(source: str | Path, tier_map: TierMap | None = None, coder: str = "") -> list[CodedVideo]:
    """Reads what was found in one video, or in each video of a table.

    Args:
        source: a folder of `fedn predict`, an `.eaf` file, or a table with the columns `start_seconds`, `end_seconds`
            and `type` (as `events.csv`), further `video`, `face` or `person`, `coder`, `emotion` and any other.
        tier_map: what tiers of an `.eaf` file mean; by default `elan.yaml` beside it, else the defaults.
        coder: whose events are taken where there are several coders.

    Raises:
        AnnotationError: if an `.eaf` file, a tier of it or its coders cannot be used.
        PredictionFileError: if a record or a table cannot be used.
    """
    source = Path(source)
    record: dict[str, Any] = {}
    if source.is_dir():
        record = _read_record(source / PREDICTION)
        source = _events_of(source, record)
    elif (source.parent / PREDICTION).is_file():
        record = _read_record(source.parent / PREDICTION)
    if source.suffix.lower() == ".eaf":
        videos = [_from_elan(source, tier_map, coder, record)]
    elif source.suffix.lower() == ".json":
        videos = [_from_rows(source, _json_rows(source), str(record.get("video") or ""), record)]
    else:
        rows = read_cells(source, ("start_seconds", "end_seconds", "type"))[1]
        names = sorted({row.get("video", "") for row in rows}) or [str(record.get("video") or "")]
        videos = [_from_rows(source, [r for r in rows if r.get("video", "") == name], name, record) for name in names]
        videos = [_of_coder(video, coder) for video in videos]
    return [_with_record(video, record) if len(videos) == 1 else video for video in videos]


def _read_record(path: Path) -> dict[str, Any]:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PredictionFileError(f"{path} cannot be read: {error}.") from None
    if not isinstance(record, dict) or "files" not in record:
        raise PredictionFileError(f"{path} is of a video that was not finished. Run fedn predict on it again.")
    return record


def _events_of(folder: Path, record: Mapping[str, Any]) -> Path:
    """The file of events that the record names."""
    files = [folder / str(name) for name in record["files"]]
    found = next((file for file in files if file.suffix in (".eaf", ".csv", ".json") and "megc" not in file.name), None)
    if found is None or not found.is_file():
        msg = f"{folder} holds no events with times (events.csv, .json or .eaf). Run fedn predict with --format csv."
        raise PredictionFileError(msg)
    return found


def _with_record(video: CodedVideo, record: Mapping[str, Any]) -> CodedVideo:
    """Adds what `fedn predict` knows of the video: length, faces and unreliable stretches."""
    if not record:
        return video
    faces = [int(face["face"]) for face in record.get("faces", [])]
    several = len(faces) > 1
    spans = tuple(
        (
            round(1000 * span["start_seconds"]),
            round(1000 * span["end_seconds"]),
            f"face {span['face']}" if several else "",
        )
        for span in record.get("unreliable", [])
    )
    persons = tuple(f"face {face}" for face in faces) if several else ("",)
    return replace(
        video,
        name=normal_form(Path(str(record["video"])).stem),
        seconds=float(record["seconds"]),
        fps=float(record["fps"]),
        unreliable=spans,
        # A corrected file may have named the people.
        persons=tuple(dict.fromkeys(e.person for e in video.events)) if _renamed(video, persons) else persons,
    )


def _renamed(video: CodedVideo, persons: tuple[str, ...]) -> bool:
    return any(event.person not in persons for event in video.events)


def _from_elan(path: Path, tier_map: TierMap | None, coder: str, record: Mapping[str, Any]) -> CodedVideo:
    tier_map = find_tier_map(path.parent) if tier_map is None else tier_map
    document = read_eaf(path)
    if problems := [*unmapped(document, tier_map), *(f"an annotation has no time: {t}" for t in document.without_time)]:
        more = f" ({len(problems) - 1} more such troubles)" if len(problems) > 1 else ""
        raise AnnotationError(f"{path}: {problems[0]}{more}.")
    coders = coders_of(document, tier_map)
    name = _choose(coder, coders, path)
    chosen = of_coder(document, name)
    events = tuple(coded_events(chosen, tier_map))
    spans = tuple(
        (mark.start_ms, mark.end_ms, tier.person)
        for tier in document.tiers
        for mark in tier.marks
        if tier.name.lower() == "unreliable"
    )
    persons = tuple(dict.fromkeys(e.person for e in events)) or ("",)
    video = CodedVideo(path, document.video_name, events, unreliable=spans, persons=persons, coder=name)
    if record:
        return video
    try:
        timeline = read_timeline(document.video)
    except VideoError:
        return video  # lengths are unknown, as the attributes say
    return replace(video, seconds=float(timeline.times[-1]) + 1 / timeline.fps, fps=timeline.fps)


def read_cells(path: str | Path, required: Sequence[str]) -> tuple[tuple[str, ...], list[dict[str, str]]]:
    """The columns of a table, and the cells of each row by column; the number of the row stands under `""`.

    Raises:
        PredictionFileError: if the table cannot be read, lacks a column, or a row has another width.
    """
    rows = []
    with Table(path) as table:
        require(table.header, required, str(path))
        for row, line in itertools.chain.from_iterable(zip(*block, strict=True) for block in table.blocks()):
            try:
                check_cells(row, table.header)
            except ValueError as error:
                raise PredictionFileError(f"{path}, row {line}: {error}.") from None
            cells = dict.fromkeys(table.header, "") | dict(zip(table.header, map(normal_form, row), strict=False))
            rows.append({**cells, "": str(line)})
        return tuple(table.header), rows


def _json_rows(path: Path) -> list[dict[str, str]]:
    content = json.loads(path.read_text(encoding="utf-8"))
    return [{key: "" if value is None else str(value) for key, value in row.items()} for row in content["expressions"]]


def _from_rows(path: Path, rows: Sequence[Mapping[str, str]], video: str, record: Mapping[str, Any]) -> CodedVideo:
    several = len(record.get("faces", [])) > 1 or len({row.get("face", "") for row in rows}) > 1
    events = sorted(_events(path, rows, several), key=lambda event: event.place)
    persons = tuple(dict.fromkeys(e.person for e in events)) or ("",)
    return CodedVideo(path, normal_form(Path(video).stem) or path.stem, tuple(events), persons=persons)


def _events(path: Path, rows: Sequence[Mapping[str, str]], several: bool) -> Iterator[CodedEvent]:
    for row in rows:
        try:
            start, end = (round(1000 * number(row[name], name)) for name in ("start_seconds", "end_seconds"))
            if end < start:
                raise ValueError(f"end_seconds {row['end_seconds']} is before start_seconds {row['start_seconds']}")
            kind = row.get("type", "").lower()
            if kind and kind not in TYPES:
                raise ValueError(f"the type {row['type']!r} is not known; write macro or micro")
        except ValueError as error:
            raise PredictionFileError(f"{path}, row {row.get('', '?')}: {error}.") from None
        face = f"face {row['face']}" if several and row.get("face") else ""
        rest = {k.replace("_", " "): v for k, v in row.items() if v and k and k not in _HANDLED | _DERIVED}
        yield CodedEvent(
            start,
            max(end, start + 1),
            ("macro", "micro")[TYPES[kind]] if kind else "",
            row.get("emotion", ""),
            row.get("person", "") or face,
            row.get("coder", ""),
            rest,
        )


def _of_coder(video: CodedVideo, coder: str) -> CodedVideo:
    """The events of one coder of a table."""
    coders = sorted({event.coder for event in video.events}) or [""]
    name = _choose(coder, coders, video.source)
    return replace(video, events=tuple(e for e in video.events if e.coder == name), coder=name)


def _choose(coder: str, coders: Sequence[str], source: Path) -> str:
    """The coder that is meant: the only one, if none is named."""
    names = ", ".join(name or "nobody" for name in coders)
    if coder and coder not in coders:
        raise PredictionFileError(f"{source} has nothing of the coder {coder!r}; it is coded by {names}.")
    if not coder and len(coders) > 1:
        msg = f"{source} is coded by several people ({names}). Choose one by --coder (fedn evaluate: --coders)."
        raise PredictionFileError(msg)
    return coder or coders[0]
