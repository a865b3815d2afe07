"""Timelines of a report: a card for every video, with its picture, its controls, and its events as a table."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence

from fedn_lightning.events import EXPRESSION_TYPES, EventTable
from fedn_lightning.metrics.functional.interval import interval_iou
from fedn_lightning.metrics.functional.matching import UNMATCHED
from fedn_lightning.reports.html.skeleton import Markup, missing, paragraph, section, table
from fedn_lightning.reports.html.timeline_picture import VideoEvents, events_of, lane_names, picture, ticks
from fedn_lightning.reports.timeline import summary
from fedn_lightning.results.run_scores import RunFiles
from fedn_lightning.results.writing import whole_frames
from fedn_lightning.utils.drawing import FAINT, axis_top, emotion_colours

COLUMNS = ("what", "type", "emotion", "onset", "offset", "seconds", "confidence", "outcome")


def timelines_section(run: RunFiles) -> Markup:
    """All videos in the order of the run."""
    if not run.videos:
        return section("timelines", "Timelines", missing("This run looked at no video."))
    chosen = [threshold for pair in run.thresholds.values() for threshold in pair]
    top = axis_top([float(run.proposals.score.max(initial=0.0)), *chosen])
    cards = [_card(run, index, top) for index in range(len(run.videos))]
    hint = (
        "Drag to pan; zoom with the buttons, a pinch, a double click, or Ctrl and the wheel; on the keyboard with "
        "plus, minus, 0 and the arrows. The address then leads to the moment shown. Confidence in a frame is that of "
        f"the highest scoring proposal that covers it, on a scale from 0 to {top:g}; dashed: the thresholds."
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
    if (run.truths.emotion < 0).any() or (run.predicted.emotion < 0).any():
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
        f"<div class='plot'>{lane_names()}{picture(run, index, events, top)}"
        f"<div class='ticks' aria-hidden='true'>{ticks(n_frames / video.fps)}</div></div>"
        f"<p class='readout' aria-live='polite'></p>{listing}</article>"
    )


def _buttons(name: str) -> str:
    acts = {"out": ("−", "zoom out"), "in": ("+", "zoom in"), "left": ("←", "earlier"), "right": ("→", "later")}
    acts["all"] = ("whole", "show the whole video")
    buttons = "".join(
        f"<button type='button' data-act='{act}' aria-label='{label}'>{sign}</button>"
        for act, (sign, label) in acts.items()
    )
    return f"<div class='zoom' role='group' aria-label='zoom of {name}'>{buttons}</div>"


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
