"""Random events, full of ties, duplicates, one-frame intervals, halves, overlaps and empty sides."""

import numpy as np
from hypothesis import strategies as st

from fedn_lightning.events import EventTable
from metrics.reference import Event


@st.composite
def events(draw, truth=False, most=9):
    """A list of reference events: quarter frames at most, so that exact fractions and floats agree."""
    n = draw(st.integers(0, most))
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    fractional, videos, classes = rng.random() < 0.3, int(rng.integers(1, 4)), int(rng.integers(1, 4))
    found = []
    for _ in range(n):
        if found and rng.random() < 0.15:
            found.append(found[int(rng.integers(len(found)))])
            continue
        video = int(rng.integers(videos))
        onset, length = rng.integers(1, 14), rng.choice([1, 1, 2, 3, 4, 5, 6, 8, 10])
        quarter = rng.integers(0, 4, 2) / 4 if fractional else np.zeros(2)
        score = 1.0 if truth else float(rng.choice([0.125, 0.25, 0.5, 0.75, rng.random()]))
        first = float(onset + quarter[0])
        last = first + float(length - 1 + (quarter[1] if fractional else 0))
        emotion = int(rng.integers(-1, classes))
        found.append(Event(video // 2, video, first, last, int(rng.random() < 0.4), emotion, score))
    return found


def table(rows):
    """Inclusive reference events as the package's half-open table (first frame 1)."""
    return EventTable.from_rows(
        [[e.subject, e.video, e.onset - 1, e.offset, e.type, e.emotion, e.score] for e in rows] or np.empty((0, 7))
    )


def realistic(rng, n_videos, per_video, classes=3, near=None, n_frames=4000):
    """A large table: `per_video` events in each video; with `near`, jittered copies of its events."""
    n = n_videos * per_video
    video = np.repeat(np.arange(n_videos), per_video)
    start, length = rng.integers(0, n_frames, n).astype(float), rng.integers(8, 118, n)
    emotion, kind = rng.integers(0, classes, n), (rng.random(n) < 0.2).astype(int)
    if near is not None:
        each = len(near) // n_videos
        source = video * each + rng.integers(0, each, n)
        start = near.start[source] + rng.integers(-8, 9, n)
        length = np.maximum(near.end[source] - near.start[source] + rng.integers(-8, 9, n), 1)
        emotion, kind = near.emotion[source], near.type[source]
    return EventTable(
        subject=video % 22,
        video=video,
        start=start,
        end=start + length,
        type=kind,
        emotion=emotion,
        score=rng.random(n),
    )
