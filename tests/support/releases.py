"""Everything that the shipped experiments read, in miniature and in the right layout: releases, stills, weights."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import torch

from fedn_lightning.datasets import read
from fedn_lightning.models.encoder import FrameEncoder
from lookalikes.casme2 import ROWS, write_casme2
from lookalikes.others import CASME3_ROWS, SAMM_ROWS, write_casme3, write_samm

STILLS = 8
"""Pictures in each split of the look-alike of AffectNet, one of each class."""


def write_release(root: Path, dataset: str) -> None:
    """A release in which three subjects have expressions, so that one can train, one validate and one test."""
    if dataset == "casme2":
        # Two subjects are tested by some experiments; the third of the workbook gets a second expression.
        more = [[4, "disgust1_1", 8, 20, 33, "4+7", "negative", "macro-expression", "disgust"]]
        write_casme2(root, "rawpic", [*ROWS, *more])
    elif dataset == "samm_lv":
        write_samm(root, [*SAMM_ROWS, ["011", "011_3_1", 3, 5, 20, 60, "=F17-D17+1", "Macro", "12", ""]])
    elif dataset == "casme3":
        write_casme3(root, [*CASME3_ROWS, ["spNO.3", "a", "3", "9", "30", "4", "Macro-expression", "IV"]])
        people = root / "part_A" / "data" / "part_A"
        shutil.copytree(people / "spNO.2", people / "spNO.3")
    else:
        msg = f"There is no look-alike of {dataset} yet; add one here."
        raise ValueError(msg)


def write_boxes(path: Path, dataset: str, root: Path) -> None:
    """A table that says of every video of a release where its face would be, if it showed one."""
    rows = [f"{video.key},32,0,48,48" for video in read(dataset, str(root)).videos]
    path.write_text("\n".join(["video,x,y,width,height", *rows]) + "\n")


def write_stills(root: Path, side: int = 32) -> None:
    """AffectNet as class folders, one picture of noise for each class."""
    rng = np.random.default_rng(0)
    for split in ("train", "val"):
        for label in range(STILLS):
            folder = root / split / str(label)
            folder.mkdir(parents=True)
            cv2.imwrite(str(folder / f"{label}.jpg"), rng.integers(0, 255, (side, side, 3), np.uint8))


def write_weights(path: Path, depth: int, width: int) -> None:
    """An encoder's weights, never trained."""
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    torch.save(FrameEncoder(depth, width).state_dict(), path)
