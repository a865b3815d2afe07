"""The result of a detector on one video."""

from __future__ import annotations

import pkgutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fedn_lightning.errors import FednError
from fedn_lightning.events import EXPRESSION_TYPES, NO_EMOTION, DetectionRecord, EventTable, ExpressionType, FloatArray
from fedn_lightning.events import Video as RecordedVideo
from fedn_lightning.inference.measures import Baseline, FaceQuality, FrameMeasures, UnreliableSpan
from fedn_lightning.metrics.functional.threshold import at_threshold
from fedn_lightning.results.writing import whole_frames
from fedn_lightning.utils.text import timecode
from fedn_lightning.video.alignment import Box
from fedn_lightning.video.timing import source_to_store

if TYPE_CHECKING:
    from matplotlib.figure import Figure

GENERATED_ONLY = "trained on generated faces alone; nothing was measured on real people"
"""What stands beside the results of such a detector: nothing has been measured on real faces."""

SHOWN = 20
"""Expressions that `repr` lists."""


@dataclass(frozen=True)
class DetectedExpression:
    """One expression that was found.

    FEDN does not predict the apex.
    """

    face: int  # number of the face from the left, from 1
    start: float  # first frame, 0-based; may be fractional
    end: float  # one past the last frame
    start_seconds: float  # when `start` is shown, by the video's own timestamps
    end_seconds: float  # when the last frame ends
    type: ExpressionType  # `macro` or `micro`
    emotion: str | None  # name of the class, None from a network that only spots
    confidence: float  # that there is an expression of this type, in 0..1
    emotion_confidence: float  # that it has this emotion, in 0..1; 1 without an emotion
    # events of the other type in the same movement that gave way to this one, e.g. `micro 0.45`; see
    # :func:`~fedn_lightning.models.postprocessing.find_same_movements`.
    also: tuple[str, ...] = ()
    # greatest movement of a part of the face in eye distances, or in multiples of its movement in the baseline; None
    # where movement was not measured
    intensity: float | None = None

    @property
    def frames(self) -> tuple[int, int]:
        """First and last frame, whole, inclusive and counted from 1, as in all files that the project writes."""
        return whole_frames(self.start, self.end)

    @property
    def timecodes(self) -> tuple[str, str]:
        """Start and end as `HH:MM:SS.mmm`."""
        return timecode(self.start_seconds), timecode(self.end_seconds)

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain values, the columns of `events.csv`."""
        (onset, offset), (start, end) = self.frames, self.timecodes
        return {
            "face": self.face,
            "type": self.type,
            "emotion": self.emotion,
            "confidence": round(self.confidence, 6),
            "emotion_confidence": round(self.emotion_confidence, 6),
            "onset": onset,
            "offset": offset,
            "start_seconds": round(self.start_seconds, 4),
            "end_seconds": round(self.end_seconds, 4),
            "start_timecode": start,
            "end_timecode": end,
            "intensity": None if self.intensity is None else round(self.intensity, 5),
        }

    def __str__(self) -> str:
        start, end = self.timecodes
        onset, offset = self.frames
        return f"{start} to {end}  frames {onset}-{offset}  {self.type}  {self.emotion or '-'}  {self.confidence:.2f}"


COLUMNS = (
    "face", "type", "emotion", "confidence", "emotion_confidence", "onset", "offset", "start_seconds", "end_seconds",
    "start_timecode", "end_timecode", "intensity",
)  # fmt: skip
"""Keys of :meth:`DetectedExpression.to_dict`."""


@dataclass(frozen=True)
class FaceTrack:
    """What was found in one face."""

    number: int  # of the face from the left, from 1
    box: Box | None  # its face box in source pixels (median over the video); None where whole pictures are taken
    proposals: EventTable  # every event kept after suppression, whatever its score, in frames of the video
    curve: FloatArray  # `(n_frames, 2)` float64, the network's macro and micro confidence in each frame


@dataclass(frozen=True, repr=False)
class Detections:
    """What a detector found in one video. Iterates over the expressions by time, those from the thresholds on."""

    video: str  # the file
    checkpoint: str  # what found them
    n_frames: int  # frames of the video
    fps: float  # frames per second, the average where the rate is variable
    # `(n_frames,)` float64 seconds of each frame where the rate is variable, else None
    times: npt.NDArray[np.float64] | None
    emotions: tuple[str, ...]  # class names
    threshold: tuple[float, float]  # score from which a macro- and a micro-expression counts
    n_faces: int  # faces in the video; 0 where whole pictures are taken
    faces: tuple[FaceTrack, ...]  # those that were analysed
    # for each of them the crop's transform, `(1 or n_frames, 2, 3)` float64, source to crop pixels
    squares: tuple[npt.NDArray[np.float64], ...]
    crop_size: int  # side of the crop in pixels
    start: float = 0.0  # seconds at which the first frame is shown: above 0 where the sound starts before the picture
    notes: tuple[str, ...] = ()  # what was assumed or left out, a sentence each
    generated_only: bool = False  # whether the detector was trained on generated faces alone
    unreliable: tuple[UnreliableSpan, ...] = ()  # stretches in which no expression may begin
    quality: tuple[FaceQuality, ...] = ()  # how well each of the faces is seen, in every frame of the video
    ignored: tuple[str, ...] = ()  # streams of the file that are not looked at
    crop_fps: float = 0.0  # frames per second that the network worked at
    measures: tuple[FrameMeasures, ...] = ()  # what was measured in each crop of each face
    # the neutral stretches that measures are relative to; empty if they are in eye distances
    baselines: tuple[Baseline, ...] = ()
    seconds: dict[str, float] = field(default_factory=dict)  # processor work by phase

    @cached_property
    def expressions(self) -> tuple[DetectedExpression, ...]:
        """The expressions from the thresholds on, by start."""
        measured = self.measures or (None,) * len(self.faces)
        found = [e for face, kept in zip(self.faces, measured, strict=True) for e in self._expressions(face, kept)]
        return tuple(sorted(found, key=lambda e: (e.start, e.end, e.face)))

    @property
    def duration(self) -> float:
        """Length of the video in seconds, from its first frame."""
        return float(self.seconds_at(self.n_frames)) - self.start

    def seconds_at(self, frame: npt.ArrayLike) -> FloatArray:
        """Seconds from the start of the file at which frames (0-based, may be fractional) are shown."""
        return self.start + source_to_store(frame, self.fps, 1.0, self.times)

    def crop_of(self, frame: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """The crop, in the order in which the network saw them, that stands for each of some frames (0-based)."""
        last = len(self.measures[0].movement) - 1
        nearest = np.rint(source_to_store(frame, self.fps, self.crop_fps, self.times))
        return np.clip(nearest, 0, last).astype(np.int64)

    def _span_seconds(self, span: UnreliableSpan | Baseline) -> dict[str, float]:
        begin, end = (round(float(self.seconds_at(edge)), 4) for edge in (span.start, span.end))
        return {"start_seconds": begin, "end_seconds": end}

    def warnings_of(self, e: DetectedExpression) -> str:
        """What must be known of one expression: training, unreliable stretches, and the other type it was found as."""
        mine = [s for s in self.unreliable if s.face == e.face and s.start < e.end and s.end > e.start]
        words = [GENERATED_ONLY] if self.generated_only else []
        words += [f"unreliable: {reason}" for reason in dict.fromkeys(s.reason for s in mine)]
        return "; ".join(words + [f"also found as {other}" for other in e.also])

    def at(self, macro: float, micro: float) -> Detections:
        """The same result at other thresholds."""
        return replace(self, threshold=(macro, micro))

    def to_pandas(self) -> Any:
        """A data frame with a row per expression, columns as in `events.csv`.

        Raises:
            FednError: if pandas is not installed; nothing else needs it.
        """
        try:
            import pandas as pd  # type: ignore[import-untyped, import-not-found, unused-ignore]
        except ImportError:
            msg = "to_pandas needs pandas: pip install pandas. Without it, to_dict() gives the same rows."
            raise FednError(msg) from None
        return pd.DataFrame([e.to_dict() for e in self], columns=list(COLUMNS))

    def to_dict(self) -> dict[str, Any]:
        """Video, thresholds, notes and expressions as plain values: what `events.json` holds."""
        return {
            "video": self.video,
            "checkpoint": self.checkpoint,
            "n_frames": self.n_frames,
            "fps": self.fps,
            "variable_frame_rate": self.times is not None,
            "seconds": round(self.duration, 4),
            "threshold": dict(zip(EXPRESSION_TYPES, self.threshold, strict=True)),
            "faces_seen": self.n_faces,
            "faces": [{"face": face.number, "box": face.box} for face in self.faces],
            "notes": list(self.notes),
            "unreliable": [
                {"face": s.face, "start": s.start, "end": s.end, "reason": s.reason, **self._span_seconds(s)}
                for s in self.unreliable
            ],
            "quality": [
                {"face": face.number, **quality.counts(self.fps), "eye_distance": quality.median_eye_distance}
                for face, quality in zip(self.faces, self.quality, strict=False)
            ],
            "baselines": [
                {**asdict(each), "reached": list(each.reached), **self._span_seconds(each)} for each in self.baselines
            ],
            "streams_ignored": list(self.ignored),
            "trained_on_generated_faces_alone": self.generated_only,
            "expressions": [{**e.to_dict(), "start": e.start, "end": e.end, "also": list(e.also)} for e in self],
        }

    def to_record(self) -> DetectionRecord:
        """The same as the record that the project's tables and challenge files are made of: a video per face."""
        stem = Path(self.video).stem
        names = [stem if len(self.faces) == 1 else f"{stem}_face{face.number}" for face in self.faces]
        tables = [replace(face.proposals, video=np.full(len(face.proposals), k)) for k, face in enumerate(self.faces)]
        return DetectionRecord(
            videos=tuple(RecordedVideo("", "", name, self.video, self.fps) for name in names),
            n_frames=(self.n_frames,) * len(names),
            emotions=self.emotions,
            truths=EventTable(),
            predictions=EventTable.concatenate(tables),
            threshold=self.threshold,
            curves=tuple(face.curve for face in self.faces),
        )

    def plot(self) -> Figure:
        """Draws the timeline: expressions in lanes, below them the confidence in each frame."""
        # By name: the picture is made from this class, so this module must not import the picture.
        figure: Figure = pkgutil.resolve_name("fedn_lightning.inference.pictures:draw")(self)
        return figure

    def _expressions(self, face: FaceTrack, measures: FrameMeasures | None) -> Iterator[DetectedExpression]:
        # Here, so that the process that hands out videos to others does not load torch.
        from fedn_lightning.models.postprocessing import find_same_movements

        table = at_threshold(face.proposals, self.threshold)
        begins, ends = self.seconds_at(table.start).tolist(), self.seconds_at(table.end).tolist()
        kept_by = find_same_movements(table, self.threshold)
        names = [f"{EXPRESSION_TYPES[kind]} {score:.2f}" for kind, score in zip(table.type, table.score, strict=True)]
        for row, (begin, stop) in enumerate(zip(begins, ends, strict=True)):
            if kept_by[row] >= 0:
                continue
            emotion = int(table.emotion[row])
            start, end = float(table.start[row]), float(table.end[row])
            yield DetectedExpression(
                face.number,
                start,
                end,
                begin,
                stop,
                EXPRESSION_TYPES[int(table.type[row])],
                self.emotions[emotion] if emotion != NO_EMOTION else None,
                float(table.score[row]),
                float(table.emotion_score[row]),
                tuple(names[other] for other in np.flatnonzero(kept_by == row)),
                None if measures is None else self._intensity(measures, start, end),
            )

    def _intensity(self, measures: FrameMeasures, start: float, end: float) -> float:
        """The greatest movement between two frames of the video."""
        edges = source_to_store([start, end], self.fps, self.crop_fps, self.times)
        first, last = (int(np.clip(round(edge), 0, len(measures.movement))) for edge in edges.tolist())
        return float(measures.movement[first : max(last, first + 1)].max(initial=0.0))

    def summary(self) -> str:
        """One line: how many expressions of each type, or the highest scores beside the thresholds."""
        rate = f"{self.n_frames} frames at {self.fps:.5g} fps{', variable' if self.times is not None else ''}"
        who = f"face {', '.join(str(face.number) for face in self.faces)} of {self.n_faces}" if self.n_faces else ""
        place = f"in {timecode(self.duration)} ({rate}{'; ' + who if who else ''})"
        counts = [f"{sum(e.type == kind for e in self)} {kind}" for kind in EXPRESSION_TYPES]
        if self.expressions:
            return f"{' and '.join(counts)} expressions {place}"
        nearest = []
        for index, (kind, threshold) in enumerate(zip(EXPRESSION_TYPES, self.threshold, strict=True)):
            scores = [face.proposals.score[face.proposals.type == index].max(initial=0.0) for face in self.faces]
            nearest.append(f"{kind} {max(scores, default=0.0):.3g} of {threshold:.3g}")
        return f"no expression {place}; highest score and threshold: {', '.join(nearest)}"

    def __iter__(self) -> Iterator[DetectedExpression]:
        return iter(self.expressions)

    def __len__(self) -> int:
        return len(self.expressions)

    def __getitem__(self, index: int) -> DetectedExpression:
        return self.expressions[index]

    def __repr__(self) -> str:
        several = len(self.faces) > 1
        lines = [f"{Path(self.video).name}: {self.summary()}"]
        lines += [f"  {f'face {e.face}  ' if several else ''}{e}" for e in self.expressions[:SHOWN]]
        lines += [f"  and {len(self) - SHOWN} more"] if len(self) > SHOWN else []
        return "\n".join([*lines, *(f"  note: {note}" for note in self.notes)])
