"""Files of the annotation program ELAN (`.eaf`): read into plain tiers, written from events, by pympi."""

from __future__ import annotations

import itertools
import mimetypes
import os
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from fedn_lightning.errors import AnnotationError, VideoError
from fedn_lightning.events import EXPRESSION_TYPES
from fedn_lightning.utils.files import write_atomically
from fedn_lightning.utils.text import VIDEO_SUFFIXES, normal_form

if TYPE_CHECKING:
    from pympi.Elan import Eaf

AUTHOR = "fedn-lightning"
"""Author of the documents that this program writes."""

UNTYPED = "expression"
"""Name of the tier of events without a type."""

KINDS = (*EXPRESSION_TYPES, UNTYPED)
"""Linguistic types of the tiers that are written: what a tier holds, whatever it is called."""

Span = tuple[int, int, str]
"""Start and end in milliseconds, and a text."""

_UNWRITABLE = re.compile("[\x00-\x1f\x7f\ufffe\uffff\ud800-\udfff]+")


@dataclass(frozen=True, slots=True)
class CodedEvent:
    """One expression as a coder or a detector marked it, in milliseconds of the media file."""

    start_ms: int  # when it begins, counted as a player counts: 0 is the first sound or picture of the file
    end_ms: int  # when it ends, at least one millisecond later
    type: str  # `macro`, `micro`, or empty where nobody said
    emotion: str = ""  # the word of the coder, empty if there is none
    person: str = ""  # whose face it is; empty where a video shows one person
    coder: str = ""  # who marked it; empty if unknown
    # anything else by name, e.g. `confidence`, `apex`, `action_units`, `note`; never empty texts.
    attributes: Mapping[str, str] = field(default_factory=dict)

    @property
    def place(self) -> tuple[int, int, str, str, str]:
        """What tables of events are sorted by."""
        return self.start_ms, self.end_ms, self.person, self.coder, self.type


@dataclass(frozen=True, slots=True)
class Mark:
    """An annotation of a tier: milliseconds, text, and the texts of its dependent tiers by what they are called."""

    id: str
    start_ms: int
    end_ms: int
    text: str
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ElanTier:
    """An independent tier: name, linguistic type, participant, annotator, and its annotations by time."""

    name: str
    kind: str
    person: str
    coder: str
    marks: tuple[Mark, ...]


@dataclass(frozen=True)
class ElanDocument:
    """What an `.eaf` file holds."""

    path: Path  # the file
    author: str  # of the document
    media: tuple[Path, ...]  # places where its video may lie, the likeliest first; none need exist
    origin_ms: int  # time of the video at which the document's time is 0
    tiers: tuple[ElanTier, ...]  # in the order of the file
    without_time: tuple[str, ...] = ()  # annotations that nobody aligned, as `tier: text`

    @property
    def video(self) -> Path:
        """The video that is annotated.

        Raises:
            VideoError: if it is at none of the places that the file names.
        """
        found = next((path for path in self.media if path.exists()), None)
        if found is None:
            places = " and at ".join(str(path) for path in self.media)
            state = f"was looked for at {places}" if places else "is named nowhere in the file"
            msg = f"The video of {self.path} {state}. Put it beside the .eaf file, or link it in ELAN (Edit menu)."
            raise VideoError(msg)
        return found

    @property
    def video_name(self) -> str:
        """Name of the video without its ending; that of the `.eaf` file where no video is linked."""
        return normal_form(self.media[0].stem if self.media else self.path.stem)


def read_eaf(path: str | Path) -> ElanDocument:
    """Reads an `.eaf` file. Times are those of the video: the offset of a linked video is added.

    Raises:
        AnnotationError: if it cannot be read; the message says why.
    """
    path = Path(path)
    document = _parse(path)
    try:
        videos = [m for m in document.media_descriptors if _is_video(m)] or document.media_descriptors
        origin = int(videos[0].get("TIME_ORIGIN") or 0) if videos else 0
        lost: list[str] = []
        children = _dependent_texts(document)
        tiers = []
        for name, (aligned, _, attributes, _) in document.tiers.items():
            if attributes.get("PARENT_REF"):
                continue
            marks = list(_marks(document, name, aligned, children, origin, lost))
            person, coder = (normal_form(attributes.get(key) or "") for key in ("PARTICIPANT", "ANNOTATOR"))
            ordered = tuple(sorted(marks, key=lambda mark: (mark.start_ms, mark.end_ms)))
            kind = attributes.get("LINGUISTIC_TYPE_REF") or ""
            tiers.append(ElanTier(normal_form(name), kind, person, coder, ordered))
    except (KeyError, ValueError, TypeError, AttributeError, IndexError) as error:
        msg = f"{path} is XML, but not a whole .eaf file ({type(error).__name__}: {error}). Open and save it in ELAN."
        raise AnnotationError(msg) from None
    author = normal_form(document.adocument.get("AUTHOR") or "")
    media = tuple(dict.fromkeys(place for video in videos[:1] for place in _places(video, path)))
    return ElanDocument(path, author, media, origin, tuple(tiers), tuple(lost))


def _parse(path: Path) -> Eaf:
    from pympi.Elan import Eaf

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of versions that the library does not know; what matters is read below
            document = Eaf(str(path))
    except OSError as error:
        raise AnnotationError(f"{path} cannot be read: {error.strerror or error}.") from None
    except Exception as error:  # the library raises Exception itself for what is no XML
        msg = f"{path} cannot be read as an ELAN file ({error}). Open it in ELAN and save it again, or take a backup."
        raise AnnotationError(msg) from None
    return document


def _is_video(media: Mapping[str, str]) -> bool:
    named = str(media.get("MEDIA_URL") or media.get("RELATIVE_MEDIA_URL") or "").lower()
    return str(media.get("MIME_TYPE") or "").startswith("video") or named.endswith(VIDEO_SUFFIXES)


def _places(media: Mapping[str, str], path: Path) -> Iterator[Path]:
    """Where a linked file may lie: as seen from the `.eaf` file, where it was, and beside the `.eaf` file."""
    relative, url = (str(media.get(key) or "") for key in ("RELATIVE_MEDIA_URL", "MEDIA_URL"))
    names = [unquote(urlsplit(word).path if word.startswith("file:") else word) for word in (relative, url)]
    if names[0]:
        yield Path(os.path.normpath(path.parent / names[0].replace("\\", "/")))
    if names[1]:
        yield Path(names[1])
    for name in names:
        if name:
            yield path.parent / Path(name.replace("\\", "/")).name


def _marks(
    document: Eaf, tier: str, aligned: Mapping[str, Any], children: Any, origin: int, lost: list[str]
) -> Iterator[Mark]:
    for key, (begin, end, text, _) in aligned.items():
        start_ms, end_ms = document.timeslots[begin], document.timeslots[end]
        if start_ms is None or end_ms is None or end_ms < start_ms:
            lost.append(f"{tier}: {text or 'without a text'}")
            continue
        attributes = dict(sorted(children.get(key, {}).items()))
        yield Mark(key, start_ms + origin, max(end_ms, start_ms + 1) + origin, normal_form(text), attributes)


def _dependent_texts(document: Eaf) -> dict[str, dict[str, str]]:
    """The texts that hang on each annotation, by the name of their tier without that of its parent."""
    texts: dict[str, dict[str, str]] = {}
    for name, (_, references, attributes, _) in document.tiers.items():
        parent = attributes.get("PARENT_REF") or ""
        label = normal_form(name.removeprefix(parent).strip(" -_:@"))
        for reference, text, _, _ in references.values():
            if normal_form(text):
                texts.setdefault(reference, {})[label or normal_form(name)] = normal_form(text)
    return texts


def write_eaf(
    path: str | Path,
    video: str | Path,
    events: Iterable[CodedEvent],
    emotions: Sequence[str] = (),
    spans: Mapping[str, Sequence[Span]] | None = None,
    author: str = AUTHOR,
) -> Path:
    """Writes an `.eaf` file with its video linked, a tier for each type, person and coder, and a controlled vocabulary.

    An annotation's text is its emotion, chosen from the vocabulary; the linguistic type of its tier is its type; each
    attribute stands in a dependent tier, e.g.
    `macro confidence`. ELAN allows no overlap within a tier, so an event that overlaps the one before it goes to a
    further tier, `macro 2` and so on. :func:`read_eaf` and
    :func:`fedn_lightning.datasets.elan.coded_events` give the same events back.

    Args:
        path: the file; it appears whole or not at all.
        video: the file that the times belong to.
        events: in milliseconds of the video.
        emotions: words of the vocabulary; those of the events are added.
        spans: further tiers by name, e.g. `unreliable`; spans of one tier must not overlap.
        author: of the document.

    Returns:
        `path`.
    """
    from pympi.Elan import Eaf

    events = sorted(events, key=lambda event: event.place)
    document = Eaf(author=author)
    _link(document, Path(video).absolute(), Path(path).absolute().parent)
    _declare(document, sorted({*emotions, *(e.emotion for e in events if e.emotion)}))
    for name, row in tiers_of(events):
        document.add_tier(name, row[0].type or UNTYPED, part=row[0].person or None, ann=row[0].coder or None)
        for event in row:
            _add(document, name, event)
    if not events:
        for kind in EXPRESSION_TYPES:
            document.add_tier(kind, kind)
    for name, texts in (spans or {}).items():
        document.add_tier(name)
        for start, end, text in texts:
            document.add_annotation(name, start, max(end, start + 1), writable(text))
    document.remove_tier("default")
    return write_atomically(path, lambda temporary: _save(document, temporary))


def writable(text: str) -> str:
    """A text as XML and ELAN can hold it: control characters become spaces.

    >>> writable(" both" + chr(10) + "eyes ")
    'both eyes'
    """
    return normal_form(_UNWRITABLE.sub(" ", text))


def tiers_of(events: Sequence[CodedEvent]) -> Iterator[tuple[str, list[CodedEvent]]]:
    """Names of tiers and the events of each, none of which overlap.

    Args:
        events: by :attr:`CodedEvent.place`.
    """
    persons, coders = ({getattr(e, name) for e in events} for name in ("person", "coder"))

    taken: set[str] = set()

    def key(event: CodedEvent) -> tuple[str, str, str]:
        return event.person, event.coder, event.type or UNTYPED

    for (person, coder, kind), group in itertools.groupby(sorted(events, key=key), key):
        name = f"{person} {kind}" if person and len(persons) > 1 else kind
        name = writable(f"{name} ({coder})" if coder and len(coders) > 1 else name)
        for row in without_overlap(list(group)):
            free = next(
                n for n in itertools.chain([name], (f"{name} {k}" for k in itertools.count(2))) if n not in taken
            )
            taken.add(free)
            yield free, row


def without_overlap(events: Sequence[CodedEvent]) -> list[list[CodedEvent]]:
    """Shares events out to as few rows as need be, so that none overlaps within a row.

    Args:
        events: by start.
    """
    rows: list[list[CodedEvent]] = []
    for event in events:
        free = next((row for row in rows if row[-1].end_ms <= event.start_ms), None)
        if free is None:
            rows.append([event])
        else:
            free.append(event)
    return rows


def _link(document: Eaf, video: Path, folder: Path) -> None:
    kind = mimetypes.guess_type(video.name)[0] or "video/*"
    # As seen from the file, by which ELAN finds the video when both were moved; Path.relative_to walks up from 3.12 on.
    document.add_linked_file(video.as_uri(), relpath=Path(os.path.relpath(video, folder)).as_posix(), mimetype=kind)


def _declare(document: Eaf, emotions: Sequence[str]) -> None:
    """Kinds of tiers and the vocabulary of emotions."""
    document.add_language("und", "http://cdb.iso.org/lg/CDB-00130975-001", "undetermined (und)")
    document.add_controlled_vocabulary("emotion")
    for number, word in enumerate(emotions):
        document.add_cv_entry("emotion", f"emotion{number}", [(writable(word), "und", None)])
    for kind in KINDS:
        document.add_linguistic_type(kind)
        document.linguistic_types[kind]["CONTROLLED_VOCABULARY_REF"] = "emotion"
    document.add_linguistic_type("attribute", constraints="Symbolic_Association", timealignable=False)


def _add(document: Eaf, tier: str, event: CodedEvent) -> None:
    """An annotation and the annotations that hang on it."""
    document.add_annotation(tier, event.start_ms, max(event.end_ms, event.start_ms + 1), writable(event.emotion))
    parent = f"a{document.maxaid}"
    for name, text in event.attributes.items():
        if not writable(text):
            continue
        child = f"{tier} {writable(name)}"
        if child not in document.tiers:
            document.add_tier(child, "attribute", parent=tier, part=event.person or None, ann=event.coder or None)
        # Not add_ref_annotation: it finds the annotation by time, from the first one on.
        key = document.generate_annotation_id()
        document.annotations[key] = child
        document.tiers[child][1][key] = (parent, writable(text), None, None)


def _save(document: Eaf, temporary: Path) -> None:
    """Writes the document; an annotation of a word of the vocabulary refers to it, as ELAN writes it."""
    from xml.etree import ElementTree

    from pympi.Elan import to_adocument

    entries = document.controlled_vocabularies["emotion"][1]
    known = {values[0][0]: key for key, (values, _) in entries.items()}
    tree = to_adocument(document)
    for tier in tree.iter("TIER"):
        if tier.get("LINGUISTIC_TYPE_REF") not in KINDS:
            continue
        for mark in tier.iter("ALIGNABLE_ANNOTATION"):
            if key := known.get(mark.findtext("ANNOTATION_VALUE") or ""):
                mark.set("CVE_REF", key)
    ElementTree.ElementTree(tree).write(temporary, xml_declaration=True, encoding="UTF-8")
