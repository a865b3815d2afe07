"""A row's result as a small JSON file, from which every score and every interval can be computed again.

A seed's part holds, for each subject, counts and confusions, and for each class the order of its detections: what
:class:`.Tally` needs. Once it is written, the runs are not read again.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from fedn_lightning.errors import FoldError
from fedn_lightning.events import FloatArray, IntArray
from fedn_lightning.metrics.functional.bootstrap import RankedDetections, SubjectCounts, Tally
from fedn_lightning.utils.files import plain, write_text

FORMAT = 1


@dataclass(frozen=True)
class FoldCost:
    """Thresholds, times and source of a fold."""

    thresholds: tuple[float | None, float | None]  # (macro, micro); None where none was found
    seconds: float = 0.0  # of its last attempt, start of the process to its end
    # from its first file to its last checkpoint, by epochs; None if it was resumed or has none
    seconds_an_epoch: float | None = None
    commit: str = ""  # of the source tree it was trained with
    chosen_on: str = "validation"  # `validation` or `training`, the subjects that the thresholds were chosen on


@dataclass(frozen=True)
class SeedResult:
    """What one set of folds predicted, by subject."""

    subjects: tuple[str, ...]  # names, in the order of the tally's subject index
    minutes: FloatArray  # `(S,)` float64, length of each subject's videos
    emotions: tuple[str, ...]  # class names, in the order of the emotion index
    tally: Tally  # counts, confusions and ranked detections
    # `(S, 3)` int64, TP, FP and FN of both types without the truths of unknown offset, see
    # :mod:`fedn_lightning.metrics.functional.matching`; None in files that were written before it was counted
    known_offsets: IntArray | None = None
    folds: dict[str, FoldCost] = field(default_factory=dict)  # by name
    digest: str = ""  # of the files the result was computed from


@dataclass(frozen=True)
class RowResult:
    """A row of the table, with all seeds there are."""

    name: str  # of the row
    config_hash: str  # of its experiment
    group: int  # subjects held out together
    epochs: int  # of a fold
    parameters: int  # numbers in the network, the encoder's included
    trained_parameters: int  # those of them that training changes
    seeds: dict[int, SeedResult]  # results by seed


def row_path(folder: str | Path, name: str) -> Path:
    """The path of a row's file."""
    return Path(folder) / f"{name}.json"


def write_row(folder: str | Path, row: RowResult, scores: dict[int, dict[str, float]]) -> Path:
    """Writes a row, atomically.

    Args:
        folder: of the study's results.
        row: the row.
        scores: plain scores of each seed, for a reader of the file; they follow from the rest.
    """
    value = {"format": FORMAT, **{key: v for key, v in vars(row).items() if key != "seeds"}}
    value["seeds"] = {seed: {"scores": scores[seed], **seed_json(result)} for seed, result in sorted(row.seeds.items())}
    return write_text(row_path(folder, row.name), compact(plain(value)))


def read_row(path: Path) -> RowResult:
    """Reads what :func:`write_row` wrote."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        if value.pop("format") != FORMAT:
            raise ValueError("it has another format")
        seeds = {int(seed): seed_from_json(part) for seed, part in value.pop("seeds").items()}
        return RowResult(**value, seeds=seeds)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, IndexError) as error:
        msg = f"{path} is not the result of a row ({error}); remove it, and run the study again to write it again."
        raise FoldError(msg) from error


def seed_json(result: SeedResult) -> dict[str, Any]:
    """A seed's result as plain values."""
    subjects, ranked = result.tally.subjects, result.tally.ranked
    truths = {int(c): t for c, t in zip(ranked.classes, ranked.truth_subject, strict=True)}
    place = {int(index): at for at, index in enumerate(subjects.index)}
    nothing, known = np.zeros((), np.int64), result.known_offsets
    by_subject = {}
    for index, name in enumerate(result.subjects):
        row = place.get(index)
        counts = subjects.counts[row] if row is not None else np.zeros((4, 3), np.int64)
        table = subjects.confusion[row] if row is not None else nothing
        by_subject[name] = {
            "minutes": round(float(result.minutes[index]), 6),
            "counts": counts.tolist(),
            "confusion": table.tolist() if table.ndim else [],
            "shown": subjects.in_truth[row].tolist() if row is not None else [],
            **({} if known is None else {"known_offsets": known[index].tolist()}),
            "truths": [int((truths[c] == index).sum()) if c in truths else 0 for c in range(len(result.emotions))],
        }
    order = zip(ranked.classes, ranked.score, ranked.hit, ranked.subject, strict=True)
    return {
        "digest": result.digest,
        "folds": {name: asdict(cost) for name, cost in result.folds.items()},
        "emotions": list(result.emotions),
        "subjects": by_subject,
        "ranking": {result.emotions[int(c)]: write_ranking(s, h, who) for c, s, h, who in order},
    }


def seed_from_json(value: dict[str, Any]) -> SeedResult:
    """Inverts :func:`seed_json`; detections below the last hit are gone, which changes no score."""
    names, emotions = tuple(value["subjects"]), tuple(value["emotions"])
    rows = list(value["subjects"].values())
    n_classes = max((len(row["shown"]) for row in rows), default=0)  # fewer if some emotions never occur
    confusion = np.zeros((len(rows), n_classes, n_classes + 1), np.int64)
    shown = np.zeros((len(rows), n_classes), np.int64)
    for at, row in enumerate(rows):
        if row["confusion"]:
            confusion[at], shown[at] = row["confusion"], row["shown"]
    counts = np.array([row["counts"] for row in rows], np.int64).reshape(-1, 4, 3)
    known = [row["known_offsets"] for row in rows if "known_offsets" in row]
    truths = np.array([row["truths"] for row in rows], np.int64).reshape(-1, len(emotions))
    classes = [emotions.index(name) for name in value["ranking"]]
    orders = [read_ranking(text) for text in value["ranking"].values()]
    ranked = RankedDetections(
        classes=np.array(classes, np.int64),
        score=[order[0] for order in orders],
        hit=[order[1] for order in orders],
        subject=[order[2] for order in orders],
        truth_subject=[np.repeat(np.arange(len(rows)), truths[:, c]) for c in classes],
    )
    return SeedResult(
        subjects=names,
        minutes=np.array([row["minutes"] for row in rows], np.float64),
        emotions=emotions,
        tally=Tally(SubjectCounts(np.arange(len(rows)), counts, confusion, shown), ranked),
        known_offsets=np.array(known, np.int64) if len(known) == len(rows) else None,
        folds={name: FoldCost(**{**f, "thresholds": tuple(f["thresholds"])}) for name, f in value["folds"].items()},
        digest=value["digest"],
    )


def write_ranking(score: FloatArray, hit: FloatArray, subject: IntArray) -> str:
    """Detections by descending score in a few characters each, up to the last hit.

    A number is the subject's, counted from 1, and negative where no truth is matched; brackets hold equal scores.

    >>> write_ranking(np.array([0.9, 0.8, 0.8, 0.1]), np.array([1.0, 0.0, 1.0, 0.0]), np.array([0, 2, 1, 1]))
    '1 (-3 2)'
    """
    hits = np.flatnonzero(hit)
    groups: list[str] = []
    first = 0
    while len(hits) and first <= hits[-1]:
        stop = first + int(np.argmin(np.append(score[first:] == score[first], False)))
        group = " ".join(str((int(subject[at]) + 1) * (1 if hit[at] else -1)) for at in range(first, stop))
        groups.append(f"({group})" if stop - first > 1 else group)
        first = stop
    return " ".join(groups)


def read_ranking(text: str) -> tuple[FloatArray, FloatArray, IntArray]:
    """Inverts :func:`write_ranking`; of the scores only their order comes back.

    >>> read_ranking("1 (-3 2)")
    (array([ 0., -1., -1.]), array([1., 0., 1.]), array([0, 2, 1]))
    """
    numbers: list[int] = []
    scores: list[float] = []
    for rank, group in enumerate(re.findall(r"\([^)]*\)|-?\d+", text)):
        found = [int(word) for word in re.findall(r"-?\d+", group)]
        numbers += found
        scores += [-float(rank)] * len(found)
    signed = np.array(numbers, np.int64)
    # Adding 0 turns the -0.0 of the first rank into 0.
    return np.array(scores, np.float64) + 0.0, (signed > 0).astype(np.float64), np.abs(signed) - 1


def compact(value: Any) -> str:
    r"""JSON with a line for each innermost list.

    >>> compact({"a": [[1, 2], [3]]})
    '{\n "a": [\n  [1, 2],\n  [3]\n ]\n}\n'
    """
    text = json.dumps(value, indent=1, ensure_ascii=False)
    return re.sub(r"\[\s+([^\[\]{}\"]*?)\s+\]", lambda found: f"[{' '.join(found[1].split())}]", text) + "\n"
