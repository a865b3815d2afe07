"""The history of one video's review: every change is one line, appended at once and never altered.

The lines alone give the state, so a killed process loses nothing that was confirmed, and undo is one line more.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fedn_lightning.errors import AnnotationError, FednError
from fedn_lightning.review.events import ReviewEvent, ReviewVideo, word


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
