"""Whom a network has seen."""

from dataclasses import replace

from fedn_lightning.datamodules.splits import known, marks_of
from fedn_lightning.events import Corpus, Expression, Video


def corpus(onsets, videos=("a", "b")):
    """One corpus: by subject the onsets of their expressions, all in the first video."""
    clips = [Video("x", subject, name, "nowhere", 30.0) for subject in onsets for name in videos]
    found = [
        Expression("x", subject, videos[0], at, at + 20, None, "macro", "happiness")
        for subject, each in onsets.items()
        for at in each
    ]
    return Corpus("x", tuple(clips), tuple(found))


SEEN = corpus({"s15": [10, 80, 200, 300], "s16": [7, 90]})


def test_the_same_people_are_known_again_whatever_a_policy_drops_or_moves():
    marks = marks_of(SEEN, ["s15"])
    assert marks == {"s15": ["a", "a@10", "a@200", "a@300", "a@80", "b"]}
    assert known(marks, SEEN, ["s15", "s16"]) == ["s15"]  # s16 was not seen
    shorter = replace(SEEN, expressions=tuple(replace(e, end=e.end - 9) for e in SEEN.expressions[1:3]))
    assert known(marks, shorter, ["s15"]) == ["s15"]


def test_people_of_another_corpus_only_share_names():
    others = corpus({"s15": [11, 60, 210, 333], "s16": [8, 95]})
    assert known(marks_of(SEEN, ["s15", "s16"]), others, ["s15", "s16"]) == []


def test_a_person_without_expressions_is_known_by_the_videos():
    silent = corpus({"s15": []})
    assert known(marks_of(silent, ["s15"]), silent, ["s15"]) == ["s15"]
    assert known(marks_of(silent, ["s15"]), corpus({"s15": []}, videos=("c", "d")), ["s15"]) == []
    assert known(marks_of(SEEN, ["s15"]), silent, ["s15"]) == ["s15"]  # the same videos, read without their labels


def test_the_same_people_are_known_again_in_a_corpus_that_was_read_with_others():
    joined = corpus({"synthetic3d-s15": [10, 80, 200, 300], "other-s16": [8, 95]})
    assert known(marks_of(joined, joined.subjects), SEEN, ["s15", "s16"]) == ["s15"]
    assert known(marks_of(SEEN, ["s15"]), joined, joined.subjects) == ["synthetic3d-s15"]
    silent = corpus({"P01-anna": []})
    assert known(marks_of(silent, ["P01-anna"]), corpus({"P02-anna": []}), ["P02-anna"]) == []
