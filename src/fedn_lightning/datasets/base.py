"""From a release's rows to expressions: the one place where offsets are repaired and frames converted."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

from fedn_lightning.errors import AnnotationError, ConfigError
from fedn_lightning.events import Corpus, Expression, ExpressionType, Repair, Video, to_half_open
from fedn_lightning.utils.text import check_choice

TypeSource = Literal["label", "duration"]
UnusableRows = Literal["error", "drop"]
PastEnd = Literal["unusable", "clip"]

MICRO_SECONDS = 0.5
"""Longest micro-expression under `type_source="duration"`; the field's rule."""

UNUSABLE = "unusable"
"""Start of the rule of a repair that is a fault in the release rather than a policy's choice."""


@dataclass(frozen=True, slots=True)
class Annotation:
    """A row as the release has it: frames as the release counts them, both ends inclusive, None where unknown."""

    file: str
    row: int
    video: Video
    onset: float
    apex: float | None
    offset: float | None
    type: ExpressionType
    emotion: str
    emotion_self: str | None = None
    action_units: str = ""

    @property
    def frames(self) -> str:
        """The frames as text, for a repair's `before` and `after`.

        >>> Annotation("t.xlsx", 1, Video("d", "s", "v", "", 30), 3, None, 9, "macro", "").frames
        'onset 3, apex unknown, offset 9'
        """
        return ", ".join(
            f"{name} {'unknown' if value is None else f'{value:g}'}"
            for name, value in (("onset", self.onset), ("apex", self.apex), ("offset", self.offset))
        )


class RepairLog:
    """Collects every repaired and dropped row, so that nothing is dropped silently.

    Args:
        unusable_rows: `error` raises when the log is closed with an unusable row in it; `drop` lists them.

    Raises:
        ConfigError: if `unusable_rows` is neither.
    """

    def __init__(self, unusable_rows: UnusableRows = "error") -> None:
        check_choice("unusable_rows", unusable_rows, get_args(UnusableRows))
        self.unusable_rows = unusable_rows
        self._repairs: list[Repair] = []

    def repaired(self, file: str, row: int, rule: str, before: str, after: str) -> None:
        """Notes a row that a policy changed, or dropped (`after="dropped"`)."""
        self._repairs.append(Repair(file, row, rule, before, after))

    def unusable(self, file: str, row: int, why: str, before: str) -> None:
        """Notes a row (or, as row 0, a whole file) that cannot be used at all; `why` ends the sentence "row N ..."."""
        self._repairs.append(Repair(file, row, f"{UNUSABLE}: {why}", before, "dropped"))

    def close(self) -> tuple[Repair, ...]:
        """All repairs in the order of file and row.

        Raises:
            AnnotationError: under `unusable_rows="error"`, naming the first unusable row and counting the rest.
        """
        faults = [repair for repair in self._repairs if repair.rule.startswith(UNUSABLE)]
        if faults and self.unusable_rows == "error":
            first = faults[0]
            where = f"{first.file}, row {first.row}:" if first.row else f"{first.file}:"
            more = f" {len(faults) - 1} more cannot be used either." if len(faults) > 1 else ""
            why = first.rule.removeprefix(f"{UNUSABLE}: ")
            raise AnnotationError(
                f"{where} {why} ({first.before}).{more} Repair the release, or set unusable_rows: drop to go on "
                "without what cannot be used; fedn data check lists it all."
            )
        return tuple(sorted(self._repairs, key=lambda repair: (repair.file, repair.row)))


def repaired_offset(onset: float, apex: float | None, policy: str) -> float | None:
    """The offset that a policy gives to an expression whose offset the release does not know.

    Args:
        onset: first frame.
        apex: frame of maximum intensity, None if unknown.
        policy: `apex` (the expression ends at its apex, as most readers of CAS(ME)^2 do), `apex_plus:N` (N frames
            later), `mirror` (as long after the apex as before it), `drop`, or `keep` (a truth of one frame that no
            detector will hit: published codes that keep the release's 0 always count it as a false negative).

    Returns:
        The last frame, inclusive; None if the expression is to be dropped.

    Raises:
        ConfigError: if there is no such policy.

    >>> [repaired_offset(10, 14, policy) for policy in ("apex", "apex_plus:20", "mirror", "drop", "keep")]
    [14, 34, 18, None, 10]
    """
    name, _, frames = policy.partition(":")
    if name == "keep" and not frames:
        return onset
    if name == "drop" and not frames:
        return None
    known = apex is not None and apex >= onset
    peak = apex if apex is not None else onset
    if name == "apex" and not frames:
        return peak if known else None
    if name == "mirror" and not frames:
        return 2 * peak - onset if known else None
    if name == "apex_plus" and frames.isdecimal():
        return peak + int(frames) if known else None
    msg = f"offset_policy is {policy!r}; it must be one of apex, apex_plus:N (N frames, e.g. 20), mirror, drop, keep."
    raise ConfigError(msg)


def to_corpus(
    name: str,
    videos: Iterable[Video],
    annotations: Iterable[Annotation],
    log: RepairLog,
    *,
    offset_policy: str = "apex",
    type_source: TypeSource = "label",
    past_end: PastEnd = "unusable",
) -> Corpus:
    """Applies the policies to every row and converts frames to 0-based, half-open intervals.

    Args:
        name: the corpus.
        videos: all videos, also those without an annotation.
        annotations: the rows as the release has them.
        log: collects repairs; the reader may already have added some.
        offset_policy: see :func:`repaired_offset`.
        type_source: `label` takes the release's type; `duration` calls up to 0.5 s micro and the rest macro.
        past_end: what a row that ends past its video is: `unusable`, or `clip`ped to the video's last frame.

    Raises:
        AnnotationError: for unusable rows, unless the log drops them.
        ConfigError: if a policy does not exist.
    """
    repaired_offset(0, 0, offset_policy)  # a misspelt policy must not wait for the first row that needs it
    check_choice("type_source", type_source, get_args(TypeSource))
    check_choice("past_end", past_end, get_args(PastEnd))
    expressions = []
    for raw in annotations:
        row = _known_offset(raw, offset_policy, log)
        row = row and _inside_video(row, past_end, log)
        if row:
            typed = _typed(_plausible_apex(row, log), type_source, log)
            expressions.append(replace(_expression(typed), end_known=raw.offset is not None))
    return Corpus(name, tuple(sorted(videos, key=lambda v: v.key)), tuple(expressions), log.close())


def _known_offset(row: Annotation, policy: str, log: RepairLog) -> Annotation | None:
    """Gives a row an offset; None if it is dropped or ends before it starts."""
    if row.offset is None:
        offset = repaired_offset(row.onset, row.apex, policy)
        if offset is not None and row.video.n_frames is not None:
            offset = min(offset, row.video.first_frame + row.video.n_frames - 1)
        repaired = None if offset is None else replace(row, offset=offset)
        log.repaired(
            row.file, row.row, f"offset_policy={policy}", row.frames, repaired.frames if repaired else "dropped"
        )
        row = repaired or row
    if row.offset is None:
        return None
    if row.offset < row.onset:
        log.unusable(row.file, row.row, "the offset lies before the onset", row.frames)
        return None
    return row


def _inside_video(row: Annotation, past_end: PastEnd, log: RepairLog) -> Annotation | None:
    """Keeps a row inside its video; None if it cannot be."""
    video = row.video
    if row.onset < video.first_frame:
        log.unusable(row.file, row.row, f"the onset lies before the first frame of {video.key}", row.frames)
        return None
    if video.n_frames is None or row.offset is None:
        return row
    last = video.first_frame + video.n_frames - 1
    if row.offset <= last:
        return row
    if past_end == "clip" and row.onset <= last:
        clipped = replace(row, offset=float(last))
        log.repaired(row.file, row.row, "past_end=clip", row.frames, clipped.frames)
        return clipped
    log.unusable(row.file, row.row, f"the offset lies past the last frame ({last}) of {video.key}", row.frames)
    return None


def _plausible_apex(row: Annotation, log: RepairLog) -> Annotation:
    """Forgets an apex outside the expression: the interval is what is trained on and scored."""
    if row.apex is None or row.offset is None or row.onset <= row.apex <= row.offset:
        return row
    repaired = replace(row, apex=None)
    log.repaired(row.file, row.row, "apex outside the expression", row.frames, repaired.frames)
    return repaired


def _typed(row: Annotation, type_source: TypeSource, log: RepairLog) -> Annotation:
    """Replaces the type by the duration's, if asked to."""
    if type_source == "label" or row.offset is None:
        return row
    # Half a second at 30 fps is 15 frames; the tolerance keeps 29.97 fps on the same side.
    limit = MICRO_SECONDS * row.video.fps + 0.5
    kind: ExpressionType = "micro" if row.offset - row.onset + 1 <= limit else "macro"
    if kind != row.type:
        log.repaired(row.file, row.row, "type_source=duration", f"{row.type}, {row.frames}", kind)
    return replace(row, type=kind)


def _expression(row: Annotation) -> Expression:
    """Converts frames; the caller has made sure that there is an offset."""
    offset = math.nan if row.offset is None else row.offset
    start, end = to_half_open(row.onset, offset, row.video.first_frame)
    return Expression(
        dataset=row.video.dataset,
        subject=row.video.subject,
        video=row.video.name,
        start=start,
        end=end,
        apex=None if row.apex is None else row.apex - row.video.first_frame,
        type=row.type,
        emotion=row.emotion,
        emotion_self=row.emotion_self,
        action_units=row.action_units,
        source_row=row.row,
    )


def digest_corpus(corpus: Corpus) -> str:
    """A hash of a corpus's videos and labels, wherever they lie."""
    videos = [(v.key, v.fps, v.first_frame, v.n_frames) for v in sorted(corpus.videos, key=lambda v: v.key)]
    labels = sorted(repr(expression) for expression in corpus.expressions)
    return hashlib.sha256(json.dumps([corpus.name, videos, labels]).encode()).hexdigest()[:16]


PUBLISHED: dict[str, dict[str, int]] = {
    "casme2": {"subjects": 22, "videos": 97, "annotated videos": 95, "macro": 300, "micro": 57},
    "samm_lv": {"subjects": 30, "videos": 147, "macro": 343, "micro": 159},
    "casme3": {"subjects": 98, "videos": 956, "macro": 3346, "micro": 860},
    "smic": {"subjects": 16, "videos": 157, "macro": 0, "micro": 157},
}
"""By the name of the reader. Rows that a policy drops are missing from what is counted on disk."""

GENERATED = "corpus.json"
"""File in the root of a generated corpus, which has a release's layout but counts of its own."""


def is_generated(root: str | Sequence[str | Path] | Path) -> bool:
    """Whether the faces in a corpus's folder, or in all of several corpora's, are generated ones."""
    roots = [root] if isinstance(root, str | Path) else root
    return all((Path(folder) / GENERATED).is_file() for folder in roots)


def published_counts(dataset: str, root: str) -> dict[str, int] | None:
    """The published counts of a release; None for a generated corpus and for one without published counts."""
    return None if is_generated(root) else PUBLISHED.get(dataset)
