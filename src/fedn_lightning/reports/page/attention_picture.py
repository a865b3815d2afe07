"""The picture of a look: crops of the window, the gate over its segments, the weight of each frame, one segment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from fedn_lightning.events import FloatArray
from fedn_lightning.reports.clips import data_uri, read_crops
from fedn_lightning.reports.looking import Look
from fedn_lightning.video.store import StoredVideo

WIDTH, HEIGHT = 800, 156
PLOT_TOP, PLOT_BOTTOM, CELLS = 34, 138, 12
"""Ordinates of the gate's plot, and height of the row of cells below it."""
ROWS = {"truth": 2, "prediction": 17}
"""Ordinates of the events above the plot."""
REEL = 16
"""Crops of a window."""
REEL_SIDE, SEGMENT_SIDE = 56, 96
"""Their side in pixels, and that of a segment's crops."""
TALLEST = 2.6
"""Height of the bar of a segment's heaviest frame, in rem."""


class Span(NamedTuple):
    """An event in stored frames: a key of :data:`ROWS`, start, end, and the number of its colour."""

    what: str
    start: float
    end: float
    emotion: int


def picture(stored: StoredVideo, look: Look, chosen: int, spans: Sequence[Span]) -> str:
    """A look as HTML.

    Args:
        stored: the video.
        look: the weights.
        chosen: the segment to show.
        spans: events of the video.

    Raises:
        VideoError: if crops are decoded from a source that is not there.
    """
    return _reel(stored, look) + _window(stored, look, chosen, spans) + _segment(stored, look, chosen)


def _reel(stored: StoredVideo, look: Look) -> str:
    """Crops spread over the window, above the gate."""
    places = ((np.arange(REEL) + 0.5) / REEL * len(look.frames)).astype(np.int64)
    sources = [data_uri(crop, REEL_SIDE) for crop in read_crops(stored, look.frames[places])]
    return f"<div class='reel'>{''.join(f'<img src={source!r} alt loading=lazy>' for source in sources)}</div>"


def _window(stored: StoredVideo, look: Look, chosen: int, spans: Sequence[Span]) -> str:
    """Events of the window, the gate with the chosen segment, and what each frame weighs."""
    members, scale = look.members[chosen], WIDTH / len(look.frames)
    x, width, height = members.min() * scale, (np.ptp(members) + 1) * scale, PLOT_BOTTOM - PLOT_TOP
    begin, stop = look.frames[0] / stored.fps, (look.frames[-1] + 1) / stored.fps
    parts = [
        *_events(look, spans),
        *_gate(look),
        *_cells(look),
        f"<rect class='pick' x='{x:.1f}' y='{PLOT_TOP}' width='{width:.1f}' height='{height}'/>",
    ]
    name = f"Gate of the window attention from {begin:.1f} to {stop:.1f} seconds"
    ends = f"<span>{begin:.1f} s</span><span>bars: truth above, prediction below</span><span>{stop:.1f} s</span>"
    drawn = f"<svg viewBox='0 0 {WIDTH} {HEIGHT}' role='img' aria-label='{name}'>{''.join(parts)}</svg>"
    return f"{drawn}<div class='ends'>{ends}</div>"


def _events(look: Look, spans: Sequence[Span]) -> Iterator[str]:
    """Bars above the plot: truths in the first row, predictions in the second."""
    scale, begin = WIDTH / len(look.frames), float(look.frames[0])
    for span in spans:
        a, b = (min(max((bound - begin) * scale, 0.0), WIDTH) for bound in (span.start, span.end))
        if b > a:
            place = f"x='{a:.1f}' y='{ROWS[span.what]}' width='{b - a:.1f}' height='11'"
            yield f"<rect class='e{span.emotion}' {place}><title>{span.what}</title></rect>"


def _gate(look: Look) -> Iterator[str]:
    """The gate over the segments: its band, its mean, and the line of no preference."""
    x = (np.arange(len(look.gate)) + 0.5) * WIDTH / len(look.gate)
    top = 1.15 * max(float(look.high.max()), float(look.gate.max()))

    def ordinate(values: FloatArray) -> FloatArray:
        return np.asarray(PLOT_BOTTOM - values / top * (PLOT_BOTTOM - PLOT_TOP))

    def points(values: FloatArray) -> list[str]:
        return [f"{a:.1f},{b:.1f}" for a, b in zip(x, ordinate(values), strict=True)]

    even = float(ordinate(look.gate.mean(keepdims=True))[0])
    yield f"<path class='axis' d='M0 {PLOT_BOTTOM}H{WIDTH}'/><path class='even' d='M0 {even:.1f}H{WIDTH}'/>"
    yield f"<polygon class='spread' points='{' '.join([*points(look.high), *reversed(points(look.low))])}'/>"
    yield f"<polyline class='gate' points='{' '.join(points(look.gate))}'/>"


def _cells(look: Look) -> Iterator[str]:
    """A cell for each frame, the redder the more it weighs in its segments; the heaviest is full red."""
    weight = look.per_frame()
    width, y = WIDTH / len(weight), PLOT_BOTTOM + 4
    for k, share in enumerate((weight / weight.max()).tolist()):
        place = f"x='{k * width:.2f}' y='{y}' width='{width:.2f}' height='{CELLS}'"
        yield f"<rect class='cell' {place} opacity='{share:.2f}'/>"


def _segment(stored: StoredVideo, look: Look, chosen: int) -> str:
    """The frames of one segment, a bar above each for its weight."""
    weights, frames = look.weights[chosen], look.frames[look.members[chosen]]
    cells = []
    for weight, frame, crop in zip(weights.tolist(), frames.tolist(), read_crops(stored, frames), strict=True):
        alt = f"frame {frame} of the clip, weight {weight:.3f}"
        cells.append(
            f"<div><i style='height:{TALLEST * weight / weights.max():.2f}rem'></i>"
            f"<img src='{data_uri(crop, SEGMENT_SIDE)}' alt='{alt}' loading='lazy'>{weight:.3f}</div>"
        )
    note = f"<p class='none'>One segment; without preference each frame would weigh {1 / len(weights):.3f}.</p>"
    return f"{note}<div class='eight'>{''.join(cells)}</div>"
