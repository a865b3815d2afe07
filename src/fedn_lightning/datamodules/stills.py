"""Still images for the pre-training of the face encoder, in AffectNet's layout."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import lightning
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from fedn_lightning.datamodules.transforms import AugmentConfig, ClipAugmenter
from fedn_lightning.datasets.affectnet import Still, read_affectnet
from fedn_lightning.errors import VideoError

Sample = dict[str, Any]
UNKNOWN = float("nan")
"""Valence and arousal of a still whose release gives none."""


class StillsDataset(Dataset[Sample]):
    """Stills with their expression class, valence and arousal.

    A sample has `frames` `(3, S, S)` uint8 RGB, `expression` (0..7), and `valence_arousal` `(2,)` float32 in [-1, 1],
    NaN where unknown.

    Args:
        stills: what to load.
        size: side the images are resized to, in pixels.
        augmenter: applied while training.
    """

    def __init__(self, stills: Sequence[Still], size: int, augmenter: ClipAugmenter | None = None) -> None:
        self.stills, self.size, self.augmenter = stills, size, augmenter

    def __len__(self) -> int:
        return len(self.stills)

    def __getitem__(self, index: int) -> Sample:
        still = self.stills[index]
        image = self._image(index)
        if self.augmenter is not None:
            # torch's generator is seeded per epoch and worker by Lightning, unlike albumentations' own.
            image = self.augmenter(image[None], int(torch.randint(2**31, ()).item()))[0]
        known = [UNKNOWN if value is None else value for value in (still.valence, still.arousal)]
        return {
            "frames": torch.from_numpy(image).permute(2, 0, 1),
            "expression": still.label,
            "valence_arousal": torch.tensor(known, dtype=torch.float32),
        }

    def _image(self, index: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
        image = cv2.imread(self.stills[index].path)
        if image is None:
            raise VideoError(f"{self.stills[index].path} cannot be read as an image; remove it or copy it again.")
        resized = cv2.resize(image, (self.size, self.size), interpolation=cv2.INTER_AREA)
        return np.asarray(cv2.cvtColor(resized, cv2.COLOR_BGR2RGB), np.uint8)


class StillsDataModule(lightning.LightningDataModule):
    """Stills in AffectNet's layout: real AffectNet, or generated faces that occur in no corpus.

    Args:
        root: folder with `train_set` and `val_set`, or class folders; several are joined.
        size: side of the images in pixels, the crop size of the detection experiments.
        batch_size: stills in a batch.
        num_workers: loader processes.
        augment: photometric and small geometric changes of training stills.

    Raises:
        CorpusNotFoundError: if there are no stills at a `root`.
    """

    def __init__(
        self,
        root: str | list[str],
        size: int = 224,
        batch_size: int = 128,
        num_workers: int = 0,
        augment: AugmentConfig = AugmentConfig(),
    ) -> None:
        super().__init__()
        self.root, self.size, self.batch_size, self.num_workers = root, size, batch_size, num_workers
        self.augment = augment

    def setup(self, stage: str) -> None:
        """Lists the stills of both splits."""
        roots = [self.root] if isinstance(self.root, str) else self.root
        found = [read_affectnet(root) for root in roots]
        self.stills = {split: [still for stills in found for still in stills[split]] for split in ("train", "val")}

    def train_dataloader(self) -> DataLoader[Sample]:
        """Training stills, augmented, in random order."""
        dataset = StillsDataset(self.stills["train"], self.size, ClipAugmenter(self.augment))
        return self._loader(dataset, shuffle=True)

    def val_dataloader(self) -> DataLoader[Sample]:
        """Validation stills as they are."""
        return self._loader(StillsDataset(self.stills["val"], self.size), shuffle=False)

    def _loader(self, dataset: StillsDataset, shuffle: bool) -> DataLoader[Sample]:
        return DataLoader(
            dataset,
            self.batch_size,
            shuffle=shuffle,
            drop_last=shuffle,
            num_workers=self.num_workers,
            persistent_workers=self.num_workers > 0,
        )
