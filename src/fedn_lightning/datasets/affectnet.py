"""AffectNet: still photographs for pre-training the frame encoder, in the two layouts met in practice.

Mollahosseini et al., "AffectNet: a database for facial expression, valence, and arousal computing in the wild",
IEEE Transactions on Affective Computing 10(1), 2019. The generated stills have the first layout and are read here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from fedn_lightning.datasets.release import not_found
from fedn_lightning.errors import AnnotationError
from fedn_lightning.video.media import IMAGE_SUFFIXES

NAME = "AffectNet"
SOURCE = "It is released to academic institutions after an agreement: http://mohammadmahoor.com/affectnet."

CLASSES = ("neutral", "happy", "sad", "surprise", "fear", "disgust", "anger", "contempt")
"""Class names by the release's index."""

SYNONYMS = {"happiness": "happy", "sadness": "sad", "angry": "anger", "surprised": "surprise", "fearful": "fear"}
"""Other names that class folders are given."""

Split = Literal["train", "val"]
SPLIT_FOLDERS: dict[Split, tuple[str, ...]] = {"train": ("train_set", "train"), "val": ("val_set", "val", "test")}
UNKNOWN = -2.0
"""Valence and arousal of a face the annotators could not judge."""


@dataclass(frozen=True, slots=True)
class Still:
    """One photograph."""

    path: str  # the image
    label: int  # index into :data:`CLASSES`
    valence: float | None = None  # -1 to 1, None where the release has none
    arousal: float | None = None  # -1 to 1, None where the release has none


def read_affectnet(root: str) -> dict[Split, tuple[Still, ...]]:
    """Reads AffectNet, or generated stills, as they were unpacked.

    Args:
        root: folder with `train_set` and `val_set`, each `images/<id>.jpg` and `annotations/<id>_exp.npy` (also
            `_val.npy`, `_aro.npy`); or with `train` and `val`, each a folder of images per class, named by name or
            index.

    Returns:
        The stills of each split, by path.

    Raises:
        CorpusNotFoundError: if neither layout is there.
        AnnotationError: if an image has no label, or a label is none of the eight classes.
    """
    stills: dict[Split, tuple[Still, ...]] = {}
    for split, names in SPLIT_FOLDERS.items():
        folder = next((Path(root) / name for name in names if (Path(root) / name).is_dir()), None)
        if folder is None:
            raise not_found(NAME, root, f"folder {' or '.join(names)}", SOURCE)
        annotated = (folder / "annotations").is_dir()
        stills[split] = tuple(_annotated(folder) if annotated else _in_class_folders(folder))
        if not stills[split]:
            raise not_found(NAME, folder, "images/<id>.jpg or <class>/*.jpg", SOURCE)
    return stills


def class_index(name: str) -> int | None:
    """The class a folder's name means; None if it means none.

    >>> class_index("Happiness"), class_index("6"), class_index("3_surprise"), class_index("cats")
    (1, 6, 3, None)
    """
    word = re.sub(r"^\d+[ _-]+", "", name.strip().lower())
    word = SYNONYMS.get(word, word)
    if word in CLASSES:
        return CLASSES.index(word)
    return int(word) if word.isdecimal() and int(word) < len(CLASSES) else None


def _images(folder: Path) -> list[Path]:
    """The images of a folder, by name."""
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)


def _annotated(folder: Path) -> Iterator[Still]:
    """Images with a file of annotations each."""
    images = folder / "images"
    for path in _images(images) if images.is_dir() else []:
        label = _value(folder, path.stem, "exp")
        if label is None:
            msg = f"{path} has no label: {folder / 'annotations' / path.stem}_exp.npy is missing. Unpack both archives."
            raise AnnotationError(msg)
        if label not in range(len(CLASSES)):
            msg = f"{folder / 'annotations' / path.stem}_exp.npy holds {label:g}; classes are 0 to {len(CLASSES) - 1}."
            raise AnnotationError(msg)
        yield Still(str(path), int(label), _judged(folder, path.stem, "val"), _judged(folder, path.stem, "aro"))


def _judged(folder: Path, stem: str, part: str) -> float | None:
    """Valence or arousal, None where unknown."""
    value = _value(folder, stem, part)
    return None if value == UNKNOWN else value


def _value(folder: Path, stem: str, part: str) -> float | None:
    """The number in an annotation file, which is stored as a number or as text; None if there is no file."""
    path = folder / "annotations" / f"{stem}_{part}.npy"
    if not path.is_file():
        return None
    try:
        return float(np.load(path, allow_pickle=False).item())
    except (ValueError, EOFError, OSError) as error:
        raise AnnotationError(f"{path} does not hold one number: {error}.") from None


def _in_class_folders(folder: Path) -> Iterator[Still]:
    """Images sorted into a folder per class."""
    for entry in sorted(path for path in folder.iterdir() if path.is_dir()):
        label = class_index(entry.name)
        if label is None:
            msg = f"{entry} is named after none of the classes {', '.join(CLASSES)} (or 0 to {len(CLASSES) - 1})."
            raise AnnotationError(msg)
        for path in _images(entry):
            yield Still(str(path), label)
