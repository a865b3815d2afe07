"""What a corpus on disk holds and what is wrong with it: counts, repairs, overlaps, and how well its labels agree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np

from fedn_lightning.corpora.annotations import UNUSABLE
from fedn_lightning.data.emotions import NEGATIVE, POSITIVE
from fedn_lightning.events import EXPRESSION_TYPES, Corpus, Expression, IntArray, Repair, to_inclusive

VALENCES = ("negative", "positive", "surprise", "others")
"""Classes in which expert labels and self-reports are compared."""


@dataclass(frozen=True, slots=True)
class Overlap:
    """Two expressions of one video that share frames: legal, but one of them may be unfindable.

    Attributes:
        video: key of the video.
        rows: their rows in the annotation table.
        frames: `onset-offset` of each, inclusive, as the release counts.
    """

    video: str
    rows: tuple[int, int]
    frames: tuple[str, str]


@dataclass(frozen=True)
class Agreement:
    """Expert labels against self-reports, as valences.

    Attributes:
        confusion: `(4, 4)` int64; rows are the expert's valences in the order of :data:`VALENCES`, columns the
            subject's own.
    """

    confusion: IntArray

    @property
    def agreeing(self) -> int:
        """Expressions on which both agree."""
        return int(np.trace(self.confusion))

    @property
    def kappa(self) -> float:
        """Cohen's kappa over all expressions; nan where chance alone would agree."""
        return cohen_kappa(self.confusion)

    def analysed(self) -> Agreement:
        """The same without the expressions that the expert calls others."""
        return Agreement(self.confusion[: VALENCES.index("others")])


@dataclass(frozen=True)
class Checkup:
    """The state of a corpus.

    Attributes:
        corpus: as read with unusable rows dropped.
        published: counts the release should have, None if there are none to compare with.
    """

    corpus: Corpus
    published: dict[str, int] | None = None

    @property
    def faults(self) -> tuple[Repair, ...]:
        """Rows and files that cannot be used."""
        return tuple(repair for repair in self.corpus.repairs if repair.rule.startswith(UNUSABLE))

    @property
    def repairs(self) -> tuple[Repair, ...]:
        """Rows that a policy changed or dropped."""
        return tuple(repair for repair in self.corpus.repairs if not repair.rule.startswith(UNUSABLE))

    @property
    def ready(self) -> bool:
        """Whether training can start: expressions of two subjects or more, and nothing unusable."""
        return not self.faults and len({e.subject for e in self.corpus.expressions}) > 1

    def counts(self) -> dict[str, int]:
        """What there is of everything."""
        corpus = self.corpus
        kinds = Counter(e.type for e in corpus.expressions)
        return {
            "subjects": len(corpus.subjects),
            "videos": len(corpus.videos),
            "annotated videos": len({e.video_key for e in corpus.expressions}),
            "frames": sum(video.n_frames or 0 for video in corpus.videos),
            **{kind: kinds[kind] for kind in EXPRESSION_TYPES},
        }

    def labels(self) -> dict[str, dict[str, int]]:
        """Expressions by expert label and, where there is one, by self-report, the most frequent first."""
        found = {"expert": Counter(e.emotion for e in self.corpus.expressions if e.emotion)}
        found["self-reported"] = Counter(e.emotion_self for e in self.corpus.expressions if e.emotion_self)
        return {source: dict(counter.most_common()) for source, counter in found.items() if counter}

    def lengths(self) -> dict[str, list[float]]:
        """Frames of every expression, by type."""
        expressions = self.corpus.expressions
        return {kind: sorted(e.end - e.start for e in expressions if e.type == kind) for kind in EXPRESSION_TYPES}

    def rates(self) -> dict[str, int]:
        """Videos by frames per second."""
        return {f"{fps:g}": n for fps, n in sorted(Counter(video.fps for video in self.corpus.videos).items())}

    def overlaps(self) -> tuple[Overlap, ...]:
        """All pairs of expressions that share frames."""
        first = {video.key: video.first_frame for video in self.corpus.videos}
        return tuple(
            Overlap(a.video_key, (a.source_row, b.source_row), (_span(a, first), _span(b, first)))
            for video in self.corpus.videos
            for a, b in combinations(self.corpus.expressions_of(video), 2)
            if min(a.end, b.end) > max(a.start, b.start)
        )

    def agreement(self) -> Agreement | None:
        """Expert labels against self-reports; None where a release has but one of them."""
        return agreement(self.corpus.expressions)

    def as_dict(self) -> dict[str, Any]:
        """Everything as plain values, for `--json`."""
        both = self.agreement()
        return {
            "dataset": self.corpus.name,
            "ready": self.ready,
            "counts": self.counts(),
            "published": self.published,
            "fps": self.rates(),
            "labels": self.labels(),
            "lengths": self.lengths(),
            "faults": [asdict(repair) for repair in self.faults],
            "repairs": [asdict(repair) for repair in self.repairs],
            "overlaps": [asdict(overlap) for overlap in self.overlaps()],
            "agreement": both and _agreement_dict(both),
        }


def valence(emotion: str) -> str:
    """The valence of an emotion word; `others` for words without one.

    >>> [valence(word) for word in ("fear", "happiness", "surprise", "sympathy")]
    ['negative', 'positive', 'surprise', 'others']
    """
    if emotion in NEGATIVE:
        return "negative"
    if emotion in POSITIVE:
        return "positive"
    return emotion if emotion in VALENCES else "others"


def agreement(expressions: Iterable[Expression]) -> Agreement | None:
    """Counts how expert labels and self-reports fall together; None if no expression has both."""
    confusion = np.zeros((len(VALENCES), len(VALENCES)), np.int64)
    for expression in expressions:
        if expression.emotion and expression.emotion_self:
            row, column = (VALENCES.index(valence(word)) for word in (expression.emotion, expression.emotion_self))
            confusion[row, column] += 1
    return Agreement(confusion) if confusion.any() else None


def cohen_kappa(confusion: IntArray) -> float:
    """Agreement beyond chance, `(observed - expected) / (1 - expected)`.

    Args:
        confusion: `(R, C)` counts with `R <= C`, whose first `R` columns name the rows' classes.

    >>> cohen_kappa(np.array([[20, 5], [10, 15]])).__round__(2)
    0.4
    """
    share = confusion / confusion.sum()
    expected = float(share.sum(1) @ share.sum(0)[: len(share)])
    return float((np.trace(share) - expected) / (1 - expected)) if expected < 1 else float("nan")


def _agreement_dict(both: Agreement) -> dict[str, Any]:
    return {
        "valences": list(VALENCES),
        "confusion": both.confusion.tolist(),
        "agreeing": both.agreeing,
        "of": int(both.confusion.sum()),
        "kappa": both.kappa,
        "agreeing_without_others": both.analysed().agreeing,
        "of_without_others": int(both.analysed().confusion.sum()),
        "kappa_without_others": both.analysed().kappa,
    }


def _span(expression: Expression, first: dict[str, int]) -> str:
    """Onset and offset as the release counts them."""
    onset, offset = to_inclusive(expression.start, expression.end, first[expression.video_key])
    return f"{onset:g}-{offset:g}"
