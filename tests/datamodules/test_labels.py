"""Class schemes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fedn_lightning.datamodules.labels import check_labels, class_index, expression_class, find_problems
from fedn_lightning.errors import AnnotationError
from fedn_lightning.events import NO_EMOTION, Corpus, Expression, Video


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


VIDEOS = tuple(Video("csv", name, "v", "", 30.0, n_frames=3000) for name in "ab")
EXPRESSIONS = tuple(
    Expression("csv", name, "v", start, start + length, None, kind, emotion, source_row=row)
    for name in "ab"
    for row, (start, length, kind, emotion) in enumerate(
        [(100, 60, "macro", "happiness"), (300, 12, "micro", "disgust"), (500, 45, "macro", "others")], start=2
    )
)


def corpus(expressions: tuple[Expression, ...] = EXPRESSIONS) -> Corpus:
    return Corpus("csv", VIDEOS, expressions)


def scaled(factor: float, digits: int) -> Corpus:
    """The same corpus with times in another unit, as a table of them would be read."""

    def scale(e: Expression) -> Expression:
        return replace(e, start=round(e.start * factor, digits), end=round((e.end - 1) * factor, digits) + 1)

    return corpus(tuple(map(scale, EXPRESSIONS)))


def test_a_corpus_in_frames_is_fine() -> None:
    assert find_problems(corpus(), "3", "expert") == []
    assert find_problems(corpus(()), "3", "expert") == []
    check_labels(corpus(), "4", "expert")


def test_seconds_are_no_frames() -> None:
    (problem,) = find_problems(scaled(1 / 30, 2), "3", "expert")
    assert "seconds" in problem
    assert "multiply seconds by the frame rate, 30" in problem
    assert "a/v, row 2" in problem


def test_whole_seconds_are_no_frames() -> None:
    whole = tuple(replace(e, start=10, end=13, type="macro") for e in EXPRESSIONS)
    (problem,) = find_problems(corpus(whole), "3", "expert")
    assert "lasts 0.1 s" in problem
    assert "seconds instead of frames" in problem


def test_milliseconds_are_no_frames() -> None:
    problems = find_problems(scaled(1000 / 30, 0), "3", "expert")
    assert any("milliseconds" in problem for problem in problems)


@pytest.mark.parametrize("scheme", ["3", "4", "7"])
def test_an_unknown_word_is_told_with_the_nearest_known(scheme: str) -> None:
    wrong = (*EXPRESSIONS, replace(EXPRESSIONS[0], emotion="surprised", source_row=9))
    (problem,) = find_problems(corpus(wrong), scheme, "expert")  # type: ignore[arg-type]
    assert "row 9 (1 rows)" in problem
    assert "Did you mean 'surprise'?" in problem
    with pytest.raises(AnnotationError, match="surprised"):
        check_labels(corpus(wrong), scheme, "expert")  # type: ignore[arg-type]


def test_missing_self_reports_are_counted() -> None:
    (problem,) = find_problems(corpus(), "3", "self_report")
    assert "6 expressions have no self-reported emotion" in problem


def release(name: str, fps: float, macros: list[int], micros: list[int]) -> Corpus:
    """A corpus of expressions of these lengths in frames, one after another in one video."""
    lengths = [("macro", n) for n in macros] + [("micro", n) for n in micros]
    starts = [sum(n for _, n in lengths[:row]) for row in range(len(lengths))]
    expressions = tuple(
        Expression(name, "a", "v", start, start + n, None, kind, "others", source_row=row)  # type: ignore[arg-type]
        for row, ((kind, n), start) in enumerate(zip(lengths, starts, strict=True))
    )
    return Corpus(name, (Video(name, "a", "v", "", fps),), expressions)


CASME3 = release("casme3", 30.0, [10, 60, 200] * 100, [12] * 234 + [200] * 616 + [300] * 10)
"""As long as its published counts allow: 626 of 860 micro-expressions over 15 frames, 10 of them over 200."""


@pytest.mark.parametrize(
    "genuine",
    [
        release("casme2", 30.0, [4, 35, 118] * 30, [9, 12, 17] * 10),
        release("samm_lv", 200.0, [100, 400, 6000] * 30, [30, 80, 105] * 10),
        release("smic", 100.0, [], [11, 32, 50] * 10),
        CASME3,
    ],
    ids=lambda corpus: corpus.name,
)
def test_no_release_is_refused(genuine: Corpus) -> None:
    assert find_problems(genuine, "3", "expert") == []


def test_frames_of_another_rate_are_found_in_a_release_with_long_micros() -> None:
    fast = replace(CASME3, videos=(replace(CASME3.videos[0], fps=5.0),))
    assert any("frames of another frame rate" in problem for problem in find_problems(fast, "3", "expert"))
