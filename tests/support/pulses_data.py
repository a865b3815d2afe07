"""The pulses as a data module that an experiment file can name: no reader, no video files."""

from __future__ import annotations

import os
import pickle
import resource
import signal
from functools import cached_property
from pathlib import Path
from typing import Any

from pulses import write_pulses

from fedn_lightning.datamodules.detection import DetectionDataModule
from fedn_lightning.datamodules.recognition import RecognitionDataModule
from fedn_lightning.events import Corpus

FILE = "corpus.pickle"


def write_corpus(folder: Path, subjects: int = 4, n_frames: int = 200) -> Corpus:
    """Writes videos and labels for :class:`PulsesDataModule` to find; `crops.store` is `folder/store`."""
    corpus = write_pulses(folder / "store", subjects, n_frames)
    (folder / FILE).write_bytes(pickle.dumps(corpus))
    return corpus


class PulsesDataModule(DetectionDataModule):
    """Finds what :func:`write_corpus` has written in `corpus.root`."""

    @cached_property
    def corpus(self) -> Corpus:
        """The pulses."""
        return pickle.loads((Path(self.corpus_config.root) / FILE).read_bytes())

    def prepare_data(self) -> None:
        """Refuses a wrong split like the base class; the store is full."""
        self.check()

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Lets the fault strike that the variable PULSES_FAULT describes, e.g. `kill p1 3 0`: fold, epoch, batch."""
        fault, subject, *moment = os.environ.get("PULSES_FAULT", "none - 0 0").split()
        trainer = self.trainer
        if trainer.training and subject in self.split.test:
            now = [trainer.current_epoch, trainer.fit_loop.epoch_loop.batch_progress.current.ready]
            if now == [int(number) for number in moment]:
                FAULTS[fault]()
        return batch


class PulsesRecognition(RecognitionDataModule):
    """The same for a recogniser."""

    @cached_property
    def corpus(self) -> Corpus:
        """The pulses."""
        return pickle.loads((Path(self.corpus_config.root) / FILE).read_bytes())

    def prepare_data(self) -> None:
        """The store is full."""
        _ = self.split


def kill() -> None:
    """What `kill -9` does."""
    os.kill(os.getpid(), signal.SIGKILL)


def fill_disk() -> None:
    """From here on no file may grow beyond 50 kB: less than a checkpoint, more than a log with the traceback."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))


FAULTS = {"kill": kill, "quota": fill_disk}
