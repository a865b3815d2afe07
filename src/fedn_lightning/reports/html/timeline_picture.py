"""The picture of one video's timeline: truths and predictions in lanes, confidence below, as SVG.

Its abscissa is the frame, stretched to the width there is; zooming changes its view box and nothing else.
"""

from __future__ import annotations

import html
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from fedn_lightning.events import EXPRESSION_TYPES, EventTable, FloatArray, IntArray
from fedn_lightning.metrics.functional.matching import UNMATCHED, match
from fedn_lightning.reports.timeline import LANES, summary
from fedn_lightning.results.run_scores import RunFiles

LANE_TOP, LANE_STEP, LANE_HEIGHT = 2.0, 12.5, 9.0
CURVE_TOP, CURVE_BOTTOM = 56.0, 99.0
"""Ordinates of the picture, which is 100 high."""
TICK_STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800)
"""Seconds between two ticks, as in `page.js`."""
LEVELS = 100
"""Steps of confidence that are told apart in the drawing."""


@dataclass(frozen=True)
class VideoEvents:
    """One video's rows of the three tables.

    Attributes:
        truths: M annotated expressions.
        found: N predictions.
        proposals: every proposal.
        hits: `(N,)` the truth each prediction took, or `UNMATCHED`.
    """

    truths: EventTable
    found: EventTable
    proposals: EventTable
    hits: IntArray

    @property
    def errors(self) -> int:
        """False alarms and misses."""
        hits = int((self.hits != UNMATCHED).sum())
        return len(self.found) + len(self.truths) - 2 * hits


class Bar(NamedTuple):
    """An event as it is drawn: first frame, length, lane, class of its style, emotion index."""

    start: float
    length: float
    lane: int
    style: str
    emotion: int


def events_of(run: RunFiles, video: int) -> VideoEvents:
    """The events of one video, matched as the protocol does."""
    truths, found, proposals = (table[table.video == video] for table in (run.truths, run.predicted, run.proposals))
    return VideoEvents(truths, found, proposals, match(found, truths))


def picture(run: RunFiles, index: int, events: VideoEvents, top: float) -> str:
    """A video's timeline.

    Args:
        run: of the video.
        index: position of the video.
        events: its events.
        top: confidence at the upper end of the axis.
    """
    label = f"{run.videos[index].key}: {summary(events.truths, events.found, events.hits)}"
    return (
        f"<svg viewBox='0 0 {run.n_frames[index]} 100' preserveAspectRatio='none' tabindex='0' role='img' "
        f"aria-label='{html.escape(label)}'>{''.join(_confidence(run, index, events, top))}"
        f"{''.join(_rect(k, bar, len(run.emotions)) for k, bar in enumerate(bars(events)))}</svg>"
    )


def bars(events: VideoEvents) -> Iterator[Bar]:
    """All events of a video in the order of their table: truths, then predictions."""
    taken = set(events.hits[events.hits != UNMATCHED].tolist())
    for k in range(len(events.truths)):
        yield _bar(events.truths, k, 0, "" if k in taken else "missed")
    for k, hit in enumerate(events.hits.tolist()):
        yield _bar(events.found, k, 1, "" if hit != UNMATCHED else "alarm")


def _bar(table_: EventTable, k: int, side: int, style: str) -> Bar:
    start, end = float(table_.start[k]), float(table_.end[k])
    return Bar(start, end - start, 2 * int(table_.type[k]) + side, style, int(table_.emotion[k]))


def _rect(k: int, bar: Bar, unknown: int) -> str:
    emotion = bar.emotion if bar.emotion >= 0 else unknown
    y = LANE_TOP + LANE_STEP * bar.lane
    style = f"e{emotion} {bar.style}".strip()
    return (
        f"<rect data-i='{k}' class='{style}' x='{_short(bar.start)}' y='{y:g}' width='{_short(bar.length)}' "
        f"height='{LANE_HEIGHT:g}'/>"
    )


def _confidence(run: RunFiles, index: int, events: VideoEvents, top: float) -> Iterator[str]:
    n_frames = run.n_frames[index]
    home = run.homes.get(run.videos[index].subject)
    chosen = run.thresholds.get(home.name if home else "", ())
    for kind, name in enumerate(EXPRESSION_TYPES):
        curve = confidence_steps(events.proposals[events.proposals.type == kind], n_frames)
        if curve.any():
            yield f"<path class='{name}' d='{step_path(curve / top)}'/>"
    for name, threshold in zip(EXPRESSION_TYPES, chosen, strict=False):
        if np.isfinite(threshold):
            yield f"<path class='{name} cut' d='M0 {_ordinate(min(threshold / top, 1.0)):.1f}H{n_frames}'/>"


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


def lane_names() -> str:
    """The names of the lanes, which must not be stretched with the picture."""
    middles = [LANE_TOP + LANE_STEP * lane + LANE_HEIGHT / 2 for lane in range(len(LANES))]
    places = [*zip(LANES, middles, strict=True), ("confidence", (CURVE_TOP + CURVE_BOTTOM) / 2)]
    # The picture is 11rem high, as in page.css.
    spans = "".join(f"<span style='top:{0.11 * at:.2f}rem'>{name}</span>" for name, at in places)
    return f"<div class='lanes' aria-hidden='true'>{spans}</div>"


def ticks(seconds: float) -> str:
    """The ticks of a whole video; the script draws those of a part."""
    step = next((each for each in TICK_STEPS if seconds / each <= 9), 3600)
    count = int(seconds / step + 1e-9)
    return "".join(
        f"<span style='left:{100 * k * step / seconds:.2f}%'>{k * step:g} s</span>" for k in range(count + 1)
    )


def _short(number: float) -> str:
    return f"{number:.2f}".rstrip("0").rstrip(".")
