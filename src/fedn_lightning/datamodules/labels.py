"""The labels of a corpus: from emotion words to class indices, and a check that labels make sense."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from typing import Literal

import numpy as np

from fedn_lightning.errors import AnnotationError
from fedn_lightning.events import EXPRESSION_TYPES, NO_EMOTION, Corpus, Expression, ExpressionType

EmotionScheme = Literal["3", "4", "7"]
LabelSource = Literal["expert", "self_report"]

NEGATIVE = frozenset(
    {"negative", "anger", "contempt", "disgust", "fear", "sad", "sadness", "repression", "helpless", "pain"}
)
POSITIVE = frozenset({"positive", "happiness", "happy"})
UNANALYSED = frozenset({"others", "other", "tense", "confused", "sympathy", "unknown", ""})
SEVEN = {"happiness": "happy", "sadness": "sad"}
"""Spellings of the 7-class scheme (CAS(ME)^3) for labels of the other releases."""

CLASSES: dict[EmotionScheme, tuple[str, ...]] = {
    "3": ("negative", "positive", "surprise"),
    "4": ("negative", "positive", "surprise", "others"),
    "7": ("happy", "sad", "disgust", "anger", "fear", "surprise", "others"),
}
"""Class names of each scheme, in the order of their index."""


def class_index(emotion: str, scheme: EmotionScheme) -> int:
    """The class of an emotion word.

    In the 3-class scheme "others" and labels of no valence are not analysed; they are still expressions to be spotted.

    Args:
        emotion: lower case, as a reader gives it.
        scheme: `3`, `4` (with others) or `7` (as labelled in CAS(ME)^3).

    Returns:
        The index into :data:`CLASSES`, or :data:`fedn_lightning.events.NO_EMOTION`.

    Raises:
        AnnotationError: if the scheme has no place for the word.

    >>> class_index("fear", "3"), class_index("others", "3"), class_index("others", "4"), class_index("fear", "7")
    (0, -1, 3, 4)
    """
    if scheme == "7":
        word = SEVEN.get(emotion, "others" if emotion in UNANALYSED else emotion)
    elif emotion in NEGATIVE:
        word = "negative"
    elif emotion in POSITIVE:
        word = "positive"
    else:
        word = "others" if emotion in UNANALYSED else emotion
    if word in CLASSES[scheme]:
        return CLASSES[scheme].index(word)
    if word == "others":
        return NO_EMOTION
    raise AnnotationError(
        f"The emotion {emotion!r} has no place in the {scheme}-class scheme ({', '.join(CLASSES[scheme])}); "
        f"set data.emotion_scheme to one that fits the labels, or data.label_source to the other labels."
    )


def expression_class(expression: Expression, scheme: EmotionScheme, source: LabelSource) -> int:
    """The class of an expression by expert label or by self-report.

    Raises:
        AnnotationError: naming subject, video and row, if self-reports are asked for and the row has none, or its word
            has no class.
    """
    where = f"{expression.dataset} {expression.video_key}, row {expression.source_row}"
    word = expression.emotion if source == "expert" else expression.emotion_self
    if word is None:
        raise AnnotationError(f"{where} has no self-reported emotion; set data.label_source to expert.")
    try:
        return class_index(word, scheme)
    except AnnotationError as error:
        raise AnnotationError(f"{where}: {error}") from None


PLAUSIBLE_SECONDS: dict[ExpressionType, tuple[float, float]] = {"macro": (0.15, 15.0), "micro": (0.03, 1.0)}
"""The median length of a corpus' expressions is at least the first, the first quartile at most the second.

A macro-expression lasts 0.5 to 4 s, a micro-expression at most 0.5 s; the bounds are far outside, so that they find a
wrong unit and no unusual corpus. The upper one looks at the first quartile because 626 of the 860 micro-expressions of
CAS(ME)^3 last longer than 0.5 s, some 7 s; a wrong unit lengthens the short ones too.
"""


def find_problems(corpus: Corpus, scheme: EmotionScheme, source: LabelSource) -> list[str]:
    """Problems of units, lengths and emotion words in a corpus.

    Args:
        corpus: as read.
        scheme: the classes that emotion words must fit.
        source: which labels are used.

    Returns:
        A sentence for each problem, with the remedy.
    """
    return [*_units(corpus), *_labels(corpus.expressions, scheme, source)]


def check_labels(corpus: Corpus, scheme: EmotionScheme, source: LabelSource) -> None:
    """Checks the labels of a corpus before anything that takes time.

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
