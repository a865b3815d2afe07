"""An expression under review: what the page shows, the history stores and the table is written from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, Self, get_args

from fedn_lightning.errors import AnnotationError
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
