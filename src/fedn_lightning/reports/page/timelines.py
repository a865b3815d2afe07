"""Timelines of a report: every video's truths, predictions and confidence as SVG that the page's script can zoom.

The picture's abscissa is the frame, stretched to the width there is; zooming changes its view box and nothing else.
"""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from fedn_lightning.events import EXPRESSION_TYPES, EventTable, FloatArray, IntArray
from fedn_lightning.metrics.functional.interval import interval_iou
from fedn_lightning.metrics.functional.matching import UNMATCHED, match
from fedn_lightning.reports.challenge import whole_frames
from fedn_lightning.reports.page.skeleton import Markup, missing, paragraph, section, table
from fedn_lightning.reports.run_files import RunFiles
from fedn_lightning.reports.timeline import FAINT, LANES, axis_top, emotion_colours, summary

LANE_TOP, LANE_STEP, LANE_HEIGHT = 2.0, 12.5, 9.0
CURVE_TOP, CURVE_BOTTOM = 56.0, 99.0
"""Ordinates of the picture, which is 100 high."""
TICK_STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800)
"""Seconds between two ticks, as in `page.js`."""
LEVELS = 100
"""Steps of confidence that are told apart in the drawing."""

COLUMNS = ("what", "type", "emotion", "onset", "offset", "seconds", "confidence", "outcome")


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
    truths, found, proposals = (table[table.video == video] for table in (run.truths, run.claimed, run.proposals))
    return VideoEvents(truths, found, proposals, match(found, truths))


def timelines_section(run: RunFiles) -> Markup:
    """All videos in the order of the run."""
    if not run.videos:
        return section("timelines", "Timelines", missing("This run looked at no video."))
    top = axis_top(
        [float(run.proposals.score.max(initial=0.0)), *(t for pair in run.thresholds.values() for t in pair)]
    )
    cards = [_card(run, index, top) for index in range(len(run.videos))]
    hint = (
        "Drag to pan; zoom with the buttons, a pinch, a double click, or Ctrl and the wheel; on the keyboard with "
        "plus, minus, 0 and the arrows. The address then leads to the moment shown. Confidence in a frame is that of "
        f"the surest proposal that covers it, on a scale from 0 to {top:g}; dashed: the thresholds."
    )
    return section("timelines", "Timelines", paragraph(hint), _controls(run), _key(run), *cards)


def emotion_style(emotions: Sequence[str]) -> str:
    """Style rules: a colour for each emotion, lighter on a dark screen."""
    colours = [*emotion_colours(tuple(emotions)).values(), FAINT]
    rules = "".join(f".e{k}{{--e:{colour};fill:var(--e);stroke:var(--e)}}" for k, colour in enumerate(colours))
    light = "".join(f".e{k}{{--e:{lighter(colour)}}}" for k, colour in enumerate(colours))
    return f"{rules}@media (prefers-color-scheme: dark){{{light}}}i[class^=e]{{background:var(--e)}}"


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


def _controls(run: RunFiles) -> str:
    subjects = sorted({video.subject for video in run.videos})
    options = "".join(f"<option>{html.escape(subject)}</option>" for subject in subjects)
    return (
        "<div class='controls'><label>Subject <select id='subject'><option value=''>all</option>"
        f"{options}</select></label><label><input type='checkbox' id='wrong'> only videos with errors</label>"
        f"<span id='shown' class='soft' role='status'>{len(run.videos)} videos</span></div>"
    )


def _key(run: RunFiles) -> str:
    def swatch(style: str, shape: str = "rect x='1' y='1' width='22' height='10'") -> str:
        return f"<svg viewBox='0 0 24 12' aria-hidden='true'><{shape} class='{style}'/></svg>"

    entries = [(swatch(f"e{k}"), name) for k, name in enumerate(run.emotions)]
    if (run.truths.emotion < 0).any() or (run.claimed.emotion < 0).any():
        entries.append((swatch(f"e{len(run.emotions)}"), "not analysed"))
    entries += [(swatch("e0 alarm"), "dashed: false alarm"), (swatch("e0 missed"), "pale: missed")]
    entries += [(swatch(kind, "path d='M1 6h22'"), f"{kind} confidence") for kind in EXPRESSION_TYPES]
    return "<ul class='key'>" + "".join(f"<li>{mark}{html.escape(name)}</li>" for mark, name in entries) + "</ul>"


def _card(run: RunFiles, index: int, top: float) -> str:
    video, n_frames, events = run.videos[index], run.n_frames[index], events_of(run, index)
    name, subject = html.escape(video.name), html.escape(video.subject)
    line = f"{summary(events.truths, events.found, events.hits)}; {n_frames / video.fps:.0f} s"
    rows = list(_rows(run, index, events))
    listing = (
        f"<details><summary>{len(rows)} events as a table</summary>{table([COLUMNS, *rows], f'events of {video.key}')}"
        "</details>"
        if rows
        else paragraph("Nothing is annotated and nothing was found here.")
    )
    return (
        f"<article class='video' id='v{index}' data-subject='{subject}' data-frames='{n_frames}' "
        f"data-fps='{video.fps:g}' data-wrong='{events.errors}'><header><div><h3>{subject} "
        f"<span class='soft'>{name}</span></h3><p class='soft'>{html.escape(line)}</p></div>{_buttons(name)}</header>"
        f"<div class='plot'>{_lane_names()}{_picture(run, index, events, top)}"
        f"<div class='ticks' aria-hidden='true'>{_ticks(n_frames / video.fps)}</div></div>"
        f"<p class='readout' aria-live='polite'></p>{listing}</article>"
    )


def _buttons(name: str) -> str:
    acts = {"out": ("-", "zoom out"), "in": ("+", "zoom in"), "left": ("←", "earlier"), "right": ("→", "later")}
    acts["all"] = ("whole", "show the whole video")
    buttons = "".join(
        f"<button type='button' data-act='{act}' aria-label='{label}'>{sign}</button>"
        for act, (sign, label) in acts.items()
    )
    return f"<div class='zoom' role='group' aria-label='zoom of {name}'>{buttons}</div>"


def _lane_names() -> str:
    middles = [LANE_TOP + LANE_STEP * lane + LANE_HEIGHT / 2 for lane in range(len(LANES))]
    places = [*zip(LANES, middles, strict=True), ("confidence", (CURVE_TOP + CURVE_BOTTOM) / 2)]
    # The picture is 11rem high, as in page.css.
    spans = "".join(f"<span style='top:{0.11 * at:.2f}rem'>{name}</span>" for name, at in places)
    return f"<div class='lanes' aria-hidden='true'>{spans}</div>"


def _picture(run: RunFiles, index: int, events: VideoEvents, top: float) -> str:
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
    """Confidence `(n_frames,)` in each frame: that of the surest proposal that covers it."""
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


def _ticks(seconds: float) -> str:
    step = next((each for each in TICK_STEPS if seconds / each <= 9), 3600)
    count = int(seconds / step + 1e-9)
    return "".join(
        f"<span style='left:{100 * k * step / seconds:.2f}%'>{k * step:g} s</span>" for k in range(count + 1)
    )


def _rows(run: RunFiles, index: int, events: VideoEvents) -> Iterator[tuple[str, ...]]:
    """A row of the table for each of :func:`bars`."""
    taken = {int(truth): k for k, truth in enumerate(events.hits) if truth != UNMATCHED}
    for k in range(len(events.truths)):
        outcome = f"found, IoU {_iou(events, taken[k], k):.2f}" if k in taken else "missed"
        yield ("truth", *_event(run, index, events.truths, k), "", outcome)
    for k, hit in enumerate(events.hits.tolist()):
        outcome = f"hit, IoU {_iou(events, k, hit):.2f}" if hit != UNMATCHED else "false alarm"
        yield ("prediction", *_event(run, index, events.found, k), f"{events.found.score[k]:.2f}", outcome)


def _event(run: RunFiles, index: int, table_: EventTable, k: int) -> tuple[str, ...]:
    start, end = float(table_.start[k]), float(table_.end[k])
    video = run.videos[index]
    onset, offset = whole_frames(start, end, video.first_frame)
    emotion = int(table_.emotion[k])
    seconds = f"<a href='{moment(run, index, start, end)}'>{start / video.fps:.1f} to {end / video.fps:.1f}</a>"
    name = run.emotions[emotion] if emotion >= 0 else "not analysed"
    return EXPRESSION_TYPES[int(table_.type[k])], name, str(onset), str(offset), Markup(seconds)


def _iou(events: VideoEvents, found: int, truth: int) -> float:
    one, other = events.found, events.truths
    return float(interval_iou(one.start[found], one.end[found], other.start[truth], other.end[truth]))


def _short(number: float) -> str:
    return f"{number:.2f}".rstrip("0").rstrip(".")
