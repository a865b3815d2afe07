"""From the events found in every video to the record of a stage and its figures, for all tasks that detect."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import torch

from fedn_lightning.datamodules.detection import DetectionDataModule
from fedn_lightning.events import DetectionRecord, EventTable, FloatArray
from fedn_lightning.metrics.detection import DetectionMeanAP
from fedn_lightning.metrics.spotting import SpottingF1


def build_record(
    data: DetectionDataModule,
    stage: str,
    events: Sequence[EventTable],
    curves: Sequence[FloatArray],
    threshold: tuple[float, float],
) -> DetectionRecord:
    """The events of all videos of a stage, in source frames, beside their truths.

    Args:
        data: knows the videos and their truths.
        stage: `train`, `val` or `test`.
        events: of each video, in frames of the clip store, with any subject and the video's index.
        curves: per video `(T, 2)`, macro and micro confidence in each stored frame.
        threshold: score from which a macro- and a micro-expression counts as a prediction.
    """
    videos = data.videos(stage)
    predictions, truths, lengths, source_curves = [], [], [], []
    for index, (video, found, curve) in enumerate(zip(videos, events, curves, strict=True)):
        clip = data.stored(video)
        truths.append(data.truths(video, index))
        predictions.append(
            dataclasses.replace(
                found,
                subject=np.full(len(found), data.corpus.subjects.index(video.subject)),
                start=clip.store_to_source(found.start),
                end=clip.store_to_source(found.end),
            )
        )
        lengths.append(clip.source_n_frames)
        position = np.minimum(np.rint(clip.source_to_store(np.arange(clip.source_n_frames))), clip.n_frames - 1)
        source_curves.append(curve[position.astype(np.int64)])
    return DetectionRecord(
        videos=tuple(videos),
        n_frames=tuple(lengths),
        emotions=data.emotions,
        truths=EventTable.concatenate(truths),
        predictions=EventTable.concatenate(predictions),
        threshold=threshold,
        curves=tuple(source_curves),
    )


def compute_scores(record: DetectionRecord) -> dict[str, float]:
    """Spotting F1 and detection mAP of a record, by the names of the metrics."""
    rows = [torch.from_numpy(table.to_rows()) for table in (record.predictions, record.truths)]
    # Every process has gathered all proposals already, so the metrics must not be summed over processes again.
    metrics = (
        SpottingF1(record.threshold, sync_on_compute=False),
        DetectionMeanAP(record.emotions, sync_on_compute=False),
    )
    for metric in metrics:
        metric.update(*rows)
    return {name: float(value) for metric in metrics for name, value in metric.compute().items()}


def logged_scores(scores: dict[str, float], recognise: bool) -> dict[str, float]:
    """The figures worth a curve, and `joint`, by which checkpoints are chosen.

    Args:
        scores: of :func:`compute_scores`.
        recognise: whether `joint` is the mean of overall spotting F1 and mAP@0.5, or that F1 alone.
    """
    f1, mean_ap = scores["overall_f1"], scores["map@0.5"]
    parts = [0.0 if np.isnan(f1) else f1, *([] if np.isnan(mean_ap) or not recognise else [mean_ap])]
    logged = {"joint": float(np.mean(parts)), "map@0.5": mean_ap}
    return logged | {name: scores[name] for name in ("overall_f1", "macro_f1", "micro_f1")}
