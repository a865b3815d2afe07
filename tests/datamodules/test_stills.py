"""Stills of several folders, and how their images are changed."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from fedn_lightning.datamodules.stills import StillsDataModule
from fedn_lightning.datamodules.transforms import AugmentConfig, ClipAugmenter

STILL = {"flip": 0.0, "brightness": 0.0, "contrast": 0.0, "hue": 0.0, "shift": 0.0, "scale": 0.0, "rotate": 0.0}


def write_stills(root: Path, count: int) -> str:
    for split in ("train_set", "val_set"):
        for kind in ("images", "annotations"):
            (root / split / kind).mkdir(parents=True)
        for number in range(count):
            image = np.full((32, 32, 3), 10 * number, np.uint8)
            cv2.imwrite(str(root / split / "images" / f"{number}.jpg"), image)
            np.save(root / split / "annotations" / f"{number}_exp.npy", np.int64(number % 8))
            for kind in ("val", "aro"):
                np.save(root / split / "annotations" / f"{number}_{kind}.npy", 0.0)
    return str(root)


def test_several_folders_are_joined(tmp_path: Path) -> None:
    roots = [write_stills(tmp_path / "a", 3), write_stills(tmp_path / "b", 5)]
    joined = StillsDataModule(roots, size=32, batch_size=2)
    joined.setup("fit")
    assert {split: len(stills) for split, stills in joined.stills.items()} == {"train": 8, "val": 8}
    assert {Path(still.path).parts[-4] for still in joined.stills["train"]} == {"a", "b"}
    assert len(joined.train_dataloader()) == 4


def picture() -> np.ndarray:
    return np.random.default_rng(0).integers(60, 190, (2, 48, 48, 3), np.uint8)


@pytest.mark.parametrize("kind", ["shade", "texture", "blur", "compression"])
def test_a_wear_of_the_image_is_drawn_from_the_seed(kind: str) -> None:
    strength = {"shade": 0.8, "texture": 8.0, "blur": 2.0, "compression": 80.0}[kind]
    augmenter = ClipAugmenter(AugmentConfig(**STILL, noise=0.0, **{kind: strength}))
    first, again, other = (augmenter(picture(), seed) for seed in (1, 1, 2))
    assert first.shape == picture().shape
    assert first.dtype == np.uint8
    assert (first == again).all()
    assert (first != other).any()
    assert (first != picture()).any()


def test_a_fixed_pattern_and_light_are_the_same_in_every_frame() -> None:
    clip = np.full((3, 48, 48, 3), 120, np.uint8)
    worn = ClipAugmenter(AugmentConfig(**STILL, noise=0.0, shade=0.8, texture=8.0))(clip, 5)
    assert (worn == worn[:1]).all()
    assert worn.std() > 2


def test_without_wear_the_other_changes_are_as_ever() -> None:
    plain = AugmentConfig()
    assert (plain.shade, plain.texture, plain.blur, plain.compression) == (0, 0, 0, 0)
    light_only = ClipAugmenter(AugmentConfig(**{**STILL, "brightness": 0.3}, noise=4.0))(picture(), 3)
    worn = ClipAugmenter(AugmentConfig(**{**STILL, "brightness": 0.3}, noise=4.0, shade=1e-9))(picture(), 3)
    assert np.abs(light_only.astype(int) - worn).max() <= 1
