"""The pulses as a data module that an experiment file can name: no reader, no video files."""

from __future__ import annotations

import pickle
from functools import cached_property
from pathlib import Path

from pulses import write_pulses

from fedn_lightning.data.datamodule import DetectionDataModule
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
        _ = self.split
