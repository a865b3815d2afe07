"""Who a network has seen. Names repeat between corpora, as `s15` does, so people are told apart by what they did."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from fedn_lightning.events import Corpus

SAME = 0.5
"""Share of their marks that two people of one name must have in common to be one person."""


def marks_of(corpus: Corpus, subjects: Iterable[str]) -> dict[str, list[str]]:
    """What tells a person from one of the same name: their videos, and the frame in which each expression begins.

    Onsets are what no reading policy changes; some rows may be dropped, which :func:`known` allows for.

    Args:
        corpus: as read.
        subjects: of the corpus.

    Returns:
        By subject `video` for every video and `video@start` for every expression, sorted.
    """
    marks: dict[str, set[str]] = {subject: set() for subject in subjects}
    for video in corpus.videos:
        if video.subject in marks:
            marks[video.subject].add(video.name)
    for expression in corpus.expressions:
        if expression.subject in marks:
            marks[expression.subject].add(f"{expression.video}@{expression.start:g}")
    return {subject: sorted(found) for subject, found in marks.items()}


def known(seen: Mapping[str, Sequence[str]], corpus: Corpus, subjects: Iterable[str]) -> list[str]:
    """The subjects that are among the people seen, whatever policies, folders or copies they were read from.

    Args:
        seen: marks of the people a network was trained on, or that a choice was made on.
        corpus: another corpus, or the same.
        subjects: of that corpus.

    Returns:
        Those that have the name of someone seen, and whose expressions begin with theirs in at least half of the cases
        (of whoever has fewer); where one of both has no expressions, videos of the same name decide.
    """
    again = []
    for subject, own in marks_of(corpus, subjects).items():
        mine, theirs = set(own), set(seen.get(subject, ()))
        onsets = [{mark for mark in marks if "@" in mark} for marks in (mine, theirs)]
        one, other = onsets if all(onsets) else (mine, theirs)
        least = min(len(one), len(other))
        if least and len(one & other) >= SAME * least:
            again.append(subject)
    return sorted(again)
