"""Tells the tracker what a run has found, and from which files it was made."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn

from fedn_lightning.callbacks.results import WriteResults, record_of
from fedn_lightning.corpora.published import GENERATED
from fedn_lightning.events import Corpus, DetectionRecord
from fedn_lightning.metrics.functional.threshold import at_threshold
from fedn_lightning.reports.result import TEST, VALIDATION, flatten
from fedn_lightning.run_folder import read_config
from fedn_lightning.tracking import artifacts, media
from fedn_lightning.tracking.metrics import STEP
from fedn_lightning.tracking.wandb import WandbSettings, run_of


class TrackResults(Callback):
    """Logs scores, tables, pictures and artifacts of a test, or of a validation run, to W&B.

    Args:
        results: has written the files; listed before this callback.
        settings: what may be logged.
    """

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
        claimed = at_threshold(record.predictions, record.threshold)
        content = media.events_tables(prefix, claimed, record.truths, record.videos, record.emotions)
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
            artifacts.use(run, artifacts.corpus_artifact(data.corpus))
        weights = encoder_weights(read_config(folder))
        if weights is not None:
            artifacts.use(run, artifacts.checkpoint_artifact(weights))
        checkpoint = Path(trainer.ckpt_path) if trainer.ckpt_path else None
        if checkpoint is not None and checkpoint.is_file():
            own = folder.absolute() in checkpoint.absolute().parents
            declare = artifacts.give if own else artifacts.use
            declare(run, artifacts.checkpoint_artifact(checkpoint))
        if with_predictions and self.settings.events:
            artifacts.give(run, artifacts.predictions_artifact(folder))


def _data_with_crops(trainer: Trainer) -> Any | None:
    """The data module, if it reads a corpus of videos into a clip store."""
    data = getattr(trainer, "datamodule", None)
    return data if hasattr(data, "stored") and hasattr(data, "corpus_config") else None


def shows_faces(settings: WandbSettings, root: str) -> bool:
    """Whether film strips may be logged: as the user says, else where the faces in `root` are generated ones."""
    return (Path(root) / GENERATED).is_file() if settings.faces is None else settings.faces


def apexes_of(corpus: Corpus) -> dict[tuple[str, float], float]:
    """The annotated apexes by the video's key and the expression's start."""
    return {(e.video_key, e.start): e.apex for e in corpus.expressions if e.apex is not None}


def encoder_weights(config: Mapping[str, Any]) -> Path | None:
    """The pre-trained encoder that a configuration names, if the file is there."""
    arguments = (config.get("model") or {}).get("init_args") or {}
    weights = (arguments.get("encoder") or {}).get("weights")
    return Path(weights) if weights and Path(weights).is_file() else None
