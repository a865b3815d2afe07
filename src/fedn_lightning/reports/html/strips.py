"""Film strips of a report: the worst false positives and false negatives, as face crops from the clip store."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from markupsafe import Markup

from fedn_lightning.analysis.errors import ErrorEvent, false_negatives, false_positives
from fedn_lightning.errors import FednError, StoreError
from fedn_lightning.events import EXPRESSION_TYPES, EventTable, IntArray, Video
from fedn_lightning.metrics.functional.matching import UNMATCHED
from fedn_lightning.reports.html import render
from fedn_lightning.reports.html.timelines import moment
from fedn_lightning.results.run_folder import RunFiles, resolve
from fedn_lightning.results.writing import whole_frames
from fedn_lightning.video.store import SIDE, ClipStore, Image, StoredVideo, cut_crops, key_frames

QUALITY = 82
GAIN = 4
"""How many times a change between two crops is amplified."""


class Clips:
    """The clip store of a run, which may not be there.

    Args:
        run: whose configuration names the store.

    Attributes:
        reason: why there are no crops, as a sentence; empty if there are.
    """

    def __init__(self, run: RunFiles) -> None:
        self.reason = ""
        self._store: ClipStore | None = None
        crops = run.config.crops
        if not crops.get("store"):
            self.reason = "The configuration of this run names no clip store, so there are no crops to show."
            return
        try:
            store = ClipStore(resolve(str(crops["store"]), run.environment))
        except StoreError as error:
            self.reason = str(error)
            return
        self._store = store
        if not any(video.key in store for video in run.videos):
            self.reason = f"The clip store {store.root} holds none of these videos, so there are no crops to show."

    def __bool__(self) -> bool:
        return not self.reason

    def video(self, video: Video) -> StoredVideo:
        """The stored video."""
        if self._store is None:
            raise StoreError(self.reason)
        return self._store.video(video.key)

    def crops(self, video: Video, frames: Sequence[float]) -> list[Image]:
        """The crops `(S, S, 3)` RGB nearest to some source frames."""
        stored = self.video(video)
        try:
            return cut_crops(stored, frames)
        finally:
            stored.close()


def read_crops(stored: StoredVideo, frames: IntArray) -> list[Image]:
    """Copies of some stored frames `(S, S, 3)`, in any order."""
    return list(np.array(stored.frames[frames]))


def change(before: Image, after: Image) -> Image:
    """What has moved between two crops: grey where nothing has, amplified :data:`GAIN` times.

    >>> change(np.full((1, 1, 3), 10, np.uint8), np.full((1, 1, 3), 15, np.uint8)).ravel()
    array([148, 148, 148], dtype=uint8)
    """
    moved: Image = np.clip(128 + GAIN * (after.astype(np.int16) - before.astype(np.int16)), 0, 255).astype(np.uint8)
    return moved


def data_uri(image: Image, side: int = SIDE) -> str:
    """A crop as a JPEG that stands in the page itself, never larger than it was."""
    side = min(side, image.shape[0])
    small = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
    _, data = cv2.imencode(".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return f"data:image/jpeg;base64,{base64.b64encode(data.tobytes()).decode()}"


KINDS = {
    "duplicate": "a second prediction of one expression",
    "classification": "right time, wrong type",
    "localisation": "right type, wrong ends",
    "both": "wrong ends and wrong type",
    "background": "nothing is annotated here",
    "missed": "no prediction is near it",
}
"""What each kind of error means."""


def strips_section(run: RunFiles, clips: Clips, limit: int) -> Markup:
    """The worst false positives and false negatives."""
    if not clips:
        return render("strips.html", reason=clips.reason)
    found = false_positives(run.predicted, run.truths)
    missed = false_negatives(run.predicted, run.truths, run.proposals)
    groups = (
        ("False positives", found, "by descending confidence", _false_positive),
        ("False negatives", missed, "the least confident first", _false_negative),
    )
    apex = "" if run.corpus else " Apexes are not known here, so the middle frame is shown."
    return render(
        "strips.html",
        reason="",
        explanation="Crops at onset, apex and offset, as the network saw them; a prediction has no apex, so its middle "
        "frame is shown. The fourth picture is the change from onset to apex, amplified "
        f"{GAIN} times: grey where nothing moved.{apex}",
        groups=[
            {
                "title": title,
                "shown": f"{min(limit, len(errors))} of {len(errors)}, {order}" if errors else "none",
                "errors": [describe_error(run, clips, error) for error in errors[:limit]],
            }
            for title, errors, order, describe_error in groups
        ],
    )


def _false_positive(run: RunFiles, clips: Clips, error: ErrorEvent) -> dict[str, Any]:
    prediction = _strip(run, clips, "prediction", run.predicted, error.event)
    if error.other == UNMATCHED:
        return _error(run, error, run.predicted, KINDS[error.kind], [prediction])
    truth = _strip(run, clips, "truth", run.truths, error.other)
    return _error(run, error, run.predicted, f"{KINDS[error.kind]}, IoU {error.iou:.2f}", [truth, prediction])


def _false_negative(run: RunFiles, clips: Clips, error: ErrorEvent) -> dict[str, Any]:
    strips, note = [_strip(run, clips, "truth", run.truths, error.event)], ""
    if error.other == UNMATCHED:
        note = "no proposal overlaps it, at any score"
    else:
        nearest = f"nearest proposal, IoU {error.iou:.2f}"
        strips.append(_strip(run, clips, nearest, run.proposals, error.other))
    return _error(run, error, run.truths, KINDS[error.kind], strips, note)


def _error(
    run: RunFiles, error: ErrorEvent, table: EventTable, why: str, strips: list[dict[str, Any]], note: str = ""
) -> dict[str, Any]:
    event = link_event(run, table, error.event)
    return {**event, "why": why, "strips": strips, "note": note}


def link_event(run: RunFiles, table: EventTable, row: int) -> dict[str, Any]:
    """What an event is, its video, and its address in the timeline."""
    index, start, end = int(table.video[row]), float(table.start[row]), float(table.end[row])
    video = run.videos[index]
    return {
        "what": describe(run, table, row),
        "key": video.key,
        "href": moment(run, index, start, end),
        "seconds": f"{start / video.fps:.1f}",
    }


def describe(run: RunFiles, table: EventTable, row: int) -> str:
    """Type and emotion of an event."""
    emotion = int(table.emotion[row])
    name = run.emotions[emotion] if emotion >= 0 else "emotion not analysed"
    return f"{EXPRESSION_TYPES[int(table.type[row])]}, {name}"


def _strip(run: RunFiles, clips: Clips, whose: str, table: EventTable, row: int) -> dict[str, Any]:
    """Four pictures of an event, under a line that names the event."""
    video, emotion = run.videos[int(table.video[row])], int(table.emotion[row])
    start, end = float(table.start[row]), float(table.end[row])
    sure = "" if whose == "truth" else f", confidence {table.score[row]:.2f}"
    strip = {
        "emotion": emotion if emotion >= 0 else len(run.emotions),
        "head": f"{whose}: {describe(run, table, row)}{sure}",
        "reason": "",
    }
    known = apex_of(run, video, start, end) if whose == "truth" else None
    frames = key_frames(start, end, known)
    names = ("onset", "middle" if known is None else "apex", "offset")
    try:
        crops = clips.crops(video, frames)
    except FednError as error:
        return {**strip, "reason": str(error)}
    numbers = [whole_frames(frame, frame + 1, video.first_frame)[0] for frame in frames]
    pictures = [
        (data_uri(crop), f"{name} of the {whose}, frame {number}", f"{name} {number}")
        for crop, name, number in zip(crops, names, numbers, strict=True)
    ]
    pictures.append((data_uri(change(crops[0], crops[1])), f"change from onset to {names[1]}", "change"))
    return {**strip, "pictures": pictures}


def apex_of(run: RunFiles, video: Video, start: float, end: float) -> float | None:
    """The annotated apex of a truth; None if it, or the corpus, is not there."""
    if run.corpus is None:
        return None
    for expression in run.corpus.expressions_of(video):
        if (expression.start, expression.end) == (start, end):
            return expression.apex
    return None
