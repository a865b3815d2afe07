"""An expression under review, and the history of one video: every change is one line, appended at once.

The lines alone give the state, so a killed process loses nothing that was confirmed, and undo is one line more.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Self, get_args

from fedn_lightning.errors import AnnotationError, FednError
from fedn_lightning.events import EXPRESSION_TYPES, ExpressionType
from fedn_lightning.utils.text import normal_form

State = Literal["open", "accepted", "rejected"]
"""`open`: found by the network, and nobody has decided yet."""

MAX_LETTERS = 200
"""Longest word that a field may hold."""


@dataclass(frozen=True)
class ReviewEvent:
    """One expression as the coder sees it. Frames are whole, inclusive, the first of the video being 1."""

    id: str  # names the event in the history
    onset: int  # first frame
    offset: int  # last frame
    type: ExpressionType  # `macro` or `micro`
    emotion: str = ""  # any word, lower case; may be empty
    state: State = "open"  # what the coder decided
    apex: int | None = None  # frame of greatest intensity, None where nobody marked it
    confidence: float | None = None  # of the network, None for an event that a person made
    face: int = 1  # number of the face from the left, from 1
    emotion_self: str = ""  # self-report of the corpus, kept as it is
    action_units: str = ""  # as the corpus writes them, kept as they are

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any], n_frames: int | None, where: str) -> Self:
        """Makes an event of JSON's values.

        Args:
            raw: as :meth:`to_dict` gives it; what is left out has its default.
            n_frames: of the video, None if it is not known.
            where: the place it comes from, for the message.
        """
        try:
            event = cls(**raw)
        except TypeError as error:
            raise AnnotationError(f"{where}: the event cannot be read ({error}).") from None
        problem = _problem(event, n_frames)
        if problem:
            raise AnnotationError(f"{where}: {problem}.")
        return event

    def to_dict(self) -> dict[str, Any]:
        """All fields as JSON's values."""
        return asdict(self)


def _problem(e: ReviewEvent, n_frames: int | None) -> str:
    """What is wrong with an event, or nothing."""
    words = (e.id, e.emotion, e.emotion_self, e.action_units)
    if not all(isinstance(word, str) and len(word) <= MAX_LETTERS and word.isprintable() for word in words):
        return f"id, emotion and action units must be words of at most {MAX_LETTERS} letters"
    if not e.id or e.type not in EXPRESSION_TYPES or e.state not in get_args(State):
        return f"the type must be macro or micro and the state {', '.join(get_args(State))}"
    frames = (e.onset, e.offset, e.face) if e.apex is None else (e.onset, e.offset, e.face, e.apex)
    if not all(type(frame) is int for frame in frames):
        return "onset, apex, offset and face must be whole numbers"
    last = n_frames or e.offset
    if not 1 <= e.onset <= e.offset <= last:
        return f"frames {e.onset} to {e.offset} must ascend and lie in 1 to {last}"
    if e.apex is not None and not e.onset <= e.apex <= e.offset:
        return f"the apex {e.apex} must lie in frames {e.onset} to {e.offset}"
    return ""


@dataclass(frozen=True)
class ReviewVideo:
    """One video of the queue, as predictions or a corpus give it."""

    id: str  # names it in addresses and files
    path: Path  # the video file, or a folder of images; it may have moved
    subject: str  # the person filmed
    name: str  # of the video, unique within its subject
    fps: float  # frames per second; of a folder of images as the corpus says
    n_frames: int | None  # None where nothing says it
    first_frame: int = 1  # number of the first frame in a table
    events: tuple[ReviewEvent, ...] = ()  # what the review starts from
    found: bool = True  # whether the events were found by a network, or annotated by people
    # scores from which events were shown, empty for a corpus
    threshold: Mapping[str, float] = field(default_factory=dict)
    # face boxes `x, y, width, height` in source pixels by number of the face
    boxes: Mapping[int, tuple[float, float, float, float]] = field(default_factory=dict)
    unreliable: tuple[tuple[int, int, str], ...] = ()  # `onset, offset, reason` of stretches that cannot be relied on
    folder: Path | None = None  # of the predictions, None for a corpus
    notes: tuple[str, ...] = ()  # what must be known, a sentence each


def uncertainty(event: ReviewEvent, threshold: Mapping[str, float]) -> float:
    """How unsure the network is of an event: 1 at the threshold, 0 at full confidence; 0 without a confidence.

    >>> uncertainty(ReviewEvent("a", 1, 9, "macro", confidence=0.75), {"macro": 0.5})
    0.5
    """
    if event.confidence is None:
        return 0.0
    least = threshold.get(event.type, 0.0)
    return min(1.0, max(0.0, (1 - event.confidence) / (1 - least))) if least < 1 else 1.0


def word(text: object, what: str) -> str:
    """A word that a person typed, in composed Unicode without spaces around it."""
    name = normal_form(text) if isinstance(text, str) else ""
    if not name or len(name) > MAX_LETTERS or not name.isprintable() or name.startswith(".") or set("/\\") & set(name):
        msg = f"{what} is {text!r}; it must be a word that can name a folder: no slash, no dot at the beginning."
        raise AnnotationError(msg)
    return name


class ConflictError(FednError):
    """An event was changed by another page since this one read it."""


class History:
    """The events of one video and how they came to be.

    Args:
        path: the file of lines, made with the first change.
        video: what the review starts from, where there is no file yet.

    Attributes:
        events: by id, as they are now.
        subject: the person filmed.
        done: whether the coder has finished the video.
        start: the events that the review began with.
        lines: of the history; their number is the version of the state.

    Raises:
        AnnotationError: if a line cannot be read; the message names file and line, and the file stays as it is.
    """

    def __init__(self, path: Path, video: ReviewVideo) -> None:
        self.path, self.video = path, video
        self.start = video.events
        self.events = {event.id: event for event in video.events}
        self.subject, self.done = video.subject, False
        self.lines: list[dict[str, Any]] = []
        if path.exists():
            self._read()

    @property
    def version(self) -> int:
        """Number of lines; 0 before the first change."""
        return len(self.lines)

    @property
    def can_undo(self) -> bool:
        """Whether there is a change that was not taken back."""
        return self._last_change() > 0

    def change(self, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None, coder: str) -> None:
        """Changes, adds (`before` is None) or removes (`after` is None) one event."""
        new = None if after is None else ReviewEvent.from_dict(after, self.video.n_frames, "The change")
        key = new.id if new is not None else str((before or {}).get("id"))
        current = self.events.get(key)
        if (None if current is None else current.to_dict()) != (None if before is None else dict(before)):
            msg = "Another page changed this event first; this page now shows what is stored. Make the change again."
            raise ConflictError(msg)
        if current is not None or new is not None:
            self._append({"kind": "event", "before": before, "after": new and new.to_dict()}, coder)

    def set_done(self, value: bool, coder: str) -> None:
        """Marks the video as finished, or not."""
        if value and any(event.state == "open" for event in self.events.values()):
            raise AnnotationError("Some events are still open; accept or reject each before the video is finished.")
        self._append({"kind": "done", "before": self.done, "after": value}, coder)

    def set_subject(self, name: object, coder: str) -> None:
        """Says who is filmed."""
        self._append({"kind": "subject", "before": self.subject, "after": word(name, "The person")}, coder)

    def undo(self, coder: str) -> None:
        """Takes back the last change that was not taken back yet."""
        number = self._last_change()
        if not number:
            raise AnnotationError("There is nothing to undo.")
        line = self.lines[number]
        back = {"kind": line["kind"], "before": line["after"], "after": line["before"], "undoes": number}
        self._append(back, coder)

    def _last_change(self) -> int:
        """The line of the last change that was not taken back; 0, the first line, if there is none."""
        undone = {line["undoes"] for line in self.lines if "undoes" in line}
        changes = (number for number in range(len(self.lines) - 1, 0, -1) if "undoes" not in self.lines[number])
        return next((number for number in changes if number not in undone), 0)

    def _append(self, line: dict[str, Any], coder: str) -> None:
        new = [] if self.lines else [self._first()]
        new.append({**line, "coder": coder, "time": datetime.now(UTC).isoformat(timespec="milliseconds")})
        self.path.parent.mkdir(parents=True, exist_ok=True)
        text = "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in new)
        with self.path.open("ab") as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
        for each in new:
            self._apply(each, "The change")
            self.lines.append(each)

    def _first(self) -> dict[str, Any]:
        """The line that the others start from, so that new predictions cannot change what was reviewed."""
        events = [event.to_dict() for event in self.video.events]
        return {"kind": "start", "video": str(self.video.path), "subject": self.video.subject, "events": events}

    def _read(self) -> None:
        content = self.path.read_bytes()
        whole, end, rest = content.rpartition(b"\n")
        if rest:  # a process was killed while it wrote this line, which was never confirmed
            with self.path.open("r+b") as file:
                file.truncate(len(whole + end))
        for number, text in enumerate(whole.split(b"\n") if whole else [], start=1):
            where = f"{self.path}, line {number}"
            try:
                line = json.loads(text)
                self._apply(line, where)
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                msg = f"{where} cannot be read ({error!r}). Restore the line, or move the file away to start again."
                raise AnnotationError(msg) from None
            self.lines.append(line)
        if not self.lines:
            self.events = {event.id: event for event in self.video.events}

    def _apply(self, line: Mapping[str, Any], where: str) -> None:
        frames = self.video.n_frames
        if line["kind"] == "start":
            self.start = tuple(ReviewEvent.from_dict(raw, None, where) for raw in line["events"])
            self.events, self.subject = {event.id: event for event in self.start}, word(line["subject"], where)
        elif line["kind"] == "done":
            self.done = bool(line["after"])
        elif line["kind"] == "subject":
            self.subject = word(line["after"], where)
        elif line["after"] is None:
            del self.events[line["before"]["id"]]
        else:
            event = ReviewEvent.from_dict(line["after"], frames, where)
            self.events[event.id] = event
