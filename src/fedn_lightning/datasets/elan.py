"""Corpora coded in ELAN: what tiers and texts mean, and the reader of `.eaf` files as a corpus."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal, get_args

from fedn_lightning.datasets.base import MICRO_SECONDS, Annotation, RepairLog
from fedn_lightning.datasets.eaf import KINDS, UNTYPED, CodedEvent, ElanDocument, ElanTier, read_eaf
from fedn_lightning.datasets.release import not_found
from fedn_lightning.errors import AnnotationError, ConfigError, VideoError
from fedn_lightning.events import EXPRESSION_TYPES, ExpressionType, Video
from fedn_lightning.utils.text import as_number, check_choice, normal_form
from fedn_lightning.video.containers import Timeline
from fedn_lightning.video.timing import store_to_source

SubjectSource = Literal["auto", "folder", "participant", "file"]

CONFIG = "elan.yaml"
"""File in the root that says what tiers and texts mean; not needed where the defaults fit."""

IGNORE, BY_DURATION = "ignore", "duration"

DEFAULT_TIERS = {
    "unreliable": IGNORE,
    "warning": IGNORE,
    "*macro*": "macro",
    "*micro*": "micro",
    f"{UNTYPED}*": BY_DURATION,
}
"""What tiers hold, by patterns of their names in lower case; the patterns of a configuration come first."""

_HOW = 'map it in elan.yaml, e.g. tiers: {"NAME": macro}, or "NAME": ignore; docs/elan.md shows the file'
_UNNAMED = re.compile(r"face \d+")


@dataclass(frozen=True)
class TierMap:
    """What tiers and the texts of annotations mean."""

    # pattern of a tier's name -> `type` (`macro`, `micro`, `duration`: up to 0.5 s is micro, or `ignore`) and `emotion`
    # (of every annotation; the annotation's text where it is left out)
    tiers: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    # text of an annotation, in lower case -> `type` and `emotion`, as far as they differ
    values: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def of_tier(self, tier: ElanTier) -> Mapping[str, str] | None:
        """What a tier holds, by its name or linguistic type; None if neither says it."""
        name = tier.name.lower()
        own = (meaning for pattern, meaning in self.tiers.items() if fnmatchcase(name, pattern.lower()))
        if (meaning := next(own, None)) is not None:
            return meaning
        if tier.kind in KINDS:
            return {"type": BY_DURATION if tier.kind == UNTYPED else tier.kind}
        return next(({"type": kind} for pattern, kind in DEFAULT_TIERS.items() if fnmatchcase(name, pattern)), None)

    def of_text(self, text: str) -> Mapping[str, str]:
        """What an annotation's text says; the text is its emotion unless the map knows better."""
        word = text.lower()
        if word in self.values:
            return self.values[word]
        return {"type": word, "emotion": ""} if word in EXPRESSION_TYPES else {"emotion": text}


def read_tier_map(path: str | Path) -> TierMap:
    """Reads a map of tiers and texts, a YAML file with the keys `tiers` and `values`.

    Raises:
        ConfigError: if it cannot be read, or a key or a value of it is not known.
    """
    import yaml  # type: ignore[import-untyped]

    try:
        loaded = yaml.safe_load(Path(path).read_text(encoding="utf-8")) or {}
    except (OSError, UnicodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path} cannot be read as a map of tiers: {error}.") from None
    if not isinstance(loaded, dict) or (unknown := set(loaded) - {"tiers", "values"}):
        found = f"it has {', '.join(sorted(map(str, unknown)))}" if isinstance(loaded, dict) else "it is something else"
        raise ConfigError(f"{path} must hold the keys tiers and values; {found}.")
    tiers, values = (_entries(loaded, key, short, path) for key, short in (("tiers", "type"), ("values", "emotion")))
    return TierMap(tiers, {word.lower(): meaning for word, meaning in values.items()})


def _entries(loaded: Mapping[str, Any], key: str, short: str, path: str | Path) -> dict[str, dict[str, str]]:
    entries = loaded.get(key) or {}
    if not isinstance(entries, dict):
        raise ConfigError(f"{path}: {key} must be a table of names and what they mean, got {entries!r}.")
    return {normal_form(str(name)): _meaning(entry, short, f"{path}, {key}.{name}") for name, entry in entries.items()}


def _meaning(entry: Any, short: str, where: str) -> dict[str, str]:
    """An entry of the map; a word alone is the value of `short`, and `ignore` is always a type."""
    if isinstance(entry, str):
        entry = {"type" if entry == IGNORE else short: entry}
    if (
        not isinstance(entry, dict)
        or set(entry) - {"type", "emotion"}
        or not all(isinstance(v, str) for v in entry.values())
    ):
        raise ConfigError(f"{where} is {entry!r}; it must be a word, or a table with type and emotion.")
    check_choice(f"type in {where}", entry.get("type", IGNORE), (*EXPRESSION_TYPES, BY_DURATION, IGNORE))
    return entry


def find_tier_map(folder: str | Path, named: str = "") -> TierMap:
    """The map that is named, else that of the folder, else the defaults.

    Raises:
        ConfigError: if a named file is not there, or cannot be used.
    """
    path = Path(named) if named else Path(folder) / CONFIG
    if named and not path.is_file():
        path = Path(folder) / named  # a policy names it as seen from the root
    return read_tier_map(path) if named or path.is_file() else TierMap()


def mapped(document: ElanDocument, tier_map: TierMap) -> Iterator[tuple[ElanTier, Mapping[str, str]]]:
    """The tiers that hold expressions, and what they mean. Tiers without annotations are included."""
    for tier in document.tiers:
        meaning = tier_map.of_tier(tier)
        if meaning is not None and meaning.get("type") != IGNORE:
            yield tier, meaning


def unmapped(document: ElanDocument, tier_map: TierMap) -> list[str]:
    """A sentence's end for each tier with annotations of which nobody says what they are."""
    tiers = [t for t in document.tiers if t.marks and tier_map.of_tier(t) is None]
    return [f"nobody says what the tier {t.name!r} holds ({len(t.marks)} annotations); {_HOW}" for t in tiers]


def coded_events(document: ElanDocument, tier_map: TierMap | None = None) -> list[CodedEvent]:
    """The expressions of a document, by time: of all tiers that the map knows, whoever coded them.

    Args:
        document: what :func:`fedn_lightning.datasets.eaf.read_eaf` gave.
        tier_map: what tiers and texts mean; the defaults if None.
    """
    return sorted((event for _, event in _numbered(document, tier_map or TierMap())), key=lambda event: event.place)


def _numbered(document: ElanDocument, tier_map: TierMap) -> Iterator[tuple[int, CodedEvent]]:
    """Each expression with the number of its annotation in the file."""
    for tier, meaning in mapped(document, tier_map):
        for mark in tier.marks:
            said = tier_map.of_text(mark.text)
            kind = said.get("type", meaning.get("type", BY_DURATION))
            if kind == IGNORE:
                continue
            emotion = meaning.get("emotion", said.get("emotion", mark.text))
            number = int("".join(filter(str.isdigit, mark.id)) or 0)
            yield (
                number,
                CodedEvent(
                    mark.start_ms,
                    mark.end_ms,
                    "" if kind == BY_DURATION else kind,
                    emotion,
                    tier.person,
                    tier.coder,
                    mark.attributes,
                ),
            )


def type_of(event: CodedEvent) -> ExpressionType:
    """The type of an event, by its length where nobody said."""
    if event.type:
        return "micro" if event.type == "micro" else "macro"
    return "micro" if event.end_ms - event.start_ms <= 1000 * MICRO_SECONDS else "macro"


def read_elan(
    root: str, log: RepairLog, tiers: str = "", coder: str = "", subject: SubjectSource = "auto"
) -> tuple[list[Video], list[Annotation]]:
    """Reads every `.eaf` file below a folder as the coding of the video that is linked in it.

    Args:
        root: folder with the files, usually a sub-folder for each person.
        log: collects repairs, and what cannot be used.
        tiers: file that maps tiers and texts, as seen from `root`; `elan.yaml` there by default, if there is one.
        coder: whose tiers are taken where several people coded: the tier's annotator, else the document's author.
        subject: who is filmed: `folder` (that of the file), `participant` (of the tiers; a video each), `file` (each
            video another person), or `auto`: the participant if there is exactly one, else the folder.

    Returns:
        Every video that an `.eaf` file links. Frames are those shown at the annotations' times.

    Raises:
        CorpusNotFoundError: if there is no `.eaf` file.
        AnnotationError: if a file or an annotation cannot be used.
        ConfigError: if a policy or the map cannot be.
    """
    check_choice("subject", subject, get_args(SubjectSource))
    paths = sorted(p for p in Path(root).rglob("*.eaf") if not p.name.startswith("."))
    if not paths:
        raise not_found("A corpus coded in ELAN", root, ".eaf file", "docs/elan.md shows how it is laid out.")
    tier_map = find_tier_map(root, tiers)
    videos: dict[str, Video] = {}
    rows: list[Annotation] = []
    for documents in _by_video(paths, log):
        video = documents[0].video
        chosen = _of_one_coder(documents, tier_map, coder, log)
        for person, document, persons in _people(chosen, tier_map, subject, Path(root), log):
            made = _video(person, document, video, videos, log)
            if made is not None:
                rows += _annotations(document, persons, tier_map, *made)
    return list(videos.values()), rows


def _by_video(paths: Sequence[Path], log: RepairLog) -> list[list[ElanDocument]]:
    """The documents of each video."""
    found: dict[Path, list[ElanDocument]] = {}
    for path in paths:
        try:
            document = read_eaf(path)
            found.setdefault(document.video.resolve(), []).append(document)
        except (AnnotationError, VideoError) as error:
            log.unusable(str(path), 0, "the file cannot be used", str(error).rstrip("."))
            continue
        for text in document.without_time:
            log.unusable(str(path), 0, "an annotation has no time", text)
    return list(found.values())


def coders_of(document: ElanDocument, tier_map: TierMap) -> list[str]:
    """Who coded a document: the annotators of its tiers, the author where a tier names none."""
    return sorted({tier.coder or document.author for tier, _ in mapped(document, tier_map)} or {document.author})


def of_coder(document: ElanDocument, coder: str) -> ElanDocument:
    """The document with the tiers of one coder alone."""
    return replace(document, tiers=tuple(t for t in document.tiers if (t.coder or document.author) == coder))


def check_coders(documents: Sequence[ElanDocument], tier_map: TierMap) -> dict[str, ElanDocument]:
    """The document of each coder of a video.

    Raises:
        AnnotationError: if two documents bear one coder's name.
    """
    found: dict[str, ElanDocument] = {}
    for document in documents:
        for name in coders_of(document, tier_map):
            if name in found:
                who = f"both name the coder {name!r}" if name else "neither says who coded"
                raise AnnotationError(
                    f"{found[name].path} and {document.path} code one video ({document.video_name}), and {who}. Write "
                    "the coder into the tiers' attributes (annotator) in ELAN, or leave one file."
                )
            found[name] = document
    return found


def _of_one_coder(
    documents: Sequence[ElanDocument], tier_map: TierMap, coder: str, log: RepairLog
) -> ElanDocument | None:
    """The document with the coder's tiers; None if it cannot be told."""
    found = check_coders(documents, tier_map)
    for document in documents:
        for why in unmapped(document, tier_map):
            log.unusable(str(document.path), 0, why, document.video_name)
    first = documents[0]
    if coder and coder not in found:
        log.unusable(
            str(first.path), 0, f"the coder {coder!r} has no tier for this video", f"coders: {', '.join(found)}"
        )
        return None
    if not coder and len(found) > 1:
        why = "several people coded this video; choose one by the policy coder"
        log.unusable(str(first.path), 0, why, ", ".join(name or "unnamed" for name in found))
        return None
    name = coder or next(iter(found))
    return of_coder(found[name], name)


def _people(
    document: ElanDocument | None, tier_map: TierMap, source: SubjectSource, root: Path, log: RepairLog
) -> Iterator[tuple[str, ElanDocument, set[str]]]:
    """Each person of a video, and what their tiers call them."""
    if document is None:
        return
    called = {tier.person for tier, _ in mapped(document, tier_map)}
    named = sorted(name for name in called if name and not _UNNAMED.fullmatch(name))
    inside = document.path.parent.resolve() != root.resolve()
    several = len(called - {""}) > 1
    if source == "participant" or (source == "auto" and len(named) == 1 and not several):
        if not named or len(named) < len(called - {""}):
            why = "the tiers do not name their people; write the participant into the tiers' attributes in ELAN"
            log.unusable(str(document.path), 0, why, ", ".join(sorted(called)) or "no participant")
            return
        for name in named:
            yield name, document, {name, ""} if len(named) == 1 else {name}
    elif several:
        why = (
            "its tiers are of several people; set the policy subject=participant, and give each one's face box "
            "(data.crops.boxes)"
        )
        log.unusable(str(document.path), 0, why, ", ".join(sorted(called - {""})))
    elif source == "file":
        yield document.video_name, document, called
    elif inside:
        yield normal_form(document.path.parent.name), document, called
    else:
        why = "nobody says who is filmed; use a folder for each person, name the participant, or set subject=file"
        log.unusable(str(document.path), 0, why, document.video_name)


def _video(
    person: str, document: ElanDocument, path: Path, videos: dict[str, Video], log: RepairLog
) -> tuple[Video, Timeline] | None:
    """The video of one person and the times of its frames; None if it cannot be used."""
    try:
        timeline = read_timeline(path)
    except VideoError as error:
        log.unusable(str(path), 0, "the video cannot be opened", str(error).rstrip("."))
        return None
    video = Video("elan", person, normal_form(path.stem), str(path), timeline.fps, 1, timeline.n_frames)
    if video.key in videos:
        log.unusable(str(path), 0, f"another video is called {video.key}", videos[video.key].path)
        return None
    videos[video.key] = video
    return video, timeline


def read_timeline(path: str | Path) -> Timeline:
    """The times of a video's frames, from its packets where they tell; by decoding it where they do not.

    Raises:
        VideoError: if the file cannot be opened, or breaks off.
    """
    from fedn_lightning.video.pyav import scan, scan_fast

    found = scan_fast(str(path)) or scan(str(path))
    return Timeline(found.times, found.start, found.fps)


def frame_at(ms: float, timeline: Timeline) -> int:
    """The whole frame, 0-based, whose beginning is nearest to a time of the video: a boundary."""
    return round(_position(ms, timeline))


def frame_shown(ms: float, timeline: Timeline) -> int:
    """The frame, 0-based, that is shown at a time of the video: a moment. Times are rounded to milliseconds."""
    return int(_position(ms + 1, timeline))


def _position(ms: float, timeline: Timeline) -> float:
    seconds = ms / 1000 - timeline.start
    times = timeline.times if timeline.variable else None
    return float(store_to_source(seconds, timeline.fps, 1.0, times))


def _annotations(
    document: ElanDocument, persons: set[str], tier_map: TierMap, video: Video, timeline: Timeline
) -> Iterator[Annotation]:
    for number, event in sorted(_numbered(document, tier_map), key=lambda numbered: numbered[1].place):
        if event.person not in persons:
            continue
        start = frame_at(event.start_ms, timeline)
        apex = as_number(event.attributes.get("apex", ""))
        yield Annotation(
            file=str(document.path),
            row=number,
            video=video,
            onset=start + 1,
            apex=None if apex is None else frame_shown(1000 * apex + document.origin_ms, timeline) + 1,
            offset=max(frame_at(event.end_ms, timeline), start + 1),
            type=type_of(event),
            emotion=event.emotion.lower(),
            emotion_self=event.attributes.get("emotion_self", "").lower() or None,
            action_units=event.attributes.get("action_units", ""),
        )
