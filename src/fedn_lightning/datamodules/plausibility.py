"""Asks whether a corpus makes sense, before anything that takes time: units, lengths, and emotion words."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator

import numpy as np

from fedn_lightning.datamodules.emotions import (
    CLASSES,
    NEGATIVE,
    POSITIVE,
    UNANALYSED,
    EmotionScheme,
    LabelSource,
    class_index,
)
from fedn_lightning.errors import AnnotationError
from fedn_lightning.events import EXPRESSION_TYPES, Corpus, Expression, ExpressionType

PLAUSIBLE_SECONDS: dict[ExpressionType, tuple[float, float]] = {"macro": (0.15, 15.0), "micro": (0.03, 1.0)}
"""The median length of a corpus' expressions is at least the first, the first quartile at most the second.

A macro-expression lasts 0.5 to 4 s, a micro-expression at most 0.5 s; the bounds are far outside, so that they find a
wrong unit and no unusual corpus. The upper one looks at the first quartile because 626 of the 860 micro-expressions of
CAS(ME)^3 last longer than 0.5 s, some 7 s; a wrong unit lengthens the short ones too.
"""


def find_problems(corpus: Corpus, scheme: EmotionScheme, source: LabelSource) -> list[str]:
    """What cannot be right with a corpus as it was read.

    Args:
        corpus: as read.
        scheme: the classes that emotion words must fit.
        source: which labels are used.

    Returns:
        A sentence for each problem, with what it would have to be.
    """
    return [*_units(corpus), *_labels(corpus.expressions, scheme, source)]


def check(corpus: Corpus, scheme: EmotionScheme, source: LabelSource) -> None:
    """Refuses a corpus that makes no sense.

    Raises:
        AnnotationError: with the first problem, and how many more there are.
    """
    problems = find_problems(corpus, scheme, source)
    if problems:
        more = f" There are {len(problems) - 1} more problems; fedn data check lists them." if len(problems) > 1 else ""
        raise AnnotationError(problems[0] + more)


def _units(corpus: Corpus) -> Iterator[str]:
    rates = {video.key: video.fps for video in corpus.videos}
    fractions = [e for e in corpus.expressions if e.start % 1 or e.end % 1]
    if 2 * len(fractions) > len(corpus.expressions):
        e = fractions[0]
        yield (
            f"{len(fractions)} of {len(corpus.expressions)} expressions begin or end between two frames (e.g. "
            f"{e.video_key}, row {e.source_row}), as times in seconds do. Onset and offset must be frame numbers: "
            f"multiply seconds by the frame rate, {rates[e.video_key]:g} in this video, and count as first_frame says."
        )
        return
    for kind in EXPRESSION_TYPES:
        lengths = [(e.end - e.start) / rates[e.video_key] for e in corpus.expressions if e.type == kind]
        if not lengths:
            continue
        quartile, median = np.quantile(lengths, (0.25, 0.5)).tolist()
        low, high = PLAUSIBLE_SECONDS[kind]
        if median < low:
            yield (
                f"The median {kind}-expression lasts {median:.3g} s at the videos' frame rate; at least {low:g} s is "
                "plausible. Are onset and offset seconds instead of frames? They must be frame numbers of the video."
            )
        elif quartile > high:
            yield (
                f"Three quarters of the {kind}-expressions last longer than {quartile:.3g} s at the videos' frame "
                f"rate; at most {high:g} s is plausible. Are onset and offset milliseconds, or frames of another frame "
                "rate? They must be frame numbers of the video."
            )


def _labels(expressions: Iterable[Expression], scheme: EmotionScheme, source: LabelSource) -> Iterator[str]:
    rows: dict[str, list[Expression]] = {}
    missing = []
    for e in expressions:
        word = e.emotion if source == "expert" else e.emotion_self
        if word is None:
            missing.append(e)
        else:
            rows.setdefault(word, []).append(e)
    if missing:
        yield (
            f"{len(missing)} expressions have no self-reported emotion (e.g. {missing[0].video_key}, row "
            f"{missing[0].source_row}); set data.corpus.label_source to expert."
        )
    for word, found in sorted(rows.items()):
        try:
            class_index(word, scheme)
        except AnnotationError as error:
            known = sorted({*NEGATIVE, *POSITIVE, *UNANALYSED, *CLASSES[scheme]} - {""})
            near = difflib.get_close_matches(word, known, 1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            yield f"{found[0].video_key}, row {found[0].source_row} ({len(found)} rows): {error}{hint}"
