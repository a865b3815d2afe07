"""Splits by subject: training, validation and test share no subject."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fedn_lightning.errors import SplitError
from fedn_lightning.events import Corpus
from fedn_lightning.utils.text import normal_form

EVERYONE = "all"
"""All subjects of a corpus, to test a network that was trained elsewhere."""


@dataclass(frozen=True)
class SubjectSplit:
    """The subjects of a run, each tuple sorted, without a common subject."""

    train: tuple[str, ...]
    val: tuple[str, ...]
    test: tuple[str, ...]


def find_subject(given: str | int, subjects: Sequence[str]) -> str:
    """Finds the subject a user means; `15`, `"15"` and `s15` all mean `s15` where only it has that number.

    Spreadsheets drop leading zeros, so numbers are compared without them; composed and decomposed Unicode are equal.

    Raises:
        SplitError: if none or several subjects fit.

    >>> find_subject(7, ["006", "007"])
    '007'
    """
    word = normal_form(str(given))
    if word in subjects:
        return word
    digits = re.fullmatch(r"\D*0*(\d+)", word)
    fits = [s for s in subjects if digits and (m := re.fullmatch(r"\D*0*(\d+)", s)) and m.group(1) == digits.group(1)]
    if len(fits) == 1:
        return fits[0]
    what = f"could be {' or '.join(fits)}" if fits else "is not in this corpus"
    raise SplitError(
        f"Subject {given!r} {what}; its subjects are {', '.join(subjects)}. Set data.test_subject or data.val_subject "
        "to one of these names, in quotes."
    )


def split_subjects(
    subjects: Sequence[str], test: Sequence[str | int], val: Sequence[str | int] | int, seed: int = 0
) -> SubjectSplit:
    """Splits subjects into training, validation and test.

    Validation subjects are taken from those not held out, so that no choice (epoch, threshold) ever sees a test
    subject. Which they are depends on the seed and the held-out subjects alone.

    Args:
        subjects: everyone in the corpus.
        test: held-out subjects; may be empty, to train on everyone, or :data:`EVERYONE`, to train on nobody.
        val: validation subjects by name, or how many to draw.
        seed: of the draw.

    Returns:
        Three disjoint, sorted tuples that together are `subjects`.

    Raises:
        SplitError: if a subject is unknown or named twice, or nobody is left to train on.
    """
    everyone = sorted(set(subjects))
    if list(test) == [EVERYONE] and EVERYONE not in everyone:
        return SubjectSplit((), (), tuple(everyone))
    held_out = [find_subject(s, everyone) for s in test]
    rest = [s for s in everyone if s not in held_out]
    if isinstance(val, int):
        if val >= len(rest):
            raise SplitError(
                f"data.val_subject asks for {val} of the {len(rest)} subjects that are not held out "
                f"({len(everyone)} in the corpus, {len(held_out)} in data.test_subject); nobody is left to train on."
            )
        order = np.random.default_rng(np.random.SeedSequence([seed, len(held_out)])).permutation(len(everyone))
        chosen = [everyone[i] for i in order if everyone[i] in rest][:val]
    else:
        chosen = [find_subject(s, everyone) for s in val]
    both = sorted(set(held_out) & set(chosen))
    if both:
        msg = f"{', '.join(both)} is in both data.test_subject and data.val_subject; a subject may be in one of them."
        raise SplitError(msg)
    train = [s for s in rest if s not in chosen]
    if not train:
        raise SplitError("No subject is left to train on; name fewer in data.test_subject and data.val_subject.")
    return SubjectSplit(tuple(train), tuple(sorted(set(chosen))), tuple(sorted(set(held_out))))


SAME = 0.5
"""Share of their marks that two people of one name must have in common to be one person."""


def marks_of(corpus: Corpus, subjects: Iterable[str]) -> dict[str, list[str]]:
    """What distinguishes people of the same name: their videos, and the frame in which each expression begins.

    Onsets are what no reading policy changes; some rows may be dropped, which :func:`known` allows for.

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
        (of the subject with fewer); if one of the two has no expressions, videos of the same name decide.
    """
    again = []
    for subject, own in marks_of(corpus, subjects).items():
        # Where several corpora were read as one, each subject's name begins with the folder's.
        namesakes = [marks for name, marks in seen.items() if _namesakes(name, subject)]
        if any(_alike(set(own), set(marks)) for marks in namesakes):
            again.append(subject)
    return sorted(again)


def _namesakes(one: str, other: str) -> bool:
    """Whether two subjects have one name, perhaps with the folder that :func:`~.datasets.read_all` puts before it."""
    return one == other or one.endswith(f"-{other}") or other.endswith(f"-{one}")


def _alike(mine: set[str], theirs: set[str]) -> bool:
    onsets = [{mark for mark in marks if "@" in mark} for marks in (mine, theirs)]
    one, other = onsets if all(onsets) else (mine, theirs)
    least = min(len(one), len(other))
    return least > 0 and len(one & other) >= SAME * least
