"""Attention in a report: for a few events, what the network weighed in their window and in one of its segments."""

from __future__ import annotations

import html
from dataclasses import dataclass

import numpy as np

from fedn_lightning.errors import FednError
from fedn_lightning.events import EXPRESSION_TYPES, EventTable
from fedn_lightning.metrics.functional.matching import UNMATCHED, match
from fedn_lightning.reports.clips import Clips
from fedn_lightning.reports.looking import Network, load_network, look_at
from fedn_lightning.reports.mistakes import false_alarms, misses
from fedn_lightning.reports.page.attention_picture import Span, picture
from fedn_lightning.reports.page.skeleton import Markup, missing, paragraph, section
from fedn_lightning.reports.page.strips import describe
from fedn_lightning.reports.page.timelines import moment
from fedn_lightning.reports.run_files import RunFiles
from fedn_lightning.video.store import StoredVideo

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
    """The surest hit of each type, the worst false alarm and the worst miss of each type, at most `limit` in all."""
    taken = match(run.claimed, run.truths)
    hits = np.flatnonzero(taken != UNMATCHED)
    hits = hits[np.argsort(-run.claimed.score[hits], kind="stable")]
    kinds = range(len(EXPRESSION_TYPES))
    found = [Choice("the surest hit", run.claimed, row) for k in kinds for row in _first(run.claimed, hits.tolist(), k)]
    alarms = [mistake.event for mistake in false_alarms(run.claimed, run.truths)]
    found += [Choice("the surest false alarm", run.claimed, row) for row in alarms[:1]]
    missed = [mistake.event for mistake in misses(run.claimed, run.truths, run.proposals)]
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
        path = self._homes[subject] / "checkpoints" / "best.ckpt"
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
    sure = f", confidence {table.score[row]:.2f}" if table is run.claimed else ""
    where = f"<a href='{moment(run, index, start, end)}'>{start / video.fps:.1f} s in the timeline</a>"
    caption = f"<b>{describe(run, table, row)}</b>: {choice.why}{sure}"
    return (
        f"<figure class='look'><figcaption>{caption}<span class='soft'>{html.escape(video.key)}, {where}</span>"
        f"</figcaption>{pictures}</figure>"
    )


def _spans(run: RunFiles, video: int, stored: StoredVideo) -> list[Span]:
    """All events of a video, in stored frames."""
    found = []
    for what, table in (("truth", run.truths), ("prediction", run.claimed)):
        for row in np.flatnonzero(table.video == video).tolist():
            start, end = (float(stored.source_to_store(bound[row])) for bound in (table.start, table.end))
            emotion = int(table.emotion[row]) if table.emotion[row] >= 0 else len(run.emotions)
            found.append(Span(what, start, end, emotion))
    return found
