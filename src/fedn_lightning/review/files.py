"""What a review writes for others to read: the corpus that `dataset: csv` reads, and an ELAN file for each video."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import itertools
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from fedn_lightning.datasets import read
from fedn_lightning.datasets.eaf import CodedEvent, write_eaf
from fedn_lightning.datasets.table import COLUMNS, OPTIONAL, TABLE, VIDEOS
from fedn_lightning.errors import AnnotationError, ConfigError, PredictionFileError, StoreError
from fedn_lightning.events import Corpus, Video
from fedn_lightning.results.names import EVENT_FILES, PREDICTION
from fedn_lightning.results.writing import whole_frames, write_csv
from fedn_lightning.review.events import History, ReviewEvent, ReviewVideo
from fedn_lightning.utils.console import note
from fedn_lightning.utils.files import checksum, digest_file, write_json
from fedn_lightning.utils.text import normal_form

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
    """Writes the accepted events of a video for ELAN; see :func:`fedn_lightning.datasets.eaf.write_eaf`."""
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


def read_videos(
    target: str | Path, dataset: str | None = None, policies: Mapping[str, str] | None = None, media: str | None = None
) -> list[ReviewVideo]:
    """The videos to review.

    Args:
        target: a folder of `fedn predict` (of one video or of many), or the root of a corpus.
        dataset: reader of a corpus; `csv` where the folder has its layout.
        policies: of the reader.
        media: folder where videos that have moved are looked for by their file name.
    """
    root = Path(target)
    records = [root / PREDICTION] if (root / PREDICTION).is_file() else sorted(root.glob(f"*/{PREDICTION}"))
    if dataset is None and records:
        videos = [read_prediction(record.parent) for record in records]
    elif dataset is None and not ((root / TABLE).is_file() and (root / VIDEOS).is_dir()):
        msg = f"{target} holds no {PREDICTION} of fedn predict and no {TABLE} beside {VIDEOS}; name a --dataset."
        raise ConfigError(msg)
    else:
        corpus = read(dataset or "csv", str(root), **(policies or {}))
        videos = [_annotated(corpus, video) for video in corpus.videos]
    return [_found_again(video, media) for video in videos]


def read_prediction(folder: Path) -> ReviewVideo:
    """What `fedn predict` found in one video."""
    path = folder / PREDICTION
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        events = tuple(
            ReviewEvent.from_dict(raw, int(record["n_frames"]), f"{folder}, expression {number}")
            for number, raw in enumerate(_rows(folder), start=1)
        )
        return ReviewVideo(
            id=identifier(folder.name),
            path=Path(record["path"]),
            subject=normal_form(folder.name),
            name=normal_form(folder.name),
            fps=float(record["fps"]),
            n_frames=int(record["n_frames"]),
            events=events,
            threshold={kind: float(value) for kind, value in record["threshold"].items() if value is not None},
            boxes={face["face"]: tuple(face["box"]) for face in record["faces"] if face["box"]},
            unreliable=tuple((*whole_frames(s["start"], s["end"]), str(s["reason"])) for s in record["unreliable"]),
            folder=folder,
            notes=tuple(record["notes"]),
        )
    except (OSError, ValueError, KeyError, TypeError, AnnotationError) as error:
        msg = f"{path} cannot be reviewed ({error}); run fedn predict on the video again with --overwrite."
        raise PredictionFileError(msg) from None


def _rows(folder: Path) -> Iterator[dict[str, Any]]:
    """The expressions of a folder as fields of :class:`ReviewEvent`."""
    table, document = folder / EVENT_FILES["csv"], folder / EVENT_FILES["json"]
    if document.is_file() and not table.is_file():
        rows = json.loads(document.read_text(encoding="utf-8"))["expressions"]
    elif table.is_file():
        with table.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    else:
        raise ValueError(f"neither {table.name} nor {document.name} is there")
    for number, row in enumerate(rows, start=1):
        yield {
            "id": f"found-{number}",
            "onset": int(row["onset"]),
            "offset": int(row["offset"]),
            "type": row["type"],
            "emotion": row["emotion"] or "",
            "confidence": float(row["confidence"]),
            "face": int(row["face"]),
        }


def _annotated(corpus: Corpus, video: Video) -> ReviewVideo:
    """A video of a corpus with its annotations, which a person has accepted already."""
    events = []
    for number, e in enumerate(corpus.expressions_of(video), start=1):
        onset, offset = whole_frames(e.start, e.end)
        apex = None if e.apex is None else min(max(round(e.apex) + 1, onset), offset)
        event = ReviewEvent(f"row-{number}", onset, offset, e.type, e.emotion, "accepted", apex)
        events.append(replace(event, emotion_self=e.emotion_self or "", action_units=e.action_units))
    return ReviewVideo(
        id=identifier(video.key),
        path=Path(video.path),
        subject=video.subject,
        name=video.name,
        fps=video.fps,
        n_frames=video.n_frames,
        first_frame=video.first_frame,
        events=tuple(events),
        found=False,
    )


def identifier(name: str) -> str:
    """A name for addresses and files: its plain letters, and a digest that tells it from others.

    >>> identifier("anna/interview 1")
    'anna-interview-1-8ec8fb'
    """
    plain = re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")[:60]
    return f"{plain}-{hashlib.sha256(name.encode()).hexdigest()[:6]}"


def _found_again(video: ReviewVideo, media: str | None) -> ReviewVideo:
    """The video where it lies now: as recorded, below `media`, or beside its predictions."""
    if video.path.exists():
        return video
    places = [] if media is None else sorted(Path(media).rglob(video.path.name))
    if video.folder is not None:
        places += [video.folder / video.path.name, video.folder.parent / video.path.name]
    here = next((place for place in places if place.exists()), None)
    return video if here is None else replace(video, path=here.resolve())
