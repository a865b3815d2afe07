"""Folders of finished runs for tests of reports: real crops and a real, untrained network, invented detections."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fedn_lightning.datamodules.windows import WindowConfig
from fedn_lightning.events import EXPRESSION_TYPES, Corpus, DetectionRecord, EventTable
from fedn_lightning.models.encoder import EncoderConfig
from fedn_lightning.models.fedn import NetworkConfig
from fedn_lightning.results.report import result_of
from fedn_lightning.results.writing import write_tables
from fedn_lightning.tasks.detection import DetectionTask
from fedn_lightning.utils.files import write_json

EMOTIONS = ("negative", "positive", "surprise")
ENCODER, NETWORK = EncoderConfig(depth=10, width=8), NetworkConfig(dim=32, channels=32)
METRICS = "epoch,step,train/loss,val/loss,val/joint,lr-AdamW\n"


def invent_record(corpus: Corpus, subjects: tuple[str, ...], seed: int = 0) -> DetectionRecord:
    """Detections near most truths of some subjects, and as many elsewhere; every fourth truth is missed."""
    rng = np.random.default_rng(seed)
    videos = tuple(sorted((v for v in corpus.videos if v.subject in subjects), key=lambda v: v.key))
    truths, found = [], []
    for index, video in enumerate(videos):
        person, n_frames = subjects.index(video.subject), video.n_frames or 0
        for number, e in enumerate(corpus.expressions_of(video)):
            kind = EXPRESSION_TYPES.index(e.type)
            emotion = EMOTIONS.index(e.emotion) if e.emotion in EMOTIONS else -1
            truths.append([person, index, e.start, e.end, kind, emotion, 1, 1])
            shift = rng.normal(0, 0.15 * (e.end - e.start), 2)
            start, end = np.clip([e.start + shift[0], e.end + shift[1]], 0, n_frames)
            if end > start and number % 4 != 3:
                found.append([person, index, start, end, kind, rng.integers(3), rng.beta(4, 2), rng.random()])
        for start in rng.uniform(0, n_frames - 40, n_frames // 40):
            kind = int(rng.integers(2))
            length = rng.uniform(8, 16) if kind else rng.uniform(17, 40)
            found.append(
                [person, index, start, start + length, kind, rng.integers(3), rng.uniform(0.1, 0.9), rng.random()]
            )
    return DetectionRecord(
        videos=videos,
        n_frames=tuple(video.n_frames or 0 for video in videos),
        emotions=EMOTIONS,
        truths=EventTable.from_rows(truths),
        predictions=EventTable.from_rows(found),
        threshold=(0.4, 0.6),
    )


def write_run(
    folder: Path,
    record: DetectionRecord,
    data: dict[str, Any],
    encoder: EncoderConfig = ENCODER,
    network: NetworkConfig = NETWORK,
    window: int = 64,
) -> Path:
    """Writes what `fedn fit` leaves of a run that reports read.

    Args:
        folder: of the run.
        record: its detections.
        data: arguments of the data module.
        encoder: of the checkpoint.
        network: of the checkpoint; its weights are random.
        window: frames.
    """
    write_tables(record, folder)
    write_json(folder / "result.json", result_of(record))
    write_json(folder / "config.yaml", {"experiment": "toy", "data": {"init_args": data}})  # JSON is YAML
    (folder / "env.txt").write_text(f"commit: 0123abc\nfolder: {folder.parent}\n")
    rows = [f"{k},{8 * k + 7},{3 / (k + 1)},{4 / (k + 1)},{0.1 * k},0.001\n" for k in range(8)]
    (folder / "metrics.csv").write_text(METRICS + "".join(rows))
    torch.manual_seed(0)
    task = DetectionTask(encoder=encoder, network=network)
    about = {
        "model": task.init_config(),
        "windows": dataclasses.asdict(WindowConfig(length=window)),
        "emotions": list(EMOTIONS),
        "crop_size": 16,
        "fps": 30.0,
        "dataset": "toy",
    }
    (folder / "checkpoints").mkdir(exist_ok=True)
    torch.save({"state_dict": task.state_dict(), "fedn": about}, folder / "checkpoints" / "best.ckpt")
    return folder


def pool_runs(study: Path, folds: dict[str, Path], record: DetectionRecord) -> Path:
    """Writes the pooled folder of `fedn loso` beside fold folders that lie in `study/seed7`."""
    pooled = study / "pooled-seed7"
    write_tables(record, pooled)
    thresholds = {name: list(record.threshold) for name in folds}
    result = {"seed": 7, "missing": [], "folds": list(folds), "thresholds": thresholds, "strict": {}}
    (pooled / "result.json").write_text(json.dumps(result))
    return pooled
