"""What a review writes for others to read: the corpus that `dataset: csv` reads, and an ELAN file for each video."""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from fedn_lightning.datasets.eaf import CodedEvent, write_eaf
from fedn_lightning.datasets.table import COLUMNS, OPTIONAL, TABLE, VIDEOS
from fedn_lightning.errors import StoreError
from fedn_lightning.results.writing import write_csv
from fedn_lightning.review.events import ReviewEvent
from fedn_lightning.review.history import History
from fedn_lightning.utils.console import note
from fedn_lightning.utils.files import checksum, digest_file, write_json

PEOPLE = "people.csv"
"""Who is in each video, as `fedn summary --covariates` reads it: a video without events does not say it otherwise."""

TABLE_COLUMNS = (*COLUMNS, *OPTIONAL, "face", "confidence")


WRITTEN, EDITED = ".written.json", "edited"
"""Checksums of the files as they were written, by name; and the folder of files that a person has edited since."""


class Outputs:
    """The files of a review. One that a person has edited since it was written is kept in another folder.

    Args:
        folder: of the review.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._known: dict[str, list[str]] = {}
        with contextlib.suppress(OSError, ValueError):  # without it every file counts as edited, and none is lost
            self._known = json.loads((folder / WRITTEN).read_text(encoding="utf-8"))

    def put(self, path: Path, write: Callable[[Path], object]) -> Path:
        """Lets `write` write a file, and puts it in place."""
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(f".new-{path.name}")
        write(fresh)
        name, old, new = str(path.relative_to(self.folder)), checksum(path), digest_file(fresh)
        if old is not None and old != new and old not in self._known.get(name, []):
            numbered = (self.folder / EDITED / f"{path.stem}-{n}{path.suffix}" for n in itertools.count(1))
            kept = next(place for place in numbered if not place.exists())
            kept.parent.mkdir(exist_ok=True)
            path.rename(kept)
            note(f"{path} was edited outside fedn review; the edited file is now {kept}, and review does not read it.")
        self._known[name] = [new] if old is None else [new, old]
        write_json(self.folder / WRITTEN, self._known)  # first, so that a killed process knows its own file again
        return fresh.replace(path)


def accepted(history: History) -> list[ReviewEvent]:
    """The events that a person accepted, changed or added, by onset."""
    events = [event for event in history.events.values() if event.state == "accepted"]
    return sorted(events, key=lambda e: (e.onset, e.offset, e.id))


def write_corpus(outputs: Outputs, histories: Iterable[History]) -> Path:
    """Writes `annotations.csv` and links to the videos: a corpus of the finished videos; and who is in each video.

    An unfinished video is left out: whoever trains on it would take what nobody has looked at for nothing.
    """
    ordered = sorted(histories, key=lambda h: (h.subject, h.video.name))
    people = [(h.video.path.stem, h.subject) for h in ordered]
    folder = outputs.folder
    outputs.put(folder / PEOPLE, lambda path: write_csv(path, ("video", "person"), people))
    finished = [history for history in ordered if history.done]
    links = {folder / VIDEOS / h.subject / _file_name(h): h.video.path for h in finished}
    for link, video in links.items():
        _link(link, video)
    for link in (folder / VIDEOS).glob("*/*"):
        if link not in links and link.is_symlink():
            link.unlink()
            with contextlib.suppress(OSError):  # another video of this person stays
                link.parent.rmdir()
    (folder / VIDEOS).mkdir(parents=True, exist_ok=True)
    rows = [_row(h, e) for h in finished for e in accepted(h)]
    return outputs.put(folder / TABLE, lambda path: write_csv(path, TABLE_COLUMNS, rows))


def _file_name(history: History) -> str:
    return history.video.name + (history.video.path.suffix if history.video.path.is_file() else "")


def _row(history: History, e: ReviewEvent) -> list[str]:
    """One row of the table; frames are numbered as the corpus numbers them."""
    shift = history.video.first_frame - 1 if history.video.path.is_dir() else 0
    cells: dict[str, Any] = {**e.to_dict(), "subject": history.subject, "video": history.video.name}
    cells |= {"onset": e.onset + shift, "offset": e.offset + shift, "apex": None if e.apex is None else e.apex + shift}
    return ["" if cells[column] is None else str(cells[column]) for column in TABLE_COLUMNS]


def _link(link: Path, video: Path) -> None:
    if link.is_symlink() and link.resolve() == video.resolve():
        return
    link.parent.mkdir(parents=True, exist_ok=True)
    try:
        link.unlink(missing_ok=True)
        link.symlink_to(video.resolve(), target_is_directory=video.is_dir())
    except OSError as error:
        msg = f"{link} cannot be made a link to {video} ({error.strerror}); copy the video there by hand."
        raise StoreError(msg) from None


def write_elan(path: Path, history: History, seconds: Sequence[float], coder: str) -> Path:
    """Writes the accepted events of a video for ELAN; see :func:`fedn_lightning.datasets.eaf.write_eaf`.

    Args:
        path: the file; it appears whole or not at all.
        history: of the video.
        seconds: when each frame is shown, and at the end when the last one ends.
        coder: whose decisions these are.
    """
    return write_eaf(path, history.video.path, [_coded(event, seconds, coder, history) for event in accepted(history)])


def _coded(e: ReviewEvent, seconds: Sequence[float], coder: str, history: History) -> CodedEvent:
    start, end = (round(1000 * seconds[frame]) for frame in (e.onset - 1, e.offset))
    texts = {
        "confidence": "" if e.confidence is None else f"{e.confidence:.6g}",
        "apex": "" if e.apex is None else f"{seconds[e.apex - 1]:.3f}",
        "action_units": e.action_units,
        "emotion_self": e.emotion_self,
    }
    attributes = {name: text for name, text in texts.items() if text}
    named = history.subject if history.subject != history.video.name else ""
    person = f"face {e.face}" if e.face > 1 else named
    return CodedEvent(start, max(end, start + 1), e.type, e.emotion, person, coder, attributes)
