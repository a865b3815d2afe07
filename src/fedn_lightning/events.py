"""The vocabulary: a video, an expression in it, a corpus of both, and tables of events to score.

Frame conventions meet here and nowhere else. Releases count frames inclusively from their own first number
(CAS(ME)^2: from 1). Inside the project an interval is 0-based and half open, `[start, end)`, so that its length is
`end - start` and two neighbours share no frame.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, Self, get_args

import numpy as np
import numpy.typing as npt

ExpressionType = Literal["macro", "micro"]
EXPRESSION_TYPES: tuple[ExpressionType, ...] = get_args(ExpressionType)
"""The types in the order of their index: 0 macro, 1 micro."""

NO_EMOTION = -1
"""Emotion index of an event whose emotion is unknown or not analysed ("others" in the 3-class scheme)."""


def to_half_open(onset: float, offset: float, first_frame: int = 1) -> tuple[float, float]:
    """Converts an inclusive interval of a release into the project's 0-based, half-open one.

    Args:
        onset: first frame of the expression, as the release counts.
        offset: last frame of the expression, inclusive.
        first_frame: number the release gives to a video's first frame.

    Returns:
        `(start, end)` with `start = onset - first_frame` and `end = offset - first_frame + 1`.

    >>> to_half_open(1, 10)
    (0, 10)
    """
    return onset - first_frame, offset - first_frame + 1


def to_inclusive(start: float, end: float, first_frame: int = 1) -> tuple[float, float]:
    """Inverts :func:`to_half_open`.

    >>> to_inclusive(0, 10)
    (1, 10)
    """
    return start + first_frame, end + first_frame - 1


@dataclass(frozen=True, slots=True)
class Video:
    """One long video of a corpus.

    Attributes:
        dataset: name of the corpus, e.g. `casme2`.
        subject: the person filmed; the unit of every split.
        name: unique within its subject.
        path: a video file, or a folder with one image per frame.
        fps: frames per second of the source.
        first_frame: number the release gives to the first frame.
        n_frames: number of frames where the release tells it without decoding, else None.
    """

    dataset: str
    subject: str
    name: str
    path: str
    fps: float
    first_frame: int = 1
    n_frames: int | None = None

    @property
    def key(self) -> str:
        """`subject/name`, unique within the corpus."""
        return f"{self.subject}/{self.name}"


@dataclass(frozen=True, slots=True)
class Expression:
    """One annotated expression. Frames are 0-based, the interval half open, at the video's source frame rate.

    Attributes:
        dataset: name of the corpus.
        subject: the person filmed.
        video: name of the video within the subject.
        start: first frame.
        end: one past the last frame.
        apex: frame of greatest intensity, None where the release does not know it.
        type: `macro` or `micro`.
        emotion: expert label, lower case, as the release writes it.
        emotion_self: self-reported label, None where the release has none.
        action_units: FACS action units as the release writes them, e.g. `4+7`; empty if none.
        source_row: 1-based row of the annotation table, for messages.
        end_known: False where the release does not know the offset and a policy chose `end`.
    """

    dataset: str
    subject: str
    video: str
    start: float
    end: float
    apex: float | None
    type: ExpressionType
    emotion: str
    emotion_self: str | None = None
    action_units: str = ""
    source_row: int = 0
    end_known: bool = True

    @property
    def video_key(self) -> str:
        """`subject/video`, equal to the :attr:`Video.key` it lies in."""
        return f"{self.subject}/{self.video}"


@dataclass(frozen=True, slots=True)
class Repair:
    """An annotation row that a policy changed or dropped: what a user must be able to check.

    Attributes:
        file: the annotation table.
        row: its 1-based row.
        rule: name of the policy or check, e.g. `offset_policy=apex`.
        before: the values as they stand in the release.
        after: the values used, or `dropped`.
    """

    file: str
    row: int
    rule: str
    before: str
    after: str


@dataclass(frozen=True)
class Corpus:
    """A data set as read from disk: its videos, its expressions, and every row that was repaired or dropped."""

    name: str
    videos: tuple[Video, ...]
    expressions: tuple[Expression, ...]
    repairs: tuple[Repair, ...] = ()

    @cached_property
    def subjects(self) -> tuple[str, ...]:
        """All subjects that have a video, sorted."""
        return tuple(sorted({video.subject for video in self.videos}))

    def expressions_of(self, video: Video) -> tuple[Expression, ...]:
        """The expressions of one video, by start."""
        return tuple(self._by_video.get((video.subject, video.name), ()))

    @cached_property
    def _by_video(self) -> dict[tuple[str, str], list[Expression]]:
        found: dict[tuple[str, str], list[Expression]] = {}
        for expression in sorted(self.expressions, key=lambda e: (e.start, e.end)):
            found.setdefault((expression.subject, expression.video), []).append(expression)
        return found


FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class EventTable:
    """Events of any number of videos, one column each; the input of every metric.

    Attributes:
        subject: `(N,)` int64, index of the subject.
        video: `(N,)` int64, index of the video, unique over all subjects.
        start: `(N,)` float64, first frame, 0-based.
        end: `(N,)` float64, one past the last frame; may be fractional.
        type: `(N,)` int64, index into :data:`EXPRESSION_TYPES`.
        emotion: `(N,)` int64, class index, or :data:`NO_EMOTION`.
        score: `(N,)` float64, confidence that this is an expression of this type; truths have 1. Spotting ranks by it.
        emotion_score: `(N,)` float64, confidence in the emotion; 1 where none is given. Detection ranks by
            `score * emotion_score`.
        end_known: `(N,)` bool, False for a truth whose offset the release does not know; True by default.

    Raises:
        ValueError: if the columns differ in length.
    """

    subject: IntArray = field(default_factory=lambda: np.empty(0, np.int64))
    video: IntArray = field(default_factory=lambda: np.empty(0, np.int64))
    start: FloatArray = field(default_factory=lambda: np.empty(0, np.float64))
    end: FloatArray = field(default_factory=lambda: np.empty(0, np.float64))
    type: IntArray = field(default_factory=lambda: np.empty(0, np.int64))
    emotion: IntArray = field(default_factory=lambda: np.empty(0, np.int64))
    score: FloatArray = field(default_factory=lambda: np.empty(0, np.float64))
    emotion_score: FloatArray = field(default_factory=lambda: np.empty(0, np.float64))
    end_known: BoolArray = field(default_factory=lambda: np.empty(0, np.bool_))

    COLUMNS = ("subject", "video", "start", "end", "type", "emotion", "score", "emotion_score", "end_known")
    NEEDED = 7
    """Columns that a row of numbers must have; the others are 1 where it ends before them."""

    def __post_init__(self) -> None:
        if len(self.emotion_score) == 0 and len(self.score) > 0:
            object.__setattr__(self, "emotion_score", np.ones(len(self.score)))
        if len(self.end_known) == 0 and len(self.score) > 0:
            object.__setattr__(self, "end_known", np.ones(len(self.score), np.bool_))
        lengths = {name: len(getattr(self, name)) for name in self.COLUMNS}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"The columns of an EventTable must have one length, got {lengths}.")

    def __len__(self) -> int:
        return len(self.start)

    def __getitem__(self, index: npt.NDArray[np.bool_] | IntArray | slice) -> Self:
        """Selects rows by mask, index array or slice."""
        return type(self)(**{name: getattr(self, name)[index] for name in self.COLUMNS})

    @classmethod
    def from_rows(cls, rows: npt.ArrayLike) -> Self:
        """Makes a table from `(N, 7)` to `(N, 9)` numbers in the order of :attr:`COLUMNS`; what is left out is 1.

        >>> EventTable.from_rows([[0, 3, 10, 22, 1, -1, 0.9]]).end
        array([22.])
        """
        grid = np.asarray(rows, np.float64)
        if grid.size == 0:
            return cls()
        lacking = len(cls.COLUMNS) - grid.shape[-1]
        if 0 < lacking <= len(cls.COLUMNS) - cls.NEEDED:
            grid = np.concatenate([grid, np.ones((*grid.shape[:-1], lacking))], axis=-1)
        columns = grid.reshape(-1, len(cls.COLUMNS)).T
        subject, video, start, end, kind, emotion, score, emotion_score, end_known = columns
        return cls(
            subject=subject.astype(np.int64),
            video=video.astype(np.int64),
            start=start,
            end=end,
            type=kind.astype(np.int64),
            emotion=emotion.astype(np.int64),
            score=score,
            emotion_score=emotion_score,
            end_known=end_known > 0,
        )

    def to_rows(self) -> FloatArray:
        """The `(N, 9)` float64 inverse of :meth:`from_rows`."""
        return np.stack([np.asarray(getattr(self, name), np.float64) for name in self.COLUMNS], axis=1)

    @classmethod
    def concatenate(cls, tables: list[Self]) -> Self:
        """Stacks tables; an empty list gives an empty table."""
        if not tables:
            return cls()
        return cls(**{name: np.concatenate([getattr(t, name) for t in tables]) for name in cls.COLUMNS})


@dataclass(frozen=True)
class DetectionRecord:
    """What a network said about some videos, beside the truth: all that a score, a table or a picture needs.

    The index in the `video` column of both tables is the position in :attr:`videos`, the index in their `subject`
    column the position in :attr:`subjects`. Frames are source frames of the video, 0-based and half open.

    Attributes:
        videos: the videos looked at, also those without a truth or a prediction.
        n_frames: number of frames of each video.
        emotions: class names in the order of the `emotion` index.
        truths: annotated expressions.
        predictions: every proposal kept after suppression, whatever its score.
        threshold: score from which a macro- and a micro-expression counts as a prediction, chosen on the subjects that
            `chosen_on` names.
        curves: per video `(n_frames, 2)` float64, the network's macro and micro confidence in each frame.
        intervals: `spotted`, or `truth` where the predictions are the annotated intervals and only their emotions are
            the network's: recognition alone, whose spotting scores say nothing.
        chosen_on: subjects the thresholds were chosen on, never the held-out ones.
    """

    videos: tuple[Video, ...]
    n_frames: tuple[int, ...]
    emotions: tuple[str, ...]
    truths: EventTable
    predictions: EventTable
    threshold: tuple[float, float]
    curves: tuple[FloatArray, ...] = ()
    intervals: Literal["spotted", "truth"] = "spotted"
    chosen_on: Literal["validation", "training"] = "validation"

    @property
    def subjects(self) -> tuple[str, ...]:
        """Subjects of the videos, sorted."""
        return tuple(sorted({video.subject for video in self.videos}))
