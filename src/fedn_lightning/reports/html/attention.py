"""What a trained network looked at: the weights of both attentions in the windows around chosen events."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from fedn_lightning.analysis.errors import false_alarms, misses
from fedn_lightning.datamodules.windows import window_frames, window_starts
from fedn_lightning.errors import FednError
from fedn_lightning.events import EXPRESSION_TYPES, EventTable, FloatArray, IntArray
from fedn_lightning.inference.config import DetectorConfig, load
from fedn_lightning.metrics.functional.matching import UNMATCHED, match
from fedn_lightning.models.attention import segment_frames
from fedn_lightning.models.encoder import FrameEncoder, encode_windows
from fedn_lightning.models.fedn import FEDN, NetworkConfig
from fedn_lightning.motion.features import MotionCache, displacements
from fedn_lightning.reports.clips import Clips, data_uri, read_crops
from fedn_lightning.reports.html.skeleton import Markup, missing, paragraph, section
from fedn_lightning.reports.html.strips import describe
from fedn_lightning.reports.html.timelines import moment
from fedn_lightning.reports.motion_picture import motion_picture
from fedn_lightning.results.names import BEST
from fedn_lightning.results.run_scores import RunFiles
from fedn_lightning.video.store import StoredVideo

SPREAD = (0.1, 0.9)
"""Share of the features below the lower and the upper edge of the gate's band."""


class Network(NamedTuple):
    """A trained network and what its checkpoint says of it."""

    config: DetectorConfig
    encoder: FrameEncoder
    fedn: FEDN


@dataclass(frozen=True)
class Look:
    """Weights over one window of `W` frames in `S` segments of `L` frames.

    Attributes:
        frames: `(W,)` int64 frames of the clip store.
        gate: `(S,)` the window attention's gate, mean over the features.
        low: `(S,)` the gate below which a tenth of the features lies.
        high: `(S,)` the gate above which a tenth lies.
        weights: `(S, L)` the segment attention's weights of the frames; each row sums to one.
        members: `(S, L)` int64 positions in the window of the frames of each segment.
        moved: `(W, A, 2)` how far each area of the face is from where it rests, in eye distances; None for a network
            without a motion stream.
    """

    frames: IntArray
    gate: FloatArray
    low: FloatArray
    high: FloatArray
    weights: FloatArray
    members: IntArray
    moved: FloatArray | None = None

    def per_frame(self) -> FloatArray:
        """`(W,)` mean weight of each frame in its segments, as a multiple of the weight it has without preference."""
        total, places = np.zeros(len(self.frames)), np.zeros(len(self.frames))
        np.add.at(total, self.members, self.weights)
        np.add.at(places, self.members, 1)  # a frame at the edge stands in a segment more than once
        share: FloatArray = total / places * self.weights.shape[1]
        return share

    def segment_in(self, start: float, end: float) -> int:
        """Of the segments centred in stored frames `[start, end)` the one with the widest band; else the nearest."""
        centre = self.frames[self.members].mean(axis=1)
        inside = np.flatnonzero((centre >= start) & (centre < end))
        if not len(inside):
            return int(np.abs(centre - (start + end) / 2).argmin())
        return int(inside[(self.high - self.low)[inside].argmax()])


def load_network(path: Path) -> Network:
    """Builds the network of a detection run's checkpoint.

    Args:
        path: e.g. `RUN/checkpoints/best.ckpt`.

    Raises:
        CheckpointError: if there is none, or it is not that of a detection run.
    """
    return Network(*load(path, None, torch.device("cpu")))


@torch.inference_mode()
def look_at(network: Network, video: StoredVideo, start: float, end: float) -> Look:
    """Runs the network on the window that has an event nearest to its middle, of those it saw in the test.

    Args:
        network: as :func:`load_network` gives it.
        video: the stored video.
        start: first stored frame of the event.
        end: one past its last.

    Raises:
        VideoError: if crops are decoded from a source that is not there.
    """
    window = network.config.window
    starts = np.asarray(window_starts(video.n_frames, window, network.config.stride))
    first = int(starts[np.abs(starts + window / 2 - (start + end) / 2).argmin()])
    frames = window_frames(first, window, video.n_frames)
    pixels = torch.from_numpy(np.stack(read_crops(video, frames))).permute(0, 3, 1, 2).unsqueeze(0)
    features = encode_windows(network.encoder, pixels, network.config.encoder)
    moved = None
    if network.config.network.has_motion:
        cache = MotionCache(Path(video.path).parent / "motion", network.config.motion)
        cache.build([video], jobs=0)
        motion = torch.from_numpy(cache.features(video)[frames].astype(np.float32))
        features = torch.cat([features, motion.unsqueeze(0)], dim=-1)
        moved = displacements(cache.load(video), video.fps)[frames]
    attention = network.fedn.attention(features)
    gate = attention.window[0].double()
    low, high = torch.quantile(gate, torch.tensor(SPREAD, dtype=gate.dtype), dim=0)
    return Look(
        frames=frames,
        gate=gate.mean(0).numpy(),
        low=low.numpy(),
        high=high.numpy(),
        weights=attention.segments[0].double().numpy(),
        members=_members(network.config.network, window),
        moved=moved,
    )


def _members(config: NetworkConfig, window: int) -> IntArray:
    """Positions in the window of the frames of each segment, as the network gathers them."""
    members: IntArray = segment_frames(window, config.segment_length, config.segment_stride).numpy()
    return members


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
    parts = [_reel(stored, look), _window(stored, look, chosen, spans), _segment(stored, look, chosen)]
    if look.moved is not None:
        frames = look.members[chosen]
        here = int(frames[np.linalg.norm(look.moved[frames], axis=2).max(axis=1).argmax()])
        crop = read_crops(stored, look.frames[[here]])[0]
        parts.append(motion_picture(crop, look.moved[here], int(look.frames[here])))
    return "".join(parts)


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


TITLE = "What the network looked at"
EXPLANATION = (
    "The best checkpoint, run once more on the window around an event. Blue: the window attention's gate over the "
    "window's segments, its mean over the features and the band that eight tenths of them lie in; dashed: no "
    "preference. Where the band is wide the gate picks some features out and silences others. Red: the segment "
    "attention, how much a frame weighs in the segments it belongs to. Below: the segment of the event where the band "
    "is widest, frame by frame. Weights say where the network took its features from, not why it decided."
)


@dataclass(frozen=True)
class Choice:
    """An event worth looking at: why, the table it stands in, its row."""

    why: str
    table: EventTable
    row: int


def choose(run: RunFiles, limit: int) -> list[Choice]:
    """At most `limit` events: the best hit and the worst miss of each type, and the worst false alarm."""
    taken = match(run.predicted, run.truths)
    hits = np.flatnonzero(taken != UNMATCHED)
    hits = hits[np.argsort(-run.predicted.score[hits], kind="stable")]
    kinds = range(len(EXPRESSION_TYPES))
    found = [
        Choice("the highest scoring hit", run.predicted, row)
        for k in kinds
        for row in _first(run.predicted, hits.tolist(), k)
    ]
    alarms = [error.event for error in false_alarms(run.predicted, run.truths)]
    found += [Choice("the highest scoring false alarm", run.predicted, row) for row in alarms[:1]]
    missed = [error.event for error in misses(run.predicted, run.truths, run.proposals)]
    found += [Choice("a miss", run.truths, row) for k in kinds for row in _first(run.truths, missed, k)]
    return found[:limit]


def _first(table: EventTable, rows: list[int], kind: int) -> list[int]:
    return [row for row in rows if table.type[row] == kind][:1]


def attention_section(run: RunFiles, clips: Clips, limit: int) -> Markup:
    """Window and segment attention for some events, from the network that looked at their subject.

    Args:
        run: whose events.
        clips: its crops; the network is run on them again.
        limit: events, at most.
    """
    if not clips:
        return section("attention", TITLE, missing(clips.reason))
    chosen = choose(run, limit)
    if not chosen:
        return section("attention", TITLE, missing("Nothing was found and nothing was missed."))
    networks = _Networks(run)
    figures: list[str] = []
    reasons: dict[str, None] = {}
    for choice in chosen:
        try:
            figures.append(_figure(run, clips, networks, choice))
        except FednError as error:
            reasons[str(error)] = None
    parts = [missing(reason) for reason in reasons]
    if figures:
        parts += [paragraph(EXPLANATION), Markup(f"<div class='looks'>{''.join(figures)}</div>")]
    return section("attention", TITLE, *parts)


class _Networks:
    """The networks of a run's folds; each checkpoint is read once."""

    def __init__(self, run: RunFiles) -> None:
        self._homes = run.homes
        self._read: dict[str, Network] = {}

    def of(self, subject: str) -> Network:
        """The network that looked at a subject.

        Raises:
            CheckpointError: if its checkpoint is not there or cannot be used.
        """
        path = self._homes[subject] / BEST
        if str(path) not in self._read:
            self._read[str(path)] = load_network(path)
        return self._read[str(path)]


def _figure(run: RunFiles, clips: Clips, networks: _Networks, choice: Choice) -> str:
    """One event: its window, and its segment.

    Raises:
        FednError: if its network or its crops cannot be read.
    """
    table, row = choice.table, choice.row
    index = int(table.video[row])
    video = run.videos[index]
    stored, network = clips.video(video), networks.of(video.subject)
    start, end = float(table.start[row]), float(table.end[row])
    first, last = (float(stored.source_to_store(frame)) for frame in (start, end))
    try:
        look = look_at(network, stored, first, last)
        pictures = picture(stored, look, look.segment_in(first, last), _spans(run, index, stored))
    finally:
        stored.close()
    sure = f", confidence {table.score[row]:.2f}" if table is run.predicted else ""
    where = f"<a href='{moment(run, index, start, end)}'>{start / video.fps:.1f} s in the timeline</a>"
    caption = f"<b>{describe(run, table, row)}</b>: {choice.why}{sure}"
    return (
        f"<figure class='look'><figcaption>{caption}<span class='soft'>{html.escape(video.key)}, {where}</span>"
        f"</figcaption>{pictures}</figure>"
    )


def _spans(run: RunFiles, video: int, stored: StoredVideo) -> list[Span]:
    """All events of a video, in stored frames."""
    found = []
    for what, table in (("truth", run.truths), ("prediction", run.predicted)):
        for row in np.flatnonzero(table.video == video).tolist():
            start, end = (float(stored.source_to_store(bound[row])) for bound in (table.start, table.end))
            emotion = int(table.emotion[row]) if table.emotion[row] >= 0 else len(run.emotions)
            found.append(Span(what, start, end, emotion))
    return found
