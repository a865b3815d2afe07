"""Writes what a test found into the run folder: tables, numbers, pictures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import RichProgressBar
from lightning.pytorch.trainer.states import TrainerFn

from fedn_lightning.datasets.base import is_generated
from fedn_lightning.events import Corpus, DetectionRecord
from fedn_lightning.loggers import media
from fedn_lightning.loggers.metrics import STEP
from fedn_lightning.loggers.wandb import (
    WandbSettings,
    checkpoint_artifact,
    corpus_artifact,
    log_artifact,
    log_timeline,
    predictions_artifact,
    run_of,
    use_artifact,
)
from fedn_lightning.metrics.functional.threshold import at_threshold
from fedn_lightning.reports.figures import save_curves, save_timeline, save_timelines
from fedn_lightning.results import ChallengeFormat
from fedn_lightning.results.names import CHECKSUMS, METRICS_LOG, RESULT
from fedn_lightning.results.report import TEST, VALIDATION, flatten, result_of
from fedn_lightning.results.run_folder import RunConfig
from fedn_lightning.results.writing import write_challenge, write_tables
from fedn_lightning.utils.files import checksum, write_json


class WriteResults(Callback):
    """Turns the record of a test or a validation run into the files of the run folder.

    A detection task leaves a :class:`.DetectionRecord` in its `record` after each such epoch; any task may leave a
    dictionary of numbers in `scores`. `result.json` is written last: its presence shows that the run is complete.

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
        record, sums = record_of(pl_module), {}
        if record is not None:
            result = result_of(record, split=split)
            sums = {CHECKSUMS: {path.name: checksum(path) for path in write_tables(record, self.folder)}}
            self.pictures = save_timelines(record, self.folder / "timelines")
        else:
            # A task that keeps no figures has logged them.
            logged = {key: float(value) for key, value in trainer.callback_metrics.items()}
            result = {"split": split, "scores": scores_of(pl_module) or logged}
        for logger in trainer.loggers:
            logger.save()  # the curves are drawn from the log
        save_curves(self.folder / METRICS_LOG, self.folder / "curves.png")
        write_json(self.folder / RESULT, {**result, **sums})
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
    """Position of the video with the most truths, the first of equals: for the picture of a validation run."""
    counts = [int((record.truths.video == index).sum()) for index in range(len(record.videos))]
    return counts.index(max(counts))


class RunProgress(RichProgressBar):
    """Lightning's rich bar without the tracker's run number, and gone when its epoch is done."""

    def __init__(self) -> None:
        super().__init__(leave=False)

    def get_metrics(self, trainer: Trainer, pl_module: LightningModule) -> dict[str, Any]:
        """The numbers beside the bar: those a task logs with `prog_bar=True`."""
        return {key: value for key, value in super().get_metrics(trainer, pl_module).items() if key != "v_num"}


class TrackResults(Callback):
    """Logs scores, tables, pictures and artifacts of a test, or of a validation run, to W&B."""

    def __init__(self, results: WriteResults, settings: WandbSettings) -> None:
        self.results, self.settings = results, settings

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Logs the result of `fedn validate`."""
        if trainer.state.fn == TrainerFn.VALIDATING and not trainer.sanity_checking:
            self._log(trainer, pl_module, VALIDATION)

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Logs the result of a test."""
        self._log(trainer, pl_module, TEST)

    def _log(self, trainer: Trainer, pl_module: LightningModule, split: str) -> None:
        run, result, record = run_of(trainer.loggers), self.results.result, record_of(pl_module)
        if run is None or result is None:
            return
        run.summary.update(flatten(result, f"{split}/"))
        if record is not None and self.settings.events:
            run.log({**self._content(trainer, record, f"{split}/"), STEP: trainer.global_step})
        self._log_lineage(trainer, run, record is not None)

    def _content(self, trainer: Trainer, record: DetectionRecord, prefix: str) -> dict[str, Any]:
        predicted = at_threshold(record.predictions, record.threshold)
        content = media.events_tables(prefix, predicted, record.truths, record.videos, record.emotions)
        captions = [video.key for video in record.videos]
        content |= media.timelines(prefix, list(zip(captions, self.results.pictures, strict=True)))
        data = _data_with_crops(trainer)
        if data is not None and shows_faces(self.settings, data.corpus_config.root):
            stored = {video.key: data.stored(video) for video in record.videos}
            content |= media.film_strips(prefix, record, stored, apexes_of(data.corpus))
        return content

    def _log_lineage(self, trainer: Trainer, run: Any, with_predictions: bool) -> None:
        """Declares corpus and checkpoints as inputs; the best checkpoint and the predictions as outputs."""
        folder = self.results.folder
        data = _data_with_crops(trainer)
        if data is not None:
            use_artifact(run, corpus_artifact(data.corpus))
        weights = RunConfig.read(folder).encoder_weights
        if weights is not None:
            use_artifact(run, checkpoint_artifact(weights))
        checkpoint = Path(trainer.ckpt_path) if trainer.ckpt_path else None
        if checkpoint is not None and checkpoint.is_file():
            own = folder.absolute() in checkpoint.absolute().parents
            declare = log_artifact if own else use_artifact
            declare(run, checkpoint_artifact(checkpoint))
        if with_predictions and self.settings.events:
            log_artifact(run, predictions_artifact(folder))


def _data_with_crops(trainer: Trainer) -> Any | None:
    """The data module, if it reads a corpus of videos into a clip store."""
    data = getattr(trainer, "datamodule", None)
    return data if hasattr(data, "stored") and hasattr(data, "corpus_config") else None


def shows_faces(settings: WandbSettings, root: str | list[str]) -> bool:
    """Whether film strips may be logged: as the user says, else where the faces in `root` are generated ones."""
    return is_generated(root) if settings.faces is None else settings.faces


def apexes_of(corpus: Corpus) -> dict[tuple[str, float], float]:
    """The annotated apexes by the video's key and the expression's start."""
    return {(e.video_key, e.start): e.apex for e in corpus.expressions if e.apex is not None}
