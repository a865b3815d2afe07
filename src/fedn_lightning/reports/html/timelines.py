"""Timelines of a report: a card for every video, with its picture, its controls, and its events as a table.

The abscissa of a picture is the frame, stretched to the width of the page; zooming changes its view box alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup

from fedn_lightning.events import EXPRESSION_TYPES, EventTable, FloatArray, IntArray
from fedn_lightning.metrics.functional.matching import UNMATCHED, interval_iou, match
from fedn_lightning.reports.figures import LANES, summary
from fedn_lightning.reports.html import render
from fedn_lightning.results.run_folder import RunFiles
from fedn_lightning.results.writing import whole_frames
from fedn_lightning.utils.drawing import FAINT, axis_top, emotion_colours

COLUMNS = ("what", "type", "emotion", "onset", "offset", "seconds", "confidence", "outcome")
BUTTONS = (
    ("out", "\N{MINUS SIGN}", "zoom out"),
    ("in", "+", "zoom in"),
    ("left", "\N{LEFTWARDS ARROW}", "earlier"),
    ("right", "\N{RIGHTWARDS ARROW}", "later"),
    ("all", "whole", "show the whole video"),
)
"""Action of `page.js`, sign, and label of the buttons."""
LANE_TOP, LANE_STEP, LANE_HEIGHT = 2.0, 12.5, 9.0
CURVE_TOP, CURVE_BOTTOM = 56.0, 99.0
"""Ordinates of the picture, which is 100 high."""
REM = 0.11
"""Height of one unit of the picture: it is 11rem high, as in `page.css`."""
TICK_STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800)
"""Seconds between two ticks, as in `page.js`."""
LEVELS = 100
"""Steps of confidence in the drawing."""


@dataclass(frozen=True)
class VideoEvents:
    """One video's rows of the three tables."""

    truths: EventTable  # M annotated expressions
    found: EventTable  # N predictions
    proposals: EventTable  # every proposal
    hits: IntArray  # `(N,)` the truth each prediction took, or `UNMATCHED`

    @property
    def errors(self) -> int:
        """False positives and false negatives."""
        hits = int((self.hits != UNMATCHED).sum())
        return len(self.found) + len(self.truths) - 2 * hits


def timelines_section(run: RunFiles) -> Markup:
    """All videos in the order of the run."""
    chosen = [threshold for pair in run.thresholds.values() for threshold in pair]
    top = axis_top([float(run.proposals.score.max(initial=0.0)), *chosen])
    unnamed = (run.truths.emotion < 0).any() or (run.predicted.emotion < 0).any()
    middles = [LANE_TOP + LANE_STEP * lane + LANE_HEIGHT / 2 for lane in range(len(LANES))]
    lanes = [*zip(LANES, middles, strict=True), ("confidence", (CURVE_TOP + CURVE_BOTTOM) / 2)]
    hint = (
        "Drag to pan; zoom with the buttons, a pinch, a double click, or Ctrl and the wheel; on the keyboard with "
        "plus, minus, 0 and the arrows. The address then leads to the shown moment. Confidence in a frame is that of "
        f"the highest scoring proposal that covers it, on a scale from 0 to {top:g}; dashed: the thresholds."
    )
    return render(
        "timelines.html",
        hint=hint,
        subjects=sorted({video.subject for video in run.videos}),
        emotions=[*run.emotions, *(["not analysed"] if unnamed else [])],
        types=EXPRESSION_TYPES,
        buttons=BUTTONS,
        lanes=[(name, REM * y) for name, y in lanes],
        bar_height=f"{LANE_HEIGHT:g}",
        columns=COLUMNS,
        cards=[_card(run, index, top) for index in range(len(run.videos))],
    )


def colours_of(emotions: Sequence[str]) -> list[tuple[str, str]]:
    """A colour for each emotion, and for none, on light and on dark screens."""
    colours = [*emotion_colours(tuple(emotions)).values(), FAINT]
    return [(colour, lighter(colour)) for colour in colours]


def lighter(colour: str, share: float = 0.35) -> str:
    """A colour mixed with white.

    >>> lighter("#000000", 0.5)
    '#808080'
    """
    parts = [int(colour[k : k + 2], 16) for k in (1, 3, 5)]
    return "#" + "".join(f"{round(value + share * (255 - value) + 1e-9):02x}" for value in parts)


def moment(run: RunFiles, video: int, start: float, end: float) -> str:
    """The address on the page of some frames of a video, with room on both sides."""
    fps = run.videos[video].fps
    room = max(end - start, fps)
    first, last = max(start - room, 0) / fps, min(end + room, run.n_frames[video]) / fps
    return f"#v{video}@{first:.1f}-{last:.1f}"


def events_of(run: RunFiles, video: int) -> VideoEvents:
    """The events of one video, matched as the protocol does."""
    truths, found, proposals = (table[table.video == video] for table in (run.truths, run.predicted, run.proposals))
    return VideoEvents(truths, found, proposals, match(found, truths))


def _card(run: RunFiles, index: int, top: float) -> dict[str, Any]:
    """What the template shows of a video; `top` is the upper end of the confidence axis."""
    video, n_frames, events = run.videos[index], run.n_frames[index], events_of(run, index)
    home = run.homes.get(video.subject)
    chosen = zip(EXPRESSION_TYPES, run.thresholds.get(home.name if home else "", ()), strict=False)
    curves = (
        (name, confidence_steps(events.proposals[events.proposals.type == kind], n_frames))
        for kind, name in enumerate(EXPRESSION_TYPES)
    )
    return {
        "video": video,
        "n_frames": n_frames,
        "seconds": n_frames / video.fps,
        "errors": events.errors,
        "summary": summary(events.truths, events.found, events.hits),
        "curves": [(name, step_path(curve / top)) for name, curve in curves if curve.any()],
        "thresholds": [(name, _ordinate(min(at / top, 1.0))) for name, at in chosen if np.isfinite(at)],
        "bars": list(_bars(events, len(run.emotions))),
        "ticks": list(_ticks(n_frames / video.fps)),
        "rows": list(_rows(run, index, events)),
    }


def _bars(events: VideoEvents, unknown: int) -> Iterator[dict[str, str]]:
    """All events of a video in the order of their table: truths, then predictions."""
    taken = set(events.hits[events.hits != UNMATCHED].tolist())
    for k in range(len(events.truths)):
        yield _bar(events.truths, k, 0, "" if k in taken else " false-negative", unknown)
    for k, hit in enumerate(events.hits.tolist()):
        yield _bar(events.found, k, 1, "" if hit != UNMATCHED else " false-positive", unknown)


def _bar(table: EventTable, k: int, side: int, style: str, unknown: int) -> dict[str, str]:
    start, end, emotion = float(table.start[k]), float(table.end[k]), int(table.emotion[k])
    return {
        "style": f"e{emotion if emotion >= 0 else unknown}{style}",
        "x": _short(start),
        "y": f"{LANE_TOP + LANE_STEP * (2 * int(table.type[k]) + side):g}",
        "width": _short(end - start),
    }


def confidence_steps(proposals: EventTable, n_frames: int) -> FloatArray:
    """Confidence `(n_frames,)` in each frame: that of the highest scoring proposal that covers it."""
    curve = np.zeros(n_frames)
    first = np.clip(np.rint(proposals.start), 0, n_frames).astype(np.int64)
    last = np.clip(np.rint(proposals.end), 0, n_frames).astype(np.int64)
    for a, b, confidence in zip(first.tolist(), last.tolist(), proposals.score.tolist(), strict=True):
        np.maximum(curve[a:b], confidence, out=curve[a:b])
    return curve


def step_path(share: FloatArray) -> str:
    """An area under a curve of shares `(T,)` of the axis, as few steps as its levels have.

    >>> step_path(np.array([0.0, 1.0, 1.0, 0.0]))
    'M0 99H1V56H3V99H4V99Z'
    """
    level = np.rint(np.clip(share, 0, 1) * LEVELS).astype(np.int64)
    change = np.flatnonzero(np.diff(level)) + 1
    parts = [f"M0 {_ordinate(0):g}" if not level[0] else f"M0 {_ordinate(0):g}V{_ordinate(level[0] / LEVELS):.4g}"]
    parts += [f"H{at}V{_ordinate(level[at] / LEVELS):.4g}" for at in change.tolist()]
    return "".join(parts) + f"H{len(level)}V{_ordinate(0):g}Z"


def _ordinate(share: float) -> float:
    return CURVE_BOTTOM - share * (CURVE_BOTTOM - CURVE_TOP)


def _ticks(seconds: float) -> Iterator[tuple[float, str]]:
    """Place in per cent and text of the ticks of a whole video; the script draws those of a part."""
    step = next((each for each in TICK_STEPS if seconds / each <= 9), 3600)
    for k in range(int(seconds / step + 1e-9) + 1):
        yield 100 * k * step / seconds, f"{k * step:g} s"


def _short(number: float) -> str:
    return f"{number:.2f}".rstrip("0").rstrip(".")


def _rows(run: RunFiles, index: int, events: VideoEvents) -> Iterator[tuple[Any, ...]]:
    """A row of the table for each bar of the picture."""
    taken = {int(truth): k for k, truth in enumerate(events.hits) if truth != UNMATCHED}
    for k in range(len(events.truths)):
        outcome = f"found, IoU {_iou(events, taken[k], k):.2f}" if k in taken else "false negative"
        yield ("truth", *_event(run, index, events.truths, k), "", outcome)
    for k, hit in enumerate(events.hits.tolist()):
        outcome = f"hit, IoU {_iou(events, k, hit):.2f}" if hit != UNMATCHED else "false positive"
        yield ("prediction", *_event(run, index, events.found, k), f"{events.found.score[k]:.2f}", outcome)


def _event(run: RunFiles, index: int, table_: EventTable, k: int) -> tuple[Any, ...]:
    start, end = float(table_.start[k]), float(table_.end[k])
    video = run.videos[index]
    onset, offset = whole_frames(start, end, video.first_frame)
    emotion = int(table_.emotion[k])
    seconds = {"href": moment(run, index, start, end), "text": f"{start / video.fps:.1f} to {end / video.fps:.1f}"}
    name = run.emotions[emotion] if emotion >= 0 else "not analysed"
    return EXPRESSION_TYPES[int(table_.type[k])], name, str(onset), str(offset), seconds


def _iou(events: VideoEvents, found: int, truth: int) -> float:
    one, other = events.found, events.truths
    return float(interval_iou(one.start[found], one.end[found], other.start[truth], other.end[truth]))
