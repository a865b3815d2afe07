"""Many videos, one after another: what is finished is not done again, and one that fails costs the others nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from fedn_lightning.detector.detections import Detections
from fedn_lightning.detector.detector import Detector
from fedn_lightning.detector.inputs import names_of
from fedn_lightning.detector.outputs import Settings, finished, write_outputs
from fedn_lightning.errors import FednError


@dataclass(frozen=True)
class Outcome:
    """What became of one video.

    Attributes:
        video: the file.
        folder: of its outputs.
        detections: what was found; None if it failed, or was finished before.
        summary: one line on what was found, empty if it failed.
        error: why it failed, empty if it did not.
    """

    video: Path
    folder: Path
    detections: Detections | None
    summary: str
    error: str = ""

    @property
    def reused(self) -> bool:
        """Whether the outputs were there already."""
        return self.detections is None and not self.error


class Progress(Protocol):
    """What is told while a video is at work."""

    def start(self, video: Path) -> None:
        """A video begins."""

    def tick(self, doing: str, frames: int, total: int) -> None:
        """So many frames more of a total are `detecting` or `annotating` done."""


def predict_all(
    detector: Callable[[], Detector],
    videos: Sequence[Path],
    out: str | Path,
    settings: Settings,
    progress: Progress,
    overwrite: bool = False,
) -> Iterator[Outcome]:
    """Runs a detector on videos and writes their outputs to `out/<name of the video>/`.

    Args:
        detector: makes the detector; called when the first video needs it.
        videos: the files.
        out: parent of the folders.
        settings: which files are written.
        progress: is told.
        overwrite: do finished videos again.

    Yields:
        What became of each video, in order, once its files are written.
    """
    ready: Detector | None = None
    for video, name in zip(videos, names_of(videos), strict=True):
        folder = Path(out) / name
        summary = None if overwrite or not video.is_file() else finished(folder, video, settings)
        if summary is not None:
            yield Outcome(video, folder, None, summary)
            continue
        progress.start(video)
        ready = ready or detector()
        try:
            detections = ready.detect(video, settings.face, tick=lambda n, total: progress.tick("detecting", n, total))
            total = detections.n_frames
            write_outputs(
                detections,
                folder,
                settings,
                lambda n, total=total: progress.tick("annotating", n, total),  # type: ignore[misc]
            )
        except FednError as error:
            yield Outcome(video, folder, None, "", str(error))
            continue
        yield Outcome(video, folder, detections, detections.summary())
