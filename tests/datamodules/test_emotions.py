"""Class schemes."""

import pytest

from fedn_lightning.datamodules.emotions import class_index, expression_class
from fedn_lightning.errors import AnnotationError
from fedn_lightning.events import NO_EMOTION, Expression


@pytest.mark.parametrize("word", ["anger", "contempt", "disgust", "fear", "sadness", "repression", "negative"])
def test_words_of_negative_valence(word):
    assert class_index(word, "3") == 0


def test_happiness_is_positive_and_others_are_not_analysed_in_three_classes():
    assert class_index("happiness", "3") == 1
    assert class_index("surprise", "3") == 2
    assert class_index("others", "3") == NO_EMOTION
    assert class_index("others", "4") == 3
    assert class_index("happiness", "7") == 0


def test_a_word_without_a_class_names_the_row_and_the_key():
    row = Expression("casme2", "s15", "v", 0, 9, 4, "micro", "smug", "fear", source_row=12)
    with pytest.raises(AnnotationError, match=r"casme2 s15/v, row 12: The emotion 'smug' .* data.emotion_scheme"):
        expression_class(row, "3", "expert")
    assert expression_class(row, "3", "self_report") == 0
    with pytest.raises(AnnotationError, match=r"no self-reported emotion; set data.label_source to expert"):
        expression_class(Expression("d", "s", "v", 0, 9, 4, "micro", "fear"), "3", "self_report")
