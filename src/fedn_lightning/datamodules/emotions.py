"""Class schemes: from the emotion labels of a release to class indices."""

from __future__ import annotations

from typing import Literal

from fedn_lightning.errors import AnnotationError
from fedn_lightning.events import NO_EMOTION, Expression

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
    msg = (
        f"The emotion {emotion!r} has no place in the {scheme}-class scheme ({', '.join(CLASSES[scheme])}); "
        f"set data.emotion_scheme to one that fits the labels, or data.label_source to the other labels."
    )
    raise AnnotationError(msg)


def expression_class(expression: Expression, scheme: EmotionScheme, source: LabelSource) -> int:
    """The class of an expression by expert label or by self-report.

    Raises:
        AnnotationError: naming subject, video and row, if self-reports are asked for and the row has none, or its word
            has no class.
    """
    where = f"{expression.dataset} {expression.video_key}, row {expression.source_row}"
    word = expression.emotion if source == "expert" else expression.emotion_self
    if word is None:
        msg = f"{where} has no self-reported emotion; set data.label_source to expert."
        raise AnnotationError(msg)
    try:
        return class_index(word, scheme)
    except AnnotationError as error:
        msg = f"{where}: {error}"
        raise AnnotationError(msg) from None
