"""The weights of both attentions of a trained network, in the windows around chosen events."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from markupsafe import Markup

from fedn_lightning.analysis.errors import false_negatives, false_positives
from fedn_lightning.datamodules.windows import window_frames, window_starts
from fedn_lightning.errors import FednError
from fedn_lightning.events import EXPRESSION_TYPES, EventTable, FloatArray, IntArray
from fedn_lightning.inference.config import DetectorConfig, load
from fedn_lightning.metrics.functional.matching import UNMATCHED, match
from fedn_lightning.models.attention import segment_frames
from fedn_lightning.models.encoder import Encoder, encode_windows
from fedn_lightning.models.fedn import FEDN, NetworkConfig
from fedn_lightning.motion.features import AREAS, MotionCache, displacements
from fedn_lightning.reports.html import render
from fedn_lightning.reports.html.strips import Clips, data_uri, link_event, read_crops
from fedn_lightning.results.names import BEST
from fedn_lightning.results.run_folder import RunFiles
from fedn_lightning.video.alignment import EYE_DISTANCE
from fedn_lightning.video.store import StoredVideo

SPREAD = (0.1, 0.9)
"""Share of the features below the lower and the upper edge of the gate's band."""


class Network(NamedTuple):
    """A trained network and what its checkpoint says of it."""

    config: DetectorConfig
    encoder: Encoder
    fedn: FEDN


@dataclass(frozen=True)
class Look:
    """Weights over one window of `W` frames in `S` segments of `L` frames."""

    frames: IntArray  # `(W,)` int64 frames of the clip store
    gate: FloatArray  # `(S,)` the window attention's gate, mean over the features
    low: FloatArray  # `(S,)` the gate below which a tenth of the features lies
    high: FloatArray  # `(S,)` the gate above which a tenth lies
    weights: FloatArray  # `(S, L)` the segment attention's weights of the frames; each row sums to one
    members: IntArray  # `(S, L)` int64 positions in the window of the frames of each segment
    # `(W, A, 2)` how far each area of the face is from where it rests, in eye distances; None for a network without a
    # motion stream
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
    """Builds the network of a detection run's checkpoint."""
    return Network(*load(path, None, torch.device("cpu")))


@torch.inference_mode()
def look_at(network: Network, video: StoredVideo, start: float, end: float) -> Look:
    """Runs the network on the window that has an event nearest to its middle, of those in the test."""
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
PLOT_TOP, PLOT_BOTTOM = 34, 138
"""Ordinates of the gate's plot."""
ROWS = {"truth": 2, "prediction": 17}
"""Ordinates of the events above the plot."""
REEL = 16
"""Crops of a window."""
REEL_SIDE, SEGMENT_SIDE, MOTION_SIDE = 56, 96, 256
"""Sides in pixels of the crops of a window, of a segment, and of the picture of motion."""
TALLEST = 2.6
"""Height of the bar of a segment's heaviest frame, in rem."""
LONGEST = 0.14
"""Length of the longest arrow, as a part of the side: motion is drawn larger than it is, and the caption says so."""


class Span(NamedTuple):
    """An event in stored frames: a key of :data:`ROWS`, start, end, and the number of its colour."""

    what: str
    start: float
    end: float
    emotion: int


def picture(stored: StoredVideo, look: Look, chosen: int, spans: Sequence[Span]) -> dict[str, Any]:
    """What the template shows of a look."""
    places = ((np.arange(REEL) + 0.5) / REEL * len(look.frames)).astype(np.int64)
    motion = None
    if look.moved is not None:
        frames = look.members[chosen]
        here = int(frames[np.linalg.norm(look.moved[frames], axis=2).max(axis=1).argmax()])
        motion = motion_picture(read_crops(stored, look.frames[[here]])[0], look.moved[here], int(look.frames[here]))
    return {
        "reel": [data_uri(crop, REEL_SIDE) for crop in read_crops(stored, look.frames[places])],
        "window": _window(stored.fps, look, chosen, spans),
        "segment": _segment(stored, look, chosen),
        "motion": motion,
    }


def _window(fps: float, look: Look, chosen: int, spans: Sequence[Span]) -> dict[str, Any]:
    """Events of the window, the gate with the chosen segment, and the weight of each frame."""
    members, scale = look.members[chosen], WIDTH / len(look.frames)
    x = (np.arange(len(look.gate)) + 0.5) * WIDTH / len(look.gate)
    top = 1.15 * max(float(look.high.max()), float(look.gate.max()))

    def ordinate(values: FloatArray) -> FloatArray:
        return np.asarray(PLOT_BOTTOM - values / top * (PLOT_BOTTOM - PLOT_TOP))

    def points(values: FloatArray) -> list[str]:
        return [f"{a:.1f},{b:.1f}" for a, b in zip(x, ordinate(values), strict=True)]

    weight = look.per_frame()
    return {
        "width": WIDTH,
        "height": HEIGHT,
        "top": PLOT_TOP,
        "bottom": PLOT_BOTTOM,
        "begin": f"{look.frames[0] / fps:.1f}",
        "end": f"{(look.frames[-1] + 1) / fps:.1f}",
        "events": list(_events(look, spans)),
        "even": float(ordinate(look.gate.mean(keepdims=True))[0]),
        "band": " ".join([*points(look.high), *reversed(points(look.low))]),
        "mean": " ".join(points(look.gate)),
        # A cell for each frame, the redder the more the frame weighs in its segments; the heaviest is full red.
        "cells": [
            {"x": k * scale, "width": scale, "share": share} for k, share in enumerate((weight / weight.max()).tolist())
        ],
        "pick_x": members.min() * scale,
        "pick_width": (np.ptp(members) + 1) * scale,
    }


def _events(look: Look, spans: Sequence[Span]) -> Iterator[dict[str, Any]]:
    """Bars above the plot: truths in the first row, predictions in the second."""
    scale, begin = WIDTH / len(look.frames), float(look.frames[0])
    for span in spans:
        a, b = (min(max((bound - begin) * scale, 0.0), WIDTH) for bound in (span.start, span.end))
        if b > a:
            yield {"emotion": span.emotion, "x": a, "y": ROWS[span.what], "width": b - a, "what": span.what}


def _segment(stored: StoredVideo, look: Look, chosen: int) -> list[dict[str, Any]]:
    """The frames of one segment, with a bar above each for its weight."""
    weights, frames = look.weights[chosen], look.frames[look.members[chosen]]
    crops = read_crops(stored, frames)
    return [
        {
            "number": frame,
            "weight": weight,
            "height": TALLEST * weight / weights.max(),
            "source": data_uri(crop, SEGMENT_SIDE),
        }
        for weight, frame, crop in zip(weights.tolist(), frames.tolist(), crops, strict=True)
    ]


def motion_picture(crop: npt.NDArray[np.uint8], moved: FloatArray, frame: int) -> dict[str, Any]:
    """A crop with an arrow for each area of the face, for networks with a motion stream.

    Args:
        crop: `(S, S, 3)` uint8 RGB.
        moved: `(A, 2)` distance of each of :data:`fedn_lightning.motion.features.AREAS` from its rest position, in eye
            distances.
        frame: its number in the clip, for the caption.
    """
    parts = moved * EYE_DISTANCE  # of the crop's side
    longest = float(np.linalg.norm(parts, axis=1).max())
    times = LONGEST / longest if longest > 0 else 1.0
    arrows = []
    for area, (x, y) in zip(AREAS, (parts * times * MOTION_SIDE).tolist(), strict=True):
        left, top = (area.left + area.right) / 2 * MOTION_SIDE, (area.top + area.bottom) / 2 * MOTION_SIDE
        arrows.append({"name": area.name, "x1": left, "y1": top, "x2": left + x, "y2": top + y})
    source = data_uri(crop, MOTION_SIDE)
    return {"frame": frame, "times": times, "side": MOTION_SIDE, "source": source, "arrows": arrows}


TITLE = "Attention of the network"
EXPLANATION = (
    "The best checkpoint, run once more on the window around an event. Blue: the window attention's gate over the "
    "window's segments, its mean over the features and the band that eight tenths of them lie in; dashed: no "
    "preference. Where the band is wide the gate picks some features out and silences others. Red: the segment "
    "attention, how much a frame weighs in the segments it belongs to. Below: the segment of the event where the band "
    "is widest, frame by frame. Weights say where the network took its features from, not why it decided."
)


@dataclass(frozen=True)
class Choice:
    """A chosen event: why it was chosen, the table it stands in, its row."""

    why: str
    table: EventTable
    row: int


def choose(run: RunFiles, limit: int) -> list[Choice]:
    """At most `limit` events: a hit and a false negative of each type, and the highest scoring false positive."""
    taken = match(run.predicted, run.truths)
    hits = np.flatnonzero(taken != UNMATCHED)
    hits = hits[np.argsort(-run.predicted.score[hits], kind="stable")]
    kinds = range(len(EXPRESSION_TYPES))
    found = [
        Choice("the highest scoring hit", run.predicted, row)
        for k in kinds
        for row in _first(run.predicted, hits.tolist(), k)
    ]
    wrong = [error.event for error in false_positives(run.predicted, run.truths)]
    found += [Choice("the highest scoring false positive", run.predicted, row) for row in wrong[:1]]
    missed = [error.event for error in false_negatives(run.predicted, run.truths, run.proposals)]
    found += [Choice("a false negative", run.truths, row) for k in kinds for row in _first(run.truths, missed, k)]
    return found[:limit]


def _first(table: EventTable, rows: list[int], kind: int) -> list[int]:
    return [row for row in rows if table.type[row] == kind][:1]


def attention_section(run: RunFiles, clips: Clips, limit: int) -> Markup:
    """Window and segment attention for some events, from the network that was tested on their subject."""
    chosen = choose(run, limit) if clips else []
    looks: list[dict[str, Any]] = []
    reasons: dict[str, None] = {}
    if not chosen:
        reasons[clips.reason or "There are no predictions and no false negatives."] = None
    networks = _Networks(run)
    for choice in chosen:
        try:
            looks.append(_look(run, clips, networks, choice))
        except FednError as error:
            reasons[str(error)] = None
    return render("attention.html", title=TITLE, explanation=EXPLANATION, reasons=list(reasons), looks=looks)


class _Networks:
    """The networks of a run's folds; each checkpoint is read once."""

    def __init__(self, run: RunFiles) -> None:
        self._homes = run.homes
        self._read: dict[str, Network] = {}

    def of(self, subject: str) -> Network:
        """The network that was tested on a subject."""
        path = self._homes[subject] / BEST
        if str(path) not in self._read:
            self._read[str(path)] = load_network(path)
        return self._read[str(path)]


def _look(run: RunFiles, clips: Clips, networks: _Networks, choice: Choice) -> dict[str, Any]:
    """One event: its window, and its segment."""
    table, row = choice.table, choice.row
    index = int(table.video[row])
    video = run.videos[index]
    stored, network = clips.video(video), networks.of(video.subject)
    first, last = (float(stored.source_to_store(float(bound[row]))) for bound in (table.start, table.end))
    try:
        look = look_at(network, stored, first, last)
        pictures = picture(stored, look, look.segment_in(first, last), _spans(run, index, stored))
    finally:
        stored.close()
    sure = f", confidence {table.score[row]:.2f}" if table is run.predicted else ""
    return {**link_event(run, table, row), "why": f"{choice.why}{sure}", **pictures}


def _spans(run: RunFiles, video: int, stored: StoredVideo) -> list[Span]:
    """All events of a video, in stored frames."""
    found = []
    for what, table in (("truth", run.truths), ("prediction", run.predicted)):
        for row in np.flatnonzero(table.video == video).tolist():
            start, end = (float(stored.source_to_store(bound[row])) for bound in (table.start, table.end))
            emotion = int(table.emotion[row]) if table.emotion[row] >= 0 else len(run.emotions)
            found.append(Span(what, start, end, emotion))
    return found
