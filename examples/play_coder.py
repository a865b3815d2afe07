"""Plays the coder of docs/tutorial.md: corrects what was found in generated videos by what is known of them.

    python examples/play_coder.py data/tutorial found found-review

Writes what `fedn review found` writes when a person corrects each video: a history, a corpus, and ELAN files. An
expression that was found and overlaps a true one by half gets its frames, type and emotion; other found ones are
rejected, and missed ones added.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from fedn_lightning.datasets import read
from fedn_lightning.events import Expression
from fedn_lightning.results.writing import whole_frames
from fedn_lightning.review.events import History, ReviewEvent
from fedn_lightning.review.files import read_videos
from fedn_lightning.review.session import Session

CODER = "generator"

Change = tuple[ReviewEvent | None, ReviewEvent]
"""An event before the correction, None for one that was missed, and after it."""


def overlap(one: ReviewEvent, other: ReviewEvent) -> float:
    """IoU of two events in frames."""
    shared = min(one.offset, other.offset) - max(one.onset, other.onset) + 1
    return max(0, shared) / (one.offset - one.onset + other.offset - other.onset + 2 - max(0, shared))


def coded(expression: Expression, number: int) -> ReviewEvent:
    """An annotated expression as an event of the review, whose frames count from 1."""
    onset, offset = whole_frames(expression.start, expression.end)
    apex = None if expression.apex is None else min(max(round(expression.apex) + 1, onset), offset)
    return ReviewEvent(f"added-{number}", onset, offset, expression.type, expression.emotion, "accepted", apex)


def corrections(found: list[ReviewEvent], truths: list[ReviewEvent]) -> Iterator[Change]:
    """What a coder who knows the truth changes; each found event fits one true one at most."""
    left = list(truths)
    for event in sorted(found, key=lambda each: -(each.confidence or 0)):
        best = max(left, key=lambda truth: overlap(event, truth), default=None)
        if best is None or overlap(event, best) < 0.5:
            yield event, ReviewEvent.from_dict({**event.to_dict(), "state": "rejected"}, None, event.id)
        else:
            left.remove(best)
            kept = {"id": event.id, "confidence": event.confidence, "face": event.face}
            yield event, ReviewEvent.from_dict({**best.to_dict(), **kept}, None, event.id)
    yield from ((None, truth) for truth in left)


def main(argv: list[str] | None = None) -> None:
    """Corrects every video of a folder of predictions."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("corpus", help="the generated corpus, in the layout of CAS(ME)^2")
    options.add_argument("predictions", help="what fedn predict wrote of its videos")
    options.add_argument("out", help="folder of the review")
    args = options.parse_args(argv)
    corpus = read("casme2", args.corpus)
    known = {Path(video.path).resolve(): video for video in corpus.videos}
    counts = {"kept": 0, "rejected": 0, "added": 0}
    session = Session(videos := read_videos(args.predictions), Path(args.out), CODER)
    for video in videos:
        annotated = known[video.path.resolve()]
        truths = [coded(e, k) for k, e in enumerate(corpus.expressions_of(annotated), start=1)]
        for before, after in corrections(list(video.events), truths):
            counts["added" if before is None else "rejected" if after.state == "rejected" else "kept"] += 1
            old = None if before is None else before.to_dict()
            session.change(video.id, partial(History.change, before=old, after=after.to_dict(), coder=CODER))
        session.change(video.id, partial(History.set_subject, name=annotated.subject, coder=CODER))
        session.change(video.id, partial(History.set_done, value=True, coder=CODER))
        session.export(video.id)
    print(f"{args.out}: {len(videos)} videos, " + ", ".join(f"{n} {what}" for what, n in counts.items()) + ".")


if __name__ == "__main__":
    main()
