"""Writes what a test found into the run folder: tables, numbers, pictures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn

from fedn_lightning.event_files import ChallengeFormat
from fedn_lightning.events import DetectionRecord
from fedn_lightning.files import write_json
from fedn_lightning.reports.challenge import write_challenge
from fedn_lightning.reports.curves import save_curves
from fedn_lightning.reports.result import TEST, VALIDATION, result_of
from fedn_lightning.reports.tables import write_tables
from fedn_lightning.reports.timeline import save_timeline, save_timelines
from fedn_lightning.tracking.wandb import log_timeline


class WriteResults(Callback):
    """Turns the record of a test or a validation run into the files of the run folder.

    A detection task leaves a :class:`.DetectionRecord` in its `record` after each such epoch; any task may leave a
    dictionary of numbers in `scores`. `result.json` is written last: its presence says that the run is complete.

    Args:
        folder: the run folder.
        challenge: `fedn test` also writes `predictions_<challenge>.csv` in that challenge's format.
        timeline_every: log the timeline of one validation video to the tracker every so many epochs, 0 for never.
    """

    def __init__(self, folder: str, challenge: ChallengeFormat | None = None, timeline_every: int = 5) -> None:
        self.folder, self.challenge = Path(folder), challenge
        self.timeline_every = timeline_every
        self.result: dict[str, Any] | None = None
        self.pictures: list[Path] = []

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Writes the result of `fedn validate`; while fitting, logs one timeline every few epochs."""
        if trainer.sanity_checking or not trainer.is_global_zero:
            return
        if trainer.state.fn == TrainerFn.VALIDATING:
            self._write(trainer, pl_module, VALIDATION)
        elif self.timeline_every and (trainer.current_epoch + 1) % self.timeline_every == 0:
            self._log_validation_timeline(trainer, pl_module)

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Writes the result of a test."""
        if not trainer.is_global_zero:
            return
        record = record_of(pl_module)
        if record is not None and self.challenge is not None:
            write_challenge(self.folder / f"predictions_{self.challenge}.csv", record, self.challenge)
        self._write(trainer, pl_module, TEST)

    def _write(self, trainer: Trainer, pl_module: LightningModule, split: str) -> None:
        record = record_of(pl_module)
        if record is not None:
            result = result_of(record, split=split)
            write_tables(record, self.folder)
            self.pictures = save_timelines(record, self.folder / "timelines")
        else:
            # A task that keeps no figures has logged them.
            logged = {key: float(value) for key, value in trainer.callback_metrics.items()}
            result = {"split": split, "scores": scores_of(pl_module) or logged}
        for logger in trainer.loggers:
            logger.save()  # the curves are drawn from the log
        save_curves(self.folder / "metrics.csv", self.folder / "curves.png")
        write_json(self.folder / "result.json", result)
        self.result = result

    def _log_validation_timeline(self, trainer: Trainer, pl_module: LightningModule) -> None:
        record = record_of(pl_module)
        if record is None or not record.videos:
            return
        video = busiest_video(record)
        picture = save_timeline(record, video, self.folder / "timelines" / "validation.png")
        caption = f"{record.videos[video].key}, epoch {trainer.current_epoch + 1}"
        log_timeline(trainer.loggers, "val/timeline", picture, trainer.global_step, caption)


def record_of(pl_module: LightningModule) -> DetectionRecord | None:
    """The record a task left after its epoch; None for tasks without detections."""
    record = getattr(pl_module, "record", None)
    return record if isinstance(record, DetectionRecord) else None


def scores_of(pl_module: LightningModule) -> dict[str, Any]:
    """The numbers a task left after its epoch."""
    scores = getattr(pl_module, "scores", None)
    return dict(scores) if isinstance(scores, Mapping) else {}


def busiest_video(record: DetectionRecord) -> int:
    """Position of the video with the most truths, the first of equals: the one whose picture tells most."""
    counts = [int((record.truths.video == index).sum()) for index in range(len(record.videos))]
    return counts.index(max(counts))
