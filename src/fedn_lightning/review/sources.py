"""The videos of a review: from the folders that `fedn predict` wrote, or from a corpus with its annotations."""

from __future__ import annotations

import csv
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from fedn_lightning.datasets import read
from fedn_lightning.datasets.table import TABLE, VIDEOS
from fedn_lightning.errors import AnnotationError, ConfigError, PredictionFileError
from fedn_lightning.events import Corpus, Video
from fedn_lightning.results.names import EVENT_FILES, PREDICTION
from fedn_lightning.results.writing import whole_frames
from fedn_lightning.review.events import ReviewEvent, ReviewVideo
from fedn_lightning.utils.text import normal_form


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
    """What `fedn predict` found in one video.

    Args:
        folder: of the video, with `prediction.json` and `events.csv` or `events.json`.
    """
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
