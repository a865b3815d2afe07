"""FEDN from Python: run a checkpoint on the videos of a subject, score what it found, draw it.

After `make fit`:

    python examples/python_api.py

Detects in two videos of a person whom no part of the network has seen, prints the expressions, scores them by the
protocol `megc`, and writes a timeline of each video to `runs/python_api`.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from fedn_lightning import Detector
from fedn_lightning.datamodules.labels import expression_class
from fedn_lightning.datasets import read
from fedn_lightning.events import EXPRESSION_TYPES, Corpus, EventTable, Video
from fedn_lightning.metrics.functional.detection import detection_scores
from fedn_lightning.metrics.functional.spotting import SpottingScores, spotting_scores
from fedn_lightning.metrics.functional.threshold import at_threshold


def truths_of(corpus: Corpus, video: Video, index: int) -> EventTable:
    """The labelled expressions of a video as a table, in frames from 0, half open."""
    rows = [
        (0, index, e.start, e.end, EXPRESSION_TYPES.index(e.type), expression_class(e, "3", "expert"), 1)
        for e in corpus.expressions_of(video)
    ]
    return EventTable.from_rows(rows)


def detect(
    checkpoint: str, corpus: Corpus, videos: list[Video], out: Path
) -> tuple[EventTable, EventTable, tuple[float, float]]:
    """Runs the checkpoint on videos; gives its proposals, the truths, and the thresholds in the checkpoint."""
    detector = Detector.from_checkpoint(checkpoint)
    proposals, truths = [], []
    for index, video in enumerate(videos):
        detections = detector.detect(video.path)
        print(detections, end="\n\n")
        detections.plot().savefig(out / f"{video.name}.png")
        found = detections.to_record().predictions  # every proposal, also those below the thresholds
        proposals.append(replace(found, video=np.full(len(found), index)))
        truths.append(truths_of(corpus, video, index))
    return EventTable.concatenate(proposals), EventTable.concatenate(truths), detector.config.threshold


def main(argv: list[str] | None = None) -> SpottingScores:
    """Reads the corpus, detects, scores."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--ckpt", default="runs/synthetic/checkpoints/best.ckpt")
    options.add_argument("--root", default="data/synthetic", help="a release in the layout of CAS(ME)^2")
    options.add_argument("--subject", default="s15")
    options.add_argument("--videos", type=int, default=2)
    options.add_argument("--out", default="runs/python_api")
    given = options.parse_args(argv)
    out = Path(given.out)
    out.mkdir(parents=True, exist_ok=True)

    corpus = read("casme2", given.root)
    videos = [video for video in corpus.videos if video.subject == given.subject][: given.videos]
    proposals, truths, threshold = detect(given.ckpt, corpus, videos, out)
    scores = spotting_scores(at_threshold(proposals, threshold), truths)
    print(f"{len(truths)} expressions in {len(videos)} videos of {given.subject}, never seen in training")
    for name, counts in scores.to_dict().items():
        print(f"{name:>14}  " + "  ".join(f"{key} {value:.4g}" for key, value in counts.items()))
    print(f"detection mAP@0.5  {detection_scores(proposals, truths).summary()['map@0.5']:.4f}")
    print(f"timelines in {out}")
    return scores


if __name__ == "__main__":
    main()
