"""A review in progress: its videos, their histories, and the files that follow every change."""

from __future__ import annotations

import csv
import itertools
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fedn_lightning.errors import AnnotationError, FednError, VideoError
from fedn_lightning.events import EXPRESSION_TYPES, FloatArray
from fedn_lightning.results.names import FRAMES
from fedn_lightning.review.events import History, ReviewVideo, uncertainty
from fedn_lightning.review.files import Outputs, write_corpus, write_elan
from fedn_lightning.review.pictures import Pictures

EMOTIONS = (
    "negative",
    "positive",
    "surprise",
    "happiness",
    "disgust",
    "anger",
    "fear",
    "sadness",
    "contempt",
    "others",
)
"""Emotions that the page offers beside those of the events; the class schemes know all of them."""

LANES: dict[str, tuple[str, ...]] = {
    "confidence_macro": (),
    "confidence_micro": (),
    "motion_brows": ("brow",),
    "motion_eyes": ("eye",),
    "motion_cheeks": ("cheek", "nose"),
    "motion_mouth": ("mouth", "lip", "chin"),
}
"""Curves that are drawn, and the words by which the columns of parts of the face belong to one."""

READ_TOGETHER = 500
"""Rows of the table of measures that are read at once."""

MAX_POINTS = 1500
"""Points of a curve that are sent for one view."""


class Session:
    """What the pages of one review share. Safe for several threads.

    Args:
        videos: to review.
        folder: where histories, table, links and ELAN files are written.
        coder: who reviews.
    """

    def __init__(self, videos: Sequence[ReviewVideo], folder: Path, coder: str) -> None:
        self.coder = coder
        self.pictures = Pictures()
        self._histories = {v.id: History(folder / "history" / f"{v.id}.jsonl", v) for v in videos}
        self._lock, self._export = threading.RLock(), threading.Lock()
        self._stale = False
        self._timelines: dict[str, dict[str, Any]] = {}
        self._curves: dict[str, dict[str, FloatArray]] = {}
        self._outputs = Outputs(folder)
        write_corpus(self._outputs, self._histories.values())
        for history in self._histories.values():
            if history.version and history.video.path.exists():
                self._write_elan(history)

    def history(self, key: str) -> History:
        """The history of a video."""
        if key not in self._histories:
            raise AnnotationError(f"This review has no video {key!r}.")
        return self._histories[key]

    def queue(self) -> list[dict[str, Any]]:
        """All videos: the unfinished ones first, among them those with the most uncertain decisions."""
        with self._lock:
            rows = [_summary(history) for history in self._histories.values()]
        return sorted(rows, key=lambda row: (row["done"], -row["uncertainty"], row["subject"], row["name"]))

    def state(self, key: str) -> dict[str, Any]:
        """All that the page shows of a video, without curves and times."""
        history = self.history(key)
        with self._lock:
            video = history.video
            events = sorted(history.events.values(), key=lambda e: (e.onset, e.offset, e.id))
            used = {event.emotion for event in (*events, *history.start)} - {""}
            return {
                **_summary(history),
                "version": history.version,
                "coder": self.coder,
                "fps": video.fps,
                "n_frames": video.n_frames,
                "events": [event.to_dict() for event in events],
                "found": [event.to_dict() for event in history.start] if video.found else [],
                "annotated": not video.found,
                "unreliable": video.unreliable,
                "threshold": video.threshold,
                "emotions": [*sorted(used), *(word for word in EMOTIONS if word not in used)],
                "types": EXPRESSION_TYPES,
                "file": not video.path.is_dir(),
                "notes": video.notes,
                "can_undo": history.can_undo,
            }

    def change(self, key: str, change: Callable[[History], None]) -> dict[str, Any]:
        """Applies a change to a video's history, which is saved when this returns.

        Returns:
            The new state; :meth:`export` writes the files that follow from it.
        """
        history = self.history(key)
        with self._lock:
            before = history.done, history.subject
            change(history)
            self._stale = self._stale or history.done or before != (history.done, history.subject)
            return self.state(key)

    def export(self, key: str) -> None:
        """Writes the ELAN file of a video, and the corpus if a finished video changed."""
        history = self.history(key)
        with self._export:
            with self._lock:
                stale, self._stale = self._stale, False
            if stale:
                write_corpus(self._outputs, self._histories.values())
            if history.video.path.exists():
                self._write_elan(history)

    def timeline(self, key: str) -> dict[str, Any]:
        """When each frame of a video is shown; see :meth:`Pictures.timeline`."""
        history = self.history(key)
        if key not in self._timelines:
            self._timelines[key] = self.pictures.timeline(self.playable(history))
        return self._timelines[key]

    def playable(self, history: History) -> ReviewVideo:
        """The video, if it is there."""
        if not history.video.path.exists():
            msg = f"{history.video.path} is not there any more; start fedn review with --media FOLDER that holds it."
            raise VideoError(msg)
        return history.video

    def curves(self, key: str, first: int, last: int) -> dict[str, Any]:
        """The measures of frames `first` to `last`, thinned: names, and for each `[frame, value]` of its peaks."""
        folder = self.history(key).video.folder
        if key not in self._curves:
            self._curves[key] = {} if folder is None else read_curves(folder / FRAMES)
        shown = {}
        for name, values in self._curves[key].items():
            part = values[max(0, first - 1) : last]
            step = max(1, -(-len(part) // MAX_POINTS))
            starts = np.arange(0, len(part), step)
            peaks = np.maximum.reduceat(part, starts) if len(part) else part
            shown[name] = {"first": max(1, first), "step": step, "values": np.round(peaks, 4).tolist()}
        return shown

    def _write_elan(self, history: History) -> None:
        try:
            line = self.timeline(history.video.id)
        except FednError:
            return  # the page says what is wrong with the video; its history is stored all the same
        times = np.arange(line["n_frames"]) / line["fps"] if line["times"] is None else np.array(line["times"])
        seconds = line["start"] + np.append(times, times[-1] + 1 / line["fps"])
        file = self._outputs.folder / "elan" / f"{history.video.id}.eaf"
        self._outputs.put(file, lambda path: write_elan(path, history, seconds.tolist(), self.coder))


def _summary(history: History) -> dict[str, Any]:
    """A row of the queue."""
    events = history.events.values()
    states = [event.state for event in events]
    video = history.video
    return {
        "id": video.id,
        "name": video.name,
        "subject": history.subject,
        "done": history.done,
        **{state: states.count(state) for state in ("open", "accepted", "rejected")},
        "uncertainty": round(sum(uncertainty(e, video.threshold) for e in events if e.state == "open"), 4),
        "error": "" if video.path.exists() else f"{video.path} is not there any more",
    }


def read_curves(path: Path) -> dict[str, FloatArray]:
    """The confidence and motion of each frame, from the table of measures; empty if there is none.

    Of several people and of several parts of a :data:`LANES` the greatest value of a frame counts.
    """
    if not path.is_file():
        return {}
    with path.open(encoding="utf-8") as file:
        header = next(csv.reader(file), [])
        places = {name: [header.index(each) for each in columns_of(name, header)] for name in LANES}
        places = {name: found for name, found in places.items() if found}
        wanted = [header.index("frame"), *sorted({place for found in places.values() for place in found})]
        parts = []
        try:
            # In blocks, because numpy lets no other request run while it reads.
            while line := file.readline():
                lines = [line, *itertools.islice(file, READ_TOGETHER - 1)]
                parts.append(np.loadtxt(lines, delimiter=",", usecols=wanted, quotechar='"', ndmin=2))
        except ValueError:
            raise AnnotationError(
                f"{path} holds a row whose values are no numbers; run fedn predict on the video again with --overwrite."
            ) from None
    table = np.concatenate(parts) if parts else np.empty((0, len(wanted)))
    frames = table[:, 0].astype(np.int64)
    curves = {name: np.zeros(int(frames.max(initial=0))) for name in places}
    for name, found in places.items():
        values = table[:, [wanted.index(place) for place in found]]
        if name.startswith("motion"):
            values = np.hypot(values[:, ::2], values[:, 1::2])
        np.maximum.at(curves[name], frames - 1, values.max(axis=1))
    return curves


def columns_of(lane: str, header: Sequence[str]) -> list[str]:
    """The columns of the table of measures that a curve shows, those of motion in pairs of x and y.

    >>> columns_of("motion_mouth", ["frame", "motion_chin_x", "motion_chin_y", "motion_eye_left_x"])
    ['motion_chin_x', 'motion_chin_y']
    """
    if not lane.startswith("motion"):
        return [name for name in header if name == lane]
    return [name for name in header if name.startswith("motion_") and any(part in name for part in LANES[lane])]
