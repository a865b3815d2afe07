"""Measures the weights in the package on changed copies of videos: compression, light, frame rate, size of the face.

python scripts/conditions.py RESULT.json CORPUS... [--people N] [--ckpt CKPT]

Every video is changed, encoded, and given to the detector as any video; its events are scored in time against the truth
of the corpus. Nothing is trained or chosen. A condition that RESULT.json holds already is not measured again.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt

from fedn_lightning import Detector
from fedn_lightning.datasets import read_all
from fedn_lightning.events import EXPRESSION_TYPES, Corpus, EventTable, Video
from fedn_lightning.metrics.functional.matching import without_unknown_offsets
from fedn_lightning.metrics.functional.spotting import spotting_scores
from fedn_lightning.utils.files import write_json

Picture = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Condition:
    """How a video is changed.

    Attributes:
        change: a picture `(H, W, 3)` uint8 and the seconds at which it is shown, to the changed picture.
        fps: frames a second that stay of a video, or more: those between two are mixed from both; 0 for all.
        crf: loss of the H.264 encoder; 12 cannot be seen.
    """

    change: Callable[[Picture, float], Picture] = lambda picture, seconds: picture
    fps: float = 0
    crf: int = 12


def lit(picture: Picture, gain: npt.ArrayLike, noise: float = 0.0, seed: int = 0) -> Picture:
    """The picture under other light, with noise of a sensor (standard deviation in grey levels)."""
    bright = picture * np.asarray(gain, np.float32)
    if noise:
        bright = bright + np.random.default_rng(seed).standard_normal(picture.shape, np.float32) * noise
    return np.clip(bright + 0.5, 0, 255).astype(np.uint8)


def scaled(picture: Picture, factor: float) -> Picture:
    """The picture in another size, of an even number of rows and columns as encoders want it."""
    height, width = (2 * round(side * factor / 2) for side in picture.shape[:2])
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(picture, (width, height), interpolation=method), np.uint8)


def side_light(picture: Picture) -> npt.NDArray[np.float32]:
    """Gains `(1, W, 1)` that fall from 1.4 at the left edge to 0.4 at the right one."""
    return np.linspace(1.4, 0.4, picture.shape[1], dtype=np.float32)[None, :, None]


CONDITIONS = {
    "as it is": Condition(),
    "H.264, crf 36": Condition(crf=36),
    "H.264, crf 44": Condition(crf=44),
    "a third of the light, noise of 6": Condition(lambda p, s: lit(p, 0.33, 6, round(s * 1000))),
    "light that flickers by 5 % at 9 Hz": Condition(lambda p, s: lit(p, 1 + 0.05 * np.sin(2 * np.pi * 9 * s))),
    "light from one side": Condition(lambda p, s: lit(p, side_light(p))),
    "25 frames/s": Condition(fps=25),
    "15 frames/s": Condition(fps=15),
    "10 frames/s": Condition(fps=10),
    "60 frames/s, mixed": Condition(fps=60),
    "200 frames/s, mixed": Condition(fps=200),
    "0.5 of the size": Condition(lambda p, s: scaled(p, 0.5)),
    "0.35 of the size": Condition(lambda p, s: scaled(p, 0.35)),
    "1.75 of the size": Condition(lambda p, s: scaled(p, 1.75)),
}


def changed(path: str, condition: Condition) -> Iterator[tuple[Picture, float]]:
    """The pictures of a video that stay, changed, with the seconds at which they are shown."""
    taken, before = -1, None
    with av.open(path) as source:
        for number, frame in enumerate(source.decode(video=0)):
            fps = float(source.streams.video[0].average_rate or 30)
            rate, picture = condition.fps or fps, frame.to_ndarray(format="rgb24")
            place = int(number / fps * rate + 1e-6)
            between = range(taken + 1, place) if before is not None else ()
            for step in between:
                share = step / rate * fps - (number - 1)
                mixed = np.asarray(cv2.addWeighted(before, 1 - share, picture, share, 0), np.uint8)
                yield condition.change(mixed, step / rate), step / rate
            if place > taken:
                taken = place
                yield condition.change(picture, number / fps), number / fps
            before = picture


def film(path: Path, source: str, condition: Condition) -> None:
    """Writes the changed video."""
    with av.open(str(path), "w") as out:
        stream: Any = None
        for picture, _ in changed(source, condition):
            if stream is None:
                stream = out.add_stream("libx264", rate=Fraction(condition.fps or 30).limit_denominator())
                stream.height, stream.width = picture.shape[:2]
                stream.pix_fmt, stream.options = "yuv420p", {"crf": str(condition.crf), "preset": "veryfast"}
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        out.mux(stream.encode())


def found(detector: Detector, video: Video, index: int, condition: Condition) -> tuple[list[list[float]], float]:
    """The events of a changed video, rows of :class:`EventTable` in frames of the video as it was, and its seconds."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "changed.mp4"
        film(path, str(video.path), condition)
        detections = detector.detect(path)
    times = [(e, e.start_seconds * video.fps, e.end_seconds * video.fps) for e in detections]
    rows = [[0, index, start, end, EXPRESSION_TYPES.index(e.type), -1, e.confidence] for e, start, end in times]
    return rows, detections.duration


def truth_rows(corpus: Corpus, video: Video, index: int) -> list[list[float]]:
    """The truths of a video."""
    return [
        [0, index, e.start, e.end, EXPRESSION_TYPES.index(e.type), -1, 1, 1, e.end_known]
        for e in corpus.expressions_of(video)
    ]


def score(predictions: EventTable, truths: EventTable, minutes: float) -> dict[str, float]:
    """F1 of both readings of unknown offsets, and false positives a minute."""
    all_truths, known = spotting_scores(predictions, truths), without_unknown_offsets(predictions, truths)
    without = spotting_scores(*known).overall
    return {
        "overall_f1": all_truths.overall.f1,
        "macro_f1": all_truths.macro.f1,
        "micro_f1": all_truths.micro.f1,
        "overall_f1_without_unknown_offsets": without.f1,
        "false_positives_per_minute": all_truths.overall.fp / minutes,
        "false_positives_per_minute_without_unknown_offsets": without.fp / minutes,
    }


def main() -> None:
    """Measures what RESULT.json does not hold yet; it is written after every condition."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("result", type=Path)
    parser.add_argument("corpora", nargs="+", help="generated corpora, or others in the layout of CAS(ME)^2")
    parser.add_argument("--people", type=int, default=5, help="people of each corpus, a video of each (default: 5)")
    parser.add_argument("--ckpt", help="a checkpoint instead of the weights in the package")
    options = parser.parse_args()
    detector = Detector.from_checkpoint(options.ckpt) if options.ckpt else Detector.pretrained()
    corpora = [read_all("casme2", root, {}) for root in options.corpora]
    shown = [
        (corpus, next(v for v in corpus.videos if v.subject == subject and corpus.expressions_of(v)))
        for corpus in corpora
        for subject in corpus.subjects[: options.people]
    ]
    videos = [video for _, video in shown]
    truths = EventTable.from_rows(
        [row for i, (corpus, video) in enumerate(shown) for row in truth_rows(corpus, video, i)]
    )
    content: dict[str, Any] = json.loads(options.result.read_text()) if options.result.is_file() else {}
    content |= {"corpora": options.corpora, "videos": len(videos), "truths": len(truths)}
    conditions = content.setdefault("conditions", {})
    for name, condition in CONDITIONS.items():
        if name in conditions:
            continue
        results = [found(detector, video, index, condition) for index, video in enumerate(videos)]
        events = EventTable.from_rows([row for rows, _ in results for row in rows])
        conditions[name] = score(events, truths, sum(seconds for _, seconds in results) / 60)
        write_json(options.result, content)
        print(name, {key: round(float(value), 3) for key, value in conditions[name].items()}, flush=True)


if __name__ == "__main__":
    main()
