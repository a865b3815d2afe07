"""What tells two readings of a corpus apart."""

from __future__ import annotations

import hashlib
import json

from fedn_lightning.events import Corpus


def digest_corpus(corpus: Corpus) -> str:
    """A hash of a corpus's videos and labels, wherever they lie."""
    videos = [(v.key, v.fps, v.first_frame, v.n_frames) for v in sorted(corpus.videos, key=lambda v: v.key)]
    labels = sorted(repr(expression) for expression in corpus.expressions)
    return hashlib.sha256(json.dumps([corpus.name, videos, labels]).encode()).hexdigest()[:16]
