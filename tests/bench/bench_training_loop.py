"""Measures how long training waits for data: `python tests/bench/bench_training_loop.py [CORPUS [WORKERS]]`.

Trains with the sizes of experiments/synthetic.yaml on a tiny generated corpus (made first if none is given): on cached
features, on pixels from the clip store, and on pixels decoded from the videos. Exit code 1 if one of the first two
waits for more than 5 % of the time. One loader process reads; a second argument sets another number of them.
"""

import logging
import sys
import tempfile
import warnings
from pathlib import Path

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.profilers import SimpleProfiler

from fedn_lightning.datamodules.base import CorpusConfig, CropConfig
from fedn_lightning.datamodules.detection import DetectionDataModule
from fedn_lightning.datamodules.windows import WindowConfig
from fedn_lightning.models.encoder import EncoderConfig
from fedn_lightning.models.fedn import NetworkConfig
from fedn_lightning.tasks.detection import DetectionTask
from fedn_synth.write.corpus import Job, write_corpus

WAITING = "[_TrainingEpochLoop].train_dataloader_next"
TARGET = 0.05
KINDS = {  # frozen encoder or not, where frames come from, windows in a batch, epochs, batches
    "cached features": (True, "store", 32, 6, 1.0),
    "pixels from the store": (False, "store", 4, 1, 8),
    "pixels decoded from the videos": (False, "video", 4, 1, 8),
}


def waited(corpus, root, num_workers, frozen, frames, batch_size, epochs, batches):
    """Share of the time of the training epochs, and those seconds."""
    data = DetectionDataModule(
        CorpusConfig("casme2", str(corpus)),
        CropConfig(str(root / frames), size=128, frames=frames),
        WindowConfig(train_stride=8, jitter=16, speed=0.2),
        test_subject=[],
        val_subject=1,
        batch_size=batch_size,
        num_workers=num_workers,
        feature_variants=2,
    )
    task = DetectionTask(EncoderConfig(10, 32, grid=2, frozen=frozen), NetworkConfig(dim=128, channels=128))
    profiler = SimpleProfiler()
    trainer = Trainer(
        accelerator="cpu",
        max_epochs=epochs,
        limit_train_batches=batches,
        limit_val_batches=0,
        profiler=profiler,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(task, data)
    seconds = sum(profiler.recorded_durations["run_training_epoch"])
    return sum(profiler.recorded_durations[WAITING]) / seconds, seconds


def main():
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    num_workers = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    missed = []
    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(folder) / "corpus"
        if not corpus.is_dir():
            write_corpus(corpus, Job("tiny", 3))
        for kind, settings in KINDS.items():
            share, seconds = waited(corpus, Path(folder), num_workers, *settings)
            bound = settings[1] == "store"
            print(f"{kind:<32} {100 * share:5.1f} % of {seconds:.1f} s waiting for data", "(target: 5)" * bound)
            if bound and share > TARGET:
                missed.append(kind)
    if missed:
        sys.exit(f"missed: {', '.join(missed)}")


if __name__ == "__main__":  # child processes import this file
    main()
